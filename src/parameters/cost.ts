/**
 * Cost model: predicted nanoseconds of one core. What an external product takes is measured, shape by shape; what a
 * lookup does with external products, and how often keys come from memory, is counted. The measurements belong to one
 * class of CPU, so a model is a value that can be fitted to the machine at hand and passed in.
 * Every cost grows with the small dimension, with levels and with extensions: the search relies on that to skip candidates.
 * @module
 */
import { bigDimension, type GlweShape } from "./noise.ts";
import type { CryptoParameters } from "./parameters.ts";

/** Measured times of one core, in nanoseconds. None may be negative. */
export interface CostModel {
  /** Name of the CPU or its class, for reports. */
  readonly name: string;
  /**
   * One external product by shape, named by `shapeName`: with one level, and for each further level. Shapes that are not
   * here are not considered for lookups.
   */
  readonly externalProducts: Readonly<Record<string, readonly [number, number]>>;
  /** Per product of a digit with a word of the keyswitch key. */
  readonly keyswitch: number;
  /** Per byte of key brought from memory, once for each batch of lookups. */
  readonly stream: number;
  /** Per word and term of an integer combination. */
  readonly combination: number;
}

/** True for a record that can serve as a model: external products by shape, and weights that are not negative. */
export function isCostModel(value: unknown): value is CostModel {
  if (typeof value !== "object" || value === null || !("name" in value)) return false;
  if (typeof value.name !== "string" || !("externalProducts" in value)) return false;
  const { externalProducts, ...weights } = { ...value };
  if (typeof externalProducts !== "object" || externalProducts === null) return false;
  const products: unknown[] = Object.values(externalProducts);
  const isWeight = (weight: unknown): boolean =>
    typeof weight === "number" && weight >= 0 && weight < Infinity;
  const isPair = (pair: unknown): boolean =>
    Array.isArray(pair) && pair.length === 2 && pair.every(isWeight);
  const named: Readonly<Record<string, unknown>> = weights;
  return (
    products.length > 0 &&
    products.every(isPair) &&
    ["keyswitch", "stream", "combination"].every((name) => isWeight(named[name]))
  );
}

/** Name of a shape in a model: `2x1024` for k = 2, N = 1024. */
export function shapeName({ glweDimension, polynomialSize }: GlweShape): string {
  return `${glweDimension}x${polynomialSize}`;
}

/** Nanoseconds of one external product, for each bit of the small key and each interleaved accumulator. */
export function externalProductCost(shape: GlweShape, level: number, model: CostModel): number {
  const [first, further] = model.externalProducts[shapeName(shape)] ?? [Infinity, 0];
  return first + (level - 1) * further;
}

/** Bytes that the engine's batches keep in the second-level cache, and the most lookups of one (crates/engine, lookup.rs). */
const BATCH_BYTES = 2 ** 19;
const MAX_BATCH = 16;

/** Lookups that share one pass over the keys, when there are enough of them. */
export function batchSize({ glweDimension, polynomialSize }: GlweShape, extension: number): number {
  const accumulator = 8 * (glweDimension + 1) * polynomialSize * extension;
  return Math.min(MAX_BATCH, Math.max(1, Math.floor(BATCH_BYTES / accumulator)));
}

/** Bytes in memory of the bootstrap key for each bit of the small key: transformed polynomials. */
export function bootstrapBytesPerBit(shape: GlweShape, level: number): number {
  return 8 * (shape.glweDimension + 1) ** 2 * level * shape.polynomialSize;
}

/** Bytes in memory of a word of the keyswitch key. */
export const KEYSWITCH_WORD_BYTES = 4;

/** Words of the keyswitch key. */
export function keyswitchWords(p: CryptoParameters): number {
  return bigDimension(p) * p.keyswitch.level * (p.lweDimension + 1);
}

/** Lookups of one instruction. */
export interface LookupLayer {
  /** Blind rotations; lookups that read several results of one rotation count once. */
  readonly rotations: number;
  /** Distinct inputs: rotations that read the same one share its keyswitch. */
  readonly sources: number;
  readonly extension: number;
}

/**
 * Nanoseconds of a layer of lookups. `threads` share it as the engine does: batches differ by one rotation at most and their
 * number is a multiple of the threads.
 */
export function lookupLayerCost(
  p: CryptoParameters,
  { rotations, sources, extension }: LookupLayer,
  model: CostModel,
  threads = 1,
): number {
  const { level } = p.bootstrap;
  const busy = Math.min(threads, rotations);
  const full = Math.ceil(rotations / batchSize(p, extension));
  const batches = Math.min(rotations, Math.ceil(full / threads) * threads);
  const own = Math.ceil(rotations / busy);
  const rotation = p.lweDimension * extension * externalProductCost(p, level, model);
  const keyswitch = (sources / rotations) * keyswitchWords(p) * model.keyswitch;
  return Math.ceil(batches / busy) * streamCost(p, model) + own * (rotation + keyswitch);
}

/** Nanoseconds to bring both keys from memory once. */
function streamCost(p: CryptoParameters, model: CostModel): number {
  const bootstrap = p.lweDimension * bootstrapBytesPerBit(p, p.bootstrap.level);
  return model.stream * (bootstrap + KEYSWITCH_WORD_BYTES * keyswitchWords(p));
}

/** Nanoseconds of an integer combination: ciphertexts written, and how many terms they have in all. */
export function combinationCost(
  p: CryptoParameters,
  { outputs, terms }: { readonly outputs: number; readonly terms: number },
  model: CostModel,
): number {
  return model.combination * (outputs + terms) * (bigDimension(p) + 1);
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
export function packedBits(width: number, std: number): number {
  const noiseBits = Math.floor(Math.log2(std)) + width;
  return width - Math.min(width - 1, Math.max(0, noiseBits - 3));
}
