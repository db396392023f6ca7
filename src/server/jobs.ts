/**
 * Jobs on disk: `TENANT/jobs/ID.json` is the record, `ID.inputs` what came in, `ID.outputs` what goes out. A record is
 * written last and whole, so a job exists if and only if its record does, and is finished when its record says so.
 * @module
 */
import { createHash, randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ErrorInfo, JobInfo, JobState } from "../client/remote-types.ts";
import { isErrorCode } from "../client/remote-errors.ts";
import { SottoError } from "../errors.ts";
import {
  deleteDurably,
  makeFolder,
  readRecord,
  TEMPORARY_SUFFIX,
  writeDurably,
} from "./durable.ts";
import { Refusal } from "./refusal.ts";

/** What is on disk of a job besides its bytes. */
interface JobRecord {
  readonly id: string;
  readonly model: string;
  readonly keyId: string;
  /** Digest of the inputs: the same idempotency key must come with the same. */
  readonly inputsDigest: string;
  /** Lookups. */
  readonly total: number;
  readonly acceptedAt: string;
  /** Grows with each job of the server. */
  readonly order: number;
  readonly finishedAt: string | null;
  readonly runMs: number | null;
  readonly error: ErrorInfo | null;
}

/** A job that is known; `done` and `isRunning` are of this process only. */
export interface Job {
  readonly tenant: string;
  record: JobRecord;
  isRunning: boolean;
  done: number;
  /** Deleted while it ran: what it gives is thrown away. */
  isDeleted: boolean;
  /** What a run gives is being written; nothing else may touch its files meanwhile. */
  finishing: Promise<void> | null;
  /** Called when anything of it changed. */
  readonly watchers: Set<() => void>;
}

export interface Submission {
  readonly tenant: string;
  readonly model: string;
  readonly keyId: string;
  readonly inputs: Uint8Array;
  readonly total: number;
  readonly idempotencyKey: string | null;
}

/** What a run gave. */
export type Outcome = { readonly runMs: number; readonly outputs: Uint8Array } | ErrorInfo;

export interface JobLimits {
  /** Jobs of a tenant that are not done. */
  readonly maxQueuedPerTenant: number;
  /** Jobs of a tenant in all. */
  readonly maxJobsPerTenant: number;
}

const FOLDER = "jobs";
const DIGEST_BYTES = 32;

/** All tenants' jobs. Every look-up names the tenant: nothing else reaches a job. */
export class JobStore {
  readonly #root: string;
  readonly #limits: JobLimits;
  readonly #tenants = new Map<string, Map<string, Job>>();
  /** Jobs that are on their way to the disk, by tenant and id. */
  readonly #accepting = new Map<string, { readonly keyId: string; readonly job: Promise<Job> }>();
  /** Deletions under way, by tenant and id: the same id may come again at once. */
  readonly #leaving = new Map<string, Promise<void>>();
  #order = 0;

  private constructor(root: string, limits: JobLimits) {
    this.#root = root;
    this.#limits = limits;
  }

  /** Reads what is on disk below `root`, a folder per tenant. */
  static async open(root: string, limits: JobLimits): Promise<JobStore> {
    const store = new JobStore(root, limits);
    for (const tenant of await readdir(root)) await store.#load(tenant);
    return store;
  }

  /** Jobs that have to be run, those accepted first at first. */
  unfinished(): Job[] {
    return [...this.#tenants.values()]
      .flatMap((jobs) => [...jobs.values()])
      .filter((job) => !isFinished(job))
      .sort((a, b) => a.record.order - b.record.order);
  }

  list(tenant: string): Job[] {
    return [...this.#of(tenant).values()].sort((a, b) => a.record.order - b.record.order);
  }

  /** Throws NOT_FOUND. */
  get(tenant: string, id: string): Job {
    const job = this.#of(tenant).get(id);
    if (job !== undefined) return job;
    throw notFound();
  }

  /** Whether a job that is not done, or is being accepted, needs these keys. */
  needsKey(tenant: string, keyId: string): boolean {
    const prefix = `${tenant}/`;
    const accepting = [...this.#accepting].some(
      ([name, entry]) => name.startsWith(prefix) && entry.keyId === keyId,
    );
    return (
      accepting || this.list(tenant).some((job) => job.record.keyId === keyId && !isFinished(job))
    );
  }

  /**
   * Puts a job on the disk. `isNew` is false where the idempotency key was seen before: it is the same job then. Throws
   * CONFLICT where that one was another, LIMIT_EXCEEDED or STORAGE_FULL.
   */
  async accept(submission: Submission): Promise<{ readonly job: Job; readonly isNew: boolean }> {
    const { tenant, model, inputs, idempotencyKey } = submission;
    const digest = Buffer.from(inputs.subarray(-DIGEST_BYTES)).toString("hex");
    const id = idOf(tenant, idempotencyKey);
    const name = `${tenant}/${id}`;
    await this.#leaving.get(name);
    const held = this.#accepting.get(name)?.job ?? this.#of(tenant).get(id);
    if (held !== undefined) {
      const job = await held;
      if (job.record.inputsDigest === digest && job.record.model === model) {
        return { job, isNew: false };
      }
      throw new SottoError(
        "CONFLICT",
        "idempotency-key",
        "this key came with another model or other inputs before; use a new one",
      );
    }
    this.#checkRoom(tenant);
    const job = this.#write(submission, id, digest);
    this.#accepting.set(name, { keyId: submission.keyId, job });
    try {
      return { job: await job, isNew: true };
    } finally {
      this.#accepting.delete(name);
    }
  }

  /** The encrypted inputs of a job that is not finished. */
  readInputs({ tenant, record }: Job): Promise<Uint8Array> {
    return readFile(this.#path(tenant, record.id, "inputs"));
  }

  /** The encrypted outputs of a finished job. Throws CONFLICT before that, and the job's error where it failed. */
  async readOutputs(job: Job): Promise<Uint8Array> {
    const { error, id } = job.record;
    if (!isFinished(job)) {
      throw new SottoError("CONFLICT", "jobs", `the job is ${stateOf(job)}; wait until it is done`);
    }
    if (error !== null) throw errorOf(error);
    return readFile(this.#path(job.tenant, id, "outputs")).catch((cause: unknown) => {
      throw job.isDeleted ? notFound() : cause;
    });
  }

  /** Writes what a run gave, once: outputs first, then the record that says so. */
  async finish(job: Job, outcome: Outcome): Promise<void> {
    if (job.isDeleted) return;
    job.finishing = this.#finish(job, outcome);
    try {
      await job.finishing;
    } finally {
      job.finishing = null;
    }
  }

  async #finish(job: Job, outcome: Outcome): Promise<void> {
    const { tenant, record } = job;
    const finishedAt = new Date().toISOString();
    const isDone = "outputs" in outcome;
    if (isDone) await writeDurably(this.#path(tenant, record.id, "outputs"), outcome.outputs);
    const finished = isDone
      ? { ...record, finishedAt, runMs: outcome.runMs }
      : { ...record, finishedAt, error: outcome };
    await this.#writeRecord(tenant, finished);
    job.record = finished;
    if (isDone) job.done = record.total;
    await deleteDurably(this.#folder(tenant), [this.#path(tenant, record.id, "inputs")]);
  }

  /** Deletes a job and its bytes. */
  async delete(job: Job): Promise<void> {
    if (job.isDeleted) return;
    const { tenant, record } = job;
    job.isDeleted = true;
    this.#of(tenant).delete(record.id);
    const name = `${tenant}/${record.id}`;
    const gone = this.#remove(job).finally(() => this.#leaving.delete(name));
    this.#leaving.set(name, gone);
    await gone;
    for (const tell of job.watchers) tell();
  }

  async #remove({ tenant, record, finishing }: Job): Promise<void> {
    await finishing?.catch(() => undefined); // its error is told to the run
    // The record goes first: without it the job does not exist.
    const paths = ["json", "inputs", "outputs"].map((suffix) =>
      this.#path(tenant, record.id, suffix),
    );
    await deleteDurably(this.#folder(tenant), paths);
  }

  /** Deletes jobs that were finished before `time`, ms since 1970. */
  async deleteFinished(time: number): Promise<void> {
    for (const jobs of this.#tenants.values()) {
      for (const job of jobs.values()) {
        const { finishedAt } = job.record;
        if (finishedAt !== null && Date.parse(finishedAt) < time) await this.delete(job);
      }
    }
  }

  #checkRoom(tenant: string): void {
    const prefix = `${tenant}/`;
    const accepting = [...this.#accepting.keys()].filter((name) => name.startsWith(prefix)).length;
    const jobs = this.#of(tenant);
    let waiting = accepting;
    for (const job of jobs.values()) if (!isFinished(job)) waiting++;
    const { maxQueuedPerTenant, maxJobsPerTenant } = this.#limits;
    if (waiting >= maxQueuedPerTenant) {
      const text = `expected at most ${maxQueuedPerTenant} jobs that wait; hand in more when some are done`;
      throw new Refusal(new SottoError("LIMIT_EXCEEDED", "jobs", text), { retryAfter: 1 });
    }
    if (jobs.size + accepting >= maxJobsPerTenant) {
      const text = `expected at most ${maxJobsPerTenant} jobs; delete some whose results you have`;
      throw new SottoError("LIMIT_EXCEEDED", "jobs", text);
    }
  }

  async #write(submission: Submission, id: string, inputsDigest: string): Promise<Job> {
    const { tenant, model, keyId, inputs, total } = submission;
    const record: JobRecord = {
      id,
      model,
      keyId,
      inputsDigest,
      total,
      acceptedAt: new Date().toISOString(),
      order: ++this.#order,
      finishedAt: null,
      runMs: null,
      error: null,
    };
    await makeFolder(this.#folder(tenant));
    await writeDurably(this.#path(tenant, id, "inputs"), inputs);
    try {
      await this.#writeRecord(tenant, record);
    } catch (error) {
      await deleteDurably(this.#folder(tenant), [this.#path(tenant, id, "inputs")]);
      throw error;
    }
    return this.#add(tenant, record);
  }

  #writeRecord(tenant: string, record: JobRecord): Promise<void> {
    return writeDurably(this.#path(tenant, record.id, "json"), JSON.stringify(record));
  }

  #add(tenant: string, record: JobRecord): Job {
    const done = record.finishedAt !== null && record.error === null ? record.total : 0;
    const job = {
      tenant,
      record,
      isRunning: false,
      done,
      isDeleted: false,
      finishing: null,
      watchers: new Set<() => void>(),
    };
    this.#of(tenant).set(record.id, job);
    return job;
  }

  async #load(tenant: string): Promise<void> {
    const folder = this.#folder(tenant);
    const names = await readdir(folder).catch(() => []);
    const records = names.filter((name) => name.endsWith(".json"));
    const known = new Set(records.map((name) => name.slice(0, -".json".length)));
    for (const name of records) {
      const record = await readRecord<JobRecord>(join(folder, name));
      this.#order = Math.max(this.#order, record.order);
      this.#add(tenant, record);
    }
    const strays = names.filter(
      (name) => name.endsWith(TEMPORARY_SUFFIX) || !known.has(name.split(".")[0] ?? ""),
    );
    if (strays.length > 0)
      await deleteDurably(
        folder,
        strays.map((name) => join(folder, name)),
      );
  }

  #of(tenant: string): Map<string, Job> {
    const jobs = this.#tenants.get(tenant) ?? new Map<string, Job>();
    this.#tenants.set(tenant, jobs);
    return jobs;
  }

  #folder(tenant: string): string {
    return join(this.#root, tenant, FOLDER);
  }

  #path(tenant: string, id: string, suffix: string): string {
    return join(this.#folder(tenant), `${id}.${suffix}`);
  }
}

/** How a job stands. */
export function stateOf({ record, isRunning }: Job): JobState {
  if (record.finishedAt !== null) return record.error === null ? "done" : "failed";
  return isRunning ? "running" : "queued";
}

/** A job as a client sees it. */
export function jobInfo(job: Job): JobInfo {
  const { id, model, keyId, total, acceptedAt, runMs, error } = job.record;
  return { id, model, keyId, state: stateOf(job), done: job.done, total, acceptedAt, runMs, error };
}

export function isFinished({ record }: Job): boolean {
  return record.finishedAt !== null;
}

function notFound(): SottoError {
  return new SottoError("NOT_FOUND", "jobs", "there is no such job; it may have been deleted");
}

/** The idempotency key decides the id, so a repeated request finds its job, also after a restart. */
function idOf(tenant: string, idempotencyKey: string | null): string {
  if (idempotencyKey === null) return randomBytes(16).toString("hex");
  const hash = createHash("sha256").update(`${tenant}\0${idempotencyKey}`);
  return hash.digest("hex").slice(0, 32);
}

/** What a failed job's result is refused with; a mistake of ours stays one. */
function errorOf({ code, where, message }: ErrorInfo): Error {
  if (!isErrorCode(code)) return new Error(`internal: job: ${message}`);
  return new Refusal(new SottoError(code, where, message), { status: 422 });
}
