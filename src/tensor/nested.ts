/**
 * Conversions between tensors and what callers hold: nested lists of numbers, and typed arrays with a shape.
 * @module
 */
import { SottoError } from "../errors.ts";
import { float32, float64, int64, type DType, type Nested, type Tensor } from "./tensor.ts";
import { strides, tensor, type TensorLike } from "./tensor.ts";

/** Nested lists of a tensor's elements; a plain number for a scalar. */
export function toNested(input: Tensor): Nested {
  const steps = strides(input.shape);
  const level = (axis: number, start: number): Nested => {
    const length = input.shape[axis];
    if (length === undefined) return input.data[start];
    return Array.from({ length }, (_, index) => level(axis + 1, start + index * steps[axis]));
  };
  return level(0, 0);
}

/** A tensor of nested lists; the lists of one level must have one length. */
export function fromNested<D extends DType>(dtype: D, nested: Nested): Tensor<D> {
  const shape: number[] = [];
  for (let level: unknown = nested; Array.isArray(level); level = level[0])
    shape.push(level.length);
  const data: number[] = [];
  collect(nested, shape, 0, data);
  if (dtype === "int64") int64([data.length], data);
  return tensor(dtype, shape, data);
}

function collect(nested: unknown, shape: readonly number[], axis: number, data: number[]): void {
  const length = shape[axis];
  if (length === undefined) {
    if (typeof nested !== "number") {
      const got = Array.isArray(nested)
        ? "a list nested deeper than its neighbours"
        : typeof nested;
      throw new SottoError("BAD_ARGUMENT", "nested list", `expected a number, got ${got}`);
    }
    data.push(nested);
    return;
  }
  if (!Array.isArray(nested) || nested.length !== length) {
    const got = Array.isArray(nested) ? `${nested.length} elements` : typeof nested;
    const expected = `expected ${length} elements along axis ${axis}`;
    throw new SottoError("BAD_SHAPE", "nested list", `${expected}, got ${got}`);
  }
  for (const item of nested) collect(item, shape, axis + 1, data);
}

/**
 * Reads a caller's tensor: a tensor as it is, a typed array with a shape (Int32Array and BigInt64Array become int64),
 * or nested lists of numbers (float64).
 */
export function asTensor(input: TensorLike, where = "tensor"): Tensor {
  if (typeof input === "number" || isList(input)) return fromNested("float64", input);
  if (typeof input !== "object" || input === null || !isList(input.shape)) {
    const expected = "expected nested lists of numbers or a typed array with a shape";
    const hint = typeof input === "string" ? "; read the file first, with readArrays" : "";
    throw new SottoError("BAD_ARGUMENT", where, `${expected}, got ${typeof input}${hint}`);
  }
  const { shape, data } = input;
  if ("dtype" in input) return ofDType(input);
  if (data instanceof Float32Array) return float32(shape, data);
  if (data instanceof Float64Array) return float64(shape, data);
  if (data instanceof Int32Array) return int64(shape, Float64Array.from(data));
  if (data instanceof BigInt64Array) return int64(shape, Float64Array.from(data, Number));
  const expected = "expected a Float32Array, Float64Array, Int32Array or BigInt64Array";
  const got = Object.prototype.toString.call(data).slice(8, -1);
  throw new SottoError("BAD_DTYPE", where, `${expected} as data, got ${got}`);
}

// Array.isArray does not narrow readonly arrays.
function isList(input: unknown): input is readonly Nested[] {
  return Array.isArray(input);
}

/** Checks what a caller claims to be a tensor. */
function ofDType(input: Tensor): Tensor {
  const { dtype, shape, data } = input;
  const storage = dtype === "float32" ? Float32Array : Float64Array;
  if (!["float32", "float64", "int64", "bool"].includes(dtype) || !(data instanceof storage)) {
    const expected =
      "expected float32 in a Float32Array, or float64, int64 or bool in a Float64Array";
    throw new SottoError("BAD_DTYPE", "tensor", `${expected}, got ${dtype}`);
  }
  return dtype === "int64" ? int64(shape, data) : tensor(dtype, shape, data);
}
