/**
 * Does the work: takes jobs in fair order, runs them on the engine, writes what comes out. A job that was accepted ends as
 * done or failed, whatever happens in between: a stop parks it, a full disk makes it wait.
 * @module
 */
import type { ErrorInfo } from "../client/remote-types.ts";
import { SottoError } from "../errors.ts";
import type { NativeServerKey } from "../native/binding.ts";
import { FairQueue } from "./fair-queue.ts";
import { isFinished, type Job, type JobStore } from "./jobs.ts";
import type { KeyCache } from "./key-cache.ts";
import type { KeyStore } from "./keys.ts";
import type { Metrics } from "./metrics.ts";
import type { ServedModel } from "./models.ts";
import { infoOf } from "./refusal.ts";

/** Where the runner tells what an operator should know. */
export interface Log {
  readonly info: (fields: object, message: string) => void;
  readonly warn: (fields: object, message: string) => void;
  readonly error: (fields: object, message: string) => void;
}

export interface RunnerOptions {
  readonly models: ReadonlyMap<string, ServedModel>;
  readonly keys: KeyStore;
  readonly jobs: JobStore;
  readonly cache: KeyCache<NativeServerKey>;
  readonly metrics: Metrics;
  readonly log: Log;
  /** Jobs that run at once, and threads of each (0: all cores). */
  readonly lanes: number;
  readonly threads: number;
}

const RETRY_MS = 5000;

/** Runs jobs until it is stopped. */
export class Runner {
  readonly #options: RunnerOptions;
  readonly #queue = new FairQueue<Job>();
  readonly #running = new Map<Job, AbortController>();
  readonly #retries = new Set<NodeJS.Timeout>();
  /** Of the running jobs, those whose result is not there yet: the engine does not wait for the disk. */
  #computing = 0;
  #isStopped = false;
  #idle: (() => void) | null = null;

  constructor(options: RunnerOptions) {
    this.#options = options;
  }

  get queued(): number {
    return this.#queue.size + this.#retries.size;
  }

  get running(): number {
    return this.#running.size;
  }

  /** Puts an accepted job in line. */
  add(job: Job): void {
    this.#queue.push(job.tenant, job.record.keyId, job);
    this.#next();
  }

  /** Ends a job that is about to be deleted. */
  remove(job: Job): void {
    if (isFinished(job)) return;
    this.#queue.remove(job.tenant, job.record.keyId, job);
    this.#running.get(job)?.abort();
    this.#options.metrics.finished(job.record.model, "deleted", null);
  }

  /** Starts nothing more, gives what runs some time, then parks it. Resolves when nothing runs. */
  async stop(graceMs: number): Promise<void> {
    this.#isStopped = true;
    for (const timer of this.#retries) clearTimeout(timer);
    if (this.#running.size === 0) return;
    const park = setTimeout(() => {
      for (const controller of this.#running.values()) controller.abort();
    }, graceMs);
    await new Promise<void>((resolve) => (this.#idle = resolve));
    clearTimeout(park);
  }

  #next(): void {
    while (!this.#isStopped && this.#computing < this.#options.lanes) {
      const job = this.#queue.take();
      if (job === undefined) break;
      if (job.isDeleted) continue;
      const controller = new AbortController();
      this.#running.set(job, controller);
      this.#computing++;
      void this.#run(job, controller.signal).then(() => {
        this.#running.delete(job);
        if (this.#running.size === 0) this.#idle?.();
      });
    }
  }

  /** Never rejects. */
  async #run(job: Job, signal: AbortSignal): Promise<void> {
    const { jobs, metrics, log } = this.#options;
    const { id, model, acceptedAt } = job.record;
    job.isRunning = true;
    job.done = 0;
    tell(job);
    metrics.started(Date.now() - Date.parse(acceptedAt));
    try {
      const outcome = await this.#outcome(job, signal).finally(() => {
        this.#computing--;
        this.#next();
      });
      if (outcome === null || job.isDeleted) return;
      await jobs.finish(job, outcome);
      const isDone = "outputs" in outcome;
      metrics.finished(model, isDone ? "done" : "failed", isDone ? outcome.runMs : null);
      log.info(
        { job: id, model, ...(isDone ? { runMs: outcome.runMs } : outcome) },
        "job finished",
      );
    } catch (error) {
      if (!job.isDeleted) this.#retryLater(job, error);
    } finally {
      job.isRunning = false;
      tell(job);
    }
  }

  /** What to write for a job; null where it was stopped. Throws what the disk says. */
  async #outcome(
    job: Job,
    signal: AbortSignal,
  ): Promise<{ runMs: number; outputs: Uint8Array } | ErrorInfo | null> {
    const { models, keys, jobs, cache, threads, log } = this.#options;
    const { tenant, record } = job;
    try {
      const model = models.get(record.model);
      if (model === undefined) {
        const text = `the server no longer has the model ${record.model}`;
        throw new SottoError("NOT_FOUND", "models", text);
      }
      const inputs = await jobs.readInputs(job);
      const expand = async (): Promise<NativeServerKey> =>
        model.server.expandKeys(await keys.read(tenant, record.keyId), { threads });
      const onProgress = (done: number): void => {
        job.done = done;
        tell(job);
      };
      const run = async (key: NativeServerKey): Promise<{ runMs: number; outputs: Uint8Array }> => {
        const start = performance.now();
        const outputs = await model.server.runWith(key, inputs, { threads, signal, onProgress });
        return { runMs: performance.now() - start, outputs };
      };
      return await cache.with(cacheName(tenant, record.keyId), model.expandedKeyBytes, expand, run);
    } catch (error) {
      if (signal.aborted) return null;
      if (error instanceof SottoError) return infoOf(error);
      if (isFromSystem(error)) throw error;
      log.error({ job: record.id, err: error }, "a job met a bug");
      return { code: "INTERNAL", where: "server", message: "this is a bug in sotto; see the log" };
    }
  }

  /** The disk is full, or the system is short of something: the job was accepted, so it waits. */
  #retryLater(job: Job, error: unknown): void {
    this.#options.log.warn(
      { job: job.record.id, err: error },
      "cannot finish a job, will try again",
    );
    if (this.#isStopped) return;
    const timer = setTimeout(() => {
      this.#retries.delete(timer);
      if (!job.isDeleted) this.add(job);
    }, RETRY_MS);
    timer.unref();
    this.#retries.add(timer);
  }
}

/** Name of a tenant's key in the cache. */
export function cacheName(tenant: string, keyId: string): string {
  return `${tenant}/${keyId}`;
}

/** Errors of the operating system have a name such as EIO. */
function isFromSystem(error: unknown): boolean {
  if (!(error instanceof Error && "code" in error)) return false;
  return /^E[A-Z]+$/.test(String(error.code)) && error.code !== "ENOENT"; // a missing file stays missing
}

function tell(job: Job): void {
  for (const watcher of job.watchers) watcher();
}
