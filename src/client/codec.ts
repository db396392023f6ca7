/**
 * Integers to torus plaintexts and back, as a client spec says. Safe in browsers.
 * @module
 */
import { SottoError } from "../errors.ts";
import { type ClientPort, type OneHotEncoding, valuesOf } from "../format/client-spec.ts";
import { type Tensor, int64 } from "../tensor/tensor.ts";

/** Torus plaintexts of one row of codes. Throws BAD_VALUE for a code that a one-hot encoding does not have. */
export function encodeCodes(port: ClientPort, codes: Tensor): BigUint64Array {
  const { scale, oneHot } = port;
  if (oneHot !== null) return encodeUnits(port, oneHot, codes);
  return BigUint64Array.from(codes.data, (code) => BigInt.asUintN(64, BigInt(code) * scale));
}

/** Unit vectors laid end to end. */
function encodeUnits(
  port: ClientPort,
  { lowest, sizes }: OneHotEncoding,
  codes: Tensor,
): BigUint64Array {
  const plaintexts = new BigUint64Array(valuesOf(port));
  let start = 0;
  sizes.forEach((size, element) => {
    const place = codes.data[element] - lowest;
    if (size > 0 && !(place >= 0 && place < size)) {
      throw new SottoError(
        "BAD_VALUE",
        `quantized input ${port.name}`,
        `expected codes from ${lowest} to ${lowest + size - 1} at element ${element}, got ${codes.data[element]}`,
      );
    }
    if (size > 0) plaintexts[start + place] = port.scale;
    start += size;
  });
  return plaintexts;
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
