/**
 * Percentiles with numpy's linear interpolation, and the test of symmetry that decides how weights are quantized.
 * @module
 */
import type { Tensor } from "../tensor/tensor.ts";

/** Percentile `p` (0 to 100) of all elements; differences are taken in the element type, as numpy does. */
export function percentile(values: Tensor, p: number): number {
  const sorted = Float64Array.from(values.data).sort();
  const position = (p / 100) * (sorted.length - 1);
  const below = Math.floor(position);
  const above = Math.min(below + 1, sorted.length - 1);
  const t = position - below;
  const difference = sorted[above] - sorted[below];
  const step = values.dtype === "float32" ? Math.fround(difference) : difference;
  return t < 0.5 ? sorted[below] + step * t : sorted[above] - step * (1 - t);
}

/**
 * Whether the bulk of the values (3rd to 97th percentile) reaches about as far below zero as above it, within a factor
 * of three: such weights are quantized symmetrically, with zero point 0.
 */
export function isSymmetricAroundZero(values: Tensor): boolean {
  const low = percentile(values, 3);
  const high = percentile(values, 97);
  if ((low > 0 && high > 0) || (low < 0 && high < 0)) return false;
  const ratio = Math.abs(high) < 0.001 ? 0 : Math.abs(low / high);
  return ratio >= 1 / 3 && ratio <= 3;
}
