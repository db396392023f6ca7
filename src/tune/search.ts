/**
 * The search for settings. First the clear model says which choices of quantization and how many bits are worth a look,
 * because that needs no parameters; then simulations of a coarse grid; then, from the best points found so far, one step
 * at a time along every axis and in the bits of every node, until the number of trials is spent.
 * @module
 */
import type { Budgets } from "../parameters/budgets.ts";
import { type Steps, within } from "../steps.ts";
import { frontOf, isAffordable } from "./front.ts";
import type { Split } from "./rows.ts";
import { type Place, type Space, isCoarser, keyOf, neighboursOf, optionsOf } from "./space.ts";
import type { ClearLoss, Measured, Measures } from "./trials.ts";

/** A place that was simulated. */
export interface Found {
  readonly place: Place;
  readonly predictedMs: number;
  readonly loss: number;
  readonly measured: Measured;
}

/** What a search stops at and aims for. */
export interface SearchAim {
  /** Simulations to spend; a look at a cost alone is half of one. */
  readonly points: number;
  readonly tolerance: number;
  /** Points that lose more are of no interest, whatever they cost. */
  readonly largestLoss: number;
  readonly budgets: Budgets;
}

/** The points that no other beats, and behind them others in order of how much more they lose than those of their price. */
export function nearFront(found: readonly Found[], aim: SearchAim, most: number): Found[] {
  const front = usefulFront(found, aim);
  const behind = ({ predictedMs, loss }: Found): number =>
    loss - Math.min(...front.filter((p) => p.predictedMs <= predictedMs).map((p) => p.loss));
  const others = found
    .filter(
      (point) =>
        !front.includes(point) &&
        point.loss <= aim.largestLoss &&
        isAffordable(point.measured, aim.budgets),
    )
    .map((point) => ({ point, by: behind(point) }))
    .sort((a, b) => a.by - b.by);
  const room = Math.max(0, most - front.length);
  return [...front, ...others.slice(0, room).map(({ point }) => point)];
}

/** The points that no other beats, of those within budgets and losses of interest; of all if there is none. */
export function usefulFront(found: readonly Found[], aim: SearchAim): Found[] {
  const { largestLoss, budgets } = aim;
  const useful = found.filter(
    ({ loss, measured }) => loss <= largestLoss && isAffordable(measured, budgets),
  );
  return frontOf(useful.length > 0 ? useful : found);
}

/** Choices of quantization that the clear stage lets through. */
const KEPT_CHOICES = 2;
/** Bits of weights at which choices are compared: few enough to tell them apart. */
const SCREENING_BITS = 3;
/** Bits of weights that the clear stage looks at. */
const CLEAR_BITS: readonly number[] = [6, 5, 4, 3, 2];
/** Steps and noise of the first simulations: those of the middle for every choice, the others for the best one. */
const GRID: readonly (readonly [steps: number, noise: number | null])[] = [
  [6, 0.018],
  [6, 0.009],
  [6, 0.037],
  [4, null],
];
/** Failure probability of the first simulations, where it is open: the usual one, which tables with noise mostly get for nothing. */
const FIRST_FAILURE = -40;
/** What the cost of settings takes of a whole trial: it needs the quantized model and its parameters. */
const COST_SHARE = 0.5;
/** A coarser neighbour must be this much cheaper to be worth a simulation. */
const WORTHWHILE = 0.995;

/** Trials told as steps of the whole search. */
export class Search {
  readonly #space: Space;
  readonly #trials: Measures;
  readonly #split: Split;
  readonly #aim: SearchAim;
  readonly #seen = new Set<string>();
  readonly found: Found[] = [];
  /** Trials in the clear, and what is spent of the points. */
  #cleared = 0;
  #spent = 0;

  constructor(space: Space, trials: Measures, split: Split, aim: SearchAim) {
    this.#space = space;
    this.#trials = trials;
    this.#split = split;
    this.#aim = aim;
  }

  /** Runs all stages; `found` has every place that was simulated. */
  *run(): Steps<readonly Found[]> {
    const choices = yield* this.#screenChoices();
    for (const place of yield* this.#seeds(choices)) {
      if (this.#spent < this.#aim.points) yield* this.#simulate(place);
    }
    yield* this.#improve();
    return this.found;
  }

  /** The choices of quantization that lose least in the clear at few bits. */
  *#screenChoices(): Steps<readonly number[]> {
    const all = this.#space.quantization.map((_, index) => index);
    if (all.length === 1) return all;
    const ranked: { index: number; loss: number }[] = [];
    for (const index of all) {
      const place = this.#place({ quantization: index, weights: SCREENING_BITS });
      const { excess, distance } = yield* this.#clear(place);
      ranked.push({ index, loss: excess + distance });
    }
    ranked.sort((a, b) => a.loss - b.loss);
    return ranked.slice(0, KEPT_CHOICES).map(({ index }) => index);
  }

  /** The coarse grid over bits that are not hopeless in the clear; what says most comes first. */
  *#seeds(choices: readonly number[]): Steps<Place[]> {
    const bare: { readonly quantization: number; readonly weights: number }[] = [];
    for (const quantization of choices) {
      const bits = this.#space.weights.length === 1 ? [NaN] : CLEAR_BITS;
      for (const weights of bits) {
        const start = { quantization, weights };
        const isHopeless =
          bits.length > 1 &&
          (yield* this.#clear(this.#place(start))).excess > this.#aim.largestLoss;
        if (!isHopeless) bare.push(start);
      }
    }
    return GRID.flatMap(([steps, noise], rank) =>
      bare
        .filter(({ quantization }) => rank === 0 || quantization === choices[0])
        .map((start) => this.#place({ ...start, steps, noise })),
    );
  }

  /** The place with these values, or the nearest that the space has. */
  #place(values: {
    readonly quantization: number;
    readonly weights: number;
    readonly steps?: number;
    readonly noise?: number | null;
  }): Place {
    const { weights, rounding, failure, noise } = this.#space;
    const stepsOf = (index: number): number => {
      const value = rounding[index];
      return typeof value === "object" && value !== null ? value.nBits : NaN;
    };
    return {
      quantization: values.quantization,
      inputs: 0,
      weights: indexOf(weights, values.weights),
      rounding: Math.max(
        0,
        rounding.findIndex((_, index) => stepsOf(index) === values.steps),
      ),
      failure: indexOf(failure, FIRST_FAILURE),
      noise: indexOf(noise, values.noise ?? null),
      nodes: {},
    };
  }

  /** Steps from points of the front, those near the tolerated loss first. */
  *#improve(): Steps<void> {
    while (this.#spent < this.#aim.points) {
      const next = this.#nextMove();
      if (next === null) return;
      yield* this.#simulate(next.place, next.from);
    }
  }

  #nextMove(): { place: Place; from: Found } | null {
    const front = usefulFront(this.found, this.#aim);
    const first = front.findIndex(({ loss }) => loss <= this.#aim.tolerance);
    const target = first < 0 ? front.length - 1 : first;
    const order = [...front.entries()].sort(
      ([a], [b]) => Math.abs(a - target) - Math.abs(b - target) || a - b,
    );
    const groups = order.map(([, from]) => ({
      from,
      neighbours: neighboursOf(this.#space, from.place),
    }));
    for (let group = 0; group < (groups[0]?.neighbours.length ?? 0); group++) {
      for (const { from, neighbours } of groups) {
        const place = neighbours[group].find(
          (neighbour) => !this.#seen.has(keyOf(this.#space, neighbour)),
        );
        if (place) return { place, from };
      }
    }
    return null;
  }

  *#simulate(place: Place, from?: Found): Steps<void> {
    const key = keyOf(this.#space, place);
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    const options = optionsOf(this.#space, place);
    if (from) {
      const cost = yield* this.#within(this.#trials.cost(this.#split, options));
      this.#spent += COST_SHARE;
      if (cost === null || this.#isUseless(place, cost.predictedMs, from)) return;
    }
    const measured = yield* this.#within(this.#trials.simulate(this.#split, options));
    this.#spent += from ? 1 - COST_SHARE : 1;
    if (measured === null) return;
    const { predictedMs, excess: loss } = measured;
    this.found.push({ place, predictedMs, loss, measured });
  }

  /** A coarser place that is not cheaper, or a dearer one than a point that loses nothing. */
  #isUseless(place: Place, predictedMs: number, from: Found): boolean {
    const isCheaper = predictedMs < from.predictedMs * WORTHWHILE;
    if (isCoarser(this.#space, place, from.place) && !isCheaper) return true;
    return this.found.some((other) => other.predictedMs <= predictedMs && other.loss <= 0);
  }

  /** Without rounding, which is looked at with parameters later. */
  *#clear(place: Place): Steps<ClearLoss> {
    const { roundingThresholdBits: _, ...options } = optionsOf(this.#space, place);
    const result = yield* this.#within(this.#trials.clear(this.#split, options));
    this.#cleared++;
    return result;
  }

  #within<T>(steps: Steps<T>): Steps<T> {
    return within(steps, () => ({
      stage: "tune",
      done: this.#cleared + this.#spent,
      total: this.#total,
    }));
  }

  get #total(): number {
    const choices = this.#space.quantization.length;
    const clear =
      (choices === 1 ? 0 : choices) +
      (this.#space.weights.length === 1 ? 0 : Math.min(choices, KEPT_CHOICES) * CLEAR_BITS.length);
    return Math.max(clear + this.#aim.points, this.#cleared + this.#spent);
  }
}

function indexOf(values: readonly (number | null)[], wanted: number | null): number {
  return Math.max(0, values.indexOf(wanted));
}
