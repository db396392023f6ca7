/**
 * Reads .npy files of the fixtures: version 1.0, little endian, C order.
 * @module
 */
import { readFileSync } from "node:fs";
import { float32, float64, int64, sizeOf, type Tensor } from "../../src/tensor/tensor.ts";

/** Reads one array; int32 becomes int64. */
export function readNpy(path: string | URL): Tensor {
  const bytes = readFileSync(path);
  const headerEnd = 10 + bytes.readUInt16LE(8);
  const header = bytes.toString("latin1", 10, headerEnd);
  const type = /'descr': '([^']+)'/.exec(header)?.[1];
  const sizes = /'shape': \(([^)]*)\)/.exec(header)?.[1] ?? "";
  const shape = sizes.split(",").flatMap((size) => (size.trim() === "" ? [] : [Number(size)]));
  const read = (width: number, at: (offset: number) => number): number[] =>
    Array.from({ length: sizeOf(shape) }, (_, i) => at(headerEnd + i * width));
  switch (type) {
    case "<f4":
      return float32(
        shape,
        read(4, (at) => bytes.readFloatLE(at)),
      );
    case "<f8":
      return float64(
        shape,
        read(8, (at) => bytes.readDoubleLE(at)),
      );
    case "<i4":
      return int64(
        shape,
        read(4, (at) => bytes.readInt32LE(at)),
      );
    case "<i8":
      return int64(
        shape,
        read(8, (at) => Number(bytes.readBigInt64LE(at))),
      );
    default:
      throw new Error(`unexpected element type ${type} in ${String(path)}`);
  }
}
