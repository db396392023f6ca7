/**
 * Tensors behind a JSON document: a directory with their types, shapes and places, and the elements of all of them, little
 * endian. A tensor that is used twice is written once.
 * @module
 */
import { type DType, type Tensor, sizeOf, tensor } from "../tensor/tensor.ts";
import { type Reader, bad } from "./json-reader.ts";

interface Entry {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

function widthOf(dtype: DType): number {
  return dtype === "float32" ? 4 : 8;
}

/** Collects tensors. */
export class TensorWriter {
  readonly #places = new Map<Tensor, number>();

  /** The place of a tensor in the directory. */
  add(x: Tensor): number {
    const place = this.#places.get(x) ?? this.#places.size;
    this.#places.set(x, place);
    return place;
  }

  get directory(): readonly Entry[] {
    return [...this.#places.keys()].map(({ dtype, shape }) => ({ dtype, shape }));
  }

  /** Bytes of all elements. */
  get size(): number {
    return this.directory.reduce(
      (sum, { dtype, shape }) => sum + widthOf(dtype) * sizeOf(shape),
      0,
    );
  }

  writeTo(bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let at = 0;
    for (const { dtype, data } of this.#places.keys()) {
      for (const value of data) {
        if (dtype === "float32") view.setFloat32(at, value, true);
        else view.setFloat64(at, value, true);
        at += widthOf(dtype);
      }
    }
  }
}

/** Reads all tensors of a directory. Throws BAD_BYTES. */
export class TensorReader {
  readonly #tensors: readonly Tensor[];

  constructor(bytes: Uint8Array, directory: Reader) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let at = 0;
    this.#tensors = directory.list().map((entry) => {
      const dtype = dtypeOf(entry.field("dtype"));
      const shape = entry
        .field("shape")
        .list()
        .map((dim) => dim.count(2 ** 28));
      const start = at;
      const width = widthOf(dtype);
      at += width * sizeOf(shape);
      if (at > bytes.length) throw bad(entry.path, `expected ${at} bytes, got ${bytes.length}`);
      const read = (i: number): number =>
        dtype === "float32"
          ? view.getFloat32(start + i * width, true)
          : view.getFloat64(start + i * width, true);
      const data = Array.from({ length: sizeOf(shape) }, (_, i) => read(i));
      if (dtype === "int64" && !data.every(Number.isSafeInteger)) {
        throw bad(entry.path, "expected integers below 2^53");
      }
      return tensor(dtype, shape, data);
    });
    if (at !== bytes.length) {
      throw bad(directory.path, `expected ${at} bytes of elements, got ${bytes.length}`);
    }
  }

  /** The tensor at a place. */
  at(place: Reader): Tensor {
    return this.#tensors[place.count(this.#tensors.length - 1)];
  }

  float64At(place: Reader): Tensor<"float64"> {
    return this.#typed("float64", place);
  }

  int64At(place: Reader): Tensor<"int64"> {
    return this.#typed("int64", place);
  }

  /** The same object for every reader of a place: what is shared stays shared. */
  #typed<D extends DType>(dtype: D, place: Reader): Tensor<D> {
    const found = this.at(place);
    if (found.dtype !== dtype) throw bad(place.path, `expected ${dtype}, got ${found.dtype}`);
    return found as Tensor<D>;
  }
}

export function dtypeOf(reader: Reader): DType {
  const dtype = reader.text();
  if (dtype === "float32" || dtype === "float64" || dtype === "int64" || dtype === "bool") {
    return dtype;
  }
  throw bad(reader.path, `expected an element type, got ${dtype}`);
}

/** JSON has no infinities, no NaN and no negative zero: they are text. */
export function numberToJson(value: number): number | string {
  if (Object.is(value, -0)) return "-0";
  return Number.isFinite(value) ? value : String(value);
}

export function numberFrom(reader: Reader): number {
  if (reader.isNumber()) return reader.number();
  const text = reader.text();
  if (!["-0", "NaN", "Infinity", "-Infinity"].includes(text)) {
    throw bad(reader.path, `expected a number, got ${text}`);
  }
  return Number(text);
}
