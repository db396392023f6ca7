/**
 * What a user says about a search for settings.
 * @module
 */
import { SottoError, checkKeys } from "../errors.ts";
import type { TensorOrList } from "../tensor/list.ts";
import type { TensorLike } from "../tensor/tensor.ts";
import type { TuningResult } from "./front.ts";
import type { MetricName } from "./metric.ts";

/** How settings are judged and how long they are looked for; used where `nBits` or rounding bits are "auto". */
export interface TuningOptions {
  /**
   * Rows to judge by, one tensor per input: best are rows that the model was not trained on. Default: the calibration rows,
   * of which nothing is judged on those that calibrated it.
   */
  readonly rows?: TensorOrList;
  /** Right answers for `rows` (or for the calibration rows): class numbers, or values of the output. Default: the float model's. */
  readonly labels?: TensorLike;
  /** What is judged. Default "auto": "accuracy" for one output with several columns, else "error". */
  readonly metric?: MetricName | "auto";
  /** Loss against the float model that is tolerated: 0.01 is one row in a hundred, or 1 % of relative error. Default 0.01. */
  readonly tolerance?: number;
  /** How many settings are simulated; one that its cost alone rules out counts half. Default 80. */
  readonly points?: number;
  /** Simulations of every row for the final scores, each with other noise. Default 2. */
  readonly draws?: number;
  /** Most rows simulated at a time; the rows that give the final scores are others. Default 500. */
  readonly maxRows?: number;
  /** Called with all that was found, before the chosen settings are compiled. */
  readonly onResult?: (result: TuningResult) => void;
}

/** Options with their defaults. */
export type CompleteTuning = TuningOptions &
  Required<Pick<TuningOptions, "metric" | "tolerance" | "points" | "draws" | "maxRows">>;

const KEYS: readonly (keyof TuningOptions)[] = [
  "rows",
  "labels",
  "metric",
  "tolerance",
  "points",
  "draws",
  "maxRows",
  "onResult",
];

/** Fills in defaults. Throws BAD_ARGUMENT on an unknown key or a bad value. */
export function completeTuning(options: TuningOptions = {}): CompleteTuning {
  if (typeof options !== "object" || options === null) {
    throw bad("tuning", "an object", options);
  }
  checkKeys(options, KEYS);
  const { metric = "auto", tolerance = 0.01, points = 80, draws = 2, maxRows = 500 } = options;
  if (!["auto", "accuracy", "error"].includes(metric)) {
    throw bad("tuning.metric", '"auto", "accuracy" or "error"', metric);
  }
  if (!(typeof tolerance === "number" && tolerance >= 0 && tolerance < Infinity)) {
    throw bad("tuning.tolerance", "a number from 0 on", tolerance);
  }
  for (const [name, count] of Object.entries({ points, draws, maxRows })) {
    if (!Number.isInteger(count) || count < 1) {
      throw bad(`tuning.${name}`, "an integer from 1 on", count);
    }
  }
  return { ...options, metric, tolerance, points, draws, maxRows };
}

function bad(where: string, expected: string, got: unknown): SottoError {
  const text = typeof got === "number" ? String(got) : JSON.stringify(got);
  return new SottoError("BAD_ARGUMENT", where, `expected ${expected}, got ${text}`);
}
