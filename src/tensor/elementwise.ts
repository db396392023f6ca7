/**
 * Element-wise kernels with numpy's broadcasting. Every element is computed in double precision and rounded once when it
 * is stored: for + - * / on float32 operands that is the correctly rounded float32 result, as numpy has it.
 * @module
 */
import { expand } from "./strided.ts";
import { allocate, broadcastShapes, promote, sizeOf } from "./tensor.ts";
import type { DType, Shape, Tensor } from "./tensor.ts";

interface Aligned {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly x: Float32Array | Float64Array;
  readonly y: Float32Array | Float64Array;
  readonly data: Float32Array | Float64Array;
}

/** Both operands at the common shape, and room for the result. */
function align(a: Tensor, b: Tensor): Aligned {
  const shape = broadcastShapes(a.shape, b.shape);
  const x = expand(a, shape).data;
  const y = expand(b, shape).data;
  const dtype = promote(a.dtype, b.dtype);
  return { shape, dtype, x, y, data: allocate(dtype, x.length) };
}

/** Applies any function of two numbers element by element; float32 only if both operands are. */
export function combine(a: Tensor, b: Tensor, op: (x: number, y: number) => number): Tensor {
  const { shape, dtype, x, y, data } = align(a, b);
  for (let i = 0; i < data.length; i++) data[i] = op(x[i], y[i]);
  return { dtype, shape, data };
}

/** Applies any function of one number to each element, keeping the element type. */
export function mapElements<D extends DType>(
  input: Tensor<D>,
  op: (x: number) => number,
): Tensor<D> {
  const data = allocate(input.dtype, input.data.length);
  for (let i = 0; i < data.length; i++) data[i] = op(input.data[i]);
  return { dtype: input.dtype, shape: input.shape, data };
}

/** Compares element by element, or combines truth values: the result is bool. */
export function relate(
  a: Tensor,
  b: Tensor,
  op: (x: number, y: number) => boolean,
): Tensor<"bool"> {
  const { shape, x, y } = align(a, b);
  const data = allocate("bool", x.length);
  for (let i = 0; i < data.length; i++) data[i] = op(x[i], y[i]) ? 1 : 0;
  return { dtype: "bool", shape, data };
}

/** Asks each element; the result is bool. */
export function test(input: Tensor, op: (x: number) => boolean): Tensor<"bool"> {
  const data = allocate("bool", input.data.length);
  for (let i = 0; i < data.length; i++) data[i] = op(input.data[i]) ? 1 : 0;
  return { dtype: "bool", shape: input.shape, data };
}

/** Elements of `a` where `condition` holds, of `b` elsewhere; all three broadcast. */
export function select(condition: Tensor, a: Tensor, b: Tensor): Tensor {
  const shape = broadcastShapes(condition.shape, broadcastShapes(a.shape, b.shape));
  const dtype = promote(a.dtype, b.dtype);
  const data = allocate(dtype, sizeOf(shape));
  const [c, x, y] = [condition, a, b].map((operand) => expand(operand, shape).data);
  for (let i = 0; i < data.length; i++) data[i] = c[i] ? x[i] : y[i];
  return { dtype, shape, data };
}

/** `a + b`. */
export function add(a: Tensor, b: Tensor): Tensor {
  const { shape, dtype, x, y, data } = align(a, b);
  for (let i = 0; i < data.length; i++) data[i] = x[i] + y[i];
  return { dtype, shape, data };
}

/** `factor * input` for a constant that takes the input's element type, as a Python number does in numpy. */
export function scaleBy<D extends DType>(input: Tensor<D>, factor: number): Tensor<D> {
  const data = allocate(input.dtype, input.data.length);
  const by = input.dtype === "float32" ? Math.fround(factor) : factor;
  for (let i = 0; i < data.length; i++) data[i] = by * input.data[i];
  return { dtype: input.dtype, shape: input.shape, data };
}

/** Moves every element into [lo, hi]; NaN stays NaN. */
export function clamp<D extends DType>(input: Tensor<D>, lo: number, hi: number): Tensor<D> {
  return mapElements(input, (x) => (x < lo ? lo : x > hi ? hi : x));
}
