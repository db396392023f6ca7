/**
 * Progress on stderr: a bar with the time left in a terminal, a plain line every few seconds elsewhere, nothing for work
 * that ends within two seconds. It never writes to stdout, which carries results.
 * @module
 */
import { Presets, SingleBar } from "cli-progress";
import { formatDuration } from "./terminal.ts";

/** Fed by polling: `update` as often as you like, it decides what to write and when. */
export interface Progress {
  /** Begins a piece of work of `total` units; ends the one before it. */
  start(label: string, total: number): void;
  /** Units finished so far, a begun one as its fraction. */
  update(done: number): void;
  /** Ends the work; may be called twice. */
  stop(): void;
}

/** Where progress goes and what time it is; tests give their own. */
export interface ProgressOptions {
  readonly stream?: NodeJS.WriteStream;
  readonly now?: () => number;
  /** Work shorter than this shows nothing; default 2000. */
  readonly silentMs?: number;
}

const SILENT_MS = 2000;
const PLAIN_LINE_MS = 5000;

interface Work {
  readonly label: string;
  readonly total: number;
  readonly startedAt: number;
  done: number;
  bar: SingleBar | undefined;
  lastLineAt: number | undefined;
}

/** Progress on one stream. */
export function createProgress(options: ProgressOptions = {}): Progress {
  const stream = options.stream ?? process.stderr;
  const now = options.now ?? Date.now;
  const silentMs = options.silentMs ?? SILENT_MS;
  let work: Work | undefined;

  const stop = () => {
    const ended = work;
    work = undefined;
    if (ended?.bar !== undefined) ended.bar.stop();
    else if (ended?.lastLineAt !== undefined && ended.done >= ended.total) {
      stream.write(`${ended.label}: done in ${formatDuration(now() - ended.startedAt)}\n`);
    }
  };
  return {
    start(label, total) {
      stop();
      work = { label, total, startedAt: now(), done: 0, bar: undefined, lastLineAt: undefined };
    },
    update(done) {
      if (work === undefined) return;
      work.done = Math.max(work.done, Math.min(done, work.total));
      const elapsed = now() - work.startedAt;
      if (elapsed < silentMs || work.total <= 0) return;
      if (stream.isTTY) drawBar(work, stream, elapsed);
      else writeLine(work, stream, now());
    },
    stop,
  };
}

function drawBar(work: Work, stream: NodeJS.WriteStream, elapsed: number): void {
  const finished = Math.floor(work.done);
  const payload = { label: work.label, finished, left: timeLeft(work, elapsed) };
  if (work.bar === undefined) {
    const format = "{label} [{bar}] {percentage} % | {finished} of {total} | {left}";
    work.bar = new SingleBar(
      // Its own SIGINT handler would end the process before the run is cancelled.
      { stream, format, barsize: 30, clearOnComplete: true, gracefulExit: false },
      Presets.shades_classic,
    );
    work.bar.start(work.total, work.done, payload);
  } else {
    work.bar.update(work.done, payload);
  }
}

function writeLine(work: Work, stream: NodeJS.WriteStream, time: number): void {
  if (work.lastLineAt !== undefined && time - work.lastLineAt < PLAIN_LINE_MS) return;
  work.lastLineAt = time;
  const percent = Math.floor((100 * work.done) / work.total);
  const left = timeLeft(work, time - work.startedAt);
  stream.write(
    `${work.label}: ${percent} % (${Math.floor(work.done)} of ${work.total}), ${left}\n`,
  );
}

/** The rate so far holds for the rest: the units are lookups or key parts, all of about the same cost. */
function timeLeft(work: Work, elapsed: number): string {
  if (work.done === 0) return "time left unknown";
  const left = (elapsed * (work.total - work.done)) / work.done;
  const seconds = Math.max(1, Math.round(left / 1000));
  return `about ${seconds < 100 ? `${seconds} s` : formatDuration(1000 * seconds)} left`;
}
