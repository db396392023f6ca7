/**
 * What a search found: points, those that no other beats in both score and time, and the one to take.
 * @module
 */
import type { Budgets } from "../parameters/budgets.ts";
import type { MetricName } from "./metric.ts";
import type { TunedOptions } from "./space.ts";
import type { Cost } from "./trials.ts";

/** Settings with what they cost and how good they are, on rows that neither calibrated them nor led to them. */
export interface TuningPoint extends Cost {
  /** To be passed on as compile options. */
  readonly options: TunedOptions;
  /** 1 minus the mean loss: accuracy, agreement with the float model, or 1 minus the relative error. */
  readonly score: number;
  /** Mean loss beyond that of the float model on the same rows, and the standard error of that mean. */
  readonly loss: number;
  readonly standardError: number;
}

/** The result of a search. */
export interface TuningResult {
  readonly metric: MetricName;
  /** Whether losses compare with the user's labels, or else with the float model. */
  readonly isLabelled: boolean;
  /** Rows that the scores are of. */
  readonly rows: number;
  /** Score of the float model. */
  readonly floatScore: number;
  /** Largest loss that the user tolerates. */
  readonly tolerance: number;
  /** Points that no other beats, the cheapest first. */
  readonly front: readonly TuningPoint[];
  /** The cheapest point of the front within tolerance and budgets, with a margin for luck; null when there is none. */
  readonly chosen: TuningPoint | null;
  /** How many settings were simulated. */
  readonly tried: number;
}

/** What points are compared by. */
export interface Comparable {
  readonly predictedMs: number;
  readonly loss: number;
}

/** A saving of time below this share is none: predictions are not that good. */
const NO_SAVING = 0.01;

/** Points that no other beats, the cheapest first; one that saves next to no time against a better one is left out. */
export function frontOf<T extends Comparable>(points: readonly T[]): T[] {
  const ordered = [...points].sort((a, b) => a.predictedMs - b.predictedMs || a.loss - b.loss);
  const front: T[] = [];
  for (const point of ordered) {
    const last = front[front.length - 1];
    if (last !== undefined && point.loss >= last.loss) continue;
    if (last !== undefined && point.predictedMs < last.predictedMs * (1 + NO_SAVING)) front.pop();
    front.push(point);
  }
  return front;
}

/** Mean of differences of losses, and its standard error. */
export function pairedLoss(
  metric: MetricName,
  losses: Float64Array,
  floatLosses: Float64Array,
): { readonly loss: number; readonly standardError: number } {
  const rows = losses.length;
  let sum = 0;
  let squares = 0;
  losses.forEach((loss, row) => {
    const difference = loss - floatLosses[row];
    sum += difference;
    squares += difference * difference;
  });
  const loss = sum / rows;
  const variance = squares / rows - loss * loss;
  // As if one more answer had been wrong: a setting that errs on none of n rows may well err on one in n.
  const unseen = metric === "accuracy" ? 1 / rows : 0;
  return { loss, standardError: Math.sqrt((Math.max(0, variance) + unseen) / rows) };
}

/** Part of the tolerance that uncertainty may claim at most: few rows must not rule out everything. */
const LARGEST_MARGIN = 0.5;

/**
 * The cheapest point that loses at most `tolerance` with one standard error (or half the tolerance, if that is less) added
 * to its loss, so that luck alone is not chosen.
 */
export function chooseFrom(
  front: readonly TuningPoint[],
  tolerance: number,
  budgets: Budgets,
): TuningPoint | null {
  const isSafe = ({ loss, standardError }: TuningPoint): boolean =>
    loss + Math.min(standardError, tolerance * LARGEST_MARGIN) <= tolerance;
  return front.find((point) => isAffordable(point, budgets) && isSafe(point)) ?? null;
}

/** Whether a cost is within the budgets. */
export function isAffordable(cost: Cost, budgets: Budgets): boolean {
  const { maxMilliseconds = Infinity, maxLookups = Infinity, maxKeyBytes = Infinity } = budgets;
  return (
    cost.predictedMs <= maxMilliseconds &&
    cost.tableLookups <= maxLookups &&
    cost.evaluationKeyBytes <= maxKeyBytes
  );
}
