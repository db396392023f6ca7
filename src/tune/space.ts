/**
 * The settings that a search may choose from: a value per axis, and bits of single nodes on top of it. Axes go from fine
 * and dear to coarse and cheap, so that a neighbour is one step along one of them.
 * @module
 */
import type {
  NBitsOption,
  NodeBits,
  RoundingMethod,
  RoundingOption,
} from "../quantization/bits.ts";
import type { QuantizationChoices } from "../quantization/choices.ts";

/** The part of the compile options that a search decides; what is absent stays at its default. */
export interface TunedOptions {
  readonly nBits: NBitsOption;
  readonly roundingThresholdBits?: RoundingOption;
  readonly quantization?: QuantizationChoices;
  readonly log2PError?: number;
  readonly interiorNoise?: number | null;
}

/** A place in the space: an index per axis, and bits of the weights of nodes that have their own. */
export interface Place {
  readonly weights: number;
  readonly inputs: number;
  readonly quantization: number;
  readonly rounding: number;
  readonly failure: number;
  readonly noise: number;
  readonly nodes: Readonly<Record<string, number>>;
}

/** Values per axis; an axis that the user has fixed has one. */
export interface Space {
  /** Bits of weights, and of inputs of linear operators; null where the caller's `nBits` holds. */
  readonly weights: readonly (number | null)[];
  readonly inputs: readonly (number | null)[];
  readonly quantization: readonly (QuantizationChoices | null)[];
  readonly rounding: readonly (RoundingOption | undefined)[];
  /** Base 2 logarithms of failure probabilities; null is the caller's. */
  readonly failure: readonly (number | null)[];
  /** Noise in front of tables that round, as a share of their intervals; null is none beyond what decides rightly. */
  readonly noise: readonly (number | null)[];
  /** What `weights` and `inputs` of null stand for. */
  readonly fixedBits: NBitsOption;
  /** Names of the nodes that may have bits of their own. */
  readonly nodes: readonly string[];
}

const WEIGHT_BITS = [8, 7, 6, 5, 4, 3, 2] as const;
const INPUT_BITS = [8, 7, 6, 5, 4, 3, 2] as const;
const FAILURES = [-40, -20, -12, -8, -5, -3] as const;
/** Steps of about the square root of 2, as prices of parameters move. */
const NOISES = [null, 0.004, 0.006, 0.009, 0.013, 0.018, 0.026, 0.037, 0.052, 0.075, 0.1] as const;
const STEP_BITS = [8, 7, 6, 5, 4, 3, 2] as const;

/** Bits of weights that a single node may have. */
const LEAST_NODE_BITS = 2;
const MOST_NODE_BITS = 8;

/** Choices worth trying, Concrete ML's first. */
const QUANTIZATIONS: readonly QuantizationChoices[] = [
  {},
  { perChannelWeights: true },
  { biasCorrection: true },
  { perChannelWeights: true, biasCorrection: true },
  { perChannelWeights: true, biasCorrection: true, calibration: "percentile" },
  { perChannelWeights: true, biasCorrection: true, calibration: "mse" },
  { biasCorrection: true, calibration: "mse" },
  { perChannelWeights: true, biasCorrection: true, calibration: "mse", equalization: true },
];

/** What the user leaves open. */
export interface Openness {
  /** null where bits are to be found. */
  readonly nBits: NBitsOption | null;
  /** null where steps and method are to be found; a method where steps are. */
  readonly rounding:
    { readonly fixed: RoundingOption } | { readonly method: RoundingMethod } | null;
  /** null where choices are to be found. */
  readonly quantization: { readonly fixed: QuantizationChoices | undefined } | null;
  /** Whether a failure probability is to be found. */
  readonly failure: boolean;
  /** null where interior noise is to be found. */
  readonly noise: { readonly fixed: number | null } | null;
  readonly nodes: readonly string[];
}

/** The space that a user leaves open. */
export function spaceOf(openness: Openness): Space {
  const { nBits, rounding, quantization, failure, noise, nodes } = openness;
  const isOpen = nBits === null;
  const roundings = roundingsOf(rounding);
  return {
    weights: isOpen ? WEIGHT_BITS : [null],
    inputs: isOpen ? INPUT_BITS : [null],
    quantization: quantization === null ? QUANTIZATIONS : [quantization.fixed ?? null],
    rounding: roundings,
    failure: failure ? FAILURES : [null],
    noise: noise ? [noise.fixed] : bearsNoise(roundings[0]) ? NOISES : [null],
    fixedBits: nBits ?? 8,
    nodes: isOpen && nodes.length > 1 ? nodes : [],
  };
}

function roundingsOf(rounding: Openness["rounding"]): readonly (RoundingOption | undefined)[] {
  if (rounding !== null && "fixed" in rounding) return [rounding.fixed];
  const method = rounding?.method ?? "fit";
  return STEP_BITS.map((nBits) => ({ nBits, method }));
}

/** Whether tables may read a step beside the right one, which is what interior noise is about. */
function bearsNoise(rounding: RoundingOption | undefined): boolean {
  const isChosen = typeof rounding === "object" && rounding !== null;
  return isChosen && (rounding.method === "fit" || rounding.method === "approximate");
}

/** The compile options of a place. */
export function optionsOf(space: Space, place: Place): TunedOptions {
  const quantization = space.quantization[place.quantization];
  const failure = space.failure[place.failure];
  const rounding = space.rounding[place.rounding];
  const noise = space.noise[place.noise];
  return {
    nBits: bitsOf(space, place),
    ...(rounding === undefined ? {} : { roundingThresholdBits: rounding }),
    ...(quantization === null ? {} : { quantization }),
    ...(failure === null ? {} : { log2PError: failure }),
    ...(noise === null ? {} : { interiorNoise: noise }),
  };
}

function bitsOf(space: Space, place: Place): NBitsOption {
  const weights = space.weights[place.weights];
  const inputs = space.inputs[place.inputs];
  if (weights === null || inputs === null) return space.fixedBits;
  const nodes: Record<string, NodeBits> = {};
  for (const [name, own] of Object.entries(place.nodes)) {
    if (own !== weights) nodes[name] = { op_weights: own };
  }
  const isMixed = Object.keys(nodes).length > 0;
  return { op_weights: weights, op_inputs: inputs, ...(isMixed ? { nodes } : {}) };
}

/** Axes along which there is a next coarser value. */
export const AXES = ["noise", "weights", "rounding", "failure", "inputs"] as const;

/** Equal places have equal keys. */
export function keyOf(space: Space, place: Place): string {
  return JSON.stringify(optionsOf(space, place));
}

/**
 * Places that differ in one thing, in three groups: what decides most, the finer tuning, and the rest. In each the cheaper
 * ones come first.
 */
export function neighboursOf(space: Space, place: Place): readonly (readonly Place[])[] {
  const along = (axis: (typeof AXES)[number], step: number): Place[] => {
    const index = place[axis] + step;
    return index >= 0 && index < space[axis].length ? [{ ...place, [axis]: index }] : [];
  };
  const both = (...axes: (typeof AXES)[number][]): Place[] =>
    [1, -1].flatMap((step) => axes.flatMap((axis) => along(axis, step)));
  const others = space.quantization.flatMap((_, index) =>
    index === place.quantization ? [] : [{ ...place, quantization: index }],
  );
  return [
    both("noise", "weights"),
    [...both("rounding", "failure"), ...nodeMoves(space, place, -1), ...nodeMoves(space, place, 1)],
    [...both("inputs"), ...others],
  ];
}

/** Mixed precision: one node's weights with a bit more or less. */
function nodeMoves(space: Space, place: Place, by: number): Place[] {
  return space.nodes.flatMap((name) => {
    const bits = nodeBitsOf(space, place, name) + by;
    return bits >= LEAST_NODE_BITS && bits <= MOST_NODE_BITS
      ? [{ ...place, nodes: { ...place.nodes, [name]: bits } }]
      : [];
  });
}

/** Bits of the weights of a node; only a space with open bits has nodes. */
function nodeBitsOf(space: Space, place: Place, name: string): number {
  return place.nodes[name] ?? space.weights[place.weights] ?? NaN;
}

/** Whether `a` is as coarse as `b` or coarser in everything that has an order, and equal elsewhere. */
export function isCoarser(space: Space, a: Place, b: Place): boolean {
  return (
    a.quantization === b.quantization &&
    AXES.every((axis) => a[axis] >= b[axis]) &&
    space.nodes.every((name) => nodeBitsOf(space, a, name) <= nodeBitsOf(space, b, name))
  );
}

/** Options in a few words, for people. */
export function describeOptions(options: TunedOptions): string {
  const { nBits, roundingThresholdBits: rounding, quantization } = options;
  const { interiorNoise, log2PError } = options;
  const words = [describeBits(nBits)];
  if (typeof rounding === "number") words.push(`rounded to ${rounding} bits`);
  else if (rounding) words.push(`${rounding.method ?? "exact"} ${rounding.nBits}`);
  if (typeof interiorNoise === "number") words.push(`noise ${interiorNoise}`);
  if (log2PError !== undefined) words.push(`p 2^${log2PError}`);
  for (const [name, value] of Object.entries(quantization ?? {})) {
    if (value !== false) words.push(value === true ? name : `${name} ${String(value)}`);
  }
  return words.join(", ");
}

function describeBits(nBits: NBitsOption): string {
  if (typeof nBits === "number") return `${nBits} bits`;
  const own = Object.entries(nBits.nodes ?? {}).map(([name, node]) => {
    const parts = [
      ...(node.op_weights === undefined ? [] : [`weights ${node.op_weights}`]),
      ...(node.op_inputs === undefined ? [] : [`inputs ${node.op_inputs}`]),
    ];
    return `${name} ${parts.join(" and ")}`;
  });
  const all = `weights ${nBits.op_weights}, inputs ${nBits.op_inputs} bits`;
  return own.length === 0 ? all : `${all} (${own.join("; ")})`;
}
