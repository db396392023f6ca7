/**
 * Numbers as files store them: one row per stored element type, with the type it is widened to.
 * @module
 */
import type { DType } from "./tensor.ts";

/** How one element type is stored. */
export interface StoredElement {
  /** Widened: 16-bit floats to float32, every integer type to int64. */
  readonly dtype: DType;
  /** Bytes of an element. */
  readonly bytes: number;
  /** Reads the element at a byte offset. */
  readonly read: (view: DataView, offset: number, littleEndian: boolean) => number;
}

/** Element types by numpy's kind and width; `bf2` is bfloat16, which numpy has not. */
export const storedElements: ReadonlyMap<string, StoredElement> = new Map<string, StoredElement>([
  ["f2", { dtype: "float32", bytes: 2, read: (v, o, le) => halfToNumber(v.getUint16(o, le)) }],
  ["bf2", { dtype: "float32", bytes: 2, read: (v, o, le) => brainToNumber(v.getUint16(o, le)) }],
  ["f4", { dtype: "float32", bytes: 4, read: (v, o, le) => v.getFloat32(o, le) }],
  ["f8", { dtype: "float64", bytes: 8, read: (v, o, le) => v.getFloat64(o, le) }],
  ["i1", { dtype: "int64", bytes: 1, read: (v, o) => v.getInt8(o) }],
  ["i2", { dtype: "int64", bytes: 2, read: (v, o, le) => v.getInt16(o, le) }],
  ["i4", { dtype: "int64", bytes: 4, read: (v, o, le) => v.getInt32(o, le) }],
  ["i8", { dtype: "int64", bytes: 8, read: (v, o, le) => Number(v.getBigInt64(o, le)) }],
  ["u1", { dtype: "int64", bytes: 1, read: (v, o) => v.getUint8(o) }],
  ["u2", { dtype: "int64", bytes: 2, read: (v, o, le) => v.getUint16(o, le) }],
  ["u4", { dtype: "int64", bytes: 4, read: (v, o, le) => v.getUint32(o, le) }],
  ["u8", { dtype: "int64", bytes: 8, read: (v, o, le) => Number(v.getBigUint64(o, le)) }],
  ["b1", { dtype: "bool", bytes: 1, read: (v, o) => (v.getUint8(o) === 0 ? 0 : 1) }],
]);

/** IEEE 754 half precision to a number. */
function halfToNumber(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** bfloat16 to a number: the upper half of a float32. */
function brainToNumber(bits: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint16(0, bits);
  return view.getFloat32(0);
}
