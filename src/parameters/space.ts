/**
 * The candidates of the search, with what does not depend on the circuit: the best base for each number of levels, the
 * variance of one CMUX, the noise of the keyswitch for each small dimension. Neither cost nor key size depends on a
 * base, so the base of least noise is the best one.
 * @module
 */
import { cmuxVariance, type GlweShape, keyswitchVariancePerBit } from "./noise.ts";
import { minimalNoiseVariance } from "./security.ts";

/** Bounds of the exhaustive search, all inclusive. */
export interface SearchSpace {
  readonly glweDimensions: readonly number[];
  readonly polynomialSizes: readonly number[];
  /** Least and largest number of bits of the big key. */
  readonly bigDimension: readonly [number, number];
  readonly maxBootstrapLevel: number;
  readonly maxKeyswitchLevel: number;
  readonly lweDimension: readonly [number, number];
  /** Extension factors, ascending powers of two. */
  readonly extensions: readonly number[];
}

export const DEFAULT_SPACE: SearchSpace = {
  glweDimensions: [1, 2, 3, 4, 5, 6],
  polynomialSizes: [256, 512, 1024, 2048, 4096, 8192, 16384],
  bigDimension: [460, 16384],
  maxBootstrapLevel: 6,
  maxKeyswitchLevel: 12,
  // Up to here the noise that security asks for is above 4 / 2^32, the least in the keyswitch key's words.
  lweDimension: [460, 1270],
  extensions: [1, 2, 4, 8, 16, 32],
};

/** One GLWE shape with a number of bootstrap levels, its best base, and the noise that follows. */
export interface RotationCandidate extends GlweShape {
  readonly bigDimension: number;
  readonly level: number;
  readonly baseLog: number;
  /** Variance of a fresh encryption under the big key. */
  readonly freshVariance: number;
  /** Variance that each bit of the small key adds to a lookup's output. */
  readonly stepVariance: number;
}

/** Keyswitch of one number of levels: variance per bit of the big key and best base, by small dimension. */
export interface KeyswitchCandidates {
  readonly level: number;
  /** Index 0 is the least small dimension of the space. */
  readonly variancePerBit: Float64Array;
  readonly baseLog: Uint8Array;
}

const MAX_BOOTSTRAP_BASE_LOG = 40;
const MAX_KEYSWITCH_BASE_LOG = 24;

/** All shapes of a space, by size of the big key and then by levels. */
export function rotationCandidates(space: SearchSpace): RotationCandidate[] {
  return glweShapes(space).flatMap((shape) =>
    Array.from({ length: space.maxBootstrapLevel }, (_, i) => rotationCandidate(shape, i + 1)),
  );
}

/** GLWE shapes of a space by number of bits of the big key; of equal ones the largest polynomial first. */
export function glweShapes(space: SearchSpace): GlweShape[] {
  const [least, largest] = space.bigDimension;
  return space.glweDimensions
    .flatMap((glweDimension) =>
      space.polynomialSizes.map((polynomialSize) => ({ glweDimension, polynomialSize })),
    )
    .filter((shape) => bits(shape) >= least && bits(shape) <= largest)
    .sort((a, b) => bits(a) - bits(b) || a.glweDimension - b.glweDimension);
}

function bits(shape: GlweShape): number {
  return shape.glweDimension * shape.polynomialSize;
}

function rotationCandidate(shape: GlweShape, level: number): RotationCandidate {
  const bigDimension = bits(shape);
  const freshVariance = minimalNoiseVariance(bigDimension);
  let [best, stepVariance] = [0, Infinity];
  for (const baseLog of baseLogsOf(level, MAX_BOOTSTRAP_BASE_LOG, 62)) {
    const variance = cmuxVariance(shape, { baseLog, level }, freshVariance);
    if (variance < stepVariance) [best, stepVariance] = [baseLog, variance];
  }
  return { ...shape, bigDimension, level, baseLog: best, freshVariance, stepVariance };
}

/** Keyswitches of a space, one entry for each number of levels. */
export function keyswitchCandidates(space: SearchSpace): KeyswitchCandidates[] {
  const [first, last] = space.lweDimension;
  const keyVariances = Float64Array.from({ length: last - first + 1 }, (_, i) =>
    minimalNoiseVariance(first + i),
  );
  return Array.from({ length: space.maxKeyswitchLevel }, (_, i) =>
    keyswitchesOfLevel(i + 1, keyVariances),
  );
}

function keyswitchesOfLevel(level: number, keyVariances: Float64Array): KeyswitchCandidates {
  const variancePerBit = new Float64Array(keyVariances.length).fill(Infinity);
  const baseLogs = new Uint8Array(keyVariances.length);
  for (const baseLog of baseLogsOf(level, MAX_KEYSWITCH_BASE_LOG, 32)) {
    // The formula is affine in the key's variance, so two evaluations serve all dimensions.
    const dropped = keyswitchVariancePerBit({ baseLog, level }, 0);
    const factor = keyswitchVariancePerBit({ baseLog, level }, 1) - dropped;
    keyVariances.forEach((keyVariance, index) => {
      const variance = dropped + factor * keyVariance;
      if (variance >= (variancePerBit[index] ?? 0)) return;
      variancePerBit[index] = variance;
      baseLogs[index] = baseLog;
    });
  }
  return { level, variancePerBit, baseLog: baseLogs };
}

/** Bases to try, ascending: all digits together must fit in `width` bits. */
function baseLogsOf(level: number, largest: number, width: number): number[] {
  return Array.from({ length: Math.min(largest, Math.floor(width / level)) }, (_, i) => i + 1);
}

/** All candidates of a space. */
export interface Candidates {
  readonly rotations: readonly RotationCandidate[];
  readonly keyswitches: readonly KeyswitchCandidates[];
  /** Least keyswitch variance per bit of the big key over all levels, by small dimension; it falls with the dimension. */
  readonly keyswitchFloor: Float64Array;
}

const known = new WeakMap<SearchSpace, Candidates>();

/** The candidates of a space, computed once for each space object. */
export function candidatesOf(space: SearchSpace): Candidates {
  const before = known.get(space);
  if (before !== undefined) return before;
  const keyswitches = keyswitchCandidates(space);
  const [first, last] = space.lweDimension;
  const keyswitchFloor = Float64Array.from({ length: last - first + 1 }, (_, index) =>
    Math.min(...keyswitches.map((keyswitch) => keyswitch.variancePerBit[index] ?? Infinity)),
  );
  const candidates = { rotations: rotationCandidates(space), keyswitches, keyswitchFloor };
  known.set(space, candidates);
  return candidates;
}
