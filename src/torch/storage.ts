/**
 * Tensors as PyTorch stores them: a view (sizes, strides, offset) into a run of elements.
 * @module
 */
import { SottoError } from "../errors.ts";
import { storedElements, type StoredElement } from "../tensor/elements.ts";
import { allocate, sizeOf, tensor, type DType, type Tensor } from "../tensor/tensor.ts";

/** Bytes of elements, not yet read. */
export interface Storage {
  readonly element: StoredElement;
  readonly bytes: Uint8Array;
  readonly littleEndian: boolean;
}

/** Where a tensor's elements are in its storage; sizes, strides and offset count elements. */
export interface StridedView {
  readonly sizes: readonly number[];
  readonly strides: readonly number[];
  readonly offset: number;
}

/** Element types by their number in a program (torch._export.serde.schema.ScalarType) and by their name in a pickle. */
const elementTypes: readonly (readonly [number, string, string, string])[] = [
  [1, "ByteStorage", "uint8", "u1"],
  [2, "CharStorage", "int8", "i1"],
  [3, "ShortStorage", "int16", "i2"],
  [4, "IntStorage", "int32", "i4"],
  [5, "LongStorage", "int64", "i8"],
  [6, "HalfStorage", "float16", "f2"],
  [7, "FloatStorage", "float32", "f4"],
  [8, "DoubleStorage", "float64", "f8"],
  [12, "BoolStorage", "bool", "b1"],
  [13, "BFloat16Storage", "bfloat16", "bf2"],
  [28, "UInt16Storage", "uint16", "u2"],
  [34, "UInt32Storage", "uint32", "u4"],
  [35, "UInt64Storage", "uint64", "u8"],
];

/** The stored element of a program's scalar type. Throws BAD_MODEL for complex, quantized and 8-bit float types. */
export function elementOfScalarType(scalarType: number, where: string): StoredElement {
  const row = elementTypes.find(([number]) => number === scalarType);
  return stored(row?.[3], `scalar type ${scalarType}`, where);
}

/** The stored element of a storage class such as `torch.FloatStorage`. Throws BAD_MODEL. */
export function elementOfStorageClass(name: string, where: string): StoredElement {
  const row = elementTypes.find(([, storageClass]) => name === `torch.${storageClass}`);
  return stored(row?.[3], name, where);
}

function stored(key: string | undefined, got: string, where: string): StoredElement {
  const element = key === undefined ? undefined : storedElements.get(key);
  if (element) return element;
  const expected = elementTypes.map(([, , name]) => name).join(", ");
  throw new SottoError("BAD_MODEL", where, `expected elements of ${expected}; got ${got}`);
}

/** The element type that a program's scalar type is widened to. */
export function dtypeOfScalarType(scalarType: number, where: string): DType {
  return elementOfScalarType(scalarType, where).dtype;
}

/**
 * Elements that all tensors of an archive may hold together. Views can repeat elements without end; a real model repeats
 * few, so a small multiple of the archive's own size is plenty.
 */
export class ElementBudget {
  private left: number;

  constructor(archiveBytes: number) {
    this.left = 2 ** 22 + 8 * archiveBytes;
  }

  spend(elements: number, where: string): void {
    this.left -= elements;
    if (this.left >= 0) return;
    const message = `the tensors hold far more elements than the file; ${elements} are asked for here`;
    throw new SottoError("BAD_MODEL", where, message);
  }
}

/** Copies a view out of its storage, in C order. Throws BAD_MODEL where it reaches beyond the storage. */
export function readView(
  { element, bytes, littleEndian }: Storage,
  { sizes, strides, offset }: StridedView,
  budget: ElementBudget,
  where: string,
): Tensor {
  const size = sizeOf(sizes);
  checkView({ sizes, strides, offset }, Math.floor(bytes.length / element.bytes), where);
  budget.spend(size, where);
  const data = allocate(element.dtype, size);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const index = sizes.map(() => 0);
  let source = offset;
  for (let i = 0; i < size; i++) {
    data[i] = element.read(view, source * element.bytes, littleEndian);
    for (let axis = sizes.length - 1; axis >= 0; axis--) {
      source += strides[axis];
      if (++index[axis] < sizes[axis]) break;
      index[axis] = 0;
      source -= strides[axis] * sizes[axis];
    }
  }
  return tensor(element.dtype, sizes, data);
}

function checkView({ sizes, strides, offset }: StridedView, held: number, where: string): void {
  const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;
  const fits = sizes.length <= 64 && strides.length === sizes.length;
  if (fits && [...sizes, ...strides, offset].every(isCount)) {
    if (sizes.includes(0)) return;
    const last = sizes.reduce((at, size, axis) => at + (size - 1) * strides[axis], offset);
    if (last < held) return;
  }
  const view = `sizes [${sizes.join(", ")}], strides [${strides.join(", ")}], offset ${offset}`;
  throw new SottoError("BAD_MODEL", where, `${view} do not fit into a storage of ${held} elements`);
}
