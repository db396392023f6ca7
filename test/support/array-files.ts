/**
 * Writes arrays as numpy and spreadsheets do, for tests of commands that read them.
 * @module
 */
import { crc32, deflateRawSync } from "node:zlib";
import type { Tensor } from "../../src/tensor/tensor.ts";

/** The first rows of a tensor. */
export function headRows({ dtype, shape, data }: Tensor, rows: number): Tensor {
  const size = data.length / shape[0];
  return { dtype, shape: [rows, ...shape.slice(1)], data: data.slice(0, rows * size) };
}

/** A `.npy` file, version 1.0, of float32, float64 or int64. */
export function npyBytes({ dtype, shape, data }: Tensor): Uint8Array {
  const descr = { float32: "<f4", float64: "<f8", int64: "<i8", bool: "|b1" }[dtype];
  const header = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape.join(", ")},), }`;
  const text = `${header.padEnd(117)}\n`;
  const start = Buffer.from(`\x93NUMPY\x01\x00\0\0${text}`, "latin1");
  start.writeUInt16LE(text.length, 8);
  const body =
    dtype === "float32"
      ? Float32Array.from(data)
      : dtype === "float64"
        ? Float64Array.from(data)
        : BigInt64Array.from(data, BigInt);
  return Buffer.concat([start, Buffer.from(body.buffer)]);
}

/** A `.csv` file with a header of column names. */
export function csvText({ shape, data }: Tensor): string {
  const size = data.length / shape[0];
  const lines = Array.from({ length: shape[0] }, (_, row) =>
    Array.from(data.subarray(row * size, (row + 1) * size)).join(","),
  );
  const header = Array.from({ length: size }, (_, column) => `column ${column}`).join(",");
  return `${[header, ...lines].join("\n")}\n`;
}

/** A `.npz` file, each array deflated. */
export function npzBytes(arrays: Readonly<Record<string, Tensor>>): Uint8Array {
  const files: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [key, array] of Object.entries(arrays)) {
    const name = Buffer.from(`${key}.npy`);
    const bytes = npyBytes(array);
    const packed = deflateRawSync(bytes);
    const common = Buffer.alloc(26); // from "version needed" to "extra length", the same in both headers
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(8, 4);
    common.writeUInt32LE(crc32(bytes), 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(bytes.length, 18);
    common.writeUInt16LE(name.length, 22);
    const place = Buffer.alloc(14);
    place.writeUInt32LE(offset, 10);
    const file = Buffer.concat([Buffer.from("PK\x03\x04"), common, name, packed]);
    directory.push(Buffer.from("PK\x01\x02\x14\x00"), common, place, name);
    files.push(file);
    offset += file.length;
  }
  const entries = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", "latin1");
  end.writeUInt16LE(files.length, 8);
  end.writeUInt16LE(files.length, 10);
  end.writeUInt32LE(entries.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...files, entries, end]);
}
