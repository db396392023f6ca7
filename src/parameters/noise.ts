/**
 * Noise formulas: the variance that each homomorphic step adds, on the unit torus (an integer variance divided by 2^128).
 * They hold for q = 2^64, gaussian noise and uniform binary keys; docs/noise.md gives each formula with its source.
 * A variance here may be too large, never too small: parameters are chosen against it.
 * @module
 */
import {
  type CryptoParameters,
  type Decomposition,
  type OutputForm,
  wordBits,
} from "./parameters.ts";

/** log2 of the ciphertext modulus q. */
export const LOG2_MODULUS = 64;

/** Significant bits of the double precision transform that multiplies polynomials. */
const MANTISSA_BITS = 53;

/** q^-2: the variance of a rounding error of one unit, times 12. */
const UNIT_SQUARED = 2 ** (-2 * LOG2_MODULUS);

/** Sums of squared coefficients of a linear form over independent noise sources. */
export interface NoiseNorms {
  /** Over fresh inputs. */
  readonly inputNorm: number;
  /** Over lookup outputs. */
  readonly lookupNorm: number;
}

/** GLWE dimension `k` and polynomial size `N`. */
export interface GlweShape {
  readonly glweDimension: number;
  readonly polynomialSize: number;
}

/** Number of bits of the big LWE key, `k N`. */
export function bigDimension(shape: GlweShape): number {
  return shape.glweDimension * shape.polynomialSize;
}

/** Variance of a fresh encryption: that of the noise drawn (docs/noise.md, 1). */
export function freshVariance(std: number): number {
  return std * std;
}

/**
 * What one CMUX of the blind rotation adds to every coefficient (docs/noise.md, 4): rounding of the double precision
 * transform, noise of the key times the digits, and what the decomposition drops.
 */
export function cmuxVariance(shape: GlweShape, digits: Decomposition, keyVariance: number): number {
  const k = shape.glweDimension;
  const size = shape.polynomialSize;
  const { baseLog, level } = digits;
  const lostBits = 2 * Math.max(0, LOG2_MODULUS - MANTISSA_BITS);
  const transform =
    0.00705 *
    2 ** (lostBits + 2 * baseLog - 2 * LOG2_MODULUS) *
    level ** 1.01827 *
    k ** 1.22003 *
    size ** 2.22003 *
    (k + 1) ** 1.01827;
  const key = level * size * keyVariance * (k + 1) * digitSquare(baseLog);
  const dropped = 2 ** (-2 * baseLog * level) / 24;
  const rounding = ((k * size) / 2) * (UNIT_SQUARED / 48 + dropped) + dropped - UNIT_SQUARED / 24;
  return transform + key + rounding;
}

/**
 * Variance of a lookup's output: one CMUX for each bit of the small key (docs/noise.md, 4). It does not depend on the
 * lookup's input, on its table or on the extension factor: of the interleaved accumulators of an extended lookup each
 * receives one external product a step, and the output is read from one of them.
 */
export function lookupVariance(p: CryptoParameters): number {
  if (p.lweDimension === 0) return 0;
  return p.lweDimension * cmuxVariance(p, p.bootstrap, freshVariance(p.glweNoiseStd));
}

/** What the keyswitch adds for each bit of the big key: key noise times digits, and what the decomposition drops. */
export function keyswitchVariancePerBit(digits: Decomposition, keyVariance: number): number {
  const { baseLog, level } = digits;
  const key = level * keyVariance * digitSquare(baseLog);
  return key + UNIT_SQUARED / 48 + 2 ** (-2 * baseLog * level) / 24;
}

/** What the keyswitch from the big key to the small one adds (docs/noise.md, 3). */
export function keyswitchVariance(p: CryptoParameters): number {
  if (p.lweDimension === 0) return 0;
  return bigDimension(p) * keyswitchVariancePerBit(p.keyswitch, freshVariance(p.lweNoiseStd));
}

/**
 * What the centered-mean switch to the modulus 2 N extension adds for each bit of the small key (docs/noise.md, 5):
 * half of the classic switch, since the server takes the mean of the rounding errors of the mask off the body.
 */
export function modulusSwitchVariancePerBit(polynomialSize: number, extension: number): number {
  const modulus = 2 * polynomialSize * extension;
  return UNIT_SQUARED / 24 + 1 / (48 * modulus * modulus);
}

/** What the centered-mean modulus switch of a lookup adds; `extension` is 1 for the classic lookup. */
export function modulusSwitchVariance(p: CryptoParameters, extension: number): number {
  return p.lweDimension * modulusSwitchVariancePerBit(p.polynomialSize, extension);
}

/** Variance of a linear form over fresh inputs and lookup outputs, all independent: what a decryption sees. */
export function linearVariance(p: CryptoParameters, norms: NoiseNorms): number {
  const fresh = norms.inputNorm === 0 ? 0 : norms.inputNorm * freshVariance(p.glweNoiseStd);
  const lookups = norms.lookupNorm === 0 ? 0 : norms.lookupNorm * lookupVariance(p);
  return fresh + lookups;
}

/** Variance at the decision of a lookup: the linear form, then the keyswitch, then the modulus switch. */
export function decisionVariance(
  p: CryptoParameters,
  norms: NoiseNorms,
  extension: number,
): number {
  return linearVariance(p, norms) + keyswitchVariance(p) + modulusSwitchVariance(p, extension);
}

/**
 * What rounding every word of a ciphertext to its `bits` highest bits adds (docs/noise.md, 5): the body's error, and those
 * of the mask where the key has a 1.
 */
export function roundingVariance(dimension: number, bits: number): number {
  return ((1 + dimension / 2) / 12) * 2 ** (-2 * bits);
}

/** Variance at the decryption of an output that travels in this form. */
export function outputVariance(p: CryptoParameters, norms: NoiseNorms, form: OutputForm): number {
  const linear = linearVariance(p, norms);
  const switched = form.isSmall ? linear + keyswitchVariance(p) : linear;
  if (form.bits === wordBits(form)) return switched;
  return switched + roundingVariance(form.isSmall ? p.lweDimension : bigDimension(p), form.bits);
}

/** Mean square of a balanced digit in base 2^baseLog, averaged over both ways to round the half: B^2 / 12 + 1 / 6. */
function digitSquare(baseLog: number): number {
  return 2 ** (2 * baseLog) / 12 + 1 / 6;
}
