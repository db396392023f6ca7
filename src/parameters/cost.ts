/**
 * Cost model: predicted nanoseconds of one core. The structure follows the operations of a lookup; the weights are
 * numbers of one class of CPU, so a model is a value that can be fitted to the machine at hand and passed in.
 * Every cost grows with every dimension: the search relies on that to skip candidates.
 * @module
 */
import { bigDimension, type GlweShape } from "./noise.ts";
import type { CryptoParameters } from "./parameters.ts";

/** Weights in nanoseconds. None may be negative. */
export interface CostModel {
  /** Name of the CPU class, for reports. */
  readonly name: string;
  /** Per unit of N log2 N + N of one transform; the + N covers rotation, subtraction and decomposition. */
  readonly transform: number;
  /** Per product of a digit's coefficient with one of the bootstrap key. */
  readonly multiply: number;
  /** Per product of a digit with a word of the keyswitch key. */
  readonly keyswitch: number;
  /** Per byte of key read from memory. */
  readonly stream: number;
  /** Number of ciphertexts that share one pass over a key. */
  readonly batch: number;
}

/**
 * First weights, before a machine is measured. AVX2: from the six shapes of docs/noise.md, 8, timed one lookup at a time
 * on one core, within 14 %. Those times do not separate the keyswitch's arithmetic from its memory traffic: 0.25 is
 * assumed, the rest fitted. AVX-512: from the latencies that tfhe-rs publishes for N = 512, 2048 and 8192 on an EPYC
 * 9R45, within 10 %, with traffic assumed. `batch` is that of the engine, while the fits have 1.
 */
export const COST_MODELS: Readonly<Record<"avx2" | "avx512", CostModel>> = {
  avx2: {
    name: "AVX2",
    transform: 0.188,
    multiply: 0.376,
    keyswitch: 0.25,
    stream: 0.053,
    batch: 16,
  },
  avx512: {
    name: "AVX-512",
    transform: 0.0435,
    multiply: 0.11,
    keyswitch: 0.08,
    stream: 0.015,
    batch: 16,
  },
};

/** The model in use when none is given. */
export const DEFAULT_COST_MODEL: CostModel = COST_MODELS.avx2;

/** Nanoseconds of one external product, for each bit of the small key and each interleaved accumulator. */
export function externalProductCost(shape: GlweShape, level: number, model: CostModel): number {
  const rows = shape.glweDimension + 1;
  const size = shape.polynomialSize;
  const transforms = rows * (level + 1) * (size * Math.log2(size) + size);
  return model.transform * transforms + model.multiply * rows * rows * level * size;
}

/** Nanoseconds to bring one bit's part of the bootstrap key from memory, shared by the batch and by accumulators. */
export function bootstrapStreamCost(shape: GlweShape, level: number, model: CostModel): number {
  const rows = shape.glweDimension + 1;
  return (8 * rows * rows * level * shape.polynomialSize * model.stream) / model.batch;
}

/** Nanoseconds of a keyswitch for each word of its key. */
export function keyswitchWordCost(model: CostModel): number {
  return model.keyswitch + (8 * model.stream) / model.batch;
}

/** Nanoseconds of one lookup without its keyswitch; it covers `extension` interleaved accumulators. */
export function lookupCost(
  p: CryptoParameters,
  extension: number,
  model: CostModel = DEFAULT_COST_MODEL,
): number {
  const { level } = p.bootstrap;
  const step = extension * externalProductCost(p, level, model);
  return p.lweDimension * (step + bootstrapStreamCost(p, level, model));
}

/** Nanoseconds of one keyswitch. */
export function keyswitchCost(p: CryptoParameters, model: CostModel = DEFAULT_COST_MODEL): number {
  if (p.lweDimension === 0) return 0;
  return bigDimension(p) * p.keyswitch.level * (p.lweDimension + 1) * keyswitchWordCost(model);
}

/** Header and parameters of the evaluation keys, and the digest behind them (docs/format.md). */
const KEY_OVERHEAD = 80 + 48 + 32;

/** Coefficients or bits in a piece of either key, and the bytes of a piece's seed. */
const KEYSWITCH_PIECE = 256;
const BOOTSTRAP_PIECE = 16;
const SEED_BYTES = 16;

/** Size of the evaluation keys as sent: packed bodies of the keyswitch key and of the bootstrap key, masks as seeds. */
export function evaluationKeyBytes(p: CryptoParameters): number {
  if (p.lweDimension === 0) return KEY_OVERHEAD;
  const { glweDimension, polynomialSize, bootstrap, keyswitch } = p;
  const glweBodies = bootstrap.level * (glweDimension + 1) * polynomialSize;
  return (
    KEY_OVERHEAD +
    pieceBytes(bigDimension(p), KEYSWITCH_PIECE, keyswitch.level * packedBits(32, p.lweNoiseStd)) +
    pieceBytes(p.lweDimension, BOOTSTRAP_PIECE, glweBodies * packedBits(64, p.glweNoiseStd))
  );
}

/** Bytes of a key of `total` elements in pieces of `size`, each a seed and packed bodies. */
function pieceBytes(total: number, size: number, bitsPerElement: number): number {
  let bytes = 0;
  for (let first = 0; first < total; first += size) {
    bytes += SEED_BYTES + Math.ceil((Math.min(size, total - first) * bitsPerElement) / 8);
  }
  return bytes;
}

/** Bits of a body that travel: those below an eighth of its noise are rounded off (crates/engine, packed.rs). */
function packedBits(width: number, std: number): number {
  const noiseBits = Math.floor(Math.log2(std)) + width;
  return width - Math.min(width - 1, Math.max(0, noiseBits - 3));
}
