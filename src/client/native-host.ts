/**
 * A client on the native engine, which has threads of its own.
 * @module
 */
import { SottoError } from "../errors.ts";
import { decodeHeader } from "../format/blob.ts";
import { withControl } from "../native/control.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { ClientHost, KeygenOptions } from "./async-client.ts";
import { Client, type ClientEngine } from "./client.ts";

/** A client of one model on an engine whose long calls leave this thread free. */
export class NativeHost implements ClientHost {
  readonly #engine: ClientEngine;
  readonly #spec: Uint8Array;
  #client: Client | null;
  readonly #threads: number;

  constructor(spec: Uint8Array, engine: ClientEngine, threads: number) {
    this.#engine = engine;
    this.#spec = spec;
    this.#client = Client.load(spec, engine);
    this.#threads = threads;
  }

  async makeKey(): Promise<Uint8Array> {
    const client = Client.load(this.#spec, this.#engine);
    client.generateKey();
    return client.saveKey();
  }

  async useKey(bytes: Uint8Array): Promise<Uint8Array> {
    this.#open().loadKey(bytes);
    return decodeHeader(bytes, "secretKey").keyId;
  }

  async keyBytes(): Promise<Uint8Array> {
    return this.#open().saveKey();
  }

  evaluationKeys(secretKey: Uint8Array, options: KeygenOptions): Promise<Uint8Array> {
    const maker = Client.load(this.#spec, this.#engine);
    maker.loadKey(secretKey);
    return withControl(this.#engine, { ...options, threads: this.#threads }, (control) =>
      maker.evaluationKeys(control),
    );
  }

  async encrypt(rows: readonly Tensor[]): Promise<Uint8Array> {
    const client = this.#open();
    return client.encrypt(client.quantize(rows));
  }

  async decrypt(outputs: Uint8Array): Promise<Tensor[]> {
    const client = this.#open();
    return client.dequantize(client.decrypt(outputs));
  }

  /** The engine wipes the key once nobody holds it any more. */
  close(): void {
    this.#client = null;
  }

  #open(): Client {
    if (this.#client !== null) return this.#client;
    throw new SottoError("BAD_ARGUMENT", "client", "the client was closed");
  }
}
