/**
 * The server's side: a program and a client's evaluation keys, encrypted inputs in, encrypted outputs out.
 * Nothing here can hold a secret key.
 * @module
 */
import { SottoError } from "../errors.ts";
import type { NativeBinding, NativeProgram, NativeServerKey } from "../native/binding.ts";
import { peekPayload } from "../format/blob.ts";
import { type RunOptions, withControl } from "../native/control.ts";
import { PARAMETERS_BYTES } from "../parameters/encoding.ts";

/** Runs one program. */
export class Server {
  readonly #engine: NativeBinding;
  readonly #program: NativeProgram;
  readonly #parameters: Uint8Array;
  #key: NativeServerKey | null = null;

  /** Parses a program (`server.sotto`). Throws BAD_BYTES. */
  constructor(programBytes: Uint8Array, engine: NativeBinding) {
    this.#engine = engine;
    this.#program = engine.parseProgram(programBytes);
    this.#parameters = peekPayload(programBytes, PARAMETERS_BYTES); // a program starts with its parameters
  }

  /** 16 bytes that inputs must carry. */
  get modelId(): Uint8Array {
    return this.#program.modelId;
  }

  /** Lookups of one run. */
  get lookups(): number {
    return this.#program.lookups;
  }

  /** False for a program without lookups: it runs without evaluation keys. */
  get needsKeys(): boolean {
    return this.#program.needsKeys;
  }

  /** Expands evaluation keys for execution. Throws BAD_BYTES or WRONG_PARAMETERS. */
  async loadKeys(bytes: Uint8Array, options: RunOptions = {}): Promise<void> {
    this.#key = await this.expandKeys(bytes, options);
  }

  /** The same, for a caller who holds the keys of several clients and says with each run whose to use. */
  expandKeys(bytes: Uint8Array, options: RunOptions = {}): Promise<NativeServerKey> {
    return withControl(this.#engine, options, (control) =>
      this.#engine.loadServerKey(bytes, this.#parameters, control),
    );
  }

  /** The same, on this thread. */
  loadKeysSync(bytes: Uint8Array, threads = 0): void {
    this.#key = this.#engine.loadServerKeySync(
      bytes,
      this.#parameters,
      this.#engine.newControl(threads),
    );
  }

  /** Runs the program on encrypted inputs. Throws BAD_BYTES, WRONG_KEY, WRONG_MODEL or CANCELLED. */
  async run(inputs: Uint8Array, options: RunOptions = {}): Promise<Uint8Array> {
    return this.runWith(this.#requireKey(), inputs, options);
  }

  /** The same, with keys from `expandKeys`; null where none are needed. */
  runWith(
    key: NativeServerKey | null,
    inputs: Uint8Array,
    options: RunOptions = {},
  ): Promise<Uint8Array> {
    return withControl(this.#engine, options, (control) =>
      this.#engine.run(this.#program, key, inputs, control),
    );
  }

  /** The same, on this thread. */
  runSync(inputs: Uint8Array, threads = 0): Uint8Array {
    const control = this.#engine.newControl(threads);
    return this.#engine.runSync(this.#program, this.#requireKey(), inputs, control);
  }

  #requireKey(): NativeServerKey | null {
    if (this.#key || !this.needsKeys) return this.#key;
    throw new SottoError(
      "BAD_ARGUMENT",
      "server",
      "expected evaluation keys, got none; load them first",
    );
  }
}
