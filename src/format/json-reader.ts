/**
 * Reading of untrusted JSON: every access is checked, and an error says where in the document it is.
 * @module
 */
import { SottoError } from "../errors.ts";

/** The error of bytes that are not what they should be. */
export function bad(where: string, message: string): SottoError {
  return new SottoError("BAD_BYTES", where, message);
}

/** JSON of UTF-8 bytes. Throws BAD_BYTES. */
export function parseJson(payload: Uint8Array, where = "client spec"): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload));
  } catch {
    throw bad(where, "expected UTF-8 JSON");
  }
}

/** A cursor over untrusted JSON: every access is checked. */
export class Reader {
  readonly #value: unknown;
  readonly #path: string;

  constructor(value: unknown, path: string) {
    this.#value = value;
    this.#path = path;
  }

  get path(): string {
    return this.#path;
  }

  field(name: string): Reader {
    const child = this.optional(name);
    if (child === null) throw bad(`${this.#path}.${name}`, "expected a value, got none");
    return child;
  }

  optional(name: string): Reader | null {
    const value = this.#value;
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw bad(this.#path, "expected an object");
    }
    const entry = Object.entries(value).find(([key]) => key === name);
    return entry ? new Reader(entry[1], `${this.#path}.${name}`) : null;
  }

  list(): Reader[] {
    if (!Array.isArray(this.#value)) throw bad(this.#path, "expected a list");
    return this.#value.map((item: unknown, i) => new Reader(item, `${this.#path}[${i}]`));
  }

  number(): number {
    if (typeof this.#value !== "number" || !Number.isFinite(this.#value)) {
      throw bad(this.#path, "expected a finite number");
    }
    return this.#value;
  }

  /** Base 2 logarithm of a probability; null is -Infinity. */
  logarithm(): number {
    const log2 = this.#value === null ? -Infinity : this.number();
    if (log2 > 0) throw bad(this.#path, `expected the logarithm of a probability, got ${log2}`);
    return log2;
  }

  integer(): number {
    const value = this.number();
    if (!Number.isSafeInteger(value)) throw bad(this.#path, `expected an integer, got ${value}`);
    return value;
  }

  count(max: number): number {
    const value = this.number();
    if (!Number.isInteger(value) || value < 0 || value > max) {
      throw bad(this.#path, `expected an integer from 0 to ${max}, got ${value}`);
    }
    return value;
  }

  text(): string {
    if (typeof this.#value !== "string") throw bad(this.#path, "expected a string");
    return this.#value;
  }

  flag(): boolean {
    if (typeof this.#value !== "boolean") throw bad(this.#path, "expected true or false");
    return this.#value;
  }

  isObject(): boolean {
    return typeof this.#value === "object" && this.#value !== null && !Array.isArray(this.#value);
  }

  isNumber(): boolean {
    return typeof this.#value === "number";
  }
}
