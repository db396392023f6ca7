/**
 * Element-wise operators.
 * @module
 */
import { add, mapElements } from "../../tensor/elementwise.ts";
import { broadcastShapes, type Tensor } from "../../tensor/tensor.ts";
import { defineOperator, type Operand, type Operator } from "./operator.ts";

/** Sum with broadcasting. */
export const Add: Operator = defineOperator({
  minInputs: 2,
  maxInputs: 2,
  since: 1,
  attributes: {},
  elementwise: true,
  shape: ([a, b]: readonly [Operand, Operand]) => [broadcastShapes(a.shape, b.shape)],
  evaluate: ([a, b]: readonly [Tensor, Tensor]) => [add(a, b)],
});

/** The larger of x and 0; NaN stays NaN. */
export const Relu: Operator = unary((x) => (x < 0 ? 0 : x));

/** `1 / (1 + exp(-x))`. */
export const Sigmoid: Operator = unary(sigmoid);

/** The input itself. */
export const Identity: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 1,
  since: 1,
  attributes: {},
  elementwise: true,
  shape: ([x]: readonly [Operand]) => [x.shape],
  evaluate: ([x]: readonly [Tensor]) => [x],
});

/**
 * `exp(-logaddexp(0, -x))`, step by step as numpy computes it: quantized models store tables of this function, and the
 * shorter formula differs in the last bit and overflows for large negative x.
 */
function sigmoid(x: number): number {
  if (x === 0) return Math.exp(-Math.LN2);
  return x > 0 ? Math.exp(-Math.log1p(Math.exp(-x))) : Math.exp(-(-x + Math.log1p(Math.exp(x))));
}

/** An operator that applies one function, computed in double precision, to each element. */
function unary(op: (x: number) => number): Operator {
  return defineOperator({
    minInputs: 1,
    maxInputs: 1,
    since: 1,
    attributes: {},
    elementwise: true,
    shape: ([x]: readonly [Operand]) => [x.shape],
    evaluate: ([x]: readonly [Tensor]) => [mapElements(x, op)],
  });
}
