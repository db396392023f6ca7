/**
 * A client that lives in a worker, so that the thread of a page stays free; evaluation keys are made by several workers,
 * which end with the work. Safe in browsers.
 * @module
 */
import { SottoError } from "../errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { ClientHost, KeygenOptions } from "./async-client.ts";
import type { ClientAssets, Platform, WorkerPort } from "./platform.ts";
import { type Answer, type WorkerCalls, errorOf } from "./worker-calls.ts";

interface Pending {
  readonly resolve: (result: never) => void;
  readonly reject: (error: Error) => void;
}

/** One worker and the calls that wait for it. */
class WorkerThread {
  readonly #port: WorkerPort;
  readonly #pending = new Map<number, Pending>();
  #failure: Error | null = null;
  #lastId = 0;

  constructor(platform: Platform, assets: ClientAssets) {
    this.#port = platform.startWorker(assets, {
      onAnswer: (answer) => this.#settle(answer),
      onFailure: (text) => this.end(new Error(`internal: worker: ${text}`)),
    });
  }

  /** Asks the worker; buffers in `transfer` are given away. */
  call<K extends keyof WorkerCalls>(
    call: K,
    args: Parameters<WorkerCalls[K]>,
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<ReturnType<WorkerCalls[K]>> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== null) {
        reject(this.#failure);
        return;
      }
      const id = ++this.#lastId;
      this.#pending.set(id, { resolve, reject });
      this.#port.keepAlive(true);
      this.#port.send({ id, call, args }, transfer);
    });
  }

  /** Ends the worker; calls that wait, and later ones, fail with `error`. */
  end(error: Error): void {
    this.#failure ??= error;
    this.#port.terminate();
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }

  #settle(answer: Answer): void {
    const pending = this.#pending.get(answer.id);
    this.#pending.delete(answer.id);
    if (this.#pending.size === 0) this.#port.keepAlive(false);
    if ("error" in answer) pending?.reject(errorOf(answer.error));
    else pending?.resolve(answer.result as never); // of the type that `call` promised
  }
}

/** Where the workers come from. */
export interface WorkerSource {
  readonly platform: Platform;
  readonly assets: ClientAssets;
  readonly module: WebAssembly.Module;
  readonly spec: Uint8Array;
  /** Workers that make evaluation keys. */
  readonly workers: number;
}

/** A client in a worker. */
export class WorkerHost implements ClientHost {
  readonly #source: WorkerSource;
  readonly #home: WorkerThread;

  private constructor(source: WorkerSource, home: WorkerThread) {
    this.#source = source;
    this.#home = home;
  }

  /** Throws BAD_BYTES when the spec is not one. */
  static async open(source: WorkerSource): Promise<WorkerHost> {
    return new WorkerHost(source, await openThread(source));
  }

  makeKey(): Promise<Uint8Array> {
    return this.#home.call("makeKey", []);
  }

  async useKey(bytes: Uint8Array): Promise<Uint8Array> {
    return (await this.#home.call("useKey", [bytes])).keyId;
  }

  keyBytes(): Promise<Uint8Array> {
    return this.#home.call("keyBytes", []);
  }

  encrypt(rows: readonly Tensor[]): Promise<Uint8Array> {
    return this.#home.call("encrypt", [rows]);
  }

  decrypt(outputs: Uint8Array): Promise<Tensor[]> {
    return this.#home.call("decrypt", [outputs]);
  }

  async evaluationKeys(
    secretKey: Uint8Array,
    { signal, onProgress }: KeygenOptions,
  ): Promise<Uint8Array> {
    const makers: WorkerThread[] = [];
    const stop = (error: Error): void => makers.forEach((maker) => maker.end(error));
    const cancel = (): void => stop(cancelled());
    signal?.addEventListener("abort", cancel, { once: true });
    try {
      const made: Uint8Array[] = [];
      let next = 0;
      let done = 0;
      const work = async (maker: WorkerThread): Promise<Uint8Array> => {
        await maker.call("open", [this.#source.spec, this.#source.module]);
        const { keyId, pieces } = await maker.call("useKey", [secretKey]);
        if (next === 0) onProgress?.(0, pieces);
        while (next < pieces) {
          const index = next++;
          made[index] = await maker.call("piece", [index]);
          onProgress?.(++done, pieces);
        }
        return keyId;
      };
      for (let i = 0; i < this.#source.workers; i++) makers.push(startThread(this.#source));
      if (signal?.aborted) cancel();
      const [keyId] = await Promise.all(makers.map(work));
      const buffers = made.flatMap(({ buffer }) => (buffer instanceof ArrayBuffer ? [buffer] : []));
      return await this.#home.call("seal", [keyId, made], buffers);
    } finally {
      signal?.removeEventListener("abort", cancel);
      stop(cancelled());
    }
  }

  close(): void {
    this.#home.end(new SottoError("BAD_ARGUMENT", "client", "the client was closed"));
  }
}

function startThread({ platform, assets }: WorkerSource): WorkerThread {
  return new WorkerThread(platform, assets);
}

async function openThread(source: WorkerSource): Promise<WorkerThread> {
  const thread = startThread(source);
  try {
    await thread.call("open", [source.spec, source.module]);
    return thread;
  } catch (error) {
    thread.end(new Error("internal: the worker did not open"));
    throw error;
  }
}

function cancelled(): SottoError {
  return new SottoError("CANCELLED", "key generation", "the call was cancelled");
}
