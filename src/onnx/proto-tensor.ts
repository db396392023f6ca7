/**
 * ONNX tensors to tensors. Elements come as little-endian bytes or in one of the typed lists; both are read by the
 * element type's row in one table.
 * @module
 */
import {
  TensorProto_DataLocation as DataLocation,
  TensorProto_DataType as DataType,
} from "onnx-buf";
import type { TensorProto } from "onnx-buf";
import { SottoError } from "../errors.ts";
import { bool, sizeOf, tensor, type DType, type Shape, type Tensor } from "../tensor/tensor.ts";
import type { StringTable } from "./strings.ts";

const STRING: number = DataType.STRING;

interface ElementType {
  readonly dtype: DType;
  /** Bytes of an element; less than 1 where several share a byte. */
  readonly width: number;
  /** Reads one element of the raw bytes. */
  readonly read: (view: DataView, at: number) => number;
  /** Elements of the typed list that ONNX uses for this type. */
  readonly list: (proto: TensorProto) => readonly number[];
}

const integers = (proto: TensorProto): readonly number[] => proto.int32Data;
const longs = (proto: TensorProto): readonly number[] => proto.int64Data.map(toInteger);
const unsigned = (proto: TensorProto): readonly number[] => proto.uint64Data.map(toInteger);

const elementTypes: ReadonlyMap<number, ElementType> = new Map<number, ElementType>([
  [DataType.FLOAT, element("float32", 4, (view, at) => view.getFloat32(at, true), floats)],
  [DataType.DOUBLE, element("float64", 8, (view, at) => view.getFloat64(at, true), doubles)],
  [DataType.FLOAT16, halves(fromFloat16)],
  [DataType.BFLOAT16, halves(fromBfloat16)],
  [DataType.BOOL, element("bool", 1, (view, at) => view.getUint8(at), integers)],
  [DataType.INT4, packed(4, true)],
  [DataType.UINT4, packed(4, false)],
  [DataType.INT2, packed(2, true)],
  [DataType.UINT2, packed(2, false)],
  [DataType.INT8, element("int64", 1, (view, at) => view.getInt8(at), integers)],
  [DataType.UINT8, element("int64", 1, (view, at) => view.getUint8(at), integers)],
  [DataType.INT16, element("int64", 2, (view, at) => view.getInt16(at, true), integers)],
  [DataType.UINT16, element("int64", 2, (view, at) => view.getUint16(at, true), integers)],
  [DataType.INT32, element("int64", 4, (view, at) => view.getInt32(at, true), integers)],
  [DataType.UINT32, element("int64", 4, (view, at) => view.getUint32(at, true), unsigned)],
  [DataType.INT64, element("int64", 8, (view, at) => toInteger(view.getBigInt64(at, true)), longs)],
  [
    DataType.UINT64,
    element("int64", 8, (view, at) => toInteger(view.getBigUint64(at, true)), unsigned),
  ],
]);

function element(
  dtype: DType,
  width: number,
  read: ElementType["read"],
  list: ElementType["list"],
): ElementType {
  return { dtype, width, read, list };
}

/** Integers of a few bits, several to a byte, the first in the lowest bits; the typed list holds the bytes. */
function packed(bits: number, isSigned: boolean): ElementType {
  const decode = (byte: number, at: number): number => {
    const code = (byte >> (at * bits)) & (2 ** bits - 1);
    return isSigned && code >= 2 ** (bits - 1) ? code - 2 ** bits : code;
  };
  const perByte = 8 / bits;
  const read = (view: DataView, at: number): number =>
    decode(view.getUint8(Math.floor(at)), (at % 1) * perByte);
  const list = (proto: TensorProto): readonly number[] =>
    proto.int32Data.flatMap((byte) => Array.from({ length: perByte }, (_, at) => decode(byte, at)));
  return element("int64", bits / 8, read, list);
}

/** A 16-bit float; its typed list holds bit patterns. */
function halves(decode: (bits: number) => number): ElementType {
  const read = (view: DataView, at: number): number => decode(view.getUint16(at, true));
  return element("float32", 2, read, (proto) =>
    proto.int32Data.map((bits) => decode(bits & 0xffff)),
  );
}

function floats(proto: TensorProto): readonly number[] {
  return proto.floatData;
}

function doubles(proto: TensorProto): readonly number[] {
  return proto.doubleData;
}

function fromFloat16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function fromBfloat16(bits: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint16(0, bits);
  return view.getFloat32(0);
}

/**
 * An ONNX integer as a number. Beyond 2^53 it is a mark such as "to the end" (INT64_MAX in Slice), never a quantity, so
 * the nearest integer that a number holds exactly serves.
 */
export function toInteger(value: bigint): number {
  return Math.min(Math.max(Number(value), -(2 ** 53)), 2 ** 53);
}

/** The element type that an ONNX one is widened to. */
export function dtypeOf(dataType: number, where: string): DType {
  return elementType(dataType, where).dtype;
}

/** The same for a conversion, which widening would leave without its saturation to a few bits. Throws UNSUPPORTED_OPERATOR. */
export function castTypeOf(dataType: number, where: string): DType {
  const { dtype, width } = elementType(dataType, where);
  if (width >= 1) return dtype;
  const message = `conversion to ${DataType[dataType]}; expected floats or integers of at least 8 bits`;
  throw new SottoError("UNSUPPORTED_OPERATOR", where, message);
}

function elementType(dataType: number, where: string): ElementType {
  const type = elementTypes.get(dataType);
  if (type) return type;
  const got = DataType[dataType] ?? `type ${dataType}`;
  const expected = "expected float, double, float16, bfloat16, bool or an integer type";
  throw new SottoError("BAD_MODEL", where, `elements of ${got} are not supported; ${expected}`);
}

/** Reads a tensor that is stored in the model itself; strings as codes of `strings`, which are refused without it. */
export function readTensor(proto: TensorProto, where: string, strings?: StringTable): Tensor {
  if (proto.dataLocation === DataLocation.EXTERNAL) {
    const advice = "save the model as one file (onnx.save with save_as_external_data=False)";
    throw new SottoError("BAD_MODEL", where, `its data are in another file; ${advice}`);
  }
  const shape = proto.dims.map(toInteger);
  if (proto.dataType === STRING && strings) {
    const codes = proto.stringData.map((bytes) => strings.codeOf(new TextDecoder().decode(bytes)));
    return ofSize("int64", shape, codes, where);
  }
  const { dtype, width, read, list } = elementType(proto.dataType, where);
  const size = sizeOf(shape);
  const raw = proto.rawData;
  const stored = raw.length > 0 ? readRaw(raw, width, read) : list(proto);
  // The last byte of packed elements may be part empty.
  const hasPadding = width < 1 && stored.length > size && stored.length - size < 1 / width;
  return ofSize(dtype, shape, hasPadding ? stored.slice(0, size) : stored, where);
}

function ofSize(dtype: DType, shape: Shape, values: ArrayLike<number>, where: string): Tensor {
  if (shape.some((dim) => dim < 0) || values.length !== sizeOf(shape)) {
    const expected = `shape [${shape.join(", ")}] needs ${sizeOf(shape)} elements`;
    throw new SottoError("BAD_MODEL", where, `${expected}, got ${values.length}`);
  }
  return dtype === "bool" ? bool(shape, values) : tensor(dtype, shape, values);
}

function readRaw(raw: Uint8Array, width: number, read: ElementType["read"]): Float64Array {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const values = new Float64Array(Math.floor(raw.length / width));
  for (let i = 0; i < values.length; i++) values[i] = read(view, i * width);
  return values;
}
