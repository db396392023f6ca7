/**
 * A server that runs `sotto serve`, seen from a client: upload evaluation keys, submit encrypted inputs, follow the work,
 * fetch what came out. Only ciphertexts and evaluation keys pass through here. Uses `fetch` alone: safe in browsers.
 *
 *     const remote = new RemoteServer({ url: "https://example.org", token });
 *     const client = Client.load(await remote.clientSpec("digits"), engine);
 *     …
 *     await remote.uploadKeys(evaluationKeys);
 *     const outputs = await remote.run("digits", client.encrypt(codes));
 * @module
 */
import { SottoError } from "../errors.ts";
import { decodeHeader, toHex } from "../format/blob.ts";
import { toError, unreachable } from "./remote-errors.ts";
import { readEvents } from "./remote-events.ts";
import type { JobInfo, KeyInfo, ModelInfo } from "./remote-types.ts";

export interface RemoteServerOptions {
  /** Where the server is, such as `https://example.org`; a path in front of `/v1` is kept. */
  readonly url: string;
  /** Bearer token of the tenant; not needed by a server without `--tokens`. */
  readonly token?: string;
  /** Default: the global `fetch`. */
  readonly fetch?: typeof fetch;
  /** How often a request is tried again that met no server, a busy one or one that restarts; default 6. */
  readonly retries?: number;
}

export interface RemoteOptions {
  /** Aborting it ends the call with CANCELLED. A submitted job goes on; `deleteJob` stops it. */
  readonly signal?: AbortSignal;
}

export interface UploadOptions extends RemoteOptions {
  /** Bytes of one request; default 4 MiB. A broken connection costs at most one piece. */
  readonly pieceBytes?: number;
  /** Bytes that the server has, and in all. */
  readonly onProgress?: (sent: number, total: number) => void;
}

export interface SubmitOptions extends RemoteOptions {
  /** The same key gives the same job, however often it is sent; default: a random one for each call. */
  readonly idempotencyKey?: string;
}

export interface FollowOptions extends RemoteOptions {
  /** Called with each news of the job. */
  readonly onProgress?: (job: JobInfo) => void;
}

interface Call {
  readonly method?: "GET" | "POST" | "PATCH" | "DELETE";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array<ArrayBuffer> | string;
  readonly signal?: AbortSignal | undefined;
}

const PIECE_BYTES = 4 << 20;
const RETRIES = 6;
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 8000;
const RETRIED_STATUS: ReadonlySet<number> = new Set([408, 429, 502, 503, 504]);

/** A server behind an address. Throws what the server answers as SottoError, and UNAVAILABLE where nothing answers. */
export class RemoteServer {
  readonly #base: string;
  readonly #token: string | undefined;
  readonly #fetch: typeof fetch;
  readonly #retries: number;

  constructor({ url, token, fetch = globalThis.fetch, retries = RETRIES }: RemoteServerOptions) {
    if (!/^https?:\/\//.test(url) || !URL.canParse(url)) {
      throw new SottoError(
        "BAD_ARGUMENT",
        "url",
        "expected an address that starts with http(s)://",
      );
    }
    this.#base = `${url.replace(/\/+$/, "")}/v1`;
    this.#token = token;
    this.#fetch = (input, init) => fetch(input, init);
    this.#retries = retries;
  }

  /** The models that the server runs. */
  async models({ signal }: RemoteOptions = {}): Promise<ModelInfo[]> {
    const answer = await this.#json<{ models: ModelInfo[] }>("/models", { signal });
    return answer.models;
  }

  /** `client.sotto` of a model, for `Client.load`. */
  clientSpec(model: string, { signal }: RemoteOptions = {}): Promise<Uint8Array> {
    return this.#bytes(`/models/${encodeURIComponent(model)}/client.sotto`, { signal });
  }

  /** This tenant's evaluation keys. */
  async keys({ signal }: RemoteOptions = {}): Promise<KeyInfo[]> {
    const answer = await this.#json<{ keys: KeyInfo[] }>("/keys", { signal });
    return answer.keys;
  }

  /** Evaluation keys by `client.keyId`, as bytes or in hexadecimal; null where the server has none. */
  async key(keyId: Uint8Array | string, { signal }: RemoteOptions = {}): Promise<KeyInfo | null> {
    try {
      return await this.#json<KeyInfo>(`/keys/${hexOf(keyId)}`, { signal });
    } catch (error) {
      if (error instanceof SottoError && error.code === "NOT_FOUND") return null;
      throw error;
    }
  }

  /** Uploads evaluation keys in pieces. What is there already is not sent again: call it again after a failure. */
  async uploadKeys(bytes: Uint8Array, options: UploadOptions = {}): Promise<KeyInfo> {
    const { pieceBytes = PIECE_BYTES, onProgress, signal } = options;
    const { keyId, parametersDigest } = decodeHeader(bytes, "evaluationKeys");
    const announced = {
      keyId: toHex(keyId),
      digest: toHex(bytes.slice(-32)),
      parametersDigest: toHex(parametersDigest),
      bytes: bytes.length,
    };
    const announce = (): Promise<KeyInfo> =>
      this.#json<KeyInfo>("/keys", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(announced),
        signal,
      });
    let key = await announce();
    let failures = 0;
    onProgress?.(key.offset, key.bytes);
    while (!key.complete) {
      const piece = bytes.slice(key.offset, key.offset + pieceBytes);
      try {
        key = await this.#json<KeyInfo>(`/keys/${key.keyId}?offset=${key.offset}`, {
          method: "PATCH",
          headers: { "content-type": "application/octet-stream" },
          body: piece,
          signal,
        });
        failures = 0;
      } catch (error) {
        // The piece may have arrived, whole or in part, before the answer was lost: the server knows.
        if (!isOutOfStep(error) || ++failures > this.#retries) throw error;
        key = await announce();
      }
      onProgress?.(key.offset, key.bytes);
    }
    return key;
  }

  /** Deletes evaluation keys. Throws CONFLICT while a job needs them. */
  async deleteKeys(keyId: Uint8Array | string, { signal }: RemoteOptions = {}): Promise<void> {
    await this.#send(`/keys/${hexOf(keyId)}`, { method: "DELETE", signal });
  }

  /** Hands in encrypted inputs. The job that comes back is on the server's disk: it will be done, once. */
  submit(model: string, inputs: Uint8Array, options: SubmitOptions = {}): Promise<JobInfo> {
    // `randomUUID` is missing in pages that come over HTTP from another machine.
    const { idempotencyKey = toHex(crypto.getRandomValues(new Uint8Array(16))), signal } = options;
    return this.#json<JobInfo>(`/models/${encodeURIComponent(model)}/jobs`, {
      method: "POST",
      headers: {
        "content-type": "application/octet-stream",
        "idempotency-key": idempotencyKey,
      },
      body: inputs.slice(),
      signal,
    });
  }

  /** This tenant's jobs, in the order in which they were accepted. */
  async jobs({ signal }: RemoteOptions = {}): Promise<JobInfo[]> {
    const answer = await this.#json<{ jobs: JobInfo[] }>("/jobs", { signal });
    return answer.jobs;
  }

  /** How a job stands. */
  job(id: string, { signal }: RemoteOptions = {}): Promise<JobInfo> {
    return this.#json<JobInfo>(`/jobs/${encodeURIComponent(id)}`, { signal });
  }

  /** Waits until a job is done or failed; a broken connection is made anew. */
  async follow(id: string, { signal, onProgress }: FollowOptions = {}): Promise<JobInfo> {
    let failures = 0;
    for (;;) {
      const response = await this.#send(`/jobs/${encodeURIComponent(id)}/events`, { signal });
      try {
        for await (const event of readEvents(response)) {
          const job = JSON.parse(event) as JobInfo;
          failures = 0;
          onProgress?.(job);
          if (job.state === "done" || job.state === "failed") return job;
        }
      } catch (error) {
        if (isAborted(signal)) throw cancelled();
        if (failures >= this.#retries) throw unreachable(this.#base, error);
      }
      await wait(Math.min(FIRST_WAIT_MS * 2 ** failures++, LONGEST_WAIT_MS), signal);
    }
  }

  /** What a finished job gave: encrypted outputs. Throws CONFLICT before that, and the job's error where it failed. */
  result(id: string, { signal }: RemoteOptions = {}): Promise<Uint8Array> {
    return this.#bytes(`/jobs/${encodeURIComponent(id)}/result`, { signal });
  }

  /** Deletes a job and its result; stops it where it is not done. */
  async deleteJob(id: string, { signal }: RemoteOptions = {}): Promise<void> {
    await this.#send(`/jobs/${encodeURIComponent(id)}`, { method: "DELETE", signal });
  }

  /** Submits, follows and fetches: encrypted inputs in, encrypted outputs out. */
  async run(
    model: string,
    inputs: Uint8Array,
    options: SubmitOptions & FollowOptions = {},
  ): Promise<Uint8Array> {
    const { id } = await this.submit(model, inputs, options);
    await this.follow(id, options);
    return this.result(id, options);
  }

  async #json<T>(path: string, call: Call): Promise<T> {
    const response = await this.#send(path, call);
    return (await this.#body(() => response.json(), call)) as T;
  }

  async #bytes(path: string, call: Call): Promise<Uint8Array> {
    const response = await this.#send(path, call);
    return new Uint8Array(await this.#body(() => response.arrayBuffer(), call));
  }

  async #body<T>(read: () => Promise<T>, { signal }: Call): Promise<T> {
    try {
      return await read();
    } catch (error) {
      throw isAborted(signal) ? cancelled() : unreachable(this.#base, error);
    }
  }

  /** Every request may be repeated: the server knows pieces by their offset and jobs by their idempotency key. */
  async #send(path: string, call: Call): Promise<Response> {
    for (let attempt = 0; ; attempt++) {
      const isLast = attempt >= this.#retries;
      const response = await this.#attempt(path, call, isLast);
      if (response?.ok === true) return response;
      if (response !== null && (isLast || !RETRIED_STATUS.has(response.status))) {
        throw await toError(response);
      }
      const asked = Number(response?.headers.get("retry-after") ?? 0) * 1000;
      const backoff = FIRST_WAIT_MS * 2 ** attempt;
      await wait(Math.min(Math.max(asked, backoff), LONGEST_WAIT_MS), call.signal);
    }
  }

  async #attempt(path: string, call: Call, isLast: boolean): Promise<Response | null> {
    const { method = "GET", headers = {}, body, signal } = call;
    if (isAborted(signal)) throw cancelled();
    const authorization =
      this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` };
    try {
      return await this.#fetch(this.#base + path, {
        method,
        headers: { ...headers, ...authorization },
        ...(body === undefined ? {} : { body }),
        ...(signal === undefined ? {} : { signal }),
      });
    } catch (error) {
      if (isAborted(signal)) throw cancelled();
      // A piece is not sent again before the server was asked how much of it arrived.
      if (isLast || method === "PATCH") throw unreachable(this.#base, error);
      return null;
    }
  }
}

function isOutOfStep(error: unknown): boolean {
  return error instanceof SottoError && (error.code === "UNAVAILABLE" || error.code === "CONFLICT");
}

/** A call, so that a signal that fired meanwhile is read anew. */
function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted ?? false;
}

function cancelled(): SottoError {
  return new SottoError("CANCELLED", "server", "the call was cancelled");
}

function hexOf(id: Uint8Array | string): string {
  return encodeURIComponent(typeof id === "string" ? id : toHex(id));
}

function wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(cancelled());
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    if (isAborted(signal)) onAbort();
    else signal?.addEventListener("abort", onAbort, { once: true });
  });
}
