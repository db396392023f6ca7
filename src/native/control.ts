/**
 * Progress and cancellation of native calls: polls the engine from a timer, and forwards an AbortSignal.
 * @module
 */
import { SottoError } from "../errors.ts";
import type { NativeBinding, NativeControl } from "./binding.ts";

/** Options of every long call. */
export interface RunOptions {
  /** Threads; 0 (default) uses every core. */
  readonly threads?: number;
  /** Aborting it stops the call within one batch, with error CANCELLED. */
  readonly signal?: AbortSignal;
  /** Called about ten times a second with finished and total work units. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Called after a run with the nanoseconds of each instruction. */
  readonly onInstructionTimes?: (nanoseconds: Float64Array) => void;
}

const POLL_MS = 100;

/** Runs one native call under a control that follows the options. */
export async function withControl<T>(
  engine: Pick<NativeBinding, "newControl">,
  { threads = 0, signal, onProgress, onInstructionTimes }: RunOptions,
  call: (control: NativeControl) => Promise<T>,
): Promise<T> {
  if (signal?.aborted)
    throw new SottoError("CANCELLED", "engine", "the call was cancelled before it began");
  const control = engine.newControl(threads);
  const report = (): void => onProgress?.(control.done(), control.total());
  const timer = onProgress ? setInterval(report, POLL_MS) : null;
  const cancel = (): void => control.cancel();
  signal?.addEventListener("abort", cancel, { once: true });
  try {
    const result = await call(control);
    report();
    const times = control.instructionNanoseconds();
    if (times.length > 0) onInstructionTimes?.(times);
    return result;
  } finally {
    if (timer) clearInterval(timer);
    signal?.removeEventListener("abort", cancel);
  }
}
