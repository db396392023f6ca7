/**
 * Bytes of the parameters: the 48-byte block that every file carries and whose digest ties files to each other
 * (docs/format.md). Decoding accepts only what an engine can work with; whether the numbers are secure is the business
 * of `verifySecurity`.
 * @module
 */
import { SottoError } from "../errors.ts";
import type { CryptoParameters, Decomposition } from "./parameters.ts";

/** Size of the block. */
export const PARAMETERS_BYTES = 48;

/** The engine's limits (crates/engine/src/parameters.rs), above what the search can return. */
const MAX_LWE_DIMENSION = 4096;
const MAX_GLWE_DIMENSION = 8;
const MIN_POLYNOMIAL_SIZE = 256;
const MAX_POLYNOMIAL_SIZE = 1 << 15;
const MAX_BIG_DIMENSION = 1 << 17;
const LIMITS = {
  bootstrap: { digit: 50, bits: 62 },
  keyswitch: { digit: 32, bits: 32 },
} as const;

/** The block of a parameter set. */
export function encodeParameters(p: CryptoParameters): Uint8Array {
  const bytes = new Uint8Array(PARAMETERS_BYTES);
  const view = new DataView(bytes.buffer);
  [
    p.lweDimension,
    p.glweDimension,
    p.polynomialSize,
    p.bootstrap.baseLog,
    p.bootstrap.level,
    p.keyswitch.baseLog,
    p.keyswitch.level,
    0,
  ].forEach((field, index) => view.setUint32(4 * index, field, true));
  view.setFloat64(32, p.lweNoiseStd, true);
  view.setFloat64(40, p.glweNoiseStd, true);
  return bytes;
}

/** Reads a block; `BAD_BYTES` if it is not one. */
export function decodeParameters(bytes: Uint8Array): CryptoParameters {
  if (bytes.length !== PARAMETERS_BYTES) {
    bad(`expected ${PARAMETERS_BYTES} bytes, got ${bytes.length}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const field = (index: number): number => view.getUint32(4 * index, true);
  const parameters = {
    lweDimension: field(0),
    glweDimension: field(1),
    polynomialSize: field(2),
    bootstrap: { baseLog: field(3), level: field(4) },
    keyswitch: { baseLog: field(5), level: field(6) },
    lweNoiseStd: view.getFloat64(32, true),
    glweNoiseStd: view.getFloat64(40, true),
  };
  if (field(7) !== 0) bad(`expected a reserved field of 0, got ${field(7)}`);
  checkDimensions(parameters);
  const hasLookups = parameters.lweDimension > 0;
  checkDecomposition("bootstrap", parameters.bootstrap, hasLookups);
  checkDecomposition("keyswitch", parameters.keyswitch, hasLookups);
  checkStd("GLWE", parameters.glweNoiseStd);
  if (hasLookups) checkStd("keyswitch", parameters.lweNoiseStd);
  else if (!Object.is(parameters.lweNoiseStd, 0))
    bad("expected no keyswitch noise without lookups");
  return parameters;
}

function checkDimensions(p: CryptoParameters): void {
  const { lweDimension: n, glweDimension: k, polynomialSize: size } = p;
  if (n > MAX_LWE_DIMENSION) bad(`LWE dimension ${n} is over ${MAX_LWE_DIMENSION}`);
  if (size < MIN_POLYNOMIAL_SIZE || size > MAX_POLYNOMIAL_SIZE || (size & (size - 1)) !== 0) {
    bad(
      `expected a polynomial size that is a power of two from ${MIN_POLYNOMIAL_SIZE} to ${MAX_POLYNOMIAL_SIZE}, got ${size}`,
    );
  }
  if (k < 1 || k > MAX_GLWE_DIMENSION || k * size > MAX_BIG_DIMENSION) {
    bad(`GLWE dimension ${k} is out of range`);
  }
}

function checkDecomposition(
  name: keyof typeof LIMITS,
  digits: Decomposition,
  hasLookups: boolean,
): void {
  const { baseLog, level } = digits;
  const limit = LIMITS[name];
  const valid = hasLookups
    ? baseLog >= 1 && baseLog <= limit.digit && level >= 1 && baseLog * level <= limit.bits
    : baseLog === 0 && level === 0;
  if (!valid) bad(`${name} decomposition of ${level} levels of ${baseLog} bits`);
}

function checkStd(name: string, std: number): void {
  if (!(std > 0 && std < 1)) bad(`expected a ${name} noise between 0 and 1, got ${std}`);
}

function bad(reason: string): never {
  throw new SottoError("BAD_BYTES", "parameters", reason);
}
