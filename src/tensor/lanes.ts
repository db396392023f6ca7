/**
 * Kernels that work on lanes: the runs of elements along one axis. A lane is handed over in double precision, and what
 * is made of it is rounded once to the element type of the result.
 * @module
 */
import { transpose } from "./strided.ts";
import { allocate, reshape, sizeOf } from "./tensor.ts";
import type { DType, Shape, Tensor } from "./tensor.ts";

/** Replaces each lane along `axis` by another of the same length; `index` counts lanes in C order of the other axes. */
export function mapLanes<D extends DType>(
  input: Tensor<D>,
  axis: number,
  replace: (lane: Float64Array, index: number) => ArrayLike<number>,
): Tensor<D> {
  const { dtype, shape } = input;
  const data = allocate(dtype, input.data.length);
  const length = shape[axis];
  const inner = sizeOf(shape.slice(axis + 1));
  const count = length === 0 ? 0 : data.length / length;
  const lane = new Float64Array(length);
  for (let index = 0; index < count; index++) {
    const start = Math.floor(index / inner) * length * inner + (index % inner);
    for (let i = 0; i < length; i++) lane[i] = input.data[start + i * inner];
    const replaced = replace(lane, index);
    for (let i = 0; i < length; i++) data[start + i * inner] = replaced[i];
  }
  return { dtype, shape, data };
}

/** Reduces the lanes over several axes at once, each to one number; the result keeps the axes, with size 1. */
export function reduceLanes<D extends DType>(
  input: Tensor,
  axes: readonly number[],
  dtype: D,
  reduce: (lane: Float64Array) => number,
): Tensor<D> {
  const kept = input.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const ordered = transpose(input, [...kept, ...axes]).data;
  const shape = reducedShape(input.shape, axes);
  const length = sizeOf(axes.map((axis) => input.shape[axis]));
  const data = allocate(dtype, sizeOf(shape));
  const lane = new Float64Array(length);
  for (let index = 0; index < data.length; index++) {
    for (let i = 0; i < length; i++) lane[i] = ordered[index * length + i];
    data[index] = reduce(lane);
  }
  return { dtype, shape, data };
}

/** The shape with the reduced axes of size 1. */
export function reducedShape(shape: Shape, axes: readonly number[]): number[] {
  return shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
}

/** Drops the given axes, which must have size 1. */
export function dropAxes<D extends DType>(input: Tensor<D>, axes: readonly number[]): Tensor<D> {
  return reshape(
    input,
    input.shape.filter((_, axis) => !axes.includes(axis)),
  );
}
