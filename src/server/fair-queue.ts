/**
 * Who is served next: tenants take turns, within a tenant its keys take turns, and one key's work is done in order.
 * However much one of them hands in, another waits for one piece of work of each at most.
 * @module
 */

/** A JavaScript Map remembers the order of insertion, so the first entry is whose turn it is. */
export class FairQueue<T> {
  readonly #tenants = new Map<string, Map<string, T[]>>();
  #size = 0;

  /** Pieces of work that wait. */
  get size(): number {
    return this.#size;
  }

  push(tenant: string, key: string, work: T): void {
    const keys = this.#tenants.get(tenant) ?? new Map<string, T[]>();
    this.#tenants.set(tenant, keys);
    const line = keys.get(key);
    if (line === undefined) keys.set(key, [work]);
    else line.push(work);
    this.#size++;
  }

  /** Takes the next piece of work; undefined where none waits. */
  take(): T | undefined {
    const tenant = this.#tenants.entries().next().value;
    if (tenant === undefined) return undefined;
    const [tenantName, keys] = tenant;
    const key = keys.entries().next().value;
    this.#tenants.delete(tenantName);
    if (key === undefined) return this.take();
    const [keyId, line] = key;
    keys.delete(keyId);
    const work = line.shift();
    if (line.length > 0) keys.set(keyId, line);
    if (keys.size > 0) this.#tenants.set(tenantName, keys);
    this.#size--;
    return work;
  }

  /** Takes a piece of work out of turn; false where it does not wait. */
  remove(tenant: string, key: string, work: T): boolean {
    const keys = this.#tenants.get(tenant);
    const line = keys?.get(key);
    const index = line?.indexOf(work) ?? -1;
    if (keys === undefined || line === undefined || index < 0) return false;
    line.splice(index, 1);
    if (line.length === 0) keys.delete(key);
    if (keys.size === 0) this.#tenants.delete(tenant);
    this.#size--;
    return true;
  }
}
