/**
 * Which splits of a tree share a lookup. A lookup reads, behind a path of p conditions, a piece of s codes: the number of
 * conditions that do not hold, times s, plus the code; so it has s (p + 1) boxes. What a tree gives is a base value and, for
 * every piece, the difference that its outcome makes to the base it hangs on. A split above pieces costs nothing when both
 * sides go on from its base, and an end beside one can be that base.
 * @module
 */
import type { End, Grown, Split } from "./grow.ts";
import { oneFeatureBelow, type Shape, shapesBelow } from "./shapes.ts";

/** What is done at a split whose base is given. */
export type Decision =
  /** A lookup, or nothing but a sum where the piece and its path ask about one feature. */
  | { readonly kind: "piece"; readonly shape: Shape; readonly isSum: boolean }
  /** Both sides go on from the base. */
  | { readonly kind: "pass" }
  /** A lookup tells whether the path holds; below it stands for the path. */
  | { readonly kind: "cut" };

/** What is done at a split that may choose its base. */
export type FreeDecision =
  | Decision
  /** The base is that of the end, or that of the side. */
  | { readonly kind: "base"; readonly side: "low" | "high" };

interface Priced<D> {
  readonly cost: number;
  readonly decision: D;
}

/** What a box more costs, in lookups, where all else is equal. */
const BOX = 1 / 4096;

/** Features that a path asks about below the split at depth `cut`, which an indicator stands for unless it is the root. */
export function conditionsOf({ trail }: Split, cut: number): readonly number[] {
  return [...new Set(trail.slice(cut))];
}

/** Pieces of at most so many codes, found once. */
export class Pieces {
  readonly #most: number;
  readonly #known = new Map<Split, readonly Shape[]>();

  constructor(most: number) {
    this.#most = most;
  }

  below(split: Split): readonly Shape[] {
    const known = this.#known.get(split);
    if (known) return known;
    // Only a root has no condition in front of it.
    const shapes = shapesBelow(split, split.trail.length === 0 ? this.#most : this.#most / 2);
    this.#known.set(split, shapes);
    return shapes;
  }
}

/** The cheapest partition of a tree into lookups of at most `boxes` boxes. */
export class Partition {
  readonly #boxes: number;
  readonly #pieces: Pieces;
  readonly #known = new Map<Split, Priced<Decision>[]>();
  readonly #free = new Map<Split, Priced<FreeDecision>[]>();

  /** At least 4 boxes, which every tree can be made of; pieces are looked up where they are known. */
  constructor(boxes: number, pieces: Pieces) {
    this.#boxes = boxes;
    this.#pieces = pieces;
  }

  /** Lookups below a node with a given base, its path read from depth `cut` on. */
  cost(node: Grown, cut: number): number {
    return node.kind === "end" ? 0 : this.#priced(node, cut).cost;
  }

  freeCost(node: Grown, cut: number): number {
    return node.kind === "end" ? 0 : this.#pricedFree(node, cut).cost;
  }

  decide(split: Split, cut: number): Decision {
    return this.#priced(split, cut).decision;
  }

  decideFree(split: Split, cut: number): FreeDecision {
    return this.#pricedFree(split, cut).decision;
  }

  /** The base that a node prefers; null if it has no preference. */
  baseOf(node: Grown, cut: number): End["values"] | null {
    if (node.kind === "end") return node.values;
    const decision = this.decideFree(node, cut);
    return decision.kind === "base" ? this.baseOf(node[decision.side], cut) : null;
  }

  #priced(split: Split, cut: number): Priced<Decision> {
    const known = this.#known.get(split) ?? [];
    this.#known.set(split, known);
    return (known[cut] ??= this.#price(split, cut));
  }

  #pricedFree(split: Split, cut: number): Priced<FreeDecision> {
    const known = this.#free.get(split) ?? [];
    this.#free.set(split, known);
    return (known[cut] ??= this.#priceFree(split, cut));
  }

  #price(split: Split, cut: number): Priced<Decision> {
    const asked = conditionsOf(split, cut);
    const isRoot = cut === 0;
    const conditions = asked.length + (isRoot ? 0 : 1);
    let best: Priced<Decision> = { cost: Infinity, decision: { kind: "pass" } };
    const offer = (cost: number, decision: Decision): void => {
      if (cost < best.cost) best = { cost, decision };
    };
    const isOneFeature = isRoot && asked.every((feature) => feature === split.feature);
    for (const shape of this.#shapes(split, conditions, isOneFeature)) {
      const isSum = isOneFeature && shape.splits.every(({ feature }) => feature === split.feature);
      const own = isSum ? 0 : 1 + BOX * shape.size * (conditions + 1);
      const below = shape.exits.reduce((sum, exit) => sum + this.freeCost(exit, cut), 0);
      offer(own + below, { kind: "piece", shape, isSum });
    }
    const { low, high, trail } = split;
    if (low.kind === "split" && high.kind === "split") {
      offer(this.cost(low, cut) + this.cost(high, cut), { kind: "pass" });
    }
    if (conditions > 1 && conditions < this.#boxes && trail.length > cut) {
      const own = 1 + BOX * (conditions + 1);
      offer(own + this.cost(split, trail.length), { kind: "cut" });
    }
    return best;
  }

  #shapes(split: Split, conditions: number, isOneFeature: boolean): readonly Shape[] {
    const most = this.#boxes / (conditions + 1);
    const shapes = this.#pieces.below(split).filter(({ size }) => size <= most);
    const alone = isOneFeature ? oneFeatureBelow(split) : null;
    if (alone === null) return shapes;
    const exits = alone
      .flatMap(({ low, high }) => [low, high])
      .filter(({ kind }) => kind === "end");
    return [...shapes, { splits: alone, exits, size: 0 }];
  }

  #priceFree(split: Split, cut: number): Priced<FreeDecision> {
    let best: Priced<FreeDecision> = this.#priced(split, cut);
    const { low, high } = split;
    if (low.kind === "end" && high.kind === "end") return best;
    for (const side of ["low", "high"] as const) {
      const [own, other] = side === "low" ? [low, high] : [high, low];
      if (other.kind === "end") continue;
      const cost = this.freeCost(own, cut) + this.cost(other, cut);
      if (cost < best.cost) best = { cost, decision: { kind: "base", side } };
    }
    return best;
  }
}
