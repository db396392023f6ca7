/**
 * Operators that move elements without changing them, and Shape, which feeds them.
 * @module
 */
import { SottoError } from "../../errors.ts";
import { int64, reshape, sizeOf, type Shape as Sizes, type Tensor } from "../../tensor/tensor.ts";
import { defineOperator, int, type Operand, type Operator } from "./operator.ts";

/** Merges the axes before `axis` into one and the others into a second. */
export const Flatten: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 1,
  since: 1,
  attributes: { axis: int(1) },
  shape: ([x]: readonly [Operand], { axis }) => [flatten(x.shape, axis)],
  evaluate: ([x]: readonly [Tensor], { axis }) => [reshape(x, flatten(x.shape, axis))],
});

function flatten(shape: Sizes, axis: number): Sizes {
  const rank = shape.length;
  if (axis < -rank || axis > rank) {
    const message = `axis ${axis} is outside [${-rank}, ${rank}]`;
    throw new SottoError("BAD_SHAPE", "Flatten", message);
  }
  const split = axis < 0 ? axis + rank : axis;
  return [sizeOf(shape.slice(0, split)), sizeOf(shape.slice(split))];
}

/** Another shape for the same elements: -1 is inferred, 0 keeps the size of that axis unless `allowzero`. */
export const Reshape: Operator = defineOperator({
  minInputs: 2,
  maxInputs: 2,
  since: 5,
  attributes: { allowzero: int(0) },
  shape([x, target]: readonly [Operand, Operand], { allowzero }) {
    if (target.value) return [reshapeTo(x.shape, target.value, allowzero)];
    const message = "the target shape is not a constant";
    throw new SottoError("UNSUPPORTED_OPERATOR", "Reshape", message);
  },
  evaluate: ([x, target]: readonly [Tensor, Tensor], { allowzero }) => [
    reshape(x, reshapeTo(x.shape, target, allowzero)),
  ],
});

function reshapeTo(shape: Sizes, target: Tensor, allowzero: number): Sizes {
  const wanted = Array.from(target.data, (dim, axis) =>
    dim === 0 && !allowzero ? (shape[axis] ?? -2) : dim,
  );
  const unknown = wanted.indexOf(-1);
  if (unknown >= 0) {
    const known = sizeOf(wanted.filter((_, axis) => axis !== unknown));
    wanted[unknown] = known > 0 ? sizeOf(shape) / known : 0;
  }
  const isValid = wanted.every((dim) => Number.isInteger(dim) && dim >= 0);
  if (target.shape.length === 1 && isValid && sizeOf(wanted) === sizeOf(shape)) return wanted;
  const shapes = `[${shape.join(", ")}] to [${target.data.join(", ")}]`;
  throw new SottoError("BAD_SHAPE", "Reshape", `cannot reshape ${shapes}`);
}

/** Sizes of a tensor, from axis `start` to `end`. Always folded: only the batch can vary, and it counts as 1. */
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
