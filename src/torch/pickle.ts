/**
 * Reads the subset of Python's pickle that `torch.save` writes for a dictionary of tensors. Nothing is ever called: a global
 * is a name, looked up among the constructors that the caller gives, and any other name is refused.
 * Opcodes: Lib/pickletools.py of CPython.
 * @module
 */
import { SottoError } from "../errors.ts";

/** What the names in a pickle stand for. */
export interface PickleMeaning {
  /** Builds a value from the arguments of a callable; refuses a name it does not know. */
  readonly construct: (name: string, args: readonly unknown[]) => unknown;
  /** A value that is stored outside of the pickle. */
  readonly load: (id: unknown) => unknown;
}

/** A callable or a constant of Python, by its full name. */
export class PickleName {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** A dictionary of Python whose keys are strings. */
export type PickleDict = Map<unknown, unknown>;

const MARK = Symbol("mark");

/** Reads one pickled value: numbers, strings, null, arrays for lists and tuples, Maps for dictionaries. Throws BAD_MODEL. */
export function readPickle(bytes: Uint8Array, where: string, meaning: PickleMeaning): unknown {
  const reader = new PickleReader(bytes, where, meaning);
  try {
    return reader.run();
  } catch (error) {
    if (error instanceof RangeError) return reader.damaged("it is cut off");
    throw error;
  }
}

class PickleReader {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly where: string;
  private readonly meaning: PickleMeaning;
  private at = 0;
  private readonly stack: unknown[] = [];
  private readonly memo = new Map<number, unknown>();

  constructor(bytes: Uint8Array, where: string, meaning: PickleMeaning) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.where = where;
    this.meaning = meaning;
  }

  damaged(what: string): never {
    const message = `cannot read the pickle: ${what}; export the model again`;
    throw new SottoError("BAD_MODEL", this.where, message);
  }

  run(): unknown {
    for (;;) {
      const opcode = this.unsigned(1);
      if (opcode === 0x2e) return this.pop(); // STOP
      const handle = opcodes.get(opcode);
      if (!handle) this.damaged(`opcode 0x${opcode.toString(16)} at byte ${this.at - 1}`);
      handle(this);
    }
  }

  unsigned(width: 1 | 2 | 4 | 8): number {
    const at = this.at;
    this.at += width;
    if (width === 1) return this.view.getUint8(at);
    if (width === 2) return this.view.getUint16(at, true);
    if (width === 4) return this.view.getUint32(at, true);
    return Number(this.view.getBigUint64(at, true));
  }

  /** A little-endian integer in two's complement. */
  signed(length: number): number {
    const bytes = this.take(length);
    let value = 0n;
    for (const [i, byte] of bytes.entries()) value += BigInt(byte) << BigInt(8 * i);
    return Number(BigInt.asIntN(8 * length, value));
  }

  float(): number {
    this.at += 8;
    return this.view.getFloat64(this.at - 8);
  }

  take(length: number): Uint8Array {
    if (length > this.bytes.length - this.at) throw new RangeError("beyond the end");
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  text(length: number): string {
    return new TextDecoder().decode(this.take(length));
  }

  line(): string {
    const end = this.bytes.indexOf(0x0a, this.at);
    if (end < 0) throw new RangeError("no end of line");
    const text = this.text(end - this.at);
    this.at = end + 1;
    return text;
  }

  push(value: unknown): void {
    this.stack.push(value);
  }

  pop(): unknown {
    if (this.stack.length === 0) this.damaged("a value is missing");
    return this.stack.pop();
  }

  top(): unknown {
    if (this.stack.length === 0) this.damaged("a value is missing");
    return this.stack.at(-1);
  }

  popString(): string {
    const value = this.pop();
    return typeof value === "string" ? value : this.damaged("expected a string");
  }

  /** The values pushed since the last mark, which is removed. */
  popToMark(): unknown[] {
    const mark = this.stack.lastIndexOf(MARK);
    if (mark < 0) this.damaged("a mark is missing");
    const values = this.stack.splice(mark);
    return values.slice(1);
  }

  popMany(count: number): unknown[] {
    if (this.stack.length < count) this.damaged("values are missing");
    return this.stack.splice(this.stack.length - count);
  }

  setItems(items: readonly unknown[]): void {
    const target = this.top();
    if (!(target instanceof Map) || items.length % 2 !== 0) this.damaged("expected a dictionary");
    for (let i = 0; i < items.length; i += 2) target.set(items[i], items[i + 1]);
  }

  append(items: readonly unknown[]): void {
    const target = this.top();
    if (!Array.isArray(target)) this.damaged("expected a list");
    for (const item of items) target.push(item);
  }

  put(key: number): void {
    this.memo.set(key, this.top());
  }

  memoize(): void {
    this.put(this.memo.size);
  }

  recall(key: number): void {
    if (!this.memo.has(key)) this.damaged(`nothing is stored under ${key}`);
    this.push(this.memo.get(key));
  }

  reduce(): void {
    const args = this.pop();
    const callable = this.pop();
    if (!(callable instanceof PickleName) || !Array.isArray(args)) {
      this.damaged("expected a callable and its arguments");
    }
    this.push(this.meaning.construct(callable.name, args));
  }

  persistent(): void {
    this.push(this.meaning.load(this.pop()));
  }
}

/** What each opcode does to the stack. */
const opcodes: ReadonlyMap<number, (reader: PickleReader) => void> = new Map<
  number,
  (reader: PickleReader) => void
>([
  [0x80, (r) => void r.unsigned(1)], // PROTO
  [0x95, (r) => void r.unsigned(8)], // FRAME
  [0x28, (r) => r.push(MARK)], // MARK
  [0x30, (r) => void r.pop()], // POP
  [0x4e, (r) => r.push(null)], // NONE
  [0x88, (r) => r.push(true)], // NEWTRUE
  [0x89, (r) => r.push(false)], // NEWFALSE
  [0x4b, (r) => r.push(r.unsigned(1))], // BININT1
  [0x4d, (r) => r.push(r.unsigned(2))], // BININT2
  [0x4a, (r) => r.push(r.signed(4))], // BININT
  [0x8a, (r) => r.push(r.signed(r.unsigned(1)))], // LONG1
  [0x47, (r) => r.push(r.float())], // BINFLOAT
  [0x58, (r) => r.push(r.text(r.unsigned(4)))], // BINUNICODE
  [0x8c, (r) => r.push(r.text(r.unsigned(1)))], // SHORT_BINUNICODE
  [0x8d, (r) => r.push(r.text(r.unsigned(8)))], // BINUNICODE8
  [0x5d, (r) => r.push([])], // EMPTY_LIST
  [0x29, (r) => r.push([])], // EMPTY_TUPLE
  [0x7d, (r) => r.push(new Map())], // EMPTY_DICT
  [0x61, (r) => r.append([r.pop()])], // APPEND
  [0x65, (r) => r.append(r.popToMark())], // APPENDS
  [0x73, (r) => r.setItems(r.popMany(2))], // SETITEM
  [0x75, (r) => r.setItems(r.popToMark())], // SETITEMS
  [0x74, (r) => r.push(r.popToMark())], // TUPLE
  [0x85, (r) => r.push(r.popMany(1))], // TUPLE1
  [0x86, (r) => r.push(r.popMany(2))], // TUPLE2
  [0x87, (r) => r.push(r.popMany(3))], // TUPLE3
  [0x71, (r) => r.put(r.unsigned(1))], // BINPUT
  [0x72, (r) => r.put(r.unsigned(4))], // LONG_BINPUT
  [0x94, (r) => r.memoize()], // MEMOIZE
  [0x68, (r) => r.recall(r.unsigned(1))], // BINGET
  [0x6a, (r) => r.recall(r.unsigned(4))], // LONG_BINGET
  [0x51, (r) => r.persistent()], // BINPERSID
  [0x52, (r) => r.reduce()], // REDUCE
  // BUILD: the attributes of a dictionary, such as a state dict's versions, say nothing about its tensors.
  [0x62, (r) => void r.pop()],
  [0x63, (r) => r.push(new PickleName(`${r.line()}.${r.line()}`))], // GLOBAL
  [
    0x93, // STACK_GLOBAL
    (r) => {
      const name = r.popString();
      r.push(new PickleName(`${r.popString()}.${name}`));
    },
  ],
]);
