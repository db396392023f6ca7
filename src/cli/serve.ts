/**
 * `sotto serve` and `sotto token`.
 * @module
 */
import { appendFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { totalmem } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { SottoError } from "../errors.ts";
import { loadEngine } from "../native/load.ts";
import type { RunningServer, ServeOptions } from "../server/serve.ts";
import { createToken } from "../server/tenants.ts";
import { cannotWrite } from "./output.ts";
import type { ServeVerbOptions, TokenOptions } from "./serve-options.ts";

/** The page that comes with the package; both src/cli and dist/cli are two folders below its root. */
const WEB_FOLDER = fileURLToPath(new URL("../../dist/web", import.meta.url));

/** Serves until SIGTERM or Ctrl-C; SIGHUP reads the tokens again. Logs go to stdout, a line for people to stderr. */
export async function serve(given: ServeVerbOptions): Promise<void> {
  const stop = stopAsked(given.signal); // from now on: a stop while it starts counts too
  // Loaded here: the HTTP libraries would double the time in which any other verb starts.
  const { serve: startServer } = await import("../server/serve.ts");
  const server = await startServer(optionsOf(given), loadEngine());
  process.stderr.write(`serving ${server.models.join(", ")} at ${server.url}\n`);
  const onHangup = (): void => reload(server);
  process.on("SIGHUP", onHangup);
  await stop;
  process.off("SIGHUP", onHangup);
  await server.close();
}

/** Makes a token; it is shown once and kept nowhere. */
export async function token({ tenant, tokens }: TokenOptions): Promise<void> {
  const made = createToken(tenant);
  if (tokens === undefined) {
    process.stderr.write(`line for the file of --tokens: ${made.line}\n`);
  } else {
    try {
      await appendFile(tokens, `${made.line}\n`, { mode: 0o600 });
    } catch (error) {
      throw cannotWrite(tokens, error);
    }
  }
  process.stdout.write(`${made.token}\n`);
}

function optionsOf(given: ServeVerbOptions): ServeOptions {
  const { folder, host, port, lanes, rate, logLevel, version } = given;
  if (given.web !== undefined && !existsSync(given.web)) {
    throw new SottoError("FILE_NOT_FOUND", given.web, "expected a folder with a web page");
  }
  return {
    folder,
    host,
    port,
    data: given.data ?? join(folder, "data"),
    tokens: given.tokens ?? null,
    web: given.web ?? (existsSync(WEB_FOLDER) ? WEB_FOLDER : null),
    lanes,
    threads: given.threads ?? 0,
    keyCacheBytes: given.keyCache ?? Math.floor(totalmem() / 4),
    keyStorageBytes: given.keyStorage,
    maxQueuedPerTenant: given.maxQueued,
    maxJobsPerTenant: given.maxJobs,
    requestsPerMinute: rate,
    keepMs: given.keepHours * 3_600_000,
    graceMs: given.grace * 1000,
    requestTimeoutMs: given.requestTimeout * 1000,
    logLevel,
    version,
  };
}

function reload(server: RunningServer): void {
  try {
    server.reload();
    process.stderr.write("read the tokens again\n");
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    process.stderr.write(`kept the tokens as they were: ${why}\n`);
  }
}

/** Resolves at SIGTERM, or when Ctrl-C aborts the signal. */
function stopAsked(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
    process.once("SIGTERM", () => resolve());
  });
}
