/**
 * Universal Binary JSON, which XGBoost writes unless told otherwise: each value is a letter for its type and the value, big
 * endian. Bytes are read once from front to back; a damaged file gives BAD_MODEL and never more values than it has bytes.
 * @module
 */
import { SottoError } from "../errors.ts";

const WHERE = "model";
// XGBoost's own files are seven deep.
const DEEPEST = 64;

type Reader = (view: DataView, at: number) => number;

/** Numbers by their letters: width in bytes and how to read one. */
const NUMBERS: ReadonlyMap<string, readonly [number, Reader]> = new Map<
  string,
  readonly [number, Reader]
>([
  ["i", [1, (view, at) => view.getInt8(at)]],
  ["U", [1, (view, at) => view.getUint8(at)]],
  ["I", [2, (view, at) => view.getInt16(at)]],
  ["l", [4, (view, at) => view.getInt32(at)]],
  ["L", [8, (view, at) => Number(view.getBigInt64(at))]],
  ["d", [4, (view, at) => view.getFloat32(at)]],
  ["D", [8, (view, at) => view.getFloat64(at)]],
]);

/** Values that are all in their letter. */
const CONSTANTS: ReadonlyMap<string, boolean | null> = new Map([
  ["Z", null],
  ["T", true],
  ["F", false],
]);

/** Reads a document as the value that JSON would give. Throws BAD_MODEL. */
export function parseUbjson(bytes: Uint8Array): unknown {
  const cursor = new Cursor(bytes);
  return cursor.value(cursor.letter(), 0);
}

class Cursor {
  private at = 0;
  private readonly view: DataView;
  private readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  letter(): string {
    return String.fromCharCode(this.bytes[this.take(1)]);
  }

  value(letter: string, depth: number): unknown {
    if (depth > DEEPEST) return this.fail("values are nested too deeply");
    const constant = CONSTANTS.get(letter);
    if (constant !== undefined) return constant;
    switch (letter) {
      case "[":
        return this.list(depth);
      case "{":
        return this.object(depth);
      case "S":
        return this.text();
      case "C":
        return this.letter();
      default:
        return this.number(letter);
    }
  }

  private number(letter: string): number {
    const found = NUMBERS.get(letter);
    if (!found) return this.fail(`expected the letter of a type, got ${JSON.stringify(letter)}`);
    const [width, read] = found;
    return read(this.view, this.take(width));
  }

  private text(): string {
    const length = this.length();
    const start = this.take(length);
    return new TextDecoder().decode(this.bytes.subarray(start, start + length));
  }

  private list(depth: number): unknown[] {
    const { type, count } = this.header();
    const items: unknown[] = [];
    while (count === null ? !this.ends("]") : items.length < count) {
      items.push(this.value(type ?? this.letter(), depth + 1));
    }
    return items;
  }

  private object(depth: number): Record<string, unknown> {
    const { type, count } = this.header();
    const entries: [string, unknown][] = [];
    while (count === null ? !this.ends("}") : entries.length < count) {
      const key = this.text();
      entries.push([key, this.value(type ?? this.letter(), depth + 1)]);
    }
    return Object.fromEntries(entries);
  }

  /** The common type of the items and their number, where a container states them. */
  private header(): { type: string | null; count: number | null } {
    const type = this.ends("$") ? this.letter() : null;
    if (!this.ends("#")) {
      if (type !== null) this.fail("a list of one type has no length");
      return { type, count: null };
    }
    const count = this.length();
    // An item takes at least a byte, unless its type says it all.
    if (count > this.bytes.length - this.at || (type !== null && CONSTANTS.has(type))) {
      this.fail(`a list of ${count} items is longer than the file`);
    }
    return { type, count };
  }

  /** Passes a letter if it is the next one. */
  private ends(letter: string): boolean {
    if (this.bytes[this.at] !== letter.charCodeAt(0)) return false;
    this.at++;
    return true;
  }

  private length(): number {
    const length = this.number(this.letter());
    return Number.isInteger(length) && length >= 0 ? length : this.fail(`a length of ${length}`);
  }

  /** Where the next bytes begin; moves past them. */
  private take(width: number): number {
    const start = this.at;
    if (start + width > this.bytes.length) this.fail("the file ends too early");
    this.at += width;
    return start;
  }

  private fail(problem: string): never {
    const message = `not UBJSON, or damaged (byte ${this.at}): ${problem}; save the model again`;
    throw new SottoError("BAD_MODEL", WHERE, message);
  }
}
