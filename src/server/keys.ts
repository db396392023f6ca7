/**
 * Evaluation keys on disk, `TENANT/keys/ID.sotto`; while they arrive, `ID.part`; beside either, `ID.json` with what was
 * announced. A key is immutable once it is complete.
 * @module
 */
import { createHash } from "node:crypto";
import { createReadStream, type Stats } from "node:fs";
import { type FileHandle, open, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import type { KeyInfo } from "../client/remote-types.ts";
import { SottoError } from "../errors.ts";
import { decodeHeader, toHex } from "../format/blob.ts";
import { brokenOff } from "./body.ts";
import {
  asStorageError,
  deleteDurably,
  makeFolder,
  moveDurably,
  readRecord,
  writeAt,
  writeDurably,
} from "./durable.ts";

/** What a client says before it sends keys. */
export type Announcement = Pick<KeyInfo, "keyId" | "digest" | "parametersDigest" | "bytes">;

interface Entry extends Announcement {
  offset: number;
  complete: boolean;
  /** When something last arrived, ms since 1970. */
  touchedAt: number;
  /** The piece that arrives now; a newer one takes over from it. */
  arriving: { readonly stream: Readable; readonly ended: Promise<unknown> } | null;
}

export interface KeyLimits {
  /** Exact bytes of evaluation keys by the digest of their parameters: those that some model here can use. */
  readonly sizes: ReadonlyMap<string, number>;
  /** Bytes that all keys of a tenant may take. */
  readonly maxBytesPerTenant: number;
}

const HEADER_BYTES = 80;
const DIGEST_BYTES = 32;
const FOLDER = "keys";

/** All tenants' keys. Every method names the tenant: nothing else reaches an entry. */
export class KeyStore {
  readonly #root: string;
  readonly #limits: KeyLimits;
  readonly #tenants = new Map<string, Map<string, Entry>>();
  /** Deletions under way, by tenant and key id: the same keys may come again at once. */
  readonly #leaving = new Map<string, Promise<void>>();

  private constructor(root: string, limits: KeyLimits) {
    this.#root = root;
    this.#limits = limits;
  }

  /** Reads what is on disk below `root`, a folder per tenant. */
  static async open(root: string, limits: KeyLimits): Promise<KeyStore> {
    const store = new KeyStore(root, limits);
    for (const tenant of await readdir(root)) await store.#load(tenant);
    return store;
  }

  /** Bytes that a tenant's keys take or will take. */
  storedBytes(tenant: string): number {
    let bytes = 0;
    for (const entry of this.#of(tenant).values()) bytes += entry.bytes;
    return bytes;
  }

  /** Bytes of all tenants' keys. */
  get totalBytes(): number {
    return [...this.#tenants.keys()].reduce((sum, tenant) => sum + this.storedBytes(tenant), 0);
  }

  list(tenant: string): KeyInfo[] {
    return [...this.#of(tenant).values()].map(infoOf);
  }

  get(tenant: string, keyId: string): KeyInfo | undefined {
    const entry = this.#of(tenant).get(keyId);
    return entry && infoOf(entry);
  }

  /** Begins an upload, or finds the one that is there. Throws CONFLICT, WRONG_PARAMETERS, BAD_BYTES or LIMIT_EXCEEDED. */
  async announce(tenant: string, announcement: Announcement): Promise<KeyInfo> {
    const { keyId, digest, parametersDigest, bytes } = announcement;
    await this.#leaving.get(`${tenant}/${keyId}`);
    const held = this.#of(tenant).get(keyId);
    if (held?.digest === digest && held.bytes === bytes) return infoOf(held);
    if (held !== undefined) {
      throw new SottoError(
        "CONFLICT",
        "keyId",
        "there are other evaluation keys with this key id; delete them first",
      );
    }
    const expected = this.#limits.sizes.get(parametersDigest);
    if (expected === undefined) {
      throw new SottoError(
        "WRONG_PARAMETERS",
        "parametersDigest",
        "expected keys for the parameters of a model of this server; fetch its client spec again",
      );
    }
    if (bytes !== expected) {
      throw new SottoError(
        "BAD_BYTES",
        "bytes",
        `expected ${expected} for these parameters, got ${bytes}`,
      );
    }
    const { maxBytesPerTenant } = this.#limits;
    if (this.storedBytes(tenant) + bytes > maxBytesPerTenant) {
      throw new SottoError(
        "LIMIT_EXCEEDED",
        "keys",
        `expected at most ${maxBytesPerTenant} bytes of evaluation keys; delete some that you do not need`,
      );
    }
    const now = Date.now();
    const entry = { ...announcement, offset: 0, complete: false, touchedAt: now, arriving: null };
    this.#of(tenant).set(keyId, entry); // at once: the quota counts it from here on
    try {
      await makeFolder(this.#folder(tenant));
      await writeDurably(
        this.#path(tenant, keyId, "json"),
        JSON.stringify({ keyId, digest, parametersDigest, bytes }),
      );
    } catch (error) {
      this.#of(tenant).delete(keyId);
      throw error;
    }
    return infoOf(entry);
  }

  /**
   * Appends what a stream brings, from `offset` on. What has arrived stays when the stream breaks. The last byte completes
   * the keys: they are checked then. Throws NOT_FOUND, CONFLICT (another offset) or BAD_BYTES.
   */
  async append(tenant: string, keyId: string, offset: number, stream: Readable): Promise<KeyInfo> {
    const entry = this.#require(tenant, keyId);
    if (entry.arriving !== null) {
      // The same client again, after a broken connection that this end has not noticed.
      entry.arriving.stream.destroy();
      await entry.arriving.ended.catch(() => undefined);
      if (this.#of(tenant).get(keyId) !== entry) throw notFound();
    }
    if (entry.arriving !== null || entry.complete || offset !== entry.offset) {
      throw new SottoError(
        "CONFLICT",
        "offset",
        `expected to go on at byte ${entry.offset}, got ${offset}`,
      );
    }
    const ended = this.#receive(tenant, entry, stream);
    entry.arriving = { stream, ended };
    try {
      await ended;
    } finally {
      entry.arriving = null;
    }
    return infoOf(entry);
  }

  /** The bytes of complete keys. Throws NOT_FOUND. */
  async read(tenant: string, keyId: string): Promise<Uint8Array> {
    if (!this.#require(tenant, keyId).complete) throw notFound();
    return readFile(this.#path(tenant, keyId, "sotto"));
  }

  /** Deletes keys or an upload. Throws NOT_FOUND. */
  async delete(tenant: string, keyId: string): Promise<void> {
    const entry = this.#require(tenant, keyId);
    this.#of(tenant).delete(keyId); // at once: from here on nothing finds it
    const name = `${tenant}/${keyId}`;
    const gone = this.#remove(tenant, entry).finally(() => this.#leaving.delete(name));
    this.#leaving.set(name, gone);
    await gone;
  }

  async #remove(tenant: string, { keyId, arriving }: Entry): Promise<void> {
    arriving?.stream.destroy();
    await arriving?.ended.catch(() => undefined); // its error is told to who sends it
    // The announcement goes last: without it the rest would be found by no one.
    const paths = ["part", "sotto", "json"].map((suffix) => this.#path(tenant, keyId, suffix));
    await deleteDurably(this.#folder(tenant), paths);
  }

  /** Deletes uploads to which nothing was added since `time`, ms since 1970. */
  async deleteStale(time: number): Promise<void> {
    for (const [tenant, entries] of this.#tenants) {
      for (const { keyId, complete, touchedAt, arriving } of entries.values()) {
        if (!complete && arriving === null && touchedAt < time) await this.delete(tenant, keyId);
      }
    }
  }

  async #receive(tenant: string, entry: Entry, stream: Readable): Promise<void> {
    const from = entry.offset;
    const file = await openPart(this.#path(tenant, entry.keyId, "part"));
    try {
      await this.#fill(entry, file, stream);
    } finally {
      entry.touchedAt = Date.now();
      await file.sync().catch((error: unknown) => {
        entry.offset = from; // what may not be on the disk is asked for again
        throw asStorageError(error);
      });
      await file.close();
    }
    try {
      if (from < HEADER_BYTES && entry.offset >= HEADER_BYTES) {
        await this.#checkHeader(tenant, entry);
      }
      if (entry.offset === entry.bytes) await this.#complete(tenant, entry);
    } catch (error) {
      if (error instanceof SottoError && error.code !== "STORAGE_FULL") {
        entry.arriving = null;
        if (this.#of(tenant).get(entry.keyId) === entry) await this.delete(tenant, entry.keyId);
      }
      throw error;
    }
  }

  async #fill(entry: Entry, file: FileHandle, stream: Readable): Promise<void> {
    for await (const chunk of brokenOff(stream)) {
      if (entry.offset + chunk.length > entry.bytes) {
        const got = entry.offset + chunk.length;
        throw new SottoError(
          "BAD_BYTES",
          "keys",
          `expected ${entry.bytes} bytes, got ${got} or more`,
        );
      }
      await writeAt(file, chunk, entry.offset);
      entry.offset += chunk.length;
    }
  }

  async #checkHeader(tenant: string, entry: Entry): Promise<void> {
    const file = await open(this.#path(tenant, entry.keyId, "part"), "r");
    const first = new Uint8Array(HEADER_BYTES);
    try {
      await file.read(first, 0, HEADER_BYTES, 0);
    } finally {
      await file.close();
    }
    const header = decodeHeader(first, "evaluationKeys", entry.bytes);
    if (toHex(header.keyId) !== entry.keyId) {
      throw new SottoError(
        "WRONG_KEY",
        "keyId",
        "the keys carry another key id than was announced",
      );
    }
    if (toHex(header.parametersDigest) !== entry.parametersDigest) {
      throw new SottoError(
        "WRONG_PARAMETERS",
        "parametersDigest",
        "the keys carry other parameters than were announced",
      );
    }
  }

  async #complete(tenant: string, entry: Entry): Promise<void> {
    const part = this.#path(tenant, entry.keyId, "part");
    const hash = createHash("sha256");
    const end = entry.bytes - DIGEST_BYTES - 1;
    for await (const chunk of createReadStream(part, { end })) hash.update(chunk as Buffer);
    const stated = await readEnd(part, entry.bytes);
    if (hash.digest("hex") !== stated || stated !== entry.digest) {
      throw new SottoError(
        "BAD_BYTES",
        "keys",
        "the digest does not match what arrived; upload them again",
      );
    }
    await moveDurably(part, this.#path(tenant, entry.keyId, "sotto"));
    entry.complete = true;
  }

  async #load(tenant: string): Promise<void> {
    const folder = this.#folder(tenant);
    const names = await readdir(folder).catch(() => []);
    const announced = names.filter((name) => name.endsWith(".json"));
    const known = new Set(announced.map((name) => name.slice(0, -".json".length)));
    const strays = names.filter(
      (name) => !known.has(name.split(".")[0] ?? "") || name.endsWith(".tmp"),
    );
    if (strays.length > 0)
      await deleteDurably(
        folder,
        strays.map((name) => join(folder, name)),
      );
    for (const name of announced) {
      const entry = await readRecord<Announcement>(join(folder, name));
      const whole = await statOf(this.#path(tenant, entry.keyId, "sotto"));
      const part = await statOf(this.#path(tenant, entry.keyId, "part"));
      this.#of(tenant).set(entry.keyId, {
        ...entry,
        offset: whole?.size ?? part?.size ?? 0,
        complete: whole !== undefined,
        touchedAt: Date.now(),
        arriving: null,
      });
    }
    await this.#finishArrived(tenant);
  }

  /** A crash between the last byte and the check leaves all bytes there: the check is made up for. */
  async #finishArrived(tenant: string): Promise<void> {
    for (const entry of this.#of(tenant).values()) {
      if (entry.complete || entry.offset < entry.bytes) continue;
      try {
        await this.#checkHeader(tenant, entry);
        await this.#complete(tenant, entry);
      } catch {
        await this.delete(tenant, entry.keyId); // the client uploads it again, and hears what is wrong
      }
    }
  }

  #require(tenant: string, keyId: string): Entry {
    const entry = this.#of(tenant).get(keyId);
    if (entry === undefined) throw notFound();
    return entry;
  }

  #of(tenant: string): Map<string, Entry> {
    const entries = this.#tenants.get(tenant) ?? new Map<string, Entry>();
    this.#tenants.set(tenant, entries);
    return entries;
  }

  #folder(tenant: string): string {
    return join(this.#root, tenant, FOLDER);
  }

  #path(tenant: string, keyId: string, suffix: string): string {
    return join(this.#folder(tenant), `${keyId}.${suffix}`);
  }
}

function notFound(): SottoError {
  return new SottoError(
    "NOT_FOUND",
    "keys",
    "there are no such evaluation keys; upload them first",
  );
}

function infoOf({ keyId, digest, parametersDigest, bytes, offset, complete }: Entry): KeyInfo {
  return { keyId, digest, parametersDigest, bytes, offset, complete };
}

/** Opens an upload for writing at any position; creates it. */
async function openPart(path: string): Promise<FileHandle> {
  try {
    return await open(path, "r+");
  } catch {
    return open(path, "w+", 0o600).catch((error: unknown) => {
      throw asStorageError(error);
    });
  }
}

async function readEnd(path: string, bytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  const stream = createReadStream(path, { start: bytes - DIGEST_BYTES });
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("hex");
}

async function statOf(path: string): Promise<Stats | undefined> {
  return stat(path).catch(() => undefined);
}
