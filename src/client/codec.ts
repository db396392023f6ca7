/**
 * Integers to torus plaintexts and back, as a client spec says. Safe in browsers.
 * @module
 */
import type { ClientPort } from "../format/client-spec.ts";
import { type Tensor, int64 } from "../tensor/tensor.ts";

/** Torus plaintexts of one row of codes. */
export function encodeCodes({ scale }: ClientPort, codes: Tensor): BigUint64Array {
  return BigUint64Array.from(codes.data, (code) => BigInt.asUintN(64, BigInt(code) * scale));
}

/** The integers nearest to phases, in the window of one torus around the port's middle; shape with one row. */
export function decodePhases(
  { scale, middle, shape }: ClientPort,
  phases: BigUint64Array,
): Tensor<"int64"> {
  const origin = BigInt(middle) * scale;
  const codes = Float64Array.from(phases, (phase) => {
    const distance = BigInt.asIntN(64, phase - origin);
    return middle + Number(roundedQuotient(distance, scale));
  });
  return int64(shape, codes);
}

/** Nearest integer to a / b for b > 0, half up. */
function roundedQuotient(a: bigint, b: bigint): bigint {
  const shifted = 2n * a + b;
  const quotient = shifted / (2n * b);
  return shifted % (2n * b) < 0n ? quotient - 1n : quotient;
}
