/**
 * Tensors from whatever a caller holds: typed arrays, nested lists, the bytes of a npy file.
 * @module
 */
import { asTensor } from "./nested.ts";
import { isNpy, parseNpy } from "./npy.ts";
import { float32, float64, int64, type Tensor, type TensorLike } from "./tensor.ts";

/** Typed arrays whose elements become int64. */
type IntegerArray =
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint8Array
  | Uint8ClampedArray
  | Uint16Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** What `convertToTensor` takes. */
export type Convertible = TensorLike | Float32Array | Float64Array | IntegerArray;

/**
 * Makes a tensor: of nested lists (float64), of a typed array (one axis; integers become int64), of a typed array with a
 * shape, or of the bytes of a npy file. A tensor is returned as it is.
 * Throws BAD_ARGUMENT, BAD_BYTES, BAD_DTYPE, BAD_SHAPE, BAD_VALUE.
 */
export function convertToTensor(x: Convertible): Tensor {
  if (x instanceof Uint8Array && isNpy(x)) return parseNpy(x, "npy");
  if (x instanceof Float32Array) return float32([x.length], x);
  if (x instanceof Float64Array) return float64([x.length], x);
  if (x instanceof BigInt64Array || x instanceof BigUint64Array) {
    return int64([x.length], Float64Array.from(x, Number));
  }
  if (isIntegerArray(x)) return int64([x.length], Float64Array.from(x));
  return asTensor(x);
}

function isIntegerArray(
  x: Convertible,
): x is Exclude<IntegerArray, BigInt64Array | BigUint64Array> {
  return ArrayBuffer.isView(x) && !(x instanceof DataView);
}
