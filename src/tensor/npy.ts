/**
 * Reads numpy's `.npy` format (versions 1.0, 2.0 and 3.0) as numpy.lib.format documents it.
 * npyjs does not do here: it ignores big endian and Fortran order, fails on headers whose length is not a multiple
 * of the element size, and reads a truncated file as a shorter array.
 * Every length in the file is checked against the bytes that are there before anything is allocated.
 * @module
 */
import { SottoError } from "../errors.ts";
import { storedElements } from "./elements.ts";
import { int64, sizeOf, tensor, type Tensor } from "./tensor.ts";

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
const MAX_AXES = 64; // numpy's own limit

interface Header {
  readonly descr: string;
  readonly fortranOrder: boolean;
  readonly shape: readonly number[];
  /** Where the elements begin. */
  readonly dataOffset: number;
}

/** True for bytes that begin as a `.npy` file does. */
export function isNpy(bytes: Uint8Array): boolean {
  return MAGIC.every((byte, i) => bytes[i] === byte);
}

/** Reads one array; `where` names the file in errors. Throws BAD_BYTES, BAD_DTYPE or BAD_VALUE. */
export function parseNpy(bytes: Uint8Array, where: string): Tensor {
  const header = readHeader(bytes, where);
  const [, order, kind] = /^([<>|=]?)([a-z]\d+)$/.exec(header.descr) ?? [];
  const element = storedElements.get(kind ?? "");
  if (element === undefined || (order === "|" && element.bytes > 1)) {
    throw new SottoError(
      "BAD_DTYPE",
      where,
      `expected numbers (float16 to float64, int8 to int64, uint8 to uint64, bool), got dtype ${show(header.descr)}; ` +
        "save the array with .astype('float32')",
    );
  }
  const size = sizeOf(header.shape);
  const held = bytes.length - header.dataOffset;
  if (size * element.bytes !== held) {
    throw new SottoError(
      "BAD_BYTES",
      where,
      `shape (${header.shape.join(", ")}) of ${kind} needs ${size * element.bytes} bytes, the file holds ${held}; ` +
        "copy or save it again",
    );
  }
  const data = element.dtype === "float32" ? new Float32Array(size) : new Float64Array(size);
  const view = new DataView(bytes.buffer, bytes.byteOffset + header.dataOffset, held);
  const littleEndian = order !== ">";
  for (let i = 0; i < size; i++) data[i] = element.read(view, i * element.bytes, littleEndian);
  const ordered = header.fortranOrder ? fromFortran(data, header.shape) : data;
  return element.dtype === "int64"
    ? integers(header.shape, ordered, where)
    : tensor(element.dtype, header.shape, ordered);
}

function readHeader(bytes: Uint8Array, where: string): Header {
  const damaged = (what: string) =>
    new SottoError("BAD_BYTES", where, `${what}; save the array again with numpy.save`);
  if (!isNpy(bytes)) {
    throw damaged("expected a .npy file, its first bytes are not numpy's");
  }
  if (bytes.length < 12) throw damaged("the header is cut off");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const major = view.getUint8(6);
  if (major < 1 || major > 3 || view.getUint8(7) !== 0) {
    throw damaged(`expected format version 1.0, 2.0 or 3.0, got ${major}.${view.getUint8(7)}`);
  }
  const start = major === 1 ? 10 : 12;
  const length = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (start + length > bytes.length) throw damaged("the header is cut off");
  const text = new TextDecoder("latin1").decode(bytes.subarray(start, start + length)).trim();
  const descr = /^\{.*'descr':\s*(?:'([^']*)'|(\[.*?\]|\(.*?\)))\s*,/.exec(text);
  const order = /'fortran_order':\s*(True|False)\s*[,}]/.exec(text);
  const shape = /'shape':\s*\(((?:\s*\d{1,16}L?\s*,)*(?:\s*\d{1,16}L?\s*)?)\)\s*,?\s*\}$/.exec(
    text,
  );
  if (descr === null || order === null || shape === null) {
    throw damaged(`cannot read the header ${show(text)}`);
  }
  const dims = (shape[1] ?? "").split(",").map((dim) => dim.trim().replace("L", ""));
  const sizes = dims.filter((dim) => dim !== "").map(Number);
  if (sizes.length > MAX_AXES || !sizes.every(Number.isSafeInteger)) {
    throw damaged(`impossible shape (${show(shape[1] ?? "")})`);
  }
  return {
    descr: descr[1] ?? descr[2] ?? "",
    fortranOrder: order[1] === "True",
    shape: sizes,
    dataOffset: start + length,
  };
}

/** Text from a file, made fit for one line of a terminal. */
function show(text: string): string {
  const plain = text.replace(/[^\x20-\x7e]/g, "?");
  return plain.length <= 80 ? plain : `${plain.slice(0, 77)}...`;
}

function fromFortran(
  data: Float32Array | Float64Array,
  shape: readonly number[],
): Float32Array | Float64Array {
  const ordered = data.slice();
  const index = shape.map(() => 0);
  const steps: number[] = [];
  let step = 1;
  for (const dim of shape) {
    steps.push(step);
    step *= dim;
  }
  let source = 0;
  for (let i = 0; i < ordered.length; i++) {
    ordered[i] = data[source] ?? 0;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const next = (index[axis] ?? 0) + 1;
      const dim = shape[axis] ?? 1;
      source += steps[axis] ?? 0;
      index[axis] = next;
      if (next < dim) break;
      index[axis] = 0;
      source -= (steps[axis] ?? 0) * dim;
    }
  }
  return ordered;
}

function integers(
  shape: readonly number[],
  data: Float32Array | Float64Array,
  where: string,
): Tensor<"int64"> {
  for (const value of data) {
    if (Math.abs(value) > 2 ** 53) {
      throw new SottoError("BAD_VALUE", where, `integers beyond 2^53 are not supported: ${value}`);
    }
  }
  return int64(shape, data);
}
