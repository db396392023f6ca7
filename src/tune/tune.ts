/**
 * Tuning: from a float model and rows to a front of settings, accuracy against predicted time, and the point to take. The
 * search looks at some rows only, and what it finds is scored on others, so that luck on the first does not decide.
 * @module
 */
import type { Budgets } from "../parameters/budgets.ts";
import { SottoError } from "../errors.ts";
import { checkCount } from "../quantization/check.ts";
import type { Graph } from "../onnx/graph.ts";
import { type Steps, within } from "../steps.ts";
import { tensorsOf } from "../tensor/list.ts";
import { asTensor } from "../tensor/nested.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type TuningPoint, type TuningResult, chooseFrom, frontOf, pairedLoss } from "./front.ts";
import { type CompleteTuning } from "./options.ts";
import { mean } from "./metric.ts";
import { type Splits, splitsOf } from "./rows.ts";
import { type Found, Search, nearFront } from "./search.ts";
import { type Space, optionsOf } from "./space.ts";
import { type Pipeline, Trials } from "./trials.ts";

/** What is tuned. */
export interface TuningTask {
  readonly graph: Graph;
  readonly calibration: readonly Tensor[];
  readonly pipeline: Pipeline;
  readonly space: Space;
  readonly tuning: CompleteTuning;
  readonly budgets: Budgets;
}

/** Points that lose more than this (and twice the tolerance) are not looked for. */
const LARGEST_LOSS = 0.15;
/** Points scored again, if the front of the search has not more: luck may have put good ones just behind it. */
const MOST_CONFIRMED = 16;

/** Searches, scores what was found on other rows, and chooses. Throws what compiling throws where nothing can be compiled. */
export function* tuneInSteps(task: TuningTask): Steps<TuningResult> {
  const { tuning, budgets, space } = task;
  const splits = splitsFor(task);
  const trials = new Trials(task.pipeline, task.graph, tuning.metric);
  const { tolerance } = tuning;
  const largestLoss = Math.max(LARGEST_LOSS, 2 * tolerance);
  const aim = { points: tuning.points, tolerance, largestLoss, budgets };
  const search = new Search(space, trials, splits.search, aim);
  const found = yield* search.run();
  if (found.length === 0) throw trials.lastError ?? nothingFound();
  const points: TuningPoint[] = [];
  const candidates = nearFront(found, aim, MOST_CONFIRMED);
  for (const [done, candidate] of candidates.entries()) {
    const step = { stage: "score the front", done, total: candidates.length };
    const point = yield* within(scored(task, trials, splits, candidate), () => step);
    if (point) points.push(point);
  }
  const front = frontOf(points);
  const judges = splits.confirm.map((split) => trials.judge(split));
  const floats = joined(judges.map(({ floatLosses }) => floatLosses));
  return {
    metric: judges[0].metric,
    isLabelled: tuning.labels !== undefined,
    rows: floats.length,
    floatScore: 1 - mean(floats),
    tolerance,
    front,
    chosen: chooseFrom(front, tolerance, budgets),
    tried: found.length,
  };
}

function splitsFor({ graph, calibration, tuning }: TuningTask): Splits {
  const { rows, labels, maxRows } = tuning;
  const validation = rows === undefined ? null : tensorsOf(rows, "tuning.rows");
  checkCount(graph.inputs.length, calibration, "calibration");
  if (validation) checkCount(graph.inputs.length, validation, "tuning.rows");
  return splitsOf({
    calibration,
    validation,
    labels: labels === undefined ? null : asTensor(labels, "tuning.labels"),
    maxRows,
  });
}

/** Scores a place on the rows that the search did not see; its cost is that of calibrating with all rows. */
function* scored(
  { space, calibration, tuning }: TuningTask,
  trials: Trials,
  { confirm }: Splits,
  { place }: Found,
): Steps<TuningPoint | null> {
  const options = optionsOf(space, place);
  const all = { ...confirm[0], name: "all", calibration };
  const cost = yield* trials.cost(all, options);
  if (cost === null) return null;
  const losses: Float64Array[] = [];
  for (const split of confirm) {
    const measured = yield* trials.simulate(split, options, tuning.draws);
    if (measured === null) return null;
    losses.push(measured.losses);
  }
  const { metric } = trials.judge(confirm[0]);
  const ours = joined(losses);
  const floats = joined(confirm.map((split) => trials.judge(split).floatLosses));
  return { options, ...cost, score: 1 - mean(ours), ...pairedLoss(metric, ours, floats) };
}

function joined(parts: readonly Float64Array[]): Float64Array {
  return Float64Array.from(parts.flatMap((part) => [...part]));
}

function nothingFound(): SottoError {
  const message = "expected settings that can be compiled, found none; widen the budgets";
  return new SottoError("NO_PARAMETERS", "tuning", message);
}

/** The chosen point. Throws NO_PARAMETERS, with the most accurate one found, when there is none. */
export function requireChosen({ chosen, front, tolerance }: TuningResult): TuningPoint {
  if (chosen !== null) return chosen;
  const best = front.at(-1);
  if (best === undefined) {
    throw new SottoError(
      "NO_PARAMETERS",
      "nBits",
      "expected settings that compile within the budgets, found none; raise the budgets or give more calibration rows",
    );
  }
  throw new SottoError(
    "NO_PARAMETERS",
    "tuning.tolerance",
    `expected settings that lose at most ${tolerance} within the budgets, got a loss of ${best.loss.toFixed(4)} ` +
      `(standard error ${best.standardError.toFixed(4)}) at best, in ${best.predictedMs.toFixed(0)} ms; ` +
      "tolerate more, raise the budgets, or give more rows",
  );
}
