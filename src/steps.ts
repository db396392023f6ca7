/**
 * Long work in steps: a generator that says how far it is before each of them. It runs at once, or in a way that hears
 * Ctrl-C: one body of code serves both.
 * @module
 */
import { SottoError } from "./errors.ts";

/** How far a stage is; units are nodes, values or instructions, whatever the stage works through. */
export interface Step {
  readonly stage: string;
  readonly done: number;
  readonly total: number;
}

/** Work that yields where it can be watched and stopped, and returns its result. */
export type Steps<T> = Generator<Step, T, void>;

/** Who watches. */
export interface Watch {
  /** Aborting it stops the work at the next step, with error CANCELLED. */
  readonly signal?: AbortSignal;
  /** Called at each step with the stage and how much of it is done. */
  readonly onProgress?: (stage: string, done: number, total: number) => void;
}

/** Other work of the process waits no longer than this, unless one step takes longer. */
const TURN_MS = 50;

/** Does all the work at once. Throws CANCELLED when the signal is aborted. */
export function finish<T>(steps: Steps<T>, watch: Watch = {}): T {
  for (;;) {
    const next = steps.next();
    if (next.done) return next.value;
    tell(next.value, watch);
  }
}

/** Does the work and lets the event loop turn between steps. Throws CANCELLED when the signal is aborted. */
export async function finishAsync<T>(steps: Steps<T>, watch: Watch = {}): Promise<T> {
  let turned = performance.now();
  for (;;) {
    const next = steps.next();
    if (next.done) return next.value;
    tell(next.value, watch);
    if (performance.now() - turned < TURN_MS) continue;
    await new Promise((resolve) => setTimeout(resolve, 0));
    turned = performance.now();
  }
}

/** Work as a part of other work: its steps are told as steps of that, which `at` names. */
export function* within<T>(steps: Steps<T>, at: () => Step): Steps<T> {
  for (;;) {
    const next = steps.next();
    if (next.done) return next.value;
    yield at();
  }
}

function tell({ stage, done, total }: Step, { signal, onProgress }: Watch): void {
  if (signal?.aborted) throw new SottoError("CANCELLED", stage, "the work was cancelled");
  onProgress?.(stage, done, total);
}
