/**
 * A server from a folder of models to a closed port: opens what is on disk, takes up the work that was left, listens,
 * and stops without losing anything.
 * @module
 */
import { existsSync, readFileSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { join, resolve } from "node:path";
import { SottoError } from "../errors.ts";
import type { NativeBinding, NativeServerKey } from "../native/binding.ts";
import { buildApp } from "./app.ts";
import { makeFolder } from "./durable.ts";
import { EventStreams } from "./events.ts";
import { JobStore } from "./jobs.ts";
import { KeyCache } from "./key-cache.ts";
import { KeyStore } from "./keys.ts";
import { Metrics } from "./metrics.ts";
import { loadModels, type ServedModel } from "./models.ts";
import { Runner } from "./runner.ts";
import { parseTokens, type Tenants } from "./tenants.ts";

export interface ServeOptions {
  /** Folder of compiled models. */
  readonly folder: string;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Folder that keeps keys, jobs and results. */
  readonly data: string;
  /** File of tenants and hashes of their tokens; null: one tenant, and loopback only. */
  readonly tokens: string | null;
  readonly web: string | null;
  /** Jobs that run at once, and threads of each (0: all cores). */
  readonly lanes: number;
  readonly threads: number;
  /** Memory for expanded evaluation keys. */
  readonly keyCacheBytes: number;
  /** Disk for the evaluation keys of one tenant. */
  readonly keyStorageBytes: number;
  readonly maxQueuedPerTenant: number;
  readonly maxJobsPerTenant: number;
  readonly requestsPerMinute: number;
  /** How long results and broken uploads are kept. */
  readonly keepMs: number;
  /** How long running work may go on after `close`. */
  readonly graceMs: number;
  /** How long one request may take to arrive. */
  readonly requestTimeoutMs: number;
  readonly logLevel: string;
  readonly version: string;
}

/** A server that listens. */
export interface RunningServer {
  readonly url: string;
  readonly models: readonly string[];
  /** Reads the tokens file again. Throws BAD_ARGUMENT, and keeps the tokens that it has. */
  readonly reload: () => void;
  /** Stops: nothing is accepted any more, running work is finished or parked. */
  readonly close: () => Promise<void>;
}

const MAX_CONNECTIONS = 1000;
const MAX_STREAMS_PER_TENANT = 100;
const SWEEP_MS = 60_000;
const LOOPBACK: ReadonlySet<string> = new Set(["127.0.0.1", "::1", "localhost"]);

/** Starts a server. Throws BAD_ARGUMENT and what the models' files are wrong with. */
export async function serve(options: ServeOptions, engine: NativeBinding): Promise<RunningServer> {
  if (options.tokens === null && !LOOPBACK.has(options.host)) {
    const text = "expected --tokens FILE where other machines can reach the server";
    throw new SottoError("BAD_ARGUMENT", "--host", text);
  }
  let tenants = readTokens(options.tokens);
  const models = await loadModels(options.folder, engine);
  checkCache(models, options);
  await makeFolder(options.data);
  const unlock = await lockFolder(options.data);
  try {
    return await start(options, models, {
      tenants: () => tenants,
      reload: () => (tenants = readTokens(options.tokens)),
      unlock,
    });
  } catch (error) {
    await unlock();
    throw error;
  }
}

interface Held {
  readonly tenants: () => Tenants | null;
  readonly reload: () => void;
  readonly unlock: () => Promise<void>;
}

async function start(
  options: ServeOptions,
  models: ReadonlyMap<string, ServedModel>,
  { tenants, reload, unlock }: Held,
): Promise<RunningServer> {
  const root = join(options.data, "tenants");
  await makeFolder(root);
  const sizes = new Map(
    [...models.values()].map(({ info }) => [info.parametersDigest, info.evaluationKeyBytes]),
  );
  const keys = await KeyStore.open(root, { sizes, maxBytesPerTenant: options.keyStorageBytes });
  const jobs = await JobStore.open(root, options);
  const cache = new KeyCache<NativeServerKey>(options.keyCacheBytes);
  const metrics = new Metrics();
  const events = new EventStreams(MAX_STREAMS_PER_TENANT);
  let isStopping = false;
  const { lanes, threads } = options;
  // The runner logs through the application, which answers for the runner: whoever comes first is bound later.
  const log = {
    info: (fields: object, message: string) => app.log.info(fields, message),
    warn: (fields: object, message: string) => app.log.warn(fields, message),
    error: (fields: object, message: string) => app.log.error(fields, message),
  };
  const runner = new Runner({ models, keys, jobs, cache, metrics, log, lanes, threads });
  const services = { models, keys, jobs, cache, runner, events, metrics };
  const app = await buildApp(
    { ...options, tenants, maxConnections: MAX_CONNECTIONS, isStopping: () => isStopping },
    services,
  );
  metrics.watch({
    queued: () => runner.queued,
    running: () => runner.running,
    keyCacheBytes: () => cache.bytes,
    keyCacheHits: () => cache.hits,
    keyCacheMisses: () => cache.misses,
    storedKeyBytes: () => keys.totalBytes,
  });
  const left = jobs.unfinished();
  if (left.length > 0)
    app.log.info({ jobs: left.length }, "taking up jobs that were accepted before");
  for (const job of left) runner.add(job);
  const sweep = setInterval(() => {
    const oldest = Date.now() - options.keepMs;
    Promise.all([jobs.deleteFinished(oldest), keys.deleteStale(oldest)]).catch((error: unknown) => {
      app.log.warn({ err: error }, "cannot delete what is old");
    });
  }, SWEEP_MS);
  try {
    await app.listen({ host: options.host, port: options.port });
  } catch (error) {
    clearInterval(sweep);
    await runner.stop(0);
    throw cannotListen(options, error);
  }
  return {
    url: addressOf(options.host, app.server.address() as AddressInfo),
    models: [...models.keys()],
    reload,
    close: async () => {
      isStopping = true;
      clearInterval(sweep);
      await runner.stop(options.graceMs);
      events.close();
      // Answers that are under way may end; a client that is slow may not hold the stop.
      const cut = setTimeout(() => app.server.closeAllConnections(), options.graceMs);
      await app.close();
      clearTimeout(cut);
      await unlock();
    },
  };
}

function addressOf(host: string, { port }: AddressInfo): string {
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function cannotListen({ host, port }: ServeOptions, error: unknown): SottoError {
  const why = error instanceof Error ? error.message : String(error);
  return new SottoError("BAD_ARGUMENT", "--port", `cannot listen on ${host}:${port}: ${why}`);
}

function readTokens(path: string | null): Tenants | null {
  if (path === null) return null;
  if (!existsSync(path)) {
    const text = "expected a file of tokens; make a line for it with `sotto token NAME`";
    throw new SottoError("FILE_NOT_FOUND", path, text);
  }
  return parseTokens(readFileSync(path, "utf8"), path);
}

/** Every job that runs holds the keys of one client: so many must fit. */
function checkCache(
  models: ReadonlyMap<string, ServedModel>,
  { lanes, keyCacheBytes }: ServeOptions,
): void {
  const largest = Math.max(...[...models.values()].map(({ expandedKeyBytes }) => expandedKeyBytes));
  if (lanes * largest <= keyCacheBytes) return;
  const text = `expected at least ${lanes * largest} bytes: the expanded keys of ${lanes} running jobs`;
  throw new SottoError("BAD_ARGUMENT", "--key-cache", text);
}

/** Two servers on one folder would do each job twice. A lock whose process has gone is taken over. */
async function lockFolder(folder: string): Promise<() => Promise<void>> {
  const path = join(resolve(folder), "lock");
  for (const isLast of [false, true]) {
    try {
      await writeFile(path, String(process.pid), { flag: "wx", mode: 0o600 });
      return () => rm(path, { force: true });
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
      const holder = Number(await readFile(path, "utf8").catch(() => "0"));
      if (isLast || isAlive(holder)) {
        const text = `another server (process ${holder}) uses this folder; stop it or choose another with --data`;
        throw new SottoError("BAD_ARGUMENT", folder, text);
      }
      await rm(path, { force: true });
    }
  }
  throw new Error("internal: the loop above returns or throws");
}

function isAlive(pid: number): boolean {
  if (pid === 0 || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
