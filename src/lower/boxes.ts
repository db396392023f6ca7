/**
 * Integers and boxes on the 64-bit torus and on a table's coefficients.
 * @module
 */
import type { Placement } from "../parameters/encoding-plan.ts";

/** An integer at a scale, modulo 2^64. */
export function toTorus(value: number, scale: bigint): bigint {
  return BigInt.asUintN(64, BigInt(value) * scale);
}

/** Fractional bits kept of a box edge: 2^-20 of an integer unit is far below any margin. */
const FRACTION_BITS = 20n;

/** What to add to a ciphertext so that the placement's zero, moved by `shift` integers, lies at phase 0. */
export function offsetOf({ zero, scale }: Placement, shift: number): bigint {
  const fixed = BigInt(Math.round((zero + shift) * 2 ** Number(FRACTION_BITS)));
  return BigInt.asUintN(64, -((fixed * scale) >> FRACTION_BITS));
}

/** First table coefficient of each box, of `size` coefficients on the half torus; the ends take what is left over. */
export function boxStarts(
  { grid, firstBox, boxes, zero, scale }: Placement,
  size: number,
): Uint32Array {
  const perUnit = (Number(scale) / 2 ** 63) * size;
  return Uint32Array.from({ length: boxes }, (_, b) => {
    if (b === 0) return 0;
    const edge = grid.origin + (firstBox + b) * grid.step;
    // A table that tolerates noise may have more boxes than coefficients: those that share one are never read.
    return Math.min(size - 1, Math.max(0, Math.round((edge - zero) * perUnit)));
  });
}
