/**
 * Operators that make tensors: constants, ranges, and what follows from shapes. Those of shapes are always folded: only
 * the batch can vary, and it counts as 1.
 * @module
 */
import { SottoError } from "../../errors.ts";
import { promote, float32, int64, scalar, sizeOf, tensor } from "../../tensor/tensor.ts";
import type { Shape as Sizes, Tensor } from "../../tensor/tensor.ts";
import { dtypeOf } from "../proto-tensor.ts";
import { entries, known, numbersOf, sizesOf, wrapAxis } from "./operands.ts";
import {
  defineOperator,
  int,
  isInts,
  isNumber,
  isNumbers,
  isTensor,
  optional,
  own,
} from "./operator.ts";
import type { Operand, Operator } from "./operator.ts";

interface ConstantAttributes {
  readonly value: Tensor | undefined;
  readonly value_float: number | undefined;
  readonly value_floats: readonly number[] | undefined;
  readonly value_int: number | undefined;
  readonly value_ints: readonly number[] | undefined;
}

/** Exactly one of its attributes is the value. */
export const Constant: Operator = defineOperator({
  minInputs: 0,
  maxInputs: 0,
  since: 1,
  attributes: {
    value: optional<Tensor>("tensor", isTensor),
    value_float: optional<number>("float", isNumber),
    value_floats: optional<readonly number[]>("floats", isNumbers),
    value_int: optional<number>("int", Number.isInteger),
    value_ints: optional<readonly number[]>("ints", isInts),
  },
  shape: (_, attributes): Sizes[] => [constantValue(attributes).shape],
  evaluate: (_, attributes) => [constantValue(attributes)],
});

function constantValue(attributes: ConstantAttributes): Tensor {
  const { value, value_float, value_floats, value_int, value_ints } = attributes;
  if (value) return value;
  if (value_float !== undefined) return scalar("float32", value_float);
  if (value_floats) return float32([value_floats.length], value_floats);
  if (value_int !== undefined) return scalar("int64", value_int);
  if (value_ints) return int64([value_ints.length], value_ints);
  throw new SottoError("BAD_MODEL", "Constant", "the node states no value");
}

/** A tensor of one repeated value. */
export const ConstantOfShape: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 1,
  since: 9,
  attributes: { value: optional<Tensor>("tensor", isTensor) },
  shape: ([shape]: readonly [Operand]) => [sizesOf("ConstantOfShape", "the shape", shape)],
  evaluate([shape]: readonly [Tensor], { value = scalar("float32", 0) }) {
    const sizes = [...shape.data];
    const [repeated] = value.data;
    const data = Array.from({ length: sizeOf(sizes) }, () => repeated);
    return [tensor(value.dtype, sizes, data)];
  },
});

/** Sizes of a tensor, from axis `start` to `end`. */
export const Shape: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 1,
  since: 1,
  attributes: { start: int(0), end: int(undefined) },
  shape: ([x]: readonly [Operand], { start, end }) => [[x.shape.slice(start, end).length]],
  evaluate: ([x]: readonly [Tensor], { start, end }) => [sizes(x.shape.slice(start, end))],
  fold: ([x]: readonly [Operand], { start, end }) => [sizes(x.shape.slice(start, end))],
});

function sizes(shape: Sizes): Tensor {
  return int64([shape.length], shape);
}

/** Number of elements. */
export const Size: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 1,
  since: 1,
  attributes: {},
  shape: () => [[]],
  evaluate: ([x]: readonly [Tensor]) => [scalar("int64", sizeOf(x.shape))],
  fold: ([x]: readonly [Operand]) => [scalar("int64", sizeOf(x.shape))],
});

/** Numbers from `start` to before `limit`, `delta` apart. */
export const Range: Operator = defineOperator({
  minInputs: 3,
  maxInputs: 3,
  since: 11,
  attributes: {},
  shape: (inputs: readonly [Operand, Operand, Operand]) => [[rangeOf(inputs).length]],
  evaluate: ([start, limit, delta]: readonly [Tensor, Tensor, Tensor]) => {
    const values = rangeOf([known(start), known(limit), known(delta)]);
    const dtype = promote(promote(start.dtype, limit.dtype), delta.dtype);
    return [tensor(dtype, [values.length], values)];
  },
});

function rangeOf(inputs: readonly [Operand, Operand, Operand]): number[] {
  const names = ["start", "limit", "delta"];
  const [start, limit, delta] = inputs.map((input, i) => numbersOf("Range", names[i], input)[0]);
  const length = Math.ceil((limit - start) / delta);
  if (Number.isInteger(length)) {
    return entries("Range", Math.max(length, 0), (i) => start + i * delta);
  }
  const message = `no range from ${start} to ${limit} in steps of ${delta}`;
  throw new SottoError("BAD_VALUE", "Range", message);
}

/** `on` at each index along a new axis of size `depth`, `off` elsewhere; an index outside gives no `on`, or, if strict, an error. */
export const OneHot: Operator = defineOperator({
  minInputs: 3,
  maxInputs: 3,
  since: 9,
  attributes: { axis: int(-1), isStrict: own(int(0)) },
  shape([indices, depth]: readonly [Operand, Operand, Operand], { axis }) {
    const [size] = sizesOf("OneHot", "depth", depth);
    return [oneHotShape(indices.shape, size, axis)];
  },
  evaluate([indices, depth, values]: readonly [Tensor, Tensor, Tensor], attributes) {
    const { axis: stated, isStrict } = attributes;
    const size = depth.data[0];
    if (isStrict) requireIndices(indices, size);
    const shape = oneHotShape(indices.shape, size, stated);
    const axis = wrapAxis("OneHot", stated, shape.length);
    const inner = sizeOf(shape.slice(axis + 1));
    const [off, on] = values.data;
    const data = Array.from({ length: sizeOf(shape) }, (_, i) => {
      const index = indices.data[Math.floor(i / (size * inner)) * inner + (i % inner)];
      const place = Math.floor(i / inner) % size;
      return (index < 0 ? index + size : index) === place ? on : off;
    });
    return [tensor(values.dtype, shape, data)];
  },
});

function requireIndices({ data }: Tensor, size: number): void {
  const at = data.findIndex((index) => !Number.isInteger(index) || index < -size || index >= size);
  if (at < 0) return;
  const message = `expected tokens from 0 to ${size - 1}, got ${data[at]} at element ${at}`;
  throw new SottoError("BAD_VALUE", "OneHot", message);
}

function oneHotShape(indices: Sizes, depth: number, stated: number): number[] {
  const axis = wrapAxis("OneHot", stated, indices.length + 1);
  return [...indices.slice(0, axis), depth, ...indices.slice(axis)];
}

/** A matrix of the input's shape with ones on its k-th diagonal. */
export const EyeLike: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 1,
  since: 9,
  attributes: { dtype: int(undefined), k: int(0) },
  shape([x]: readonly [Operand]) {
    if (x.shape.length === 2) return [x.shape];
    const message = `expected a matrix, got [${x.shape.join(", ")}]`;
    throw new SottoError("BAD_SHAPE", "EyeLike", message);
  },
  evaluate([x]: readonly [Tensor], { dtype, k }) {
    const columns = x.shape[1];
    const data = Array.from(x.data, (_, i) =>
      (i % columns) - Math.floor(i / columns) === k ? 1 : 0,
    );
    return [tensor(dtype === undefined ? x.dtype : dtypeOf(dtype, "EyeLike"), x.shape, data)];
  },
});
