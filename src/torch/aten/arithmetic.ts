/**
 * Functions of several tensors, element by element: arithmetic, comparisons, logic, choices.
 * @module
 */
import type { DType } from "../../tensor/tensor.ts";
import type { Call, Rule } from "./call.ts";

/** Rules by `operator.overload`; several that share a rule are separated by spaces. */
export const arithmetic: Readonly<Record<string, Rule>> = {
  "add.Tensor add.Scalar": (call) => sum(call, "Add", "self", "other"),
  "sub.Tensor sub.Scalar": (call) => sum(call, "Sub", "self", "other"),
  "rsub.Scalar rsub.Tensor": (call) => sum(call, "Sub", "other", "self"),
  "mul.Tensor mul.Scalar": binary("Mul"),
  "div.Tensor div.Scalar true_divide.Tensor": (call) => {
    // PyTorch 2.6 states int64 for a quotient of integers, and computes floats all the same.
    const stated = call.resultDType();
    const dtype = stated === "int64" ? "float32" : stated;
    return call.emit("Div", [call.operand("self", dtype), call.operand("other", dtype)]);
  },
  "div.Tensor_mode div.Scalar_mode": divide,
  "floor_divide.default floor_divide.Scalar": (call) =>
    call.emit("Floor", [binary("Div")(call) as string]),
  "fmod.Tensor fmod.Scalar": (call) => call.emit("Mod", operands(call), { fmod: 1 }),
  "remainder.Tensor remainder.Scalar": (call) => {
    const [a, b] = operands(call);
    const quotient = call.emit("Floor", [call.emit("Div", [a, b])]);
    return call.emit("Sub", [a, call.emit("Mul", [b, quotient])]);
  },
  "pow.Tensor_Scalar pow.Tensor_Tensor pow.Scalar": (call) => {
    const dtype = call.resultDType();
    return call.emit("Pow", [call.operand("self", dtype), call.operand("exponent", dtype)]);
  },
  "maximum.default max.other": binary("Max"),
  "minimum.default min.other": binary("Min"),
  "addcmul.default": (call) => addProduct(call, "Mul"),
  "addcdiv.default": (call) => addProduct(call, "Div"),
  "lerp.Scalar": (call) => {
    const dtype = call.resultDType();
    const start = call.operand("self", dtype);
    const way = call.emit("Sub", [call.operand("end", dtype), start]);
    return call.emit("Add", [start, call.emit("Mul", [way, call.operand("weight", dtype)])]);
  },

  "eq.Tensor eq.Scalar": compare("Equal"),
  "ne.Tensor ne.Scalar not_equal.Tensor not_equal.Scalar": (call) =>
    call.emit("Not", [compare("Equal")(call) as string]),
  "gt.Tensor gt.Scalar greater.Tensor greater.Scalar": compare("Greater"),
  "ge.Tensor ge.Scalar greater_equal.Tensor greater_equal.Scalar": compare("GreaterOrEqual"),
  "lt.Tensor lt.Scalar less.Tensor less.Scalar": compare("Less"),
  "le.Tensor le.Scalar less_equal.Tensor less_equal.Scalar": compare("LessOrEqual"),
  "logical_and.default": logical("And"),
  "logical_or.default": logical("Or"),
  "logical_xor.default": logical("Xor"),
  "bitwise_and.Tensor __and__.Tensor": bitwise("And"),
  "bitwise_or.Tensor __or__.Tensor": bitwise("Or"),
  "bitwise_xor.Tensor __xor__.Tensor": bitwise("Xor"),

  "where.self where.ScalarOther where.ScalarSelf where.Scalar": (call) =>
    choose(call, "condition", "self", "other"),
  "masked_fill.Scalar masked_fill.Tensor": (call) => choose(call, "mask", "value", "self"),
  "clamp.default clip.default": (call) => clamp(call),
  "clamp.Tensor clip.Tensor": (call) => {
    const dtype = call.resultDType();
    let value = call.operand("self", dtype);
    if (call.has("min")) value = call.emit("Max", [value, call.operand("min", dtype)]);
    if (call.has("max")) value = call.emit("Min", [value, call.operand("max", dtype)]);
    return value;
  },
  "clamp_min.default clamp_max.default": (call) => clamp(call),
};

/** Both operands in the element type of the result. */
function operands(call: Call): [string, string] {
  const dtype = call.resultDType();
  return [call.operand("self", dtype), call.operand("other", dtype)];
}

function binary(opType: string): Rule {
  return (call) => call.emit(opType, operands(call));
}

/** `left ± alpha * right`, where PyTorch scales the operand that is written second. */
function sum(call: Call, opType: string, left: string, right: string): string {
  const dtype = call.resultDType();
  const alpha = call.number("alpha", 1);
  const term = call.operand(right, dtype);
  const scaled = alpha === 1 ? term : call.emit("Mul", [term, call.scalar(dtype, alpha)]);
  return call.emit(opType, [call.operand(left, dtype), scaled]);
}

function divide(call: Call): string {
  const quotient = call.emit("Div", operands(call));
  const mode = call.string("rounding_mode", "none");
  if (mode === "none") return quotient;
  if (mode === "floor") return call.emit("Floor", [quotient]);
  const whole = call.emit("Floor", [call.emit("Abs", [quotient])]);
  return call.emit("Mul", [call.emit("Sign", [quotient]), whole]);
}

function addProduct(call: Call, opType: string): string {
  const dtype = call.resultDType();
  const product = call.emit(opType, [
    call.operand("tensor1", dtype),
    call.operand("tensor2", dtype),
  ]);
  const factor = call.number("value", 1);
  const scaled = factor === 1 ? product : call.emit("Mul", [product, call.scalar(dtype, factor)]);
  return call.emit("Add", [call.operand("self", dtype), scaled]);
}

function compare(opType: string): Rule {
  return (call) => {
    const dtype = commonType(call, "self", "other");
    return call.emit(opType, [call.operand("self", dtype), call.operand("other", dtype)]);
  };
}

/** The element type in which PyTorch compares: a number never makes a tensor wider, but for a fraction among integers. */
function commonType(call: Call, left: string, right: string): DType {
  const a = call.isTensor(left) ? call.dtype(left) : undefined;
  const b = call.isTensor(right) ? call.dtype(right) : undefined;
  const order: readonly DType[] = ["float64", "float32", "int64"];
  const widest = order.find((dtype) => dtype === a || dtype === b) ?? "int64";
  const numbers = [left, right].filter((name) => !call.isTensor(name));
  const isFraction = numbers.some((name) => !Number.isInteger(call.number(name)));
  return widest === "int64" && isFraction ? "float32" : widest;
}

function logical(opType: string): Rule {
  return (call) => call.emit(opType, [call.operand("self", "bool"), call.operand("other", "bool")]);
}

function bitwise(opType: string): Rule {
  return (call) => {
    if (call.resultDType() !== "bool") call.refuse("expected bool tensors");
    return logical(opType)(call);
  };
}

function choose(call: Call, condition: string, yes: string, no: string): string {
  const dtype = call.resultDType();
  const mask = call.operand(condition, "bool");
  return call.emit("Where", [mask, call.operand(yes, dtype), call.operand(no, dtype)]);
}

function clamp(call: Call): string {
  const dtype = call.resultDType();
  const bound = (name: string): string => (call.has(name) ? call.operand(name, dtype) : "");
  const inputs = [call.operand("self", dtype), bound("min"), bound("max")];
  return call.emit("Clip", inputs[2] === "" ? inputs.slice(0, 2) : inputs);
}
