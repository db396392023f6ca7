/**
 * The client as applications use it, in browsers and Node.js alike: floats in, ciphertexts out, and back. Every call is
 * asynchronous, since the work is done on other threads. Safe in browsers.
 * @module
 */
import { SottoError, checkKeys } from "../errors.ts";
import { type ClientSpec, decodeClientSpec } from "../format/client-spec.ts";
import { type TensorOrList, oneOrAll, tensorsOf } from "../tensor/list.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { ClientAssets } from "./platform.ts";
import { isProtectedKey, protectKey, unprotectKey } from "./protected-key.ts";

export interface ClientOptions {
  /** `native` in Node.js, `wasm` in Node.js and browsers; default `auto`: native where it is built, else wasm. */
  readonly engine?: "auto" | "native" | "wasm";
  /** Threads, or workers, that make evaluation keys. Default: one for each core, in browsers at most 8. */
  readonly threads?: number;
  /** Where a page's files are; only for pages whose bundler moves them. */
  readonly assets?: ClientAssets;
}

/** Options of key generation. */
export interface KeygenOptions {
  /** Aborting it ends the call with CANCELLED; keys that were there before stay. */
  readonly signal?: AbortSignal;
  /** Called with the finished and the total units of work. */
  readonly onProgress?: (done: number, total: number) => void;
}

export interface KeyOptions {
  /** Encrypts the secret key's bytes; there is no way back without it. */
  readonly passphrase?: string;
}

/** Where the secret key and the engine live; bytes are blobs of docs/format.md. */
export interface ClientHost {
  /** A new secret key, which is not used yet. */
  makeKey(): Promise<Uint8Array>;
  /** Uses a secret key and returns its id. Throws BAD_BYTES or WRONG_PARAMETERS. */
  useKey(bytes: Uint8Array): Promise<Uint8Array>;
  keyBytes(): Promise<Uint8Array>;
  evaluationKeys(secretKey: Uint8Array, options: KeygenOptions): Promise<Uint8Array>;
  encrypt(rows: readonly Tensor[]): Promise<Uint8Array>;
  decrypt(outputs: Uint8Array): Promise<Tensor[]>;
  close(): void;
}

/** A client of one model. The entries of `sotto/client` make it with `Client.load`. */
export class AsyncClient {
  /** Inputs, outputs and parameters of the model. */
  readonly spec: ClientSpec;
  readonly #host: ClientHost;
  #keyId: Uint8Array | null = null;

  protected constructor(spec: Uint8Array, host: ClientHost) {
    this.spec = decodeClientSpec(spec);
    this.#host = host;
  }

  /** The id that ciphertexts and evaluation keys carry, 16 bytes; null before there is a key. */
  get keyId(): Uint8Array | null {
    return this.#keyId;
  }

  /**
   * Makes a new secret key, which stays here, and the evaluation keys for the server, which are returned.
   * Throws CANCELLED; then keys that were there before stay.
   */
  async keygen(options: KeygenOptions = {}): Promise<Uint8Array> {
    checkKeys(options, ["signal", "onProgress"]);
    throwIfAborted(options.signal);
    const secretKey = await this.#host.makeKey();
    try {
      const keys = await this.#host.evaluationKeys(secretKey, options);
      throwIfAborted(options.signal);
      this.#keyId = await this.#host.useKey(secretKey);
      return keys;
    } finally {
      secretKey.fill(0);
    }
  }

  /** Makes evaluation keys for the present secret key again, for a server that does not have them. Throws CANCELLED. */
  async evaluationKeys(options: KeygenOptions = {}): Promise<Uint8Array> {
    checkKeys(options, ["signal", "onProgress"]);
    throwIfAborted(options.signal);
    const secretKey = await this.#host.keyBytes();
    try {
      return await this.#host.evaluationKeys(secretKey, options);
    } finally {
      secretKey.fill(0);
    }
  }

  /**
   * Quantizes and encrypts one row: nested lists or a tensor, or a list of tensors for several inputs.
   * Throws BAD_DTYPE, BAD_SHAPE or BAD_VALUE, and BAD_ARGUMENT without a key.
   */
  async encrypt(x: TensorOrList): Promise<Uint8Array> {
    return this.#host.encrypt(tensorsOf(x, "input"));
  }

  /**
   * Decrypts an answer to floats: a tensor, or a list where the model has several outputs.
   * Throws BAD_BYTES, WRONG_KEY, WRONG_MODEL or WRONG_PARAMETERS, and BAD_ARGUMENT without a key.
   */
  async decrypt<T extends Tensor | readonly Tensor[] = Tensor>(outputs: Uint8Array): Promise<T> {
    return oneOrAll<T>(await this.#host.decrypt(outputs));
  }

  /** The secret key's bytes, encrypted if there is a passphrase. Without one: whoever has them reads everything. */
  async saveKey(options: KeyOptions = {}): Promise<Uint8Array> {
    checkKeys(options, ["passphrase"]);
    const secretKey = await this.#host.keyBytes();
    if (options.passphrase === undefined) return secretKey;
    try {
      return await protectKey(secretKey, options.passphrase);
    } finally {
      secretKey.fill(0);
    }
  }

  /** Uses a saved key. Throws BAD_BYTES, WRONG_PARAMETERS, and WRONG_KEY where the passphrase is not the right one. */
  async loadKey(bytes: Uint8Array, options: KeyOptions = {}): Promise<void> {
    checkKeys(options, ["passphrase"]);
    if (!isProtectedKey(bytes)) {
      this.#keyId = await this.#host.useKey(bytes);
      return;
    }
    const secretKey = await unprotectKey(bytes, options.passphrase);
    try {
      this.#keyId = await this.#host.useKey(secretKey);
    } finally {
      secretKey.fill(0);
    }
  }

  /** Ends the client's workers; the secret key is gone with them. */
  close(): void {
    this.#keyId = null;
    this.#host.close();
  }
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) {
    throw new SottoError("CANCELLED", "key generation", "the call was cancelled");
  }
}
