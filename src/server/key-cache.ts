/**
 * Expanded evaluation keys, bounded by bytes: the least recently used go first, and room is made before a key is expanded.
 * @module
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { setTimeout as delay } from "node:timers/promises";

interface Entry<K> {
  readonly key: Promise<K>;
  readonly bytes: number;
  /** Runs that use it now; only what nobody uses can go. */
  users: number;
}

/** Caches values of type K, each of a known size. */
export class KeyCache<K> {
  readonly #maxBytes: number;
  readonly #reclaim: () => Promise<void>;
  /** In order of last use. */
  readonly #entries = new Map<string, Entry<K>>();
  #waiting: (() => void)[] = [];
  #bytes = 0;
  #hits = 0;
  #misses = 0;

  /** `reclaim` gives the memory of dropped keys back; tests pass their own. */
  constructor(maxBytes: number, reclaim: () => Promise<void> = reclaimHandles) {
    this.#maxBytes = maxBytes;
    this.#reclaim = reclaim;
  }

  /** Bytes of all keys held. */
  get bytes(): number {
    return this.#bytes;
  }

  get hits(): number {
    return this.#hits;
  }

  get misses(): number {
    return this.#misses;
  }

  /** Calls `use` with a key, which `expand` makes where it is not there. Waits where runs at work hold all the room. */
  async with<R>(
    name: string,
    bytes: number,
    expand: () => Promise<K>,
    use: (key: K) => Promise<R>,
  ): Promise<R> {
    const entry = await this.#acquire(name, bytes, expand);
    try {
      return await use(await entry.key);
    } catch (error) {
      // A key that could not be expanded is not kept.
      await entry.key.catch(() => this.#drop(name, entry));
      throw error;
    } finally {
      entry.users--;
      for (const wake of this.#waiting.splice(0)) wake();
    }
  }

  /** Forgets a key that nobody may use any more. */
  async forget(name: string): Promise<void> {
    const entry = this.#entries.get(name);
    if (entry === undefined) return;
    this.#drop(name, entry);
    await this.#reclaim();
  }

  async #acquire(name: string, bytes: number, expand: () => Promise<K>): Promise<Entry<K>> {
    for (;;) {
      const held = this.#entries.get(name);
      if (held !== undefined) {
        this.#hits++;
        held.users++;
        this.#entries.delete(name);
        this.#entries.set(name, held);
        return held;
      }
      if (this.#makeRoom(bytes)) break;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#misses++;
    // Reserved before anything is awaited: two runs of one key expand it once.
    const entry = { key: this.#reclaim().then(expand), bytes, users: 1 };
    this.#entries.set(name, entry);
    this.#bytes += bytes;
    return entry;
  }

  #makeRoom(bytes: number): boolean {
    for (const [name, entry] of this.#entries) {
      if (this.#bytes + bytes <= this.#maxBytes) return true;
      if (entry.users === 0) this.#drop(name, entry);
    }
    return this.#bytes + bytes <= this.#maxBytes || this.#entries.size === 0;
  }

  #drop(name: string, entry: Entry<K>): void {
    if (this.#entries.get(name) !== entry) return;
    this.#entries.delete(name);
    this.#bytes -= entry.bytes;
  }
}

/**
 * An engine's handle frees its memory when it is collected, and the collector does not see that memory: 100 MB behind a
 * handle of 100 bytes wait for it forever. So it is told. Measured: without, 8 keys of 92 MB in turn took 480 MB; with, 92.
 */
async function reclaimHandles(): Promise<void> {
  await delay(0); // lets go of what the last run's promises still hold
  collect();
  await delay(0); // finalizers run after the collection
}

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
