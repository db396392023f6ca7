/**
 * The inner loops of the parameter search, over numbers only. Three facts make the cuts exact: the noise of a lookup's
 * output and of the modulus switch grows with the small dimension, that of the keyswitch falls with it, and the cost
 * grows with it. So a lower bound of the noise gives a least dimension and least extensions, those a lower bound of the
 * cost, and a candidate whose bound is not below the best cost so far cannot win.
 * @module
 */
import { layerOf, type NoiseConstraint, toleratedStd } from "./choice.ts";
import {
  batchSize,
  bootstrapBytesPerBit,
  evaluationKeyBytes,
  externalProductCost,
  KEYSWITCH_WORD_BYTES,
  type CostModel,
} from "./cost.ts";
import { modulusSwitchVariancePerBit } from "./noise.ts";
import type { Decomposition } from "./parameters.ts";
import { minimalNoiseStd } from "./security.ts";
import type { Candidates, KeyswitchCandidates, RotationCandidate, SearchSpace } from "./space.ts";

/** One class of decisions in numbers: the noise it has and, for each polynomial size and extension, what it bears. */
interface Requirement {
  readonly layers: readonly Layer[];
  readonly inputNorm: number;
  readonly lookupNorm: number;
  /** Largest variance for a table of `size` coefficients, N times extension; outputs ignore the size. */
  readonly bound: (size: number) => number;
}

type Layer = ReturnType<typeof layerOf>;

/** Constraints without repetition. */
export interface Requirements {
  readonly lookups: readonly Requirement[];
  readonly outputs: readonly Requirement[];
  /** For each constraint the index of its lookup in `lookups`; outputs have none (-1). */
  readonly lookupOf: readonly number[];
}

/** The cheapest candidate. */
export interface Winner {
  readonly rotation: RotationCandidate;
  readonly keyswitch: Decomposition;
  readonly lweDimension: number;
  /** One for each entry of `Requirements.lookups`. */
  readonly extensions: readonly number[];
  readonly cost: number;
}

/** What a scan works with besides the candidates. */
export interface ScanSettings {
  readonly space: SearchSpace;
  readonly model: CostModel;
  readonly maxKeyBytes: number;
}

/** Merges equal lookups and drops outputs that another constraint implies. */
export function requirementsOf(
  constraints: readonly NoiseConstraint[],
  deviations: number,
): Requirements {
  const bound = (c: NoiseConstraint) => (size: number) => {
    const std = toleratedStd(c, size, deviations);
    return std > 0 ? std * std : -1;
  };
  const merged = new Map<string, { first: NoiseConstraint; layers: Layer[]; index: number }>();
  const lookupOf = constraints.map((c) => {
    if (c.kind === "output") return -1;
    const inside = c.interior === undefined ? 0 : c.interior.largest * c.interior.width;
    const key = [c.inputNorm, c.lookupNorm, c.margin, c.misalignment, inside].join(" ");
    const entry = merged.get(key) ?? { first: c, layers: [], index: merged.size };
    entry.layers.push(layerOf(c));
    merged.set(key, entry);
    return entry.index;
  });
  const lookups = Array.from(merged.values(), ({ first, layers }) => ({
    layers,
    inputNorm: first.inputNorm,
    lookupNorm: first.lookupNorm,
    bound: bound(first),
  }));
  const outputs = constraints
    .filter((c, index) => c.kind === "output" && !isImplied(c, index, { constraints, deviations }))
    .map((c) => ({ ...c, layers: [], bound: bound(c) }));
  return { lookups, outputs, lookupOf };
}

/** True if another constraint is at least as strict as this output; of equal outputs the first one stays. */
function isImplied(
  output: NoiseConstraint,
  index: number,
  among: { readonly constraints: readonly NoiseConstraint[]; readonly deviations: number },
): boolean {
  const borne = (c: NoiseConstraint): number => toleratedStd(c, Infinity, among.deviations);
  return among.constraints.some((other, at) => {
    const atLeast =
      other.inputNorm >= output.inputNorm &&
      other.lookupNorm >= output.lookupNorm &&
      borne(other) <= borne(output);
    if (!atLeast || at === index) return false;
    const equal =
      other.kind === "output" &&
      other.inputNorm === output.inputNorm &&
      other.lookupNorm === output.lookupNorm &&
      borne(other) === borne(output);
    return !equal || at < index;
  });
}

/** Everything about one rotation candidate that does not change with the keyswitch or the small dimension. */
interface Prepared {
  readonly rotation: RotationCandidate;
  /** Cost of a lookup for each bit of the small key and each accumulator. */
  readonly accumulatorCost: number;
  /** Cost of a batch for each bit of the small key: its part of the bootstrap key comes from memory. */
  readonly streamCost: number;
  /** Cost of all lookups and of one batch for each word of the keyswitch key. */
  readonly keyswitchCost: number;
  readonly keyswitchStreamCost: number;
  /** Batches of each lookup by extension. */
  readonly batches: readonly (readonly number[])[];
  readonly accumulators: readonly (readonly number[])[];
  /** Variance of the modulus switch for each bit of the small key, by extension. */
  readonly switchVariance: readonly number[];
  /** Largest variance of each lookup by extension. */
  readonly bounds: readonly (readonly number[])[];
  /** Index of the least conceivable extension of each lookup. */
  readonly leastExtensions: readonly number[];
  readonly costBound: number;
}

/** Scans all candidates by their lower bound of cost and returns the cheapest one that meets all requirements. */
export function searchRotations(
  requirements: Requirements,
  candidates: Candidates,
  settings: ScanSettings,
): Winner | null {
  const prepared = candidates.rotations
    .map((rotation) => prepare(rotation, requirements, candidates, settings))
    .filter((entry) => entry !== null)
    .sort((a, b) => a.costBound - b.costBound);
  let best: Winner | null = null;
  for (const entry of prepared) {
    if (best !== null && entry.costBound >= best.cost) break;
    for (const keyswitch of candidates.keyswitches) {
      best = scanDimensions(entry, keyswitch, { requirements, settings, best }) ?? best;
    }
  }
  return best;
}

/** Lower bounds of noise and cost of a rotation; null if no keyswitch and no dimension can make it feasible. */
function prepare(
  rotation: RotationCandidate,
  requirements: Requirements,
  candidates: Candidates,
  { space, model }: ScanSettings,
): Prepared | null {
  const size = rotation.polynomialSize;
  const bounds = requirements.lookups.map((lookup) =>
    space.extensions.map((extension) => lookup.bound(size * extension)),
  );
  const switchVariance = space.extensions.map((extension) =>
    modulusSwitchVariancePerBit(size, extension),
  );
  const [first, last] = space.lweDimension;
  const least = { rotation, switchVariance, bounds };
  const floor = candidates.keyswitchFloor;
  const start = leastDimension(least, requirements, { first, last, perBit: floor });
  if (start > last) return null;
  const leastKeyswitch = rotation.bigDimension * (floor[last - first] ?? 0);
  const leastExtensions = requirements.lookups.map((lookup, index) =>
    leastExtension(least, index, {
      variance: linearVariance(rotation, lookup, start) + leastKeyswitch,
      dimension: start,
    }),
  );
  if (leastExtensions.includes(-1)) return null;
  const partial = {
    ...least,
    ...costsOf(rotation, requirements, { space, model }),
    leastExtensions,
  };
  const costBound = costOf(partial, {
    dimension: start,
    keyswitchLevel: 1,
    extensions: leastExtensions,
  });
  return costBound < Infinity ? { ...partial, costBound } : null;
}

type Bounds = Pick<Prepared, "rotation" | "switchVariance" | "bounds">;

/** Noise of a linear form at a small dimension. */
function linearVariance(r: RotationCandidate, norms: Requirement, dimension: number): number {
  return norms.inputNorm * r.freshVariance + norms.lookupNorm * dimension * r.stepVariance;
}

/** Index of the first extension whose bound holds the given noise and the modulus switch; -1 if none does. */
function leastExtension(
  { switchVariance, bounds }: Bounds,
  lookup: number,
  at: { readonly variance: number; readonly dimension: number },
): number {
  const allowed = bounds[lookup] ?? [];
  return allowed.findIndex(
    (bound, index) => at.variance + at.dimension * (switchVariance[index] ?? 0) <= bound,
  );
}

/**
 * Lower bound of the small dimensions that can be feasible with the keyswitch noise `perBit`: the terms that grow with
 * the dimension are taken at the first one, so the condition is monotone and bisection finds where it turns.
 */
function leastDimension(
  at: Bounds,
  requirements: Requirements,
  range: { readonly first: number; readonly last: number; readonly perBit: Float64Array },
): number {
  const { first, last, perBit } = range;
  const possible = (dimension: number): boolean => {
    const keyswitch = at.rotation.bigDimension * (perBit[dimension - first] ?? Infinity);
    return requirements.lookups.every((lookup, index) => {
      const variance = linearVariance(at.rotation, lookup, first) + keyswitch;
      return leastExtension(at, index, { variance, dimension: first }) >= 0;
    });
  };
  if (!possible(last)) return last + 1;
  let [low, high] = [first, last];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (possible(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Scans the small dimensions for one rotation and one keyswitch; null if none beats the best so far. */
function scanDimensions(
  entry: Prepared,
  keyswitch: KeyswitchCandidates,
  using: {
    readonly requirements: Requirements;
    readonly settings: ScanSettings;
    readonly best: Winner | null;
  },
): Winner | null {
  const { requirements, settings } = using;
  const { space } = settings;
  const [first, last] = space.lweDimension;
  const range = { first, last, perBit: keyswitch.variancePerBit };
  const cost = (dimension: number, extensions: readonly number[]): number =>
    costOf(entry, {
      dimension,
      keyswitchLevel: keyswitch.level,
      extensions,
    });
  let limit = using.best?.cost ?? Infinity;
  let found: Winner | null = null;
  if (cost(first, entry.leastExtensions) >= limit) return null;
  let dimension = leastDimension(entry, requirements, range);
  for (; dimension <= last; dimension++) {
    if (cost(dimension, entry.leastExtensions) >= limit) break;
    if (
      settings.maxKeyBytes < Infinity &&
      keyBytes(entry.rotation, keyswitch.level, dimension) > settings.maxKeyBytes
    )
      break;
    const indices = extensionsAt(entry, requirements, {
      dimension,
      keyswitch: entry.rotation.bigDimension * (keyswitch.variancePerBit[dimension - first] ?? 0),
    });
    if (indices === null) continue;
    const total = cost(dimension, indices);
    if (total >= limit) continue;
    limit = total;
    const baseLog = keyswitch.baseLog[dimension - first] ?? 0;
    found = {
      rotation: entry.rotation,
      keyswitch: { baseLog, level: keyswitch.level },
      lweDimension: dimension,
      extensions: indices.map((index) => space.extensions[index] ?? 1),
      cost: total,
    };
  }
  return found;
}

/** Index of the least feasible extension of every lookup, or null if a lookup or an output fails. */
function extensionsAt(
  entry: Prepared,
  requirements: Requirements,
  at: { readonly dimension: number; readonly keyswitch: number },
): number[] | null {
  const { dimension } = at;
  for (const output of requirements.outputs) {
    if (linearVariance(entry.rotation, output, dimension) > output.bound(0)) return null;
  }
  const indices: number[] = [];
  for (const [lookup, requirement] of requirements.lookups.entries()) {
    const variance = linearVariance(entry.rotation, requirement, dimension) + at.keyswitch;
    const index = leastExtension(entry, lookup, { variance, dimension });
    if (index < 0) return null;
    indices.push(index);
  }
  return indices;
}

type Costs = Pick<
  Prepared,
  | "rotation"
  | "accumulatorCost"
  | "streamCost"
  | "keyswitchCost"
  | "keyswitchStreamCost"
  | "batches"
  | "accumulators"
>;

/** The cost of `lookupLayerCost`, taken apart into what the small dimension, the levels and the extensions multiply. */
function costsOf(
  rotation: RotationCandidate,
  { lookups }: Requirements,
  { space, model }: Pick<ScanSettings, "space" | "model">,
): Omit<Costs, "rotation"> {
  const total = (count: (layer: Layer) => number, { layers }: Requirement): number =>
    layers.reduce((sum, layer) => sum + count(layer), 0);
  const byExtension = (count: (extension: number, layer: Layer) => number): number[][] =>
    lookups.map((lookup) =>
      space.extensions.map((extension) => total((layer) => count(extension, layer), lookup)),
    );
  const sources = lookups.reduce((sum, each) => sum + total((layer) => layer.sources, each), 0);
  return {
    accumulatorCost: externalProductCost(rotation, rotation.level, model),
    streamCost: model.stream * bootstrapBytesPerBit(rotation, rotation.level),
    keyswitchCost: sources * model.keyswitch,
    keyswitchStreamCost: model.stream * KEYSWITCH_WORD_BYTES,
    batches: byExtension((extension, { rotations }) =>
      Math.ceil(rotations / batchSize(rotation, extension)),
    ),
    accumulators: byExtension((extension, { rotations }) => rotations * extension),
  };
}

/** Cost of one inference; grows with the dimension, the level and every extension. */
function costOf(
  costs: Costs,
  at: {
    readonly dimension: number;
    readonly keyswitchLevel: number;
    /** Indices into the extensions of the space. */
    readonly extensions: readonly number[];
  },
): number {
  let batches = 0;
  let accumulators = 0;
  for (let i = 0; i < at.extensions.length; i++) {
    const index = at.extensions[i] ?? 0;
    batches += costs.batches[i]?.[index] ?? 0;
    accumulators += costs.accumulators[i]?.[index] ?? 0;
  }
  const rotation = accumulators * costs.accumulatorCost + batches * costs.streamCost;
  const words = costs.rotation.bigDimension * at.keyswitchLevel * (at.dimension + 1);
  const keyswitch = costs.keyswitchCost + batches * costs.keyswitchStreamCost;
  return at.dimension * rotation + words * keyswitch;
}

function keyBytes(rotation: RotationCandidate, level: number, lweDimension: number): number {
  const { glweDimension, polynomialSize, baseLog } = rotation;
  return evaluationKeyBytes({
    lweDimension,
    glweDimension,
    polynomialSize,
    bootstrap: { baseLog, level: rotation.level },
    keyswitch: { baseLog: 0, level },
    lweNoiseStd: minimalNoiseStd(lweDimension),
    glweNoiseStd: Math.sqrt(rotation.freshVariance),
  });
}
