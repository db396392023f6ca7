/**
 * Numbers for Prometheus. No label holds a tenant, a key or a job: whoever reads them learns how busy the server is.
 * @module
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";

/** Where the numbers that are not counted but looked up come from. */
export interface Gauges {
  readonly queued: () => number;
  readonly running: () => number;
  readonly keyCacheBytes: () => number;
  readonly keyCacheHits: () => number;
  readonly keyCacheMisses: () => number;
  readonly storedKeyBytes: () => number;
}

const SECONDS = [0.001, 0.01, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800];

/** All metrics of one server. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #requests: Histogram<"method" | "route" | "status">;
  readonly #accepted: Counter<"model">;
  readonly #finished: Counter<"model" | "outcome">;
  readonly #runs: Histogram<"model">;
  readonly #waits: Histogram;
  readonly #uploaded: Counter;

  constructor() {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry });
    this.#requests = new Histogram({
      name: "sotto_http_request_seconds",
      help: "Requests by route and status",
      labelNames: ["method", "route", "status"],
      buckets: SECONDS,
      registers,
    });
    this.#accepted = new Counter({
      name: "sotto_jobs_accepted_total",
      help: "Jobs that are on disk",
      labelNames: ["model"],
      registers,
    });
    this.#finished = new Counter({
      name: "sotto_jobs_finished_total",
      help: "Jobs by outcome: done, failed or deleted",
      labelNames: ["model", "outcome"],
      registers,
    });
    this.#runs = new Histogram({
      name: "sotto_run_seconds",
      help: "Encrypted runs",
      labelNames: ["model"],
      buckets: SECONDS,
      registers,
    });
    this.#waits = new Histogram({
      name: "sotto_wait_seconds",
      help: "From acceptance to the begin of the run",
      buckets: SECONDS,
      registers,
    });
    this.#uploaded = new Counter({
      name: "sotto_uploaded_key_bytes_total",
      help: "Bytes of evaluation keys that arrived",
      registers,
    });
  }

  /** Reads these whenever somebody asks. */
  watch(gauges: Gauges): void {
    const names: readonly [string, string, () => number][] = [
      ["sotto_jobs_queued", "Jobs that wait", gauges.queued],
      ["sotto_jobs_running", "Jobs that run", gauges.running],
      ["sotto_key_cache_bytes", "Expanded keys in memory", gauges.keyCacheBytes],
      ["sotto_key_cache_hits", "Runs whose keys were in memory", gauges.keyCacheHits],
      ["sotto_key_cache_misses", "Runs whose keys were expanded", gauges.keyCacheMisses],
      ["sotto_stored_key_bytes", "Evaluation keys on disk", gauges.storedKeyBytes],
    ];
    for (const [name, help, read] of names) {
      const collect = function (this: Gauge): void {
        this.set(read());
      };
      this.#registry.registerMetric(new Gauge({ name, help, registers: [], collect }));
    }
  }

  request(method: string, route: string, status: number, ms: number): void {
    this.#requests.observe({ method, route, status: String(status) }, ms / 1000);
  }

  accepted(model: string): void {
    this.#accepted.inc({ model });
  }

  started(waitMs: number): void {
    this.#waits.observe(Math.max(0, waitMs) / 1000);
  }

  finished(model: string, outcome: "done" | "failed" | "deleted", runMs: number | null): void {
    this.#finished.inc({ model, outcome });
    if (runMs !== null) this.#runs.observe({ model }, runMs / 1000);
  }

  uploaded(bytes: number): void {
    this.#uploaded.inc(bytes);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }
}
