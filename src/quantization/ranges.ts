/**
 * Ranges of activations from calibration rows: all of it, or a part whose codes serve the bulk of the values better.
 * Values outside the range are clipped to its ends.
 * @module
 */
import type { Tensor } from "../tensor/tensor.ts";
import type { CalibrationRange } from "./choices.ts";
import { percentile } from "./percentile.ts";
import { type MinMaxStats, measureStats } from "./quantizer.ts";

/** Percent that "percentile" leaves out at either end. */
const TAIL = 0.1;
/** Shares of the full range that "mse" and "entropy" try. */
const SHRINKS: readonly number[] = Array.from({ length: 48 }, (_, i) => 1 - i / 50);
/** Values looked at for one range; more do not change it. */
const MOST_VALUES = 20_000;
/** Bins of the histogram that "entropy" compares; many per code. */
const BINS_PER_CODE = 16;

/** The range of values that codes of `nBits` bits are spread over. */
export function rangeOf(values: Tensor, kind: CalibrationRange, nBits: number): MinMaxStats {
  const full = measureStats(values);
  if (kind === "minmax" || full.rmin === full.rmax) return full;
  if (kind === "percentile") {
    // Zero must stay a code: it is what padding, sparse rows and Relu give most.
    const rmin = Math.min(percentile(values, TAIL), Math.max(full.rmin, 0));
    const rmax = Math.max(percentile(values, 100 - TAIL), Math.min(full.rmax, 0));
    return { rmin, rmax, isFloat32: false };
  }
  const sample = sampleOf(values.data);
  const loss = kind === "mse" ? squaredError : relativeEntropy;
  const lossOf = (range: MinMaxStats): number => loss(sample, range, full, nBits);
  // Both ends together, then each alone: outliers may lie on one side only.
  const both = leastOf(shrunk(full, true, true), lossOf);
  const low = leastOf(shrunk(both, true, false), lossOf);
  return leastOf(shrunk(low, false, true), lossOf);
}

/** Ranges with one or both ends nearer to zero, the given one first. */
function shrunk(
  { rmin, rmax, isFloat32 }: MinMaxStats,
  low: boolean,
  high: boolean,
): MinMaxStats[] {
  return SHRINKS.map((shrink) => ({
    rmin: low && rmin < 0 ? rmin * shrink : rmin,
    rmax: high && rmax > 0 ? rmax * shrink : rmax,
    isFloat32: shrink === 1 && isFloat32,
  })).filter((range) => range.rmin < range.rmax);
}

/** The first of the ranges with the least loss. */
function leastOf(
  ranges: readonly MinMaxStats[],
  lossOf: (range: MinMaxStats) => number,
): MinMaxStats {
  let [best] = ranges;
  let least = lossOf(best);
  for (const range of ranges.slice(1)) {
    const lost = lossOf(range);
    if (lost < least) [best, least] = [range, lost];
  }
  return best;
}

/** Evenly spaced elements, all of them if they are few. */
function sampleOf(data: Tensor["data"]): Float64Array {
  const stride = Math.ceil(data.length / MOST_VALUES);
  return Float64Array.from({ length: Math.ceil(data.length / stride) }, (_, i) => data[i * stride]);
}

/** Mean squared distance of values to their codes, clipping included. */
function squaredError(
  sample: Float64Array,
  { rmin, rmax }: MinMaxStats,
  _: MinMaxStats,
  nBits: number,
): number {
  const step = (rmax - rmin) / (2 ** nBits - 1);
  let sum = 0;
  for (const value of sample) {
    const clipped = Math.min(Math.max(value, rmin), rmax);
    const coded = rmin + Math.round((clipped - rmin) / step) * step;
    sum += (value - coded) ** 2;
  }
  return sum / sample.length;
}

/**
 * Relative entropy of the values' distribution to that of their codes. Both are histograms over the range; clipped values
 * count in its outermost bins, and a code's share is spread over the bins of its interval that are not empty.
 */
function relativeEntropy(
  sample: Float64Array,
  { rmin, rmax }: MinMaxStats,
  full: MinMaxStats,
  nBits: number,
): number {
  const bins = 2 ** nBits * BINS_PER_CODE;
  const width = (rmax - rmin) / bins;
  const inside = new Float64Array(bins);
  const clipped = new Float64Array(bins);
  const binOf = (value: number): number =>
    Math.min(Math.max(Math.floor((value - rmin) / width), 0), bins - 1);
  for (const value of sample) {
    clipped[binOf(value)]++;
    if ((value >= rmin || rmin === full.rmin) && (value <= rmax || rmax === full.rmax)) {
      inside[binOf(value)]++;
    }
  }
  let entropy = 0;
  for (let first = 0; first < bins; first += BINS_PER_CODE) {
    const code = inside.subarray(first, first + BINS_PER_CODE);
    const mass = code.reduce((sum, count) => sum + count, 0);
    const used = code.reduce((count, value) => count + (value > 0 ? 1 : 0), 0);
    for (let bin = first; bin < first + BINS_PER_CODE; bin++) {
      const p = clipped[bin] / sample.length;
      // A bin that only clipped values fill has no share among the codes; a small one keeps the sum finite.
      const q = Math.max(used > 0 && inside[bin] > 0 ? mass / used / sample.length : 0, 1e-9);
      if (p > 0) entropy += p * Math.log(p / q);
    }
  }
  return entropy;
}
