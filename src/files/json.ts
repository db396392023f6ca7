/**
 * JSON of unknown content, read field by field: what is missing or of another type is a BAD_MODEL that names its place.
 * @module
 */
import { SottoError } from "../errors.ts";

// Numbers that Python's json module writes and JSON does not have.
const NOT_JSON = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\bInfinity\b|\bNaN\b/g;
const LARGEST = 2 ** 53;

/** A value inside a JSON document and the path to it. */
export class Json {
  readonly value: unknown;
  readonly where: string;

  constructor(value: unknown, where: string) {
    this.value = value;
    this.where = where;
  }

  /** Parses a document; `where` is its name in errors. */
  static parse(text: string, where: string): Json {
    try {
      return new Json(JSON.parse(text), where);
    } catch {
      return new Json(parseWithInfinities(text, where), where);
    }
  }

  /** A field of an object; `isAbsent` tells whether it is there. */
  get(key: string): Json {
    const object = this.object();
    return new Json(Object.hasOwn(object, key) ? object[key] : undefined, `${this.where}.${key}`);
  }

  /** True where a field is left out or null. */
  get isAbsent(): boolean {
    return this.value === undefined || this.value === null;
  }

  /** Fields of an object, which may be null or left out. */
  entries(): [string, Json][] {
    if (this.isAbsent) return [];
    return Object.entries(this.object()).map(([key, value]) => [
      key,
      new Json(value, `${this.where}.${key}`),
    ]);
  }

  /** The one field of an object that stands for a union: its kind and its value. */
  variant(): [string, Json] {
    const present = this.entries().filter(([, { value }]) => value !== undefined && value !== null);
    if (present.length !== 1) this.fail("an object with one field", `${present.length} fields`);
    return present[0];
  }

  /** Items of a list. */
  list(): Json[] {
    if (!Array.isArray(this.value)) return this.fail("a list");
    return this.value.map((item, index) => new Json(item, `${this.where}[${index}]`));
  }

  string(): string {
    return typeof this.value === "string" ? this.value : this.fail("a string");
  }

  boolean(): boolean {
    return typeof this.value === "boolean" ? this.value : this.fail("true or false");
  }

  /** A whole number; those beyond 2^53 are marks such as "to the end", and become 2^53. */
  integer(): number {
    if (typeof this.value !== "number" || !Number.isInteger(this.value)) {
      return this.fail("a whole number");
    }
    return Math.min(Math.max(this.value, -LARGEST), LARGEST);
  }

  /** A number, or "Infinity", "-Infinity" or "NaN". */
  number(): number {
    if (typeof this.value === "number") return this.value;
    if (typeof this.value === "string" && /^(?:-?Infinity|NaN)$/.test(this.value)) {
      return Number(this.value);
    }
    return this.fail("a number");
  }

  private object(): Record<string, unknown> {
    const { value } = this;
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      return this.fail("an object");
    }
    return value as Record<string, unknown>;
  }

  private fail(expected: string, got = typeName(this.value)): never {
    throw new SottoError("BAD_MODEL", this.where, `expected ${expected}, got ${got}`);
  }
}

function typeName(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  return Array.isArray(value) ? "a list" : typeof value;
}

function parseWithInfinities(text: string, where: string): unknown {
  try {
    return JSON.parse(
      text.replace(NOT_JSON, (token) => (token.startsWith('"') ? token : `"${token}"`)),
    );
  } catch {
    throw new SottoError("BAD_MODEL", where, "not JSON, or damaged; export the model again");
  }
}
