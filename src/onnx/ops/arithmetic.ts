/**
 * Arithmetic on elements.
 * @module
 */
import { roundHalfEven } from "../../tensor/codes.ts";
import { add, combine, mapElements } from "../../tensor/elementwise.ts";
import { erf, power } from "../../tensor/special.ts";
import { broadcastShapes, cast, type Tensor } from "../../tensor/tensor.ts";
import { binary, pairwise, unary, variadic } from "./elementwise.ts";
import { defineOperator, int, type Operand, type Operator } from "./operator.ts";

/** Sum of two tensors. */
export const Add: Operator = pairwise(add);

/** Difference. */
export const Sub: Operator = binary((x, y) => x - y);

/** Product. */
export const Mul: Operator = binary((x, y) => x * y);

/** Quotient; that of two integer tensors is truncated toward zero. */
export const Div: Operator = pairwise((a, b) =>
  a.dtype === "int64" && b.dtype === "int64"
    ? combine(a, b, (x, y) => Math.trunc(x / y) + 0)
    : combine(a, b, (x, y) => x / y),
);

/** Power; the result has the element type of the base unless the exponent is float64. */
export const Pow: Operator = pairwise((base, exponent) => {
  const result = combine(base, exponent, power);
  if (exponent.dtype === "float64" && base.dtype === "float32") return result;
  return cast(result, base.dtype);
});

/**
 * Remainder. Of integers it has the sign of the divisor, as Python's; with `fmod` it has the sign of the dividend, as
 * C's.
 */
export const Mod: Operator = defineOperator({
  minInputs: 2,
  maxInputs: 2,
  since: 10,
  attributes: { fmod: int(0) },
  elementwise: true,
  shape: ([a, b]: readonly [Operand, Operand]) => [broadcastShapes(a.shape, b.shape)],
  evaluate: ([a, b]: readonly [Tensor, Tensor], { fmod }) => [
    combine(a, b, fmod ? (x, y) => x % y : (x, y) => x - Math.floor(x / y) * y),
  ],
});

export const Neg: Operator = unary((x) => -x);
export const Abs: Operator = unary(Math.abs);
export const Sqrt: Operator = unary(Math.sqrt);
export const Reciprocal: Operator = unary((x) => 1 / x);
export const Exp: Operator = unary(Math.exp);
/** Natural logarithm: minus infinity at 0, NaN below. */
export const Log: Operator = unary(Math.log);
export const Floor: Operator = unary(Math.floor);
export const Ceil: Operator = unary(Math.ceil);
/** Nearest integer, ties to even. */
export const Round: Operator = unary(roundHalfEven, 11);
export const Sign: Operator = unary(Math.sign, 9);
/** The error function. */
export const Erf: Operator = unary(erf, 9);

/** Largest of the operands at each place; NaN if one is. */
export const Max: Operator = variadic((tensors) =>
  tensors.reduce((a, b) => combine(a, b, Math.max)),
);

/** Smallest of the operands at each place; NaN if one is. */
export const Min: Operator = variadic((tensors) =>
  tensors.reduce((a, b) => combine(a, b, Math.min)),
);

/** Sum of any number of tensors. */
export const Sum: Operator = variadic((tensors) => tensors.reduce(add));

/** Average of any number of tensors. */
export const Mean: Operator = variadic((tensors) =>
  mapElements(tensors.reduce(add), (x) => x / tensors.length),
);
