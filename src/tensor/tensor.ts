/**
 * Tensor: a flat typed array with a shape, C order. A tensor is a value: nobody writes to `data` after construction, so
 * reshaping shares it. The element type decides the arithmetic (see kernels in this folder): float32 rounds after
 * every operation as numpy does, everything else is computed in double precision.
 * @module
 */
import { SottoError } from "../errors.ts";

/** Element types a tensor can have; narrower ONNX types are widened to these when a model is read. */
export type DType = "float32" | "float64" | "int64" | "bool";

/** A shape is a list of sizes; `[]` is the shape of a scalar. */
export type Shape = readonly number[];

/** Storage of one element type. */
export type DataOf<D extends DType> = D extends "float32" ? Float32Array : Float64Array;

/**
 * `data` holds `sizeOf(shape)` elements in C order. int64 elements are integers of magnitude at most 2^53 in a
 * Float64Array: double arithmetic is several times faster than BigInt and exact for every accumulator the compiler can
 * meet (table lookups end far below 2^53). bool elements are 0 or 1.
 */
export interface Tensor<D extends DType = DType> {
  readonly dtype: D;
  readonly shape: Shape;
  readonly data: DataOf<D>;
}

/** Lists of numbers, nested once per axis. */
export type Nested = number | readonly Nested[];

/** Typed arrays a caller may hand in, with the element type each one stands for. */
export type InputArray = Float32Array | Float64Array | Int32Array | BigInt64Array;

/** What a caller may hand in as a tensor; a nested list holds JavaScript numbers, which are float64. */
export type TensorLike =
  Tensor | { readonly shape: Shape; readonly data: InputArray } | readonly Nested[] | number;

/** Number of elements of a shape. */
export function sizeOf(shape: Shape): number {
  let size = 1;
  for (const dim of shape) size *= dim;
  return size;
}

/** Elements to skip for one step along each axis (C order). */
export function strides(shape: Shape): number[] {
  const steps = Array.from(shape, () => 1);
  for (let axis = shape.length - 2; axis >= 0; axis--) {
    steps[axis] = steps[axis + 1] * shape[axis + 1];
  }
  return steps;
}

/** True when both shapes have the same sizes in the same order. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, axis) => dim === b[axis]);
}

/** A zeroed array of the storage that an element type uses. */
export function allocate<D extends DType>(dtype: D, size: number): DataOf<D> {
  return (dtype === "float32" ? new Float32Array(size) : new Float64Array(size)) as DataOf<D>;
}

/** Makes a tensor, converting `data` to the storage of `dtype`; typed arrays of that storage are taken as they are. */
export function tensor<D extends DType>(
  dtype: D,
  shape: Shape,
  data: ArrayLike<number>,
): Tensor<D> {
  for (const dim of shape) {
    if (!Number.isInteger(dim) || dim < 0) {
      throw new SottoError("BAD_SHAPE", "tensor", `expected sizes >= 0, got [${shape.join(", ")}]`);
    }
  }
  const size = sizeOf(shape);
  if (data.length !== size) {
    const expected = `shape [${shape.join(", ")}] needs ${size} elements`;
    throw new SottoError("BAD_SHAPE", "tensor", `${expected}, got ${data.length}`);
  }
  const storage = dtype === "float32" ? Float32Array : Float64Array;
  const held = data instanceof storage ? data : storage.from(data);
  return { dtype, shape: [...shape], data: held as DataOf<D> };
}

/** A float32 tensor; numbers are rounded to float32. */
export function float32(shape: Shape, data: ArrayLike<number>): Tensor<"float32"> {
  return tensor("float32", shape, data);
}

/** A float64 tensor. */
export function float64(shape: Shape, data: ArrayLike<number>): Tensor<"float64"> {
  return tensor("float64", shape, data);
}

/** An int64 tensor; every element must be an integer of magnitude at most 2^53. */
export function int64(shape: Shape, data: ArrayLike<number>): Tensor<"int64"> {
  for (let i = 0; i < data.length; i++) {
    const value = data[i];
    if (!Number.isInteger(value) || Math.abs(value) > 2 ** 53) {
      throw new SottoError("BAD_VALUE", "int64 tensor", `expected integers, got ${value}`);
    }
  }
  return tensor("int64", shape, data);
}

/** A bool tensor; any element but 0 is true. */
export function bool(shape: Shape, data: ArrayLike<number>): Tensor<"bool"> {
  return tensor(
    "bool",
    shape,
    Float64Array.from(data, (value) => (value === 0 ? 0 : 1)),
  );
}

/** A tensor without axes. */
export function scalar<D extends DType>(dtype: D, value: number): Tensor<D> {
  return tensor(dtype, [], [value]);
}

/** The same elements under another shape of the same size; shares storage. */
export function reshape<D extends DType>(input: Tensor<D>, shape: Shape): Tensor<D> {
  return tensor(input.dtype, shape, input.data);
}

/** Converts elements to another type: to float32 rounds, to int64 truncates toward zero, to bool tests against 0. */
export function cast<D extends DType>(input: Tensor, dtype: D): Tensor<D> {
  if (input.dtype === dtype) return input as Tensor<D>;
  if (dtype === "int64")
    return tensor(dtype, input.shape, Float64Array.from(input.data, Math.trunc));
  if (dtype === "bool") return tensor(dtype, input.shape, bool(input.shape, input.data).data);
  return tensor(dtype, input.shape, input.data);
}

/** The element type of a result that mixes two operands, as numpy promotes arrays. */
export function promote(a: DType, b: DType): DType {
  if (a === b) return a;
  if (a === "bool") return b;
  if (b === "bool") return a;
  return "float64"; // float32 with int64 is float64 in numpy too
}

/** The common shape of two operands under numpy's broadcasting rules. */
export function broadcastShapes(a: Shape, b: Shape): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const left = a[axis - rank + a.length] ?? 1;
    const right = b[axis - rank + b.length] ?? 1;
    if (left !== right && left !== 1 && right !== 1) {
      const shapes = `[${a.join(", ")}] and [${b.join(", ")}]`;
      throw new SottoError("BAD_SHAPE", "broadcast", `shapes ${shapes} do not broadcast`);
    }
    return left === 1 ? right : left;
  });
}
