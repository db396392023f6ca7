/**
 * Comparisons, logic on truth values, choice between tensors, and conversions of the element type.
 * @module
 */
import { select } from "../../tensor/elementwise.ts";
import { broadcastShapes, cast, type DType, type Tensor } from "../../tensor/tensor.ts";
import { castTypeOf } from "../proto-tensor.ts";
import { predicate, relation } from "./elementwise.ts";
import { defineOperator, int, requiredInt, type Operand, type Operator } from "./operator.ts";

export const Equal: Operator = relation((x, y) => x === y);
export const Greater: Operator = relation((x, y) => x > y);
export const GreaterOrEqual: Operator = relation((x, y) => x >= y, 12);
export const Less: Operator = relation((x, y) => x < y);
export const LessOrEqual: Operator = relation((x, y) => x <= y, 12);
export const And: Operator = relation((x, y) => x !== 0 && y !== 0);
export const Or: Operator = relation((x, y) => x !== 0 || y !== 0);
export const Xor: Operator = relation((x, y) => (x !== 0) !== (y !== 0));
export const Not: Operator = predicate({}, () => (x) => x === 0);
export const IsNaN: Operator = predicate({}, () => Number.isNaN, 9);

/** Infinite, of a sign that the attributes ask for. */
export const IsInf: Operator = predicate(
  { detect_negative: int(1), detect_positive: int(1) },
  ({ detect_negative, detect_positive }) =>
    (x) =>
      (x === Infinity && detect_positive !== 0) || (x === -Infinity && detect_negative !== 0),
  10,
);

/** Elements of the second input where the first is true, of the third elsewhere. */
export const Where: Operator = defineOperator({
  minInputs: 3,
  maxInputs: 3,
  since: 9,
  attributes: {},
  elementwise: true,
  shape: ([condition, a, b]: readonly [Operand, Operand, Operand]) => [
    broadcastShapes(condition.shape, broadcastShapes(a.shape, b.shape)),
  ],
  evaluate: ([condition, a, b]: readonly [Tensor, Tensor, Tensor]) => [select(condition, a, b)],
});

/** Converts to the ONNX element type `to`, widened to one that tensors have. */
export const Cast: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 1,
  since: 6,
  attributes: { to: requiredInt(), saturate: int(1) },
  elementwise: true,
  shape([x]: readonly [Operand], { to }) {
    castTypeOf(to, "Cast");
    return [x.shape];
  },
  evaluate: ([x]: readonly [Tensor], { to }) => [convert(x, castTypeOf(to, "Cast"))],
});

/** Converts to the element type of the second input. */
export const CastLike: Operator = defineOperator({
  minInputs: 2,
  maxInputs: 2,
  since: 15,
  attributes: { saturate: int(1) },
  elementwise: true,
  shape: ([x]: readonly [Operand, Operand]) => [x.shape],
  evaluate: ([x, like]: readonly [Tensor, Tensor]) => [convert(x, like.dtype)],
});

/** A float64 operand means that a float32 model is evaluated in float64, so a cast to float32 leaves it alone. */
function convert(x: Tensor, dtype: DType): Tensor {
  return x.dtype === "float64" && dtype === "float32" ? x : cast(x, dtype);
}
