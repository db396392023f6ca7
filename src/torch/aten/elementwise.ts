/**
 * Functions of one tensor: element-wise functions and activations.
 * @module
 */
import type { Call, Rule } from "./call.ts";

/** Rules by `operator.overload`; several that share a rule are separated by spaces. */
export const elementwise: Readonly<Record<string, Rule>> = {
  "relu.default": unary("Relu"),
  "sigmoid.default": unary("Sigmoid"),
  "tanh.default": unary("Tanh"),
  "neg.default": unary("Neg"),
  "abs.default": unary("Abs"),
  "sqrt.default": unary("Sqrt"),
  "exp.default": unary("Exp"),
  "log.default": unary("Log"),
  "floor.default": unary("Floor"),
  "ceil.default": unary("Ceil"),
  "round.default": unary("Round"),
  "sign.default sgn.default": unary("Sign"),
  "erf.default special_erf.default": unary("Erf"),
  "reciprocal.default": unary("Reciprocal"),
  "sin.default": unary("Sin"),
  "cos.default": unary("Cos"),
  "tan.default": unary("Tan"),
  "asin.default arcsin.default": unary("Asin"),
  "acos.default arccos.default": unary("Acos"),
  "atan.default arctan.default": unary("Atan"),
  "sinh.default": unary("Sinh"),
  "cosh.default": unary("Cosh"),
  "asinh.default arcsinh.default": unary("Asinh"),
  "acosh.default arccosh.default": unary("Acosh"),
  "atanh.default arctanh.default": unary("Atanh"),
  "isnan.default": (call) => call.emit("IsNaN", [call.tensor("self")]),
  "isinf.default": (call) => call.emit("IsInf", [call.tensor("self")]),
  "logical_not.default": (call) =>
    call.emit("Not", [call.cast(call.tensor("self"), call.dtype("self"), "bool")]),
  "bitwise_not.default": (call) =>
    call.dtype("self") === "bool"
      ? call.emit("Not", [call.tensor("self")])
      : call.refuse("expected a bool tensor"),
  "square.default": (call) => call.emit("Mul", [input(call), input(call)]),
  "rsqrt.default": (call) =>
    call.emit("Div", [call.scalar(call.resultDType(), 1), call.emit("Sqrt", [input(call)])]),
  "log1p.default": (call) =>
    call.emit("Log", [call.emit("Add", [input(call), call.scalar(call.resultDType(), 1)])]),
  "expm1.default": (call) =>
    call.emit("Sub", [call.emit("Exp", [input(call)]), call.scalar(call.resultDType(), 1)]),
  "exp2.default": (call) => call.emit("Pow", [call.scalar(call.resultDType(), 2), input(call)]),
  "log2.default": logarithm(Math.LN2),
  "log10.default": logarithm(Math.LN10),
  "trunc.default fix.default": (call) => {
    const x = input(call);
    return call.emit("Mul", [call.emit("Sign", [x]), call.emit("Floor", [call.emit("Abs", [x])])]);
  },

  "relu6.default": (call) => clip(call, 0, 6),
  "hardtanh.default": (call) => clip(call, call.number("min_val", -1), call.number("max_val", 1)),
  "leaky_relu.default": (call) =>
    call.emit("LeakyRelu", [input(call)], { alpha: call.number("negative_slope", 0.01) }),
  "elu.default": elu,
  "selu.default": unary("Selu"),
  "celu.default": (call) => call.emit("Celu", [input(call)], { alpha: call.number("alpha", 1) }),
  "gelu.default": (call) =>
    call.emit("Gelu", [input(call)], { approximate: call.string("approximate", "none") }),
  "silu.default": (call) => call.emit("Mul", [input(call), call.emit("Sigmoid", [input(call)])]),
  "mish.default": (call) =>
    call.emit("Mul", [input(call), call.emit("Tanh", [call.emit("Softplus", [input(call)])])]),
  "hardsigmoid.default": (call) =>
    call.emit("HardSigmoid", [input(call)], { alpha: 1 / 6, beta: 0.5 }),
  "hardswish.default": unary("HardSwish"),
  "softplus.default": softplus,
  "hardshrink.default": hardshrink,
  "softshrink.default": softshrink,
  "threshold.default": threshold,
  "log_sigmoid.default": (call) => call.emit("Log", [call.emit("Sigmoid", [input(call)])]),
  "log_sigmoid_forward.default": (call) => [
    call.emit("Log", [call.emit("Sigmoid", [input(call)])]),
    undefined,
  ],
  "prelu.default _prelu_kernel.default": prelu,
  "glu.default": (call) => {
    const axis = call.axis("dim", call.sizes("self").length, -1);
    const half = call.fixed(call.resultSizes()[axis]);
    const [a, b] = call.emitMany("Split", [call.tensor("self"), call.longs([half, half])], 2, {
      axis,
    });
    return call.emit("Mul", [a, call.emit("Sigmoid", [b])]);
  },
};

/** The argument `self`, converted first where the result has another element type (integers become floats). */
function input(call: Call): string {
  return call.operand("self", call.resultDType());
}

function unary(opType: string): Rule {
  return (call) => call.emit(opType, [input(call)]);
}

function logarithm(base: number): Rule {
  return (call) =>
    call.emit("Div", [call.emit("Log", [input(call)]), call.scalar(call.resultDType(), base)]);
}

/** Clamps `self` to an interval. */
function clip(call: Call, least: number, most: number): string {
  const dtype = call.resultDType();
  return call.emit("Clip", [input(call), call.scalar(dtype, least), call.scalar(dtype, most)]);
}

function elu(call: Call): string {
  if (call.number("input_scale", 1) !== 1) call.refuse("input_scale has to be 1");
  const result = call.emit("Elu", [input(call)], { alpha: call.number("alpha", 1) });
  const scale = call.number("scale", 1);
  return scale === 1 ? result : call.emit("Mul", [result, call.scalar(call.resultDType(), scale)]);
}

function softplus(call: Call): string {
  // Beyond the threshold PyTorch returns x itself, which the exact function equals to the last bit or two.
  call.ignore("threshold");
  const beta = call.number("beta", 1);
  if (beta === 1) return call.emit("Softplus", [input(call)]);
  const factor = call.scalar(call.resultDType(), beta);
  const scaled = call.emit("Softplus", [call.emit("Mul", [input(call), factor])]);
  return call.emit("Div", [scaled, factor]);
}

/** x where it is outside of [-lambd, lambd], else 0. */
function hardshrink(call: Call): string {
  const x = input(call);
  const [lambd, minus, zero] = shrinkage(call);
  const isOutside = call.emit("Or", [
    call.emit("Greater", [x, lambd]),
    call.emit("Less", [x, minus]),
  ]);
  return call.emit("Where", [isOutside, x, zero]);
}

/** x moved toward 0 by lambd, and 0 within [-lambd, lambd]. */
function softshrink(call: Call): string {
  const x = input(call);
  const [lambd, minus, zero] = shrinkage(call);
  const above = [call.emit("Greater", [x, lambd]), call.emit("Sub", [x, lambd]), zero];
  const below = [call.emit("Less", [x, minus]), call.emit("Add", [x, lambd]), zero];
  return call.emit("Add", [call.emit("Where", above), call.emit("Where", below)]);
}

function shrinkage(call: Call): [string, string, string] {
  const lambd = call.number("lambd", 0.5);
  const dtype = call.resultDType();
  return [call.scalar(dtype, lambd), call.scalar(dtype, -lambd), call.scalar(dtype, 0)];
}

/** x where it is above the threshold, else a fixed value. */
function threshold(call: Call): string {
  const [limit, value] = [call.number("threshold"), call.number("value")];
  if (limit === 0 && value === 0) return call.emit("Relu", [input(call)]);
  const dtype = call.resultDType();
  const isAbove = call.emit("Greater", [input(call), call.scalar(dtype, limit)]);
  return call.emit("Where", [isAbove, input(call), call.scalar(dtype, value)]);
}

/** One slope for all, or one per channel (axis 1). */
function prelu(call: Call): string {
  const slope = call.tensor("weight");
  const rank = call.sizes("self").length;
  if (call.sizes("weight").length !== 1 || rank <= 2) {
    return call.emit("PRelu", [input(call), slope]);
  }
  const perChannel = [
    call.fixed(call.sizes("weight")[0]),
    ...Array.from({ length: rank - 2 }, () => 1),
  ];
  return call.emit("PRelu", [input(call), call.emit("Reshape", [slope, call.longs(perChannel)])]);
}
