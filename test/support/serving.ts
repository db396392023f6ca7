/**
 * A real `sotto serve` process for tests, models for it, and clients with their keys.
 * @module
 */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll } from "vitest";
import { Client } from "../../src/client/client.ts";
import { RemoteServer, type RemoteServerOptions } from "../../src/client/remote.ts";
import { splitRows } from "../../src/execute/circuit.ts";
import { Server } from "../../src/execute/server.ts";
import { toHex } from "../../src/format/blob.ts";
import { loadEngine } from "../../src/native/load.ts";
import { type CliResult, fixturePath, modelAndCalibration, startSotto, succeed } from "./cli.ts";
import { readNpy } from "./npy.ts";

/** A model with a layer of lookups, and one without any, whose keys are 160 bytes. */
export const WITH_LOOKUPS = "act_relu";
export const LINEAR = "op_single_linear";

/** Compiles both models into a folder. */
export async function compileModels(folder: string): Promise<string> {
  const models = join(folder, "models");
  mkdirSync(models, { recursive: true });
  const rounding = '{"nBits": 3, "method": "fit"}';
  const bits = ["--n-bits", "4", "--rounding-threshold-bits", rounding];
  await succeed(
    "compile",
    ...modelAndCalibration(WITH_LOOKUPS),
    ...bits,
    "-o",
    join(models, WITH_LOOKUPS),
  );
  const linear = ["--n-bits", "4", "-o", join(models, LINEAR)];
  await succeed("compile", ...modelAndCalibration(LINEAR), ...linear);
  return models;
}

/** A server process. */
export interface TestServer {
  readonly url: string;
  readonly log: () => string;
  readonly isAlive: () => boolean;
  /** Sends a signal and waits for the end. */
  readonly stop: (signal?: NodeJS.Signals) => Promise<CliResult>;
}

const running = new Set<TestServer>();
afterAll(async () => {
  for (const server of running) await server.stop("SIGKILL");
});

/** Starts a server on any free port, unless `args` name one. */
export async function startServer(models: string, ...args: string[]): Promise<TestServer> {
  const { child, ended, stderrMatches } = startSotto(["serve", models, "--port", "0", ...args]);
  let log = "";
  let errors = "";
  child.stdout?.on("data", (text: string) => (log += text));
  child.stderr?.on("data", (text: string) => (errors += text));
  await stderrMatches(/^serving .* at http:\S+$/m);
  const server: TestServer = {
    url: /^serving .* at (http:\S+)$/m.exec(errors)?.[1] ?? "",
    log: () => log + errors,
    isAlive: () => child.exitCode === null && child.signalCode === null,
    stop: (signal = "SIGTERM") => {
      child.kill(signal);
      running.delete(server);
      return ended;
    },
  };
  running.add(server);
  return server;
}

/** The server from a client's side; nothing is tried again unless a test wants it. */
export function remoteOf(
  { url }: Pick<TestServer, "url">,
  options: Partial<RemoteServerOptions> = {},
): RemoteServer {
  return new RemoteServer({ url, retries: 0, ...options });
}

/** A client with a new key, rows of the fixture encrypted, and what running them here gives. */
export interface TestClient {
  readonly model: string;
  readonly client: Client;
  readonly keyId: string;
  readonly evaluationKeys: Uint8Array;
  readonly inputs: readonly Uint8Array[];
  /** A run is a function of its inputs: a server has to give these bytes. */
  readonly outputs: readonly Uint8Array[];
}

export async function makeClient(models: string, model: string, rows = 1): Promise<TestClient> {
  const engine = loadEngine();
  const client = Client.load(readFileSync(join(models, model, "client.sotto")), engine);
  client.generateKey();
  const evaluationKeys = await client.evaluationKeys(engine.newControl(0));
  const codes = client.quantize([readNpy(fixturePath(model, "inputs.npy"))]);
  const inputs = splitRows(codes)
    .slice(0, rows)
    .map((row) => client.encrypt(row));
  const server = new Server(readFileSync(join(models, model, "server.sotto")), engine);
  await server.loadKeys(evaluationKeys);
  const outputs: Uint8Array[] = [];
  for (const input of inputs) outputs.push(await server.run(input));
  return { model, client, keyId: toHex(client.keyId), evaluationKeys, inputs, outputs };
}

/** What an answer says, as a request of no client of ours gets it. */
export interface PlainAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** Sends one request as it is. */
export async function plain(
  { url }: Pick<TestServer, "url">,
  path: string,
  init: RequestInit = {},
): Promise<PlainAnswer> {
  const response = await fetch(url + path, init);
  return { status: response.status, body: await response.json().catch(() => null) };
}
