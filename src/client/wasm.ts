/**
 * The client's half of the engine in WebAssembly (crates/web), behind the interface of the native one. Safe in browsers.
 * Calls block: a page makes them in a worker.
 * @module
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { type ErrorCode, SottoError } from "../errors.ts";
import { encodeBlob, noId } from "../format/blob.ts";
import type { NativeClientKey, NativeControl } from "../native/binding.ts";
import type { ClientEngine } from "./client.ts";

/** A secret key whose evaluation keys can be made in pieces, each by another worker. */
export interface WasmClientKey extends NativeClientKey {
  /** Number of pieces. */
  readonly pieces: number;
  /** One piece of the payload. Throws BAD_ARGUMENT. */
  piece(index: number): Uint8Array;
  /** Wipes the key. */
  close(): void;
}

/** A client's engine whose keys are made in pieces. */
export interface WasmEngine extends ClientEngine {
  generateClientKey(parameters: Uint8Array, seed?: Uint8Array): WasmClientKey;
  loadClientKey(bytes: Uint8Array, parameters: Uint8Array): WasmClientKey;
}

/** Largest piece that `crypto.getRandomValues` fills at once. */
const MAX_RANDOM = 65_536;

/** An engine of its own, with its own memory. */
export function createWasmEngine(module: WebAssembly.Module): WasmEngine {
  const calls = new Calls(module);
  return {
    newControl: () => new CountingControl(),
    generateClientKey: (parameters, seed) => {
      const args = seed === undefined ? [parameters] : [parameters, seed];
      return createKey(calls, calls.call("generate_client_key", [], args).number, parameters);
    },
    loadClientKey: (bytes, parameters) => {
      const { number } = calls.call("load_client_key", [], [bytes, parameters]);
      return createKey(calls, number, parameters);
    },
  };
}

/** Seals pieces as the blob that goes to a server (docs/format.md, kind 4). */
export function sealEvaluationKeys(
  parameters: Uint8Array,
  keyId: Uint8Array,
  pieces: readonly Uint8Array[],
): Uint8Array {
  const header = {
    kind: "evaluationKeys",
    parametersDigest: sha256(parameters),
    keyId,
    modelId: noId(),
  } as const;
  return encodeBlob(header, concatenate([parameters, ...pieces]));
}

function createKey(calls: Calls, key: number, parameters: Uint8Array): WasmClientKey {
  const keyId = calls.bytes("key_id", [key]);
  const pieces = calls.call("evaluation_key_pieces", [key]).number;
  const piece = (index: number): Uint8Array => calls.bytes("evaluation_key_piece", [key, index]);
  return {
    keyId,
    pieces,
    piece,
    toBytes: () => calls.bytes("key_to_bytes", [key]),
    evaluationKeysSync: (control) => {
      const made = Array.from({ length: pieces }, (_, i) =>
        counted(control, pieces, () => piece(i)),
      );
      return sealEvaluationKeys(parameters, keyId, made);
    },
    evaluationKeys: async (control) => {
      const made: Uint8Array[] = [];
      for (let i = 0; i < pieces; i++) {
        made.push(counted(control, pieces, () => piece(i)));
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
      return sealEvaluationKeys(parameters, keyId, made);
    },
    encrypt: (modelId, plaintexts, clear = []) => {
      const flags = Uint8Array.from(plaintexts, (_, i) => (clear.includes(i) ? 1 : 0));
      return calls.bytes("encrypt", [key], [modelId, flags, ...plaintexts.map(bytesOfWords)]);
    },
    decrypt: (modelId, outputs) =>
      calls.call("decrypt", [key], [modelId, outputs]).results.map(wordsOfBytes),
    close: () => {
      calls.invoke("drop_client_key", key);
    },
  };
}

interface Answer {
  readonly number: number;
  readonly results: readonly Uint8Array<ArrayBuffer>[];
}

/** One instance of the module: arguments and results are copied into and out of its memory. */
class Calls {
  readonly #exports: WebAssembly.Exports;
  readonly #memory: WebAssembly.Memory;

  constructor(module: WebAssembly.Module) {
    const random = (pointer: number, length: number): number => {
      const bytes = this.#at(pointer, length);
      for (let start = 0; start < length; start += MAX_RANDOM) {
        crypto.getRandomValues(bytes.subarray(start, start + MAX_RANDOM));
      }
      return 0;
    };
    this.#exports = new WebAssembly.Instance(module, { sotto: { random } }).exports;
    const { memory } = this.#exports;
    if (!(memory instanceof WebAssembly.Memory)) throw stranger("memory");
    this.#memory = memory;
  }

  /** Runs a call with numbers and bytes. Throws what the engine says. */
  call(name: string, numbers: readonly number[], args: readonly Uint8Array[] = []): Answer {
    for (const bytes of args) {
      this.#at(this.invoke("argument", bytes.length), bytes.length).set(bytes);
    }
    const number = this.invoke(name, ...numbers);
    const results = Array.from({ length: this.invoke("result_count") }, (_, i) =>
      this.#at(this.invoke("result_pointer", i), this.invoke("result_length", i)).slice(),
    );
    if (number < 0) throw toError(new TextDecoder().decode(results[0]));
    return { number, results };
  }

  /** The only result of a call. */
  bytes(name: string, numbers: readonly number[], args: readonly Uint8Array[] = []): Uint8Array {
    return this.call(name, numbers, args).results[0];
  }

  /** The module checks what comes from outside, so a trap is our bug, or memory that ran out. */
  invoke(name: string, ...numbers: number[]): number {
    const exported = this.#exports[name];
    if (typeof exported !== "function") throw stranger(name);
    try {
      return Number(exported(...numbers));
    } catch (error) {
      const text = error instanceof Error ? error.message : "trap";
      throw new Error(`internal: engine: ${text}`, { cause: error });
    }
  }

  /** Memory moves when it grows, so this is valid until the next call. Addresses arrive as signed numbers. */
  #at(pointer: number, length: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#memory.buffer, pointer >>> 0, length);
  }
}

function stranger(name: string): SottoError {
  return new SottoError(
    "NATIVE_MISSING",
    "engine",
    `the WebAssembly module has no ${name}; is it sotto.wasm of this version?`,
  );
}

const CODES = new Set<string>([
  "BAD_ARGUMENT",
  "BAD_BYTES",
  "WRONG_KEY",
  "WRONG_MODEL",
  "WRONG_PARAMETERS",
] satisfies ErrorCode[]);

function toError(told: string): Error {
  const [code, where, ...text] = told.split("|");
  if (isEngineCode(code)) return new SottoError(code, where, text.join("|"));
  return new Error(`internal: engine: ${told}`);
}

function isEngineCode(code: string): code is ErrorCode {
  return CODES.has(code);
}

/** Progress and cancellation between pieces. */
class CountingControl implements NativeControl {
  #done = 0;
  #total = 0;
  #isCancelled = false;

  done(): number {
    return this.#done;
  }

  total(): number {
    return this.#total;
  }

  instructionNanoseconds(): Float64Array {
    return new Float64Array();
  }

  cancel(): void {
    this.#isCancelled = true;
  }

  /** Counts one unit of `total` as done. */
  count(total: number): void {
    this.#total = total;
    this.#done++;
  }

  check(): void {
    if (this.#isCancelled) {
      throw new SottoError("CANCELLED", "evaluation keys", "cancelled by the caller");
    }
  }
}

function counted<T>(control: NativeControl, total: number, work: () => T): T {
  if (!(control instanceof CountingControl)) return work();
  control.check();
  const result = work();
  control.count(total);
  return result;
}

function bytesOfWords(words: BigUint64Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}

/** Every platform of WebAssembly in use is little-endian, as the module is. */
function wordsOfBytes(bytes: Uint8Array<ArrayBuffer>): BigUint64Array {
  return new BigUint64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8);
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}
