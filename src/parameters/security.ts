/**
 * The security gate: how much noise a key of a given dimension needs. The curves are those that tfhe-rs publishes, fits
 * to the lattice estimator for binary keys, gaussian noise and q = 2^64 (docs/noise.md, 2). Nothing leaves the compiler
 * that this file has not accepted.
 * @module
 */
import { SottoError } from "../errors.ts";
import { bigDimension, LOG2_MODULUS } from "./noise.ts";
import type { CryptoParameters } from "./parameters.ts";

/** log2 of the variance is `slope * dimension + bias`, for noise above the floor. */
interface Curve {
  readonly bits: number;
  readonly slope: number;
  readonly bias: number;
}

const CURVE_128: Curve = { bits: 128, slope: -0.05139355742296919, bias: 5.351862745098032 };
const CURVE_132: Curve = { bits: 132, slope: -0.0497829131652661, bias: 5.31469187675068 };

/** The curves are not valid up to this dimension, whatever the noise. */
const INSECURE_DIMENSION = 450;

/** Least standard deviation in units of a word's last bit; the term 2^(4 - 128) of the sum below is its square. */
const LEAST_INTEGER_STD = 4;

/** Allowance for the last bits of powers, which may differ between JavaScript engines. */
const ROUNDING = 1e-9;

/** Least variance of a key of `dimension` bits that gives 128-bit security. */
export function minimalNoiseVariance(dimension: number): number {
  return floorVariance() + 2 ** (CURVE_128.slope * dimension + CURVE_128.bias);
}

/** Least standard deviation, as a fraction of the torus, for 128-bit security; at least 4 / 2^64. */
export function minimalNoiseStd(dimension: number): number {
  return Math.sqrt(minimalNoiseVariance(dimension));
}

/**
 * Security in bits of one key: read off the line through the 128-bit and the 132-bit curve at this dimension. At least
 * 128 exactly on the 128-bit curve and above it; never more than 132, where the published curves end. 0 where the
 * curves say nothing. Below the curve the number is an extrapolation, good for a message only.
 */
export function securityBits(dimension: number, std: number): number {
  if (dimension <= INSECURE_DIMENSION || !(std > 0)) return 0;
  if (std * 2 ** LOG2_MODULUS < LEAST_INTEGER_STD * (1 - ROUNDING)) return 0;
  const low = CURVE_128.slope * dimension + CURVE_128.bias;
  const high = CURVE_132.slope * dimension + CURVE_132.bias;
  const position = (2 * Math.log2(std) - low) / (high - low);
  const bits = CURVE_128.bits + (CURVE_132.bits - CURVE_128.bits) * position;
  const least = isOnCurve(dimension, std) ? CURVE_128.bits : 0;
  return Math.min(CURVE_132.bits, Math.max(least, bits));
}

/** Security of a parameter set: that of its weaker key. Without lookups there is one key. */
export function parameterSecurityBits(p: CryptoParameters): number {
  return Math.min(...keysOf(p).map((key) => securityBits(key.dimension, key.std)));
}

/** Refuses parameters of which any key is under the 128-bit curve. */
export function verifySecurity(p: CryptoParameters): void {
  for (const { name, dimension, std, log2Modulus } of keysOf(p)) {
    const where = `${name} of ${dimension} bits`;
    if (!(dimension > INSECURE_DIMENSION)) {
      refuse(where, `expected more than ${INSECURE_DIMENSION} bits`);
    }
    if (!(std < 1)) refuse(where, `expected a noise below the torus, got ${std}`);
    const units = std * 2 ** log2Modulus;
    if (!(units >= LEAST_INTEGER_STD * (1 - ROUNDING))) {
      const modulus = `2^${log2Modulus}`;
      refuse(where, `expected a noise of at least 4 / ${modulus}, got ${units} / ${modulus}`);
    }
    if (!isOnCurve(dimension, std)) {
      const needed = Math.log2(minimalNoiseStd(dimension)).toFixed(4);
      const found = Math.log2(std).toFixed(4);
      const bits = securityBits(dimension, std).toFixed(1);
      refuse(where, `128 bits need noise 2^${needed}, got 2^${found} (about ${bits} bits)`);
    }
  }
}

function isOnCurve(dimension: number, std: number): boolean {
  return std >= minimalNoiseStd(dimension) * (1 - ROUNDING);
}

function floorVariance(): number {
  return LEAST_INTEGER_STD ** 2 * 2 ** (-2 * LOG2_MODULUS);
}

interface NoisyKey {
  readonly name: string;
  readonly dimension: number;
  readonly std: number;
  /** log2 of the modulus of what is encrypted under it. */
  readonly log2Modulus: number;
}

/** The keyswitch key, which the small key encrypts, has 32-bit words. */
const LOG2_KEYSWITCH_MODULUS = 32;

function keysOf(p: CryptoParameters): NoisyKey[] {
  const big = {
    name: "big key",
    dimension: bigDimension(p),
    std: p.glweNoiseStd,
    log2Modulus: LOG2_MODULUS,
  };
  if (p.lweDimension === 0) return [big];
  const small = {
    name: "small key",
    dimension: p.lweDimension,
    std: p.lweNoiseStd,
    log2Modulus: LOG2_KEYSWITCH_MODULUS,
  };
  return [small, big];
}

function refuse(where: string, reason: string): never {
  throw new SottoError("WRONG_PARAMETERS", where, `parameters are not secure: ${reason}`);
}
