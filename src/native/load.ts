/**
 * Loads the native engine. The only file that touches the native module: it gives the module its types
 * and turns its errors, which arrive as "CODE|where|text", into SottoError.
 * @module
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { type ErrorCode, SottoError } from "../errors.ts";
import type { NativeBinding, NativeClientKey } from "./binding.ts";

/** Both `src/native` and `dist/native` are two folders below the package root. */
const LIBRARY = fileURLToPath(new URL("../../native/sotto.node", import.meta.url));

let engine: NativeBinding | undefined;

/** The native engine, loaded at the first call. Throws NATIVE_MISSING when it is not built or does not fit. */
export function loadEngine(): NativeBinding {
  engine ??= wrapBinding(requireLibrary());
  return engine;
}

/** Names the build of the engine: what was measured with one says nothing of another. Throws NATIVE_MISSING. */
export function engineFingerprint(): string {
  loadEngine();
  return createHash("sha256").update(readFileSync(LIBRARY)).digest("hex");
}

function requireLibrary(): NativeBinding {
  try {
    return createRequire(import.meta.url)(LIBRARY) as NativeBinding;
  } catch (error) {
    throw new SottoError(
      "NATIVE_MISSING",
      "engine",
      "cannot load native/sotto.node; install Rust (https://rustup.rs), then run `npm run setup` in the package's " +
        `folder. Clear and simulated execution work without it. (${messageOf(error).split("\n")[0]})`,
    );
  }
}

function wrapBinding(raw: NativeBinding): NativeBinding {
  return {
    version: () => raw.version(),
    newControl: (threads) => raw.newControl(threads),
    generateClientKey: (parameters, seed) =>
      wrapClientKey(translate(() => raw.generateClientKey(parameters, seed))),
    loadClientKey: (bytes, parameters) =>
      wrapClientKey(translate(() => raw.loadClientKey(bytes, parameters))),
    loadServerKey: (bytes, parameters, control) =>
      translateLater(() => raw.loadServerKey(bytes, parameters, control)),
    loadServerKeySync: (bytes, parameters, control) =>
      translate(() => raw.loadServerKeySync(bytes, parameters, control)),
    parseProgram: (bytes) => translate(() => raw.parseProgram(bytes)),
    run: (program, key, inputs, control) =>
      translateLater(() => raw.run(program, key, inputs, control)),
    runSync: (program, key, inputs, control) =>
      translate(() => raw.runSync(program, key, inputs, control)),
    timeRawLookup: (parameters, extensionLog, iterations) =>
      translate(() => raw.timeRawLookup(parameters, extensionLog, iterations)),
    timeLookups: (parameters, extensionLog, batch) =>
      translate(() => raw.timeLookups(parameters, extensionLog, batch)),
    measureNoise: (parameters, stage, weights, extensionLog, samples) =>
      translate(() => raw.measureNoise(parameters, stage, weights, extensionLog, samples)),
  };
}

function wrapClientKey(raw: NativeClientKey): NativeClientKey {
  return {
    keyId: raw.keyId,
    toBytes: () => translate(() => raw.toBytes()),
    evaluationKeys: (control) => translateLater(() => raw.evaluationKeys(control)),
    evaluationKeysSync: (control) => translate(() => raw.evaluationKeysSync(control)),
    encrypt: (modelId, plaintexts, clear = []) =>
      translate(() => raw.encrypt(modelId, plaintexts, clear)),
    decrypt: (modelId, outputs) => translate(() => raw.decrypt(modelId, outputs)),
  };
}

function translate<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw toSottoError(error);
  }
}

async function translateLater<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw toSottoError(error);
  }
}

const CODES: ReadonlySet<string> = new Set<ErrorCode>([
  "BAD_ARGUMENT",
  "BAD_BYTES",
  "CANCELLED",
  "WRONG_KEY",
  "WRONG_MODEL",
  "WRONG_PARAMETERS",
]);

function toSottoError(error: unknown): Error {
  const [code, where, ...text] = messageOf(error).split("|");
  if (isEngineCode(code)) return new SottoError(code, where, text.join("|"));
  return new Error(`internal: engine: ${messageOf(error)}`);
}

function isEngineCode(code: string): code is ErrorCode {
  return CODES.has(code);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
