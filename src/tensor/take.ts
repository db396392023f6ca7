/**
 * Kernels that read elements by index: along one axis, or at a list of offsets.
 * @module
 */
import { SottoError } from "../errors.ts";
import { allocate, sizeOf } from "./tensor.ts";
import type { DType, Shape, Tensor } from "./tensor.ts";

/** Which elements to read along each axis; undefined leaves an axis alone, an index of -1 gives the fill value. */
export type TakePlan = readonly (readonly number[] | undefined)[];

/** The shape that a plan gives. */
export function takeShape(shape: Shape, plan: TakePlan): number[] {
  return shape.map((size, axis) => plan[axis]?.length ?? size);
}

/** Reads by a plan, one axis after the other. */
export function takeAxes<D extends DType>(input: Tensor<D>, plan: TakePlan, fill = 0): Tensor<D> {
  let taken = input;
  for (const [axis, indices] of plan.entries()) {
    if (indices) taken = take(taken, axis, indices, fill);
  }
  return taken;
}

/** Reads `input` at the given indices along one axis; index -1 gives `fill`. */
export function take<D extends DType>(
  input: Tensor<D>,
  axis: number,
  indices: ArrayLike<number>,
  fill = 0,
): Tensor<D> {
  const { dtype, shape } = input;
  const size = shape[axis];
  const inner = sizeOf(shape.slice(axis + 1));
  const outer = sizeOf(shape.slice(0, axis));
  const result = [...shape.slice(0, axis), indices.length, ...shape.slice(axis + 1)];
  const data = allocate(dtype, sizeOf(result));
  for (let o = 0, at = 0; o < outer; o++) {
    for (let i = 0; i < indices.length; i++, at += inner) {
      const index = indices[i];
      if (index < 0) data.fill(fill, at, at + inner);
      else {
        const start = (o * size + index) * inner;
        for (let j = 0; j < inner; j++) data[at + j] = input.data[start + j];
      }
    }
  }
  return { dtype, shape: result, data };
}

/** Reads elements at offsets into the input's data; the result has the given shape. */
export function takeOffsets<D extends DType>(
  input: Tensor<D>,
  offsets: ArrayLike<number>,
  shape: Shape,
): Tensor<D> {
  const data = allocate(input.dtype, sizeOf(shape));
  for (let i = 0; i < data.length; i++) data[i] = input.data[offsets[i]];
  return { dtype: input.dtype, shape, data };
}

/** An index of ONNX, where negative ones count from the end, as one from the beginning. */
export function wrapIndex(index: number, size: number): number {
  const wrapped = index < 0 ? index + size : index;
  if (Number.isInteger(wrapped) && wrapped >= 0 && wrapped < size) return wrapped;
  const message = `index ${index} is outside [${-size}, ${size - 1}]`;
  throw new SottoError("BAD_VALUE", "indices", message);
}
