/**
 * `sotto keygen`, `encrypt`, `run` and `decrypt`: the protocol one step at a time, each from files to a file. `run` is
 * the server's and never reads a secret key.
 * @module
 */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { Client } from "../client/client.ts";
import { SottoError } from "../errors.ts";
import { splitRows } from "../execute/circuit.ts";
import { Server } from "../execute/server.ts";
import { withControl } from "../native/control.ts";
import { loadEngine } from "../native/load.ts";
import { toNested } from "../tensor/nested.ts";
import { EVALUATION_FILE, follow, readTensors, SECRET_FILE, writeKeys } from "./model.ts";
import type { DecryptOptions, EncryptOptions, KeygenOptions, RunOptions } from "./options.ts";
import { outputsJson, outputsText, writeBytes, writeJson } from "./output.ts";
import { createProgress } from "./progress.ts";
import { readBytes } from "./read-array.ts";

/** Makes a secret key and evaluation keys. An existing secret key is never overwritten. */
export async function keygen(options: KeygenOptions): Promise<void> {
  const engine = loadEngine();
  const secret = join(options.output, SECRET_FILE);
  if (existsSync(secret)) {
    const message = "there is a secret key here already; choose another folder or delete it first";
    throw new SottoError("BAD_ARGUMENT", secret, message);
  }
  const client = Client.load(await readBytes(options.client), engine);
  client.generateKey();
  const progress = createProgress();
  try {
    const control = {
      signal: options.signal,
      threads: options.threads ?? 0,
      onProgress: follow(progress, "key generation"),
    };
    const evaluation = await withControl(engine, control, (native) =>
      client.evaluationKeys(native),
    );
    await writeKeys(options.output, client.saveKey(), evaluation);
  } finally {
    progress.stop();
  }
}

/** Encrypts one row of float inputs. */
export async function encrypt(options: EncryptOptions): Promise<void> {
  const client = await loadClient(options.client, options.keys);
  const codes = client.quantize(await readTensors(options.input));
  const row = splitRows(codes)[options.row];
  if (row === undefined) {
    const message = `expected a row from 0 to ${(codes[0]?.shape[0] ?? 0) - 1}, got ${options.row}`;
    throw new SottoError("BAD_ARGUMENT", "--row", message);
  }
  const clear = client.spec.inputs.filter(({ isEncrypted }) => !isEncrypted);
  if (clear.length > 0) {
    const names = clear.map(({ name }) => name).join(", ");
    process.stderr.write(`note: the client spec declares ${names} clear: the server will see it\n`);
  }
  await writeBytes(options.output, client.encrypt(row));
}

/** Computes on encrypted inputs. */
export async function run(options: RunOptions): Promise<void> {
  const { signal, threads = 0 } = options;
  const server = new Server(await readBytes(options.server), loadEngine());
  await loadEvaluationKeys(server, options);
  const inputs = await readBytes(options.inputs);
  const progress = createProgress();
  try {
    const onProgress = follow(progress, "encrypted run");
    await writeBytes(options.output, await server.run(inputs, { signal, threads, onProgress }));
  } finally {
    progress.stop();
  }
}

/** A program without lookups runs without keys. */
async function loadEvaluationKeys(
  server: Server,
  { keys, signal, threads = 0 }: RunOptions,
): Promise<void> {
  if (keys === undefined) {
    if (!server.needsKeys) return;
    const message =
      "expected evaluation keys for a program with lookups; give their file or folder";
    throw new SottoError("BAD_ARGUMENT", "--keys", message);
  }
  const isFolder = existsSync(keys) && statSync(keys).isDirectory();
  const path = isFolder ? join(keys, EVALUATION_FILE) : keys;
  await server.loadKeys(await readBytes(path), { signal, threads });
}

/** Decrypts an answer and prints its numbers, or writes them as JSON. */
export async function decrypt(options: DecryptOptions): Promise<void> {
  const client = await loadClient(options.client, options.keys);
  const codes = client.decrypt(await readBytes(options.outputs));
  const outputs = client.dequantize(codes);
  if (options.json === undefined) {
    process.stdout.write(`${outputsText(client.spec.after.outputs, outputs)}\n`);
    return;
  }
  await writeJson(options.json, {
    outputs: outputsJson(client.spec.after.outputs, outputs),
    quantizedOutputs: codes.map(toNested),
  });
}

async function loadClient(path: string, keys: string): Promise<Client> {
  const client = Client.load(await readBytes(path), loadEngine());
  client.loadKey(await readBytes(join(keys, SECRET_FILE)));
  return client;
}
