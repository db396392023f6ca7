/**
 * What the measurements of `sotto serve` share: models compiled from fixtures, a server process, clients with their keys.
 * Needs dist/ and the engine.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Client } from "../dist/client/client.js";
import { RemoteServer } from "../dist/client/remote.js";
import { readTensors } from "../dist/cli/model.js";
import { loadEngine, Server } from "../dist/index.js";
import { splitRows } from "../dist/execute/circuit.js";

const entry = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const fixtures = fileURLToPath(new URL("../test/fixtures/", import.meta.url));

/** A folder that goes when the process ends. */
export function temporaryFolder() {
  const folder = mkdtempSync(join(tmpdir(), "sotto-serving-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Compiles a fixture to `folder/NAME`, as `sotto compile` with these arguments does. */
export async function compileFixture(name, folder, args) {
  const path = (file) => join(fixtures, name, file);
  const given = [path("model.onnx"), "--calibration", path("calibration.npy"), ...args];
  await ended(spawn(process.execPath, [entry, "compile", ...given, "-o", join(folder, name)]));
}

export const FOUR_BITS = [
  "--n-bits",
  "4",
  "--rounding-threshold-bits",
  '{"nBits":3,"method":"fit"}',
];
export const FIVE_BITS = [
  "--n-bits",
  "5",
  "--rounding-threshold-bits",
  '{"nBits":4,"method":"fit"}',
];

/** Starts a server; `stop` ends it with a signal, `log` is what it has printed. */
export async function startServer(models, { data, port = 0, args = [] }) {
  const given = ["serve", models, "--data", data, "--port", String(port), ...args];
  const child = spawn(process.execPath, [entry, ...given], { stdio: ["ignore", "pipe", "pipe"] });
  process.on("exit", () => child.kill("SIGKILL"));
  let log = "";
  let isReady = false;
  const closed = new Promise((resolve) => child.on("close", (code) => resolve(code)));
  const url = await new Promise((resolve, reject) => {
    const read = (text) => {
      log += text;
      if (isReady) return; // a log of megabytes is not searched again for each line
      const found = /^serving .* at (http:\S+)$/m.exec(log)?.[1];
      if (found === undefined) return;
      isReady = true;
      resolve(found);
    };
    child.stdout.setEncoding("utf8").on("data", read);
    child.stderr.setEncoding("utf8").on("data", read);
    child.on("close", (code) => reject(new Error(`the server ended with ${code}: ${log}`)));
  });
  const stop = (signal = "SIGTERM") => {
    child.kill(signal);
    return closed;
  };
  return { url, pid: child.pid, log: () => log, stop, isAlive: () => child.exitCode === null };
}

/** A client with a new key: its evaluation keys, and encrypted rows of the fixture with what they have to give. */
export async function makeClient(models, name, rows) {
  const engine = loadEngine();
  const client = Client.load(readFileSync(join(models, name, "client.sotto")), engine);
  client.generateKey();
  const evaluationKeys = await client.evaluationKeys(engine.newControl(0));
  const tensors = await readTensors([join(fixtures, name, "inputs.npy")]);
  const codes = splitRows(client.quantize(tensors)).slice(0, rows);
  return { name, client, evaluationKeys, codes, inputs: codes.map((row) => client.encrypt(row)) };
}

/** What a client's inputs give when they are run here: a run is a function of its inputs, so a server gives these bytes. */
export async function localOutputs(models, { name, evaluationKeys, inputs }) {
  const server = new Server(readFileSync(join(models, name, "server.sotto")), loadEngine());
  await server.loadKeys(evaluationKeys);
  const outputs = [];
  for (const input of inputs) outputs.push(Buffer.from(await server.run(input)));
  return outputs;
}

/** A server seen from a client. */
export function remote(url, options = {}) {
  return new RemoteServer({ url, ...options });
}

export function wait(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function ended(child) {
  return new Promise((resolve, reject) =>
    child.on("close", (code) => (code === 0 ? resolve() : reject(new Error(`status ${code}`)))),
  );
}
