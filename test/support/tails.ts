/**
 * Statistics of randomised crypto tests.
 * @module
 */

/** P(Z > x) of a standard normal Z (Abramowitz and Stegun 26.2.17, error below 7.5e-8). */
export function upperTail(x: number): number {
  if (x < 0) return 1 - upperTail(-x);
  const t = 1 / (1 + 0.2316419 * x);
  const poly =
    t *
    (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return poly * (Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI));
}

/** Standard deviations that a two-sided 99.9 % interval reaches: a right test fails once in a thousand runs. */
export const DEVIATIONS_999 = 3.2905;

/** Interval in which the number of hits among independent events lies with 99.9 %, and half a hit of continuity. */
export function hitInterval(probabilities: Iterable<number>): readonly [number, number] {
  let mean = 0;
  let variance = 0;
  for (const p of probabilities) {
    mean += p;
    variance += p * (1 - p);
  }
  const reach = DEVIATIONS_999 * Math.sqrt(variance) + 0.5;
  return [mean - reach, mean + reach];
}
