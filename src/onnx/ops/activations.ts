/**
 * Activation functions. Each side of a condition is computed only where it applies: a formula that multiplies the other
 * side by 0 gives NaN where that one overflows.
 * @module
 */
import { SottoError } from "../../errors.ts";
import { combine, mapElements } from "../../tensor/elementwise.ts";
import { erf, softplus } from "../../tensor/special.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { unary, unaryWith } from "./elementwise.ts";
import { broadcastInto } from "./operands.ts";
import { defineOperator, float, string, type Operand, type Operator } from "./operator.ts";

/** The larger of x and 0; NaN stays NaN. */
export const Relu: Operator = unary((x) => (x < 0 ? 0 : x));

/** `1 / (1 + exp(-x))`. */
export const Sigmoid: Operator = unary(sigmoid);

/** Hyperbolic tangent. */
export const Tanh: Operator = unary(Math.tanh);

/** x where it is not negative, `alpha x` elsewhere. */
export const LeakyRelu: Operator = unaryWith(
  { alpha: float(0.01) },
  ({ alpha }) =>
    (x) =>
      x < 0 ? alpha * x : x,
);

/** x above `alpha`, 0 elsewhere. */
export const ThresholdedRelu: Operator = unaryWith(
  { alpha: float(1) },
  ({ alpha }) =>
    (x) =>
      x <= alpha ? 0 : x,
  10,
);

/** x where it is positive, `alpha (exp(x) - 1)` elsewhere. */
export const Elu: Operator = unaryWith(
  { alpha: float(1) },
  ({ alpha }) =>
    (x) =>
      x > 0 ? x : alpha * (Math.exp(x) - 1),
);

// Exporters leave the attributes out. ONNX rounds their defaults to float32; tables of quantized models, those of
// Concrete ML among them, are computed with the numbers themselves. In float32 there is no difference.
/** `gamma` times an Elu. */
export const Selu: Operator = unaryWith(
  { alpha: float(1.6732632423543772), gamma: float(1.0507009873554805) },
  ({ alpha, gamma }) =>
    (x) =>
      x > 0 ? gamma * x : gamma * alpha * (Math.exp(x) - 1),
);

/** An Elu whose derivative is continuous for every `alpha`. */
export const Celu: Operator = unaryWith(
  { alpha: float(1) },
  ({ alpha }) =>
    (x) =>
      Math.max(0, x) + Math.min(0, alpha * (Math.exp(x / alpha) - 1)),
  12,
);

/** `alpha x + beta`, clipped to [0, 1]. */
export const HardSigmoid: Operator = unaryWith(
  { alpha: float(0.2), beta: float(0.5) },
  ({ alpha, beta }) =>
    (x) =>
      Math.max(0, Math.min(1, alpha * x + beta)),
);

/** x times a HardSigmoid of slope 1/6. */
export const HardSwish: Operator = unary(
  (x) => x * Math.max(0, Math.min(1, (1 / 6) * x + 0.5)),
  14,
);

/** `log(1 + exp(x))`. */
export const Softplus: Operator = unary(softplus);

/** `x / (1 + |x|)`. */
export const Softsign: Operator = unary((x) =>
  Math.abs(x) === Infinity ? Math.sign(x) : x / (1 + Math.abs(x)),
);

/** x times the normal distribution function, or its approximation by a hyperbolic tangent. */
export const Gelu: Operator = unaryWith(
  { approximate: string("none") },
  ({ approximate }) => {
    if (approximate === "none") return (x) => 0.5 * x * (1 + erf(x / Math.SQRT2));
    if (approximate === "tanh") {
      const slope = Math.sqrt(2 / Math.PI);
      return (x) => 0.5 * x * (1 + Math.tanh(slope * (x + 0.044715 * x ** 3)));
    }
    const message = `approximate ${approximate}; expected none or tanh`;
    throw new SottoError("UNSUPPORTED_OPERATOR", "Gelu", message);
  },
  20,
);

/** `x tanh(log(1 + exp(x)))`. */
export const Mish: Operator = unary((x) => x * Math.tanh(softplus(x)), 18);

/** Moves x by `bias` toward 0 outside [-lambd, lambd], and is 0 inside. */
export const Shrink: Operator = unaryWith(
  { bias: float(0), lambd: float(0.5) },
  ({ bias, lambd }) =>
    (x) =>
      Math.abs(x) <= lambd ? 0 : x < 0 ? x + bias : x - bias,
  9,
);

/** x where it is not negative, `slope x` elsewhere; the slope broadcasts to x. */
export const PRelu: Operator = defineOperator({
  minInputs: 2,
  maxInputs: 2,
  since: 1,
  attributes: {},
  elementwise: true,
  shape: ([x, slope]: readonly [Operand, Operand]) => [
    broadcastInto("PRelu", x.shape, slope.shape),
  ],
  evaluate: ([x, slope]: readonly [Tensor, Tensor]) => [
    combine(x, slope, (value, factor) => (value < 0 ? factor * value : value)),
  ],
});

/** Moves each element into [min, max]; the bounds are inputs, or attributes before opset 11. */
export const Clip: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 3,
  since: 1,
  attributes: { min: float(undefined), max: float(undefined) },
  elementwise: true,
  shape: ([x]: readonly [Operand, Operand?, Operand?]) => [x.shape],
  evaluate([x, low, high]: readonly [Tensor, Tensor?, Tensor?], { min, max }) {
    const least = low?.data[0] ?? min ?? -Infinity;
    const most = high?.data[0] ?? max ?? Infinity;
    return [mapElements(x, (value) => Math.min(Math.max(value, least), most))];
  },
});

/**
 * `exp(-logaddexp(0, -x))`, step by step as numpy computes it: quantized models store tables of this function, and the
 * shorter formula differs in the last bit and overflows for large negative x.
 */
function sigmoid(x: number): number {
  if (x === 0) return Math.exp(-Math.LN2);
  return x > 0 ? Math.exp(-Math.log1p(Math.exp(-x))) : Math.exp(-(-x + Math.log1p(Math.exp(x))));
}
