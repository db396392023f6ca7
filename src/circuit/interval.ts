/**
 * Intervals of integers and their widths.
 * @module
 */

/** Closed interval of integers. */
export interface Interval {
  readonly lo: number;
  readonly hi: number;
}

/** Bits of the smallest integer type that holds the interval, as Concrete counts them. */
export function bitWidth({ lo, hi }: Interval): number {
  if (lo >= 0) return Math.max(1, Math.ceil(Math.log2(hi + 1)));
  const negative = Math.ceil(Math.log2(-lo)) + 1;
  const positive = hi > 0 ? Math.ceil(Math.log2(hi + 1)) + 1 : 1;
  return Math.max(negative, positive);
}
