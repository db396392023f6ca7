/**
 * Percentiles with numpy's linear interpolation, and the test of symmetry that decides how weights are quantized.
 * @module
 */
import type { Tensor } from "../tensor/tensor.ts";

/** Percentile `p` (0 to 100) of all elements; differences are taken in the element type, as numpy does. */
export function percentile(values: Tensor, p: number): number {
  return percentileOf(Float64Array.from(values.data), p, values.dtype === "float32");
}

/** The same of numbers that may be reordered. */
function percentileOf(values: Float64Array, p: number, isFloat32: boolean): number {
  const position = (p / 100) * (values.length - 1);
  const rank = Math.floor(position);
  const below = moveToRank(values, rank);
  const above = rank + 1 < values.length ? leastFrom(values, rank + 1) : below;
  const t = position - rank;
  const difference = above - below;
  const step = isFloat32 ? Math.fround(difference) : difference;
  return t < 0.5 ? below + step * t : above - step * (1 - t);
}

/**
 * Reorders numbers so that the one of this rank (0 is the smallest) is where sorting would put it, smaller ones before it
 * and larger ones behind it; returns it. Hoare's selection: sorting the weights of a large model takes seconds.
 */
function moveToRank(values: Float64Array, rank: number): number {
  let low = 0;
  let high = values.length - 1;
  while (low < high) {
    const pivot = values[rank];
    let i = low;
    let j = high;
    while (i <= j) {
      while (values[i] < pivot) i++;
      while (pivot < values[j]) j--;
      if (i > j) break;
      const moved = values[i];
      values[i++] = values[j];
      values[j--] = moved;
    }
    if (j < rank) low = i;
    if (rank < i) high = j;
  }
  return values[rank];
}

function leastFrom(values: Float64Array, start: number): number {
  let least = values[start];
  for (let i = start; i < values.length; i++) if (values[i] < least) least = values[i];
  return least;
}

/**
 * Whether the bulk of the values (3rd to 97th percentile) reaches about as far below zero as above it, within a factor
 * of three: such weights are quantized symmetrically, with zero point 0.
 */
export function isSymmetricAroundZero(values: Tensor): boolean {
  const isFloat32 = values.dtype === "float32";
  const copy = Float64Array.from(values.data);
  const low = percentileOf(copy, 3, isFloat32);
  const high = percentileOf(copy, 97, isFloat32);
  if ((low > 0 && high > 0) || (low < 0 && high < 0)) return false;
  const ratio = Math.abs(high) < 0.001 ? 0 : Math.abs(low / high);
  return ratio >= 1 / 3 && ratio <= 3;
}
