/**
 * What runs inside a worker: a client of one model on its own WebAssembly engine, asked by messages. Several workers with
 * the same secret key share the making of evaluation keys. Safe in browsers.
 * @module
 */
import { SottoError, type ErrorCode } from "../errors.ts";
import { encodeParameters } from "../parameters/encoding.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Client } from "./client.ts";
import {
  type WasmClientKey,
  type WasmEngine,
  createWasmEngine,
  sealEvaluationKeys,
} from "./wasm.ts";

/** A secret key's public facts. */
export interface KeyFacts {
  readonly keyId: Uint8Array;
  /** Pieces of its evaluation keys. */
  readonly pieces: number;
}

/** The calls; a page makes them with `WorkerThread.call`. */
export interface WorkerCalls {
  /** Must come first. Throws BAD_BYTES. */
  open(spec: Uint8Array, module: WebAssembly.Module): void;
  /** Bytes of a new secret key, which is not used yet. */
  makeKey(): Uint8Array;
  useKey(bytes: Uint8Array): KeyFacts;
  keyBytes(): Uint8Array;
  piece(index: number): Uint8Array;
  seal(keyId: Uint8Array, pieces: readonly Uint8Array[]): Uint8Array;
  encrypt(rows: readonly Tensor[]): Uint8Array;
  decrypt(outputs: Uint8Array): Tensor[];
}

export interface Request {
  readonly id: number;
  readonly call: keyof WorkerCalls;
  readonly args: readonly unknown[];
}

/** An error as a message; `code` is null for our own bugs. */
export interface ToldError {
  readonly code: ErrorCode | null;
  readonly where: string;
  readonly text: string;
}

export type Answer =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: ToldError };

/** Answers one request; `transfer` lists buffers that the answer may give away. */
export type AnswerRequest = (request: Request) => {
  readonly answer: Answer;
  readonly transfer: ArrayBuffer[];
};

/** The state of one worker and the function that answers its messages. */
export function createAnswerer(): AnswerRequest {
  const calls = createCalls();
  return ({ id, call, args }) => {
    try {
      // Types of arguments are those of WorkerThread.call, the only sender.
      const method = calls[call] as (...args: readonly unknown[]) => unknown;
      const result = method(...args);
      return { answer: { id, result }, transfer: result instanceof Uint8Array ? own(result) : [] };
    } catch (error) {
      return { answer: { id, error: tellError(error) }, transfer: [] };
    }
  };
}

function createCalls(): WorkerCalls {
  let opened: { readonly client: Client; readonly engine: WasmEngine } | undefined;
  let key: WasmClientKey | undefined;
  const requireOpen = (): NonNullable<typeof opened> => {
    if (opened === undefined) throw new Error("internal: the worker was not opened");
    return opened;
  };
  const requireKey = (): WasmClientKey => {
    if (key !== undefined) return key;
    throw new SottoError(
      "BAD_ARGUMENT",
      "client",
      "expected a key, got none; call keygen() or loadKey() first",
    );
  };
  return {
    open: (spec, module) => {
      const engine = createWasmEngine(module);
      const single: WasmEngine = {
        ...engine,
        loadClientKey: (bytes, parameters) => {
          const loaded = engine.loadClientKey(bytes, parameters);
          key?.close();
          key = loaded;
          return loaded;
        },
      };
      opened = { client: Client.load(spec, single), engine };
    },
    makeKey: () => {
      const { client, engine } = requireOpen();
      const made = engine.generateClientKey(encodeParameters(client.spec.parameters));
      const bytes = made.toBytes();
      made.close();
      return bytes;
    },
    useKey: (bytes) => {
      requireOpen().client.loadKey(bytes);
      const { keyId, pieces } = requireKey();
      return { keyId, pieces };
    },
    keyBytes: () => requireKey().toBytes(),
    piece: (index) => requireKey().piece(index),
    seal: (keyId, pieces) =>
      sealEvaluationKeys(encodeParameters(requireOpen().client.spec.parameters), keyId, pieces),
    encrypt: (rows) => {
      requireKey();
      const { client } = requireOpen();
      return client.encrypt(client.quantize(rows));
    },
    decrypt: (outputs) => {
      requireKey();
      const { client } = requireOpen();
      return client.dequantize(client.decrypt(outputs));
    },
  };
}

function own(bytes: Uint8Array): ArrayBuffer[] {
  return bytes.buffer instanceof ArrayBuffer ? [bytes.buffer] : [];
}

function tellError(error: unknown): ToldError {
  if (error instanceof SottoError) {
    const { code, where, message } = error;
    return { code, where, text: message.slice(`${code} at ${where}: `.length) };
  }
  return { code: null, where: "", text: error instanceof Error ? error.message : String(error) };
}

/** The error that a worker told. */
export function errorOf({ code, where, text }: ToldError): Error {
  return code === null ? new Error(text) : new SottoError(code, where, text);
}
