/**
 * One page's dealings with one model on the server it came from: keys, requests, and a count of every byte.
 * @module
 */
import { Client, KeyStorage, RemoteServer } from "../../src/client/index.ts";
import type { ModelInfo, Tensor, TensorLike } from "../../src/client/index.ts";

/** Bytes of message bodies that left this page and that came in. */
export interface Traffic {
  readonly sent: number;
  readonly received: number;
}

/** One step of a request, with the milliseconds that it took. */
export interface Phase {
  readonly name: string;
  readonly ms: number;
}

export interface Prediction {
  readonly outputs: readonly Tensor[];
  /** What left the page, and what came back. */
  readonly request: Uint8Array;
  readonly response: Uint8Array;
  readonly phases: readonly Phase[];
}

export interface KeyWishes {
  /** Keep the secret key on this device. */
  readonly remember: boolean;
  readonly passphrase: string;
  readonly signal: AbortSignal;
  readonly onProgress: (stage: "making" | "sending", done: number, total: number) => void;
}

export type Restored = "ready" | "none" | "locked";

/** Handing a body to `fetch` copies it on this thread: 4 MiB block a busy machine for 0.4 s, this for some ms. */
const PIECE_BYTES = 512 << 10;

const ASSETS = {
  module: new URL("sotto.wasm", document.baseURI),
  worker: new URL("worker.js", document.baseURI),
};

/** The server that this page came from. A server with `--tokens` needs `#token=…` in the address. */
export class Connection {
  readonly remote: RemoteServer;
  #sent = 0;
  #received = 0;

  constructor() {
    const token = new URLSearchParams(location.hash.slice(1)).get("token");
    this.remote = new RemoteServer({
      url: new URL(".", document.baseURI).href.replace(/\/$/, ""),
      ...(token === null ? {} : { token }),
      fetch: (input, init) => this.#count(input, init),
    });
  }

  get traffic(): Traffic {
    return { sent: this.#sent, received: this.#received };
  }

  async #count(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
    const { body } = init ?? {};
    if (body instanceof Uint8Array) this.#sent += body.length;
    else if (typeof body === "string") this.#sent += new TextEncoder().encode(body).length;
    const response = await fetch(input, init);
    this.#received += Number(response.headers.get("content-length") ?? 0);
    return response;
  }
}

/** A client of one model and its server. */
export class Session {
  readonly client: Client;
  readonly model: ModelInfo;
  readonly #remote: RemoteServer;
  readonly #storage: KeyStorage | null;

  private constructor(
    client: Client,
    model: ModelInfo,
    remote: RemoteServer,
    storage: KeyStorage | null,
  ) {
    this.client = client;
    this.model = model;
    this.#remote = remote;
    this.#storage = storage;
  }

  static async open({ remote }: Connection, model: ModelInfo): Promise<Session> {
    const client = await Client.load(await remote.clientSpec(model.name), { assets: ASSETS });
    const storage = await KeyStorage.open().catch(() => null); // refused in some private windows
    return new Session(client, model, remote, storage);
  }

  /** Whether keys can be kept on this device. */
  get canRemember(): boolean {
    return this.#storage !== null;
  }

  /** Takes the key of an earlier visit, if there is one that the server knows too. */
  async restore(passphrase: string | null): Promise<Restored> {
    const saved = await this.#storage?.get(this.#name());
    if (!saved) return "none";
    try {
      await this.client.loadKey(saved, passphrase === null ? {} : { passphrase });
    } catch (error) {
      if (passphrase === null) return "locked";
      throw error;
    }
    const { keyId } = this.client;
    const known = keyId && (await this.#remote.key(keyId));
    return known?.complete ? "ready" : "none";
  }

  /** New keys: the secret one stays, the evaluation keys go to the server. */
  async makeKeys({ remember, passphrase, signal, onProgress }: KeyWishes): Promise<void> {
    const keys = await this.client.keygen({
      signal,
      onProgress: (done, total) => onProgress("making", done, total),
    });
    await this.#remote.uploadKeys(keys, {
      signal,
      pieceBytes: PIECE_BYTES,
      onProgress: (sent, total) => onProgress("sending", sent, total),
    });
    if (remember) {
      const saved = await this.client.saveKey(passphrase === "" ? {} : { passphrase });
      await this.#storage?.put(this.#name(), saved);
    } else {
      await this.#storage?.delete(this.#name());
    }
  }

  /** Forgets the key on this device, and the server its evaluation keys. */
  async forget(): Promise<void> {
    await this.#storage?.delete(this.#name());
    const { keyId } = this.client;
    if (keyId !== null) await this.#remote.deleteKeys(keyId);
  }

  /** Encrypts, sends, waits, fetches, decrypts. */
  async predict(
    x: TensorLike,
    {
      signal,
      onProgress,
    }: {
      readonly signal: AbortSignal;
      readonly onProgress: (done: number, total: number) => void;
    },
  ): Promise<Prediction> {
    const phases: Phase[] = [];
    const timed = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
      const start = performance.now();
      const result = await work();
      phases.push({ name, ms: performance.now() - start });
      return result;
    };
    const request = await timed("encrypt here", () => this.client.encrypt(x));
    const { id } = await timed("send", () =>
      this.#remote.submit(this.model.name, request, { signal }),
    );
    await timed("compute on the server", () =>
      this.#remote.follow(id, {
        signal,
        onProgress: ({ done, total }) => onProgress(done, total),
      }),
    );
    const response = await timed("fetch", () => this.#remote.result(id, { signal }));
    const decrypted = await timed("decrypt here", () =>
      this.client.decrypt<Tensor | Tensor[]>(response),
    );
    // Nobody fetches it twice.
    await this.#remote.deleteJob(id).catch(() => undefined);
    return {
      outputs: Array.isArray(decrypted) ? decrypted : [decrypted],
      request,
      response,
      phases,
    };
  }

  /** Keys fit all models with these parameters, so they are kept by them. */
  #name(): string {
    return this.model.parametersDigest;
  }
}
