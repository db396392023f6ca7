/**
 * How a run of the command ends: exit codes, one line per error, Ctrl-C, closed pipes.
 * @module
 */
import { SottoError } from "../errors.ts";

/** Exit codes: 1 a user's mistake, 70 our bug (as sysexits.h), 130 Ctrl-C (as shells count it). */
export const EXIT = { mistake: 1, bug: 70, interrupted: 130 } as const;

/** The line that tells an error, and the exit code that goes with it. */
export interface Failure {
  readonly exitCode: number;
  readonly text: string;
}

/** How to tell an error; `debug` adds the stack of our own bugs. */
export function describeFailure(error: unknown, interrupted: boolean, debug: boolean): Failure {
  if (interrupted) return { exitCode: EXIT.interrupted, text: "stopped" };
  if (error instanceof SottoError) {
    return { exitCode: EXIT.mistake, text: `error: ${oneLine(error.message)}` };
  }
  const message = error instanceof Error ? error.message : String(error);
  if (debug && error instanceof Error) {
    return { exitCode: EXIT.bug, text: error.stack ?? message };
  }
  const report = "this is a bug in sotto; run again with SOTTO_DEBUG=1 and report what it prints";
  return { exitCode: EXIT.bug, text: `error: ${oneLine(message)} (${report})` };
}

function oneLine(text: string): string {
  return text.replace(/\s*[\r\n]+\s*/g, " ");
}

/**
 * Runs a command to its end and returns the exit code. Ctrl-C aborts the signal, and the command ends within one batch of
 * lookups; a second Ctrl-C ends the process at once.
 */
export async function runToExit(run: (signal: AbortSignal) => Promise<void>): Promise<number> {
  const controller = new AbortController();
  const interrupt = () => {
    if (controller.signal.aborted) process.exit(EXIT.interrupted);
    controller.abort();
  };
  process.on("SIGINT", interrupt);
  for (const stream of [process.stdout, process.stderr]) stream.on("error", leaveBrokenOutput);
  try {
    await run(controller.signal);
    return controller.signal.aborted ? EXIT.interrupted : 0;
  } catch (error) {
    const debug = (process.env["SOTTO_DEBUG"] ?? "") !== "";
    const failure = describeFailure(error, controller.signal.aborted, debug);
    process.stderr.write(`${failure.text}\n`);
    return failure.exitCode;
  } finally {
    process.off("SIGINT", interrupt);
  }
}

/**
 * `sotto … | head` closes the pipe early: that is no error, and the work goes on, for it may write files, too. A full disk
 * is one.
 */
function leaveBrokenOutput(error: NodeJS.ErrnoException): void {
  if (error.code === "EPIPE") return;
  const failure = new SottoError("BAD_ARGUMENT", "output", `cannot write it: ${error.message}`);
  process.stderr.write(`${describeFailure(failure, false, false).text}\n`);
  process.exit(EXIT.mistake);
}
