/**
 * A job's news as server-sent events. A slow reader gets the latest news only, so nothing piles up for it.
 * @module
 */
import { Readable } from "node:stream";
import { SottoError } from "../errors.ts";
import { isFinished, type Job, jobInfo } from "./jobs.ts";
import { Refusal } from "./refusal.ts";

const HEARTBEAT_MS = 15_000;

/** The open streams of a server, so many per tenant at most. */
export class EventStreams {
  readonly #open = new Map<Readable, string>();
  readonly #maxPerTenant: number;

  constructor(maxPerTenant: number) {
    this.#maxPerTenant = maxPerTenant;
  }

  /** A stream of `data: JOB` that ends with the job. Throws LIMIT_EXCEEDED. */
  follow(job: Job): Readable {
    const held = [...this.#open.values()].filter((tenant) => tenant === job.tenant).length;
    if (held >= this.#maxPerTenant) {
      const text = `expected at most ${this.#maxPerTenant} event streams at once; close some`;
      throw new Refusal(new SottoError("LIMIT_EXCEEDED", "events", text), { retryAfter: 1 });
    }
    const stream = createStream(job, () => this.#open.delete(stream));
    this.#open.set(stream, job.tenant);
    return stream;
  }

  /** Ends all streams; their readers ask again, and find the next server. */
  close(): void {
    for (const stream of this.#open.keys()) stream.push(null);
  }
}

function createStream(job: Job, onClose: () => void): Readable {
  let isNew = true;
  let isWanted = false;
  const send = (): void => {
    if (!isWanted || !isNew) return;
    isNew = false;
    isWanted = false;
    if (!job.isDeleted) stream.push(`data: ${JSON.stringify(jobInfo(job))}\n\n`);
    if (job.isDeleted || isFinished(job)) stream.push(null);
  };
  const changed = (): void => {
    isNew = true;
    send();
  };
  const beat = setInterval(() => {
    if (!isWanted) return;
    isWanted = false;
    stream.push(":\n\n");
  }, HEARTBEAT_MS);
  const stream = new Readable({
    highWaterMark: 1,
    read() {
      isWanted = true;
      send();
    },
    destroy(error, callback) {
      clearInterval(beat);
      job.watchers.delete(changed);
      onClose();
      callback(error);
    },
  });
  job.watchers.add(changed);
  return stream;
}
