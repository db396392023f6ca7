/**
 * Trees as lookups of weighted sums: what each lookup reads is a sum of one function per feature, and of what an earlier lookup
 * found out about a path. Lookups of different trees that read the same are one.
 * @module
 */
import type { Grown, Split } from "./grow.ts";
import { Partition, Pieces, conditionsOf } from "./partition.ts";
import { type Digit, type Shape, digitsOf, sizeOfDigits } from "./shapes.ts";

/** A sum of functions of features: by feature, its part for every code. */
export type Parts = ReadonlyMap<number, Float64Array>;

/** A whole number below `boxes`: parts, and `boxes - 1` or less more where the path of an indicator does not hold. */
export interface Reading {
  readonly parts: Parts;
  /** Index of the lookup that gives 1 where the path holds and 0 elsewhere, and what is added in the latter case; null without. */
  readonly indicator: { readonly lookup: number; readonly weight: number } | null;
  readonly boxes: number;
}

/** A lookup; `results` has the numbers that it gives by box: what it adds to each output, or whether a path holds. */
export type ForestLookup = Reading &
  (
    | { readonly kind: "outputs"; readonly results: readonly number[][] }
    | { readonly kind: "indicator" }
  );

/** Trees in the order in which they are computed: a lookup reads indicators before it only. */
export interface Forest {
  readonly lookups: readonly ForestLookup[];
  /** What needs no lookup, per output. */
  readonly sums: readonly Parts[];
  /** A constant per output. */
  readonly base: readonly number[];
}

/**
 * What lookups of so many boxes cost, in milliseconds of one core of the class AVX2, outputs of 13 bits, 2^-40: predicted
 * by the parameter search. Only ratios count, which are much the same elsewhere; all lookups of a circuit share the parameters
 * that the largest one needs.
 */
const COSTS: readonly (readonly [boxes: number, cost: number])[] = [
  [4, 9.6],
  [8, 10.9],
  [12, 13.7],
  [16, 14.7],
  [24, 17.2],
  [32, 18.4],
  [64, 38.5],
];

/** The cheapest way, by the table of costs, to compute the sum of some trees. */
export function forestOf(trees: readonly Grown[], outputs: number): Forest {
  const pieces = new Pieces(Math.max(...COSTS.map(([boxes]) => boxes)));
  const partitions = COSTS.map(([boxes, cost]) => {
    const partition = new Partition(boxes, pieces);
    const lookups = trees.reduce((sum, tree) => sum + partition.freeCost(tree, 0), 0);
    return { partition, cost: cost * lookups };
  });
  const least = Math.min(...partitions.map(({ cost }) => cost));
  const best = partitions.find(({ cost }) => cost === least);
  if (!best) throw new Error("internal: no way to compute trees");
  const builder = new ForestBuilder(outputs, best.partition);
  for (const tree of trees) builder.add(tree);
  return builder.finish();
}

/** Where a part of a tree hangs: the base it makes a difference to, and how its path is read. */
interface Place {
  readonly base: readonly number[];
  /** Depth of the split from which on the path is read, and the indicator of the path above. */
  readonly cut: number;
  readonly indicator: number | null;
}

class ForestBuilder {
  readonly #partition: Partition;
  readonly #lookups: ForestLookup[] = [];
  readonly #known = new Map<string, number>();
  readonly #sums: Map<number, Float64Array>[];
  readonly #base: number[];

  constructor(outputs: number, partition: Partition) {
    this.#partition = partition;
    this.#sums = Array.from({ length: outputs }, () => new Map<number, Float64Array>());
    this.#base = Array.from({ length: outputs }, () => 0);
  }

  add(tree: Grown): void {
    const zero = this.#base.map(() => 0);
    const base = this.#partition.baseOf(tree, 0) ?? zero;
    base.forEach((value, output) => (this.#base[output] += value));
    this.#addFree(tree, { base, cut: 0, indicator: null });
  }

  finish(): Forest {
    // Sums count from the lowest code.
    this.#sums.forEach((parts, output) => {
      for (const part of parts.values()) {
        const [lowest] = part;
        this.#base[output] += lowest;
        part.forEach((value, code) => (part[code] = value - lowest));
      }
    });
    return { lookups: this.#lookups, sums: this.#sums, base: this.#base };
  }

  /** A node whose base is the one that it prefers. */
  #addFree(node: Grown, place: Place): void {
    if (node.kind === "end") return;
    const decision = this.#partition.decideFree(node, place.cut);
    if (decision.kind !== "base") return this.#add(node, place);
    const other = decision.side === "low" ? node.high : node.low;
    this.#addFree(node[decision.side], place);
    if (other.kind === "split") this.#add(other, place);
  }

  #add(split: Split, place: Place): void {
    const decision = this.#partition.decide(split, place.cut);
    switch (decision.kind) {
      case "pass":
        for (const side of [split.low, split.high])
          if (side.kind === "split") this.#add(side, place);
        return;
      case "cut": {
        const indicator = this.#push({ kind: "indicator", ...reading(split, place, []) });
        return this.#add(split, { ...place, cut: split.trail.length, indicator });
      }
      case "piece":
        return this.#addPiece(split, decision.shape, decision.isSum, place);
      default:
        throw new Error("internal: a decision that does not exist");
    }
  }

  #addPiece(split: Split, shape: Shape, isSum: boolean, place: Place): void {
    const bases = new Map(
      shape.exits.map((exit) => [exit, this.#partition.baseOf(exit, place.cut) ?? place.base]),
    );
    const differences = [...bases.values()].flatMap((base) => minus(base, place.base));
    const digits = digitsOf(shape.splits);
    const results = outcomes(shape, digits).map((exit) => minus(bases.get(exit) ?? [], place.base));
    if (differences.every((difference) => difference === 0)) {
      // The piece only leads on.
    } else if (isSum) {
      this.#addSum(split, digits[0], results);
    } else {
      const read = reading(split, place, digits);
      const zero = this.#base.map(() => 0);
      const rest = Array.from({ length: read.boxes - results.length }, () => zero);
      this.#push({ kind: "outputs", ...read, results: [...results, ...rest] });
    }
    for (const [exit, base] of bases) this.#addFree(exit, { ...place, base });
  }

  #addSum(split: Split, { feature, digits }: Digit, results: readonly number[][]): void {
    const possible = split.path.get(feature);
    this.#sums.forEach((sums, output) => {
      const sum = sums.get(feature) ?? new Float64Array(digits.length);
      digits.forEach((digit, code) => {
        if (possible?.[code] !== 0) sum[code] += results[digit][output];
      });
      sums.set(feature, sum);
    });
  }

  /** Index of a lookup; what reads the same is one lookup with the sum of the results. */
  #push(lookup: ForestLookup): number {
    const { parts, indicator, boxes } = lookup;
    const text = [...parts].map(([feature, part]) => `${feature}:${stepsOf(part)}`).sort();
    const key = JSON.stringify([lookup.kind, boxes, indicator, text]);
    const known = this.#known.get(key);
    if (known === undefined) {
      this.#known.set(key, this.#lookups.length);
      return this.#lookups.push(lookup) - 1;
    }
    const other = this.#lookups[known];
    if (lookup.kind === "outputs" && other.kind === "outputs") {
      const results = lookup.results.map((values, box) =>
        values.map((value, output) => value + other.results[box][output]),
      );
      this.#lookups[known] = { ...other, results };
    }
    return known;
  }
}

/** Where a function of a feature changes, and to what. */
function stepsOf(part: Float64Array): string {
  const steps: string[] = [];
  part.forEach((value, code) => {
    if (code === 0 || value !== part[code - 1]) steps.push(`${code} ${value}`);
  });
  return steps.join();
}

function minus(a: readonly number[], b: readonly number[]): number[] {
  return a.map((value, i) => value - b[i]);
}

/** What a lookup at a split reads: the code of the piece where the path holds, at least as many as it has codes elsewhere. */
function reading(split: Split, { cut, indicator }: Place, digits: readonly Digit[]): Reading {
  const conditions = conditionsOf(split, cut);
  const size = sizeOfDigits(digits);
  const parts = new Map<number, Float64Array>();
  for (const feature of conditions) {
    const possible = split.path.get(feature);
    if (!possible) throw new Error("internal: a path without one of its conditions");
    parts.set(
      feature,
      Float64Array.from(possible, (isHere) => (isHere ? 0 : size)),
    );
  }
  let stride = 1;
  for (const { feature, digits: own, count } of digits) {
    const part = parts.get(feature) ?? new Float64Array(own.length);
    own.forEach((digit, code) => (part[code] += stride * digit));
    parts.set(feature, part);
    stride *= count;
  }
  const isCut = indicator !== null;
  return {
    parts,
    indicator: isCut ? { lookup: indicator, weight: size } : null,
    boxes: size * (conditions.length + (isCut ? 1 : 0) + 1),
  };
}

/** The exit of a piece for each of its codes. */
function outcomes({ splits, exits }: Shape, digits: readonly Digit[]): Grown[] {
  const ends = new Set(exits);
  return Array.from({ length: sizeOfDigits(digits) }, (_, code) => {
    let rest = code;
    const codes = new Map(
      digits.map(({ feature, count, examples }) => {
        const digit = rest % count;
        rest = (rest - digit) / count;
        return [feature, examples[digit]];
      }),
    );
    let node: Grown = splits[0];
    while (node.kind === "split" && !ends.has(node)) {
      node = node.answers[codes.get(node.feature) ?? 0] === 1 ? node.high : node.low;
    }
    return node;
  });
}
