/**
 * Saved keys in the browser's IndexedDB: they stay on this device and are visible to pages of the same origin only. What is
 * stored is what `saveKey` gave, so give it a passphrase where others use the device. Safe in browsers, but only there.
 * @module
 */
import { SottoError } from "../errors.ts";

const STORE = "keys";

/** Bytes by name. */
export class KeyStorage {
  readonly #database: IDBDatabase;

  private constructor(database: IDBDatabase) {
    this.#database = database;
  }

  /** Opens a database, by default that of the name `sotto`. Throws UNAVAILABLE where the browser refuses. */
  static async open(name = "sotto"): Promise<KeyStorage> {
    const factory: IDBFactory | undefined = globalThis.indexedDB;
    if (factory === undefined) {
      throw new SottoError(
        "UNAVAILABLE",
        "key storage",
        "there is no IndexedDB here; keep the bytes of saveKey() in a file",
      );
    }
    const request = factory.open(name, 1);
    request.addEventListener("upgradeneeded", () => request.result.createObjectStore(STORE));
    return new KeyStorage(await settled(request));
  }

  /** Stores bytes; what had the name before is replaced. Throws STORAGE_FULL. */
  async put(name: string, bytes: Uint8Array): Promise<void> {
    await settled(this.#store("readwrite").put(Uint8Array.from(bytes), name));
  }

  /** Null where there is nothing of this name. */
  async get(name: string): Promise<Uint8Array | null> {
    const found: unknown = await settled(this.#store("readonly").get(name));
    return found instanceof Uint8Array ? found : null;
  }

  async delete(name: string): Promise<void> {
    await settled(this.#store("readwrite").delete(name));
  }

  async names(): Promise<string[]> {
    return (await settled(this.#store("readonly").getAllKeys())).map(String);
  }

  close(): void {
    this.#database.close();
  }

  #store(mode: IDBTransactionMode): IDBObjectStore {
    return this.#database.transaction(STORE, mode).objectStore(STORE);
  }
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.addEventListener("success", () => resolve(request.result));
    request.addEventListener("error", () => {
      const isFull = request.error?.name === "QuotaExceededError";
      const message = `the browser refuses (${request.error?.message ?? "no reason"})`;
      reject(new SottoError(isFull ? "STORAGE_FULL" : "UNAVAILABLE", "key storage", message));
    });
  });
}
