/**
 * Interpolation along axes: each element of a result is a weighted sum of a few elements of the input.
 * @module
 */
import { allocate, sizeOf } from "./tensor.ts";
import type { Tensor } from "./tensor.ts";

/** One element of the input that takes part, and its weight. */
export interface Tap {
  readonly index: number;
  readonly weight: number;
}

/** What each element along one axis of a result is made of; null stands for the fill value. */
export type Taps = readonly (readonly Tap[] | null)[];

/**
 * Interpolates along the axes that have taps. Sums are in double precision and rounded once at the end; what an axis fills
 * stays filled.
 */
export function interpolate(
  input: Tensor,
  taps: readonly (Taps | undefined)[],
  fill: number,
): Tensor {
  let current: Tensor = { ...input, dtype: "float64", data: Float64Array.from(input.data) };
  for (const [axis, list] of taps.entries()) {
    if (list) current = interpolateAxis(current, axis, list);
  }
  const data = allocate(input.dtype, current.data.length);
  data.set(current.data);
  const filled = { dtype: input.dtype, shape: current.shape, data };
  for (const [axis, list] of taps.entries()) {
    if (list?.includes(null)) fillAxis(filled, axis, list, fill);
  }
  return filled;
}

function interpolateAxis({ dtype, shape, data: source }: Tensor, axis: number, taps: Taps): Tensor {
  const size = shape[axis];
  const inner = sizeOf(shape.slice(axis + 1));
  const outer = sizeOf(shape.slice(0, axis));
  const result = [...shape.slice(0, axis), taps.length, ...shape.slice(axis + 1)];
  const data = allocate(dtype, sizeOf(result));
  for (let o = 0, at = 0; o < outer; o++) {
    for (const list of taps) {
      for (let i = 0; i < inner; i++, at++) {
        let sum = 0;
        for (const { index, weight } of list ?? []) {
          sum += weight * source[(o * size + index) * inner + i];
        }
        data[at] = sum;
      }
    }
  }
  return { dtype, shape: result, data };
}

function fillAxis({ shape, data }: Tensor, axis: number, taps: Taps, fill: number): void {
  const inner = sizeOf(shape.slice(axis + 1));
  for (let i = 0; i < data.length; i++) {
    if (taps[Math.floor(i / inner) % taps.length] === null) data[i] = fill;
  }
}
