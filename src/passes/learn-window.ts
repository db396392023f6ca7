/**
 * Where a fit table that bears noise reads: a window of one width for all channels, and a place for each. Noise is a share
 * of the width, so a narrow window is a quiet one; what lies beyond it the torus reads as the other end, negated around
 * the table's centre. The window with the least expected error of the table's results on calibration rows weighs the two.
 * Channels that spread less, ends where the table saturates and rare values all make it narrower than the interval.
 * @module
 */
import type { FitEncoding, TableOp } from "../circuit/ir.ts";
import { type Tensor, int64 } from "../tensor/tensor.ts";
import { constantIndices, constantShape, tabulateAt } from "../circuit/tabulate.ts";

/** Points that a table's function is known at, over three times the widest channel. */
const POINTS = 768;
/** Quantiles that stand for the values of a channel, and values of one that are looked at. */
const QUANTILES = 100;
const MOST_VALUES = 1 << 12;
/** Middles of five equal parts of a normal distribution, moved out so that their variance is 1. */
const NORMAL = [-1.4633, -0.5988, 0, 0.5988, 1.4633];
/** Candidates: widths as a share of the widest channel's, places from the low end of the play to the high end. */
const WIDTHS = Array.from({ length: 14 }, (_, i) => 1.05 * 0.92 ** i);
const PLACES = [-0.5, -0.25, 0, 0.25, 0.5];
/** The error falls with the width to its least and rises from there: so much above it ends the search. */
const PAST_LEAST = 1.25;

/** What the window is for. */
export interface WindowUse {
  readonly steps: number;
  /** Standard deviation of the noise, as a share of the window. */
  readonly noise: number;
}

/** One channel: its table's function on points that are `step` apart, and its values. */
interface Channel {
  readonly results: Float64Array;
  readonly first: number;
  readonly step: number;
  readonly lo: number;
  readonly hi: number;
  /** Equally likely values, with the spread that so few rows leave open. */
  readonly values: Float64Array;
}

/**
 * The interval and shifts to read with, for the integers that arrive on calibration rows; null for a table whose input does
 * not vary.
 */
export function learnWindow(
  op: TableOp,
  operand: Tensor,
  use: WindowUse,
): Required<Pick<FitEncoding, "interval" | "shifts">> | null {
  const { shape } = constantShape(op);
  const channels = channelsOf(op, operand, shape);
  const widest = channels.reduce((most, { lo, hi }) => Math.max(most, hi - lo), 0);
  if (widest === 0) return null;
  let best = { error: Infinity, width: widest, starts: channels.map(({ lo }) => lo) };
  for (const share of WIDTHS) {
    const width = share * widest;
    const placed = channels.map((channel) => placeWindow(channel, width, use));
    const error = placed.reduce((sum, one) => sum + one.error, 0);
    if (error < best.error) best = { error, width, starts: placed.map(({ start }) => start) };
    if (error > PAST_LEAST * best.error) break;
  }
  const step = best.width / use.steps;
  const shifts = best.starts.map((start) => Math.round(start + step / 2));
  return { interval: { lo: 0, hi: best.width - step }, shifts: int64(shape, shifts) };
}

/** The best of some places of a window. */
function placeWindow(
  channel: Channel,
  width: number,
  { steps, noise }: WindowUse,
): { readonly start: number; readonly error: number } {
  const { lo, hi } = channel;
  const play = Math.abs(hi - lo - width);
  // Rounding to a step is as much noise again, of a twelfth of its square.
  const spread = width * Math.hypot(noise, 1 / steps / Math.sqrt(12));
  let best = { start: lo, error: Infinity };
  for (const place of PLACES) {
    const start = (lo + hi - width) / 2 + place * play;
    const error = errorOf(channel, { start, width, spread });
    if (error < best.error) best = { start, error };
  }
  return best;
}

/** Mean squared error of the table's results under noise. */
function errorOf(
  { results, first, step, values }: Channel,
  {
    start,
    width,
    spread,
  }: { readonly start: number; readonly width: number; readonly spread: number },
): number {
  // Everything in steps of the points, half a step on, so that a point is the integer below.
  const [shift, span, deviation] = [(start - first) / step + 0.5, width / step, spread / step];
  const ends = at(results, shift) + at(results, shift + span);
  let sum = 0;
  for (const value of values) {
    const place = (value - start) / step;
    const wanted = at(results, shift + place);
    for (const normal of NORMAL) {
      const moved = place + normal * deviation;
      const turns = Math.floor(moved / span);
      const found = at(results, shift + moved - turns * span);
      const error = (turns % 2 === 0 ? found : ends - found) - wanted;
      sum += error * error;
    }
  }
  return sum / values.length / NORMAL.length;
}

/** The last point at or below a place, or the first or last of all. */
function at(results: Float64Array, place: number): number {
  const last = results.length - 1;
  return results[place <= 0 ? 0 : place >= last ? last : Math.floor(place)];
}

function channelsOf(op: TableOp, operand: Tensor, shape: readonly number[]): Channel[] {
  const count = shape.reduce((product, dim) => product * dim, 1);
  const row = constantIndices([1, ...operand.shape.slice(1)], shape);
  const stride = Math.max(1, Math.floor(operand.data.length / count / MOST_VALUES));
  const values: number[][] = Array.from({ length: count }, () => []);
  const seen = new Uint32Array(count);
  operand.data.forEach((x, i) => {
    const channel = row[i % row.length];
    if (seen[channel]++ % stride === 0) values[channel].push(x);
  });
  const sorted = values.map((list) => Float64Array.from(list).sort());
  const lo = sorted.reduce((least, list) => Math.min(least, list[0]), Infinity);
  const hi = sorted.reduce((most, list) => Math.max(most, list[list.length - 1]), -Infinity);
  const first = lo - (hi - lo);
  const step = (3 * (hi - lo)) / (POINTS - 1);
  const points = Float64Array.from({ length: POINTS }, (_, i) => first + i * step);
  const table = tabulateAt(op, points, operand.shape.length).data;
  return sorted.map((list, channel) => ({
    results: Float64Array.from(points, (_, point) => table[point * count + channel]),
    first,
    step,
    lo: list[0],
    hi: list[list.length - 1],
    values: smoothed(list),
  }));
}

/** Quantiles of values, each moved by normal noise of the width that Silverman's rule gives for so many values. */
function smoothed(sorted: Float64Array): Float64Array {
  const { length } = sorted;
  const mean = sorted.reduce((sum, x) => sum + x, 0) / length;
  const variance = sorted.reduce((sum, x) => sum + (x - mean) ** 2, 0) / length;
  const width = 1.06 * Math.sqrt(variance) * length ** -0.2;
  return Float64Array.from({ length: QUANTILES }, (_, i) => {
    const place = ((i + 0.5) / QUANTILES) * length - 0.5;
    // Neighbouring quantiles are moved differently; every fifth alike.
    return sorted[Math.max(0, Math.round(place))] + width * NORMAL[(2 * i) % NORMAL.length];
  });
}
