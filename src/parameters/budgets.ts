/**
 * Budgets: what one inference may cost at most. A compilation that needs more fails, a search for settings stays below.
 * @module
 */
import { SottoError } from "../errors.ts";

/** Upper limits of a compiled model; each is off unless given. */
export interface Budgets {
  /** Predicted milliseconds of one inference on one core (`statistics.predictedMs`), by the cost model in use. */
  readonly maxMilliseconds?: number;
  /** Table lookups of one inference. */
  readonly maxLookups?: number;
  /** Bytes of the evaluation keys as sent; the search for parameters trades time for them. */
  readonly maxKeyBytes?: number;
}

const NAMES = ["maxMilliseconds", "maxLookups", "maxKeyBytes"] as const;

/** Throws BAD_ARGUMENT on a budget that is no number, or below 0. */
export function checkBudgets(budgets: Budgets): void {
  for (const name of NAMES) {
    const value = budgets[name];
    if (value === undefined || (typeof value === "number" && value >= 0)) continue;
    const got = typeof value === "number" ? String(value) : JSON.stringify(value);
    throw new SottoError("BAD_ARGUMENT", name, `expected a number from 0 on, got ${got}`);
  }
}

/** Throws NO_PARAMETERS when a circuit needs more lookups than allowed. */
export function requireLookups(lookups: number, { maxLookups = Infinity }: Budgets): void {
  if (lookups <= maxLookups) return;
  throw new SottoError(
    "NO_PARAMETERS",
    "maxLookups",
    `expected at most ${maxLookups} table lookups per inference, got ${lookups}; raise it, or make activations smaller ` +
      '(strides and average pooling before the first layers, fewer channels), and round "fit" or "approximate" instead of "exact"',
  );
}

/** Throws NO_PARAMETERS when one inference is predicted to take longer than allowed. */
export function requireMilliseconds(
  milliseconds: number,
  { maxMilliseconds = Infinity }: Budgets,
): void {
  if (milliseconds <= maxMilliseconds) return;
  throw new SottoError(
    "NO_PARAMETERS",
    "maxMilliseconds",
    `expected at most ${maxMilliseconds} predicted milliseconds on one core, got ${milliseconds.toFixed(1)}; raise it, ` +
      'use fewer bits (nBits: "auto" looks for them), coarser roundingThresholdBits or a larger pError',
  );
}
