/**
 * Failure probabilities as base 2 logarithms, so that 2^-128 and far less keep their digits: gaussian tails, their
 * inverse, and the way from one decision to a whole inference and back (docs/noise.md, 6 and 7).
 * @module
 */

/** Decisions of one kind: each fails with probability 2^log2Failure. */
export interface FailureClass {
  readonly log2Failure: number;
  readonly count: number;
}

/** From here on the continued fraction converges fast; below, the series does. */
const SERIES_LIMIT = 2;

/** Depth of the continued fraction: at its start, x = 2, 60 terms give all the digits of a double. */
const FRACTION_DEPTH = 80;

/** Below 2^SMALL a probability p and -ln(1 - p) agree to second order within a double. */
const SMALL = -30;

/** log2 of erfc(x), accurate where erfc itself underflows. */
export function log2Erfc(x: number): number {
  if (Number.isNaN(x)) return Number.NaN;
  if (x === Infinity) return -Infinity;
  if (x < 0) return Math.log1p(x < -6 ? 1 : erfSeries(-x)) / Math.LN2;
  if (x < SERIES_LIMIT) return Math.log1p(-erfSeries(x)) / Math.LN2;
  let fraction = 1;
  for (let term = FRACTION_DEPTH; term > 0; term--) {
    fraction = 1 + term / (2 * x * x) / fraction;
  }
  return -(x * x) / Math.LN2 - Math.log2(fraction * x * Math.sqrt(Math.PI));
}

/** log2 of the probability that a centred gaussian is `x` or more standard deviations away from 0, on either side. */
export function log2TwoSidedTail(x: number): number {
  return log2Erfc(x / Math.SQRT2);
}

/** The inverse: how many standard deviations a margin must have to fail with probability 2^log2Probability. */
export function kappa(log2Probability: number): number {
  if (Number.isNaN(log2Probability)) return Number.NaN;
  if (log2Probability >= 0) return 0;
  if (log2Probability === -Infinity) return Infinity;
  let low = 0;
  let high = Math.sqrt(-2 * Math.LN2 * log2Probability); // the tail at x is at most exp(-x^2 / 2)
  for (;;) {
    const middle = (low + high) / 2;
    if (middle <= low || middle >= high) return high;
    if (log2TwoSidedTail(middle) > log2Probability) low = middle;
    else high = middle;
  }
}

/** log2 of the failure probability of a decision: noise of `variance` beyond `margin` on either side. */
export function log2FailureOf(margin: number, variance: number): number {
  if (!(margin > 0)) return 0;
  return variance === 0 ? -Infinity : log2TwoSidedTail(margin / Math.sqrt(variance));
}

/** log2 of the probability that any of many independent decisions fails: 1 - prod (1 - p)^count. */
export function combineFailures(classes: readonly FailureClass[]): number {
  const terms: number[] = [];
  for (const { log2Failure, count } of classes) {
    if (count > 0) terms.push(log2Hazard(log2Failure) + Math.log2(count));
  }
  return log2OfHazard(log2Sum(terms));
}

/** log2 of the failure probability that `count` equal decisions may each have for 2^log2Global in all. */
export function splitFailure(log2Global: number, count: number): number {
  return log2OfHazard(log2Hazard(log2Global) - Math.log2(count));
}

/** log2 of -ln(1 - p) for p = 2^log2P: hazards add up where probabilities do not. */
function log2Hazard(log2P: number): number {
  if (log2P >= 0) return Infinity;
  const probability = 2 ** log2P;
  if (log2P < SMALL) return log2P + probability / (2 * Math.LN2);
  return Math.log2(-Math.log1p(-probability));
}

/** The way back: log2 of 1 - exp(-2^log2H). */
function log2OfHazard(log2H: number): number {
  const hazard = 2 ** log2H;
  if (log2H < SMALL) return log2H - hazard / (2 * Math.LN2);
  return Math.log2(-Math.expm1(-hazard));
}

/** log2 of the sum of 2^term. */
function log2Sum(terms: readonly number[]): number {
  const largest = Math.max(-Infinity, ...terms);
  if (!Number.isFinite(largest)) return largest;
  let sum = 0;
  for (const term of terms) sum += 2 ** (term - largest);
  return largest + Math.log2(sum);
}

/** erf(x) for small x >= 0, by the series without cancellation: 2 / sqrt(pi) exp(-x^2) sum (2 x^2)^i x / (2i + 1)!!. */
function erfSeries(x: number): number {
  let term = x;
  let sum = x;
  for (let i = 1; term > sum * Number.EPSILON; i++) {
    term *= (2 * x * x) / (2 * i + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}
