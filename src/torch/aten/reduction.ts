/**
 * Reductions over axes.
 * @module
 */
import type { Call, Rule } from "./call.ts";

/** Rules by `operator.overload`; several that share a rule are separated by spaces. */
export const reduction: Readonly<Record<string, Rule>> = {
  "sum.default sum.dim_IntList": (call) => reduce(call, "ReduceSum"),
  "mean.default mean.dim": (call) => reduce(call, "ReduceMean"),
  "prod.default prod.dim_int": (call) => reduce(call, "ReduceProd"),
  "amax.default max.default": (call) => reduce(call, "ReduceMax"),
  "amin.default min.default": (call) => reduce(call, "ReduceMin"),
  "logsumexp.default": (call) => reduce(call, "ReduceLogSumExp"),
  "any.default any.dim any.dims": (call) => truth(call, "ReduceMax"),
  "all.default all.dim all.dims": (call) => truth(call, "ReduceMin"),
  "max.dim": (call) => [reduce(call, "ReduceMax"), argument(call, "ArgMax")],
  "min.dim": (call) => [reduce(call, "ReduceMin"), argument(call, "ArgMin")],
  "argmax.default": (call) => argument(call, "ArgMax"),
  "argmin.default": (call) => argument(call, "ArgMin"),
  "linalg_vector_norm.default": (call) => norm(call, "ord"),
  "norm.ScalarOpt_dim norm.Scalar": (call) => norm(call, "p"),
  "var.correction var.dim var.default": (call) => variance(call),
  "std.correction std.dim std.default": (call) => call.emit("Sqrt", [variance(call)]),
  "var_mean.correction var_mean.dim": (call) => [variance(call), reduce(call, "ReduceMean")],
  "cumsum.default": (call) => {
    call.ignore("dtype");
    const axis = call.axis("dim", call.sizes("self").length);
    const x = call.operand("self", call.resultDType());
    return call.emit("CumSum", [x, call.scalar("int64", axis)]);
  },
};

/** The axes that are reduced: all where none is named. */
function axesOf(call: Call): number[] {
  const rank = call.sizes("self").length;
  const axes = call.axes("dim", rank, []);
  return axes.length > 0 ? axes : Array.from({ length: rank }, (_, axis) => axis);
}

function reduce(call: Call, opType: string, value?: string): string {
  call.ignore("dtype");
  const x = value ?? call.operand("self", call.resultDType());
  return call.emit(opType, [x, call.longs(axesOf(call))], {
    keepdims: Number(call.bool("keepdim", false)),
  });
}

/** Whether any or all elements are true: the largest or the smallest of 0 and 1. */
function truth(call: Call, opType: string): string {
  const numbers = call.cast(call.operand("self", "bool"), "bool", "int64");
  return call.cast(reduce(call, opType, numbers), "int64", "bool");
}

function argument(call: Call, opType: string): string {
  const keepdims = Number(call.bool("keepdim", false));
  if (call.has("dim")) {
    const axis = call.axis("dim", call.sizes("self").length);
    return call.emit(opType, [call.tensor("self")], { axis, keepdims });
  }
  if (keepdims === 1) call.refuse("keepdim without dim is not supported");
  const flat = call.emit("Reshape", [call.tensor("self"), call.longs([-1])]);
  return call.emit(opType, [flat], { axis: 0, keepdims: 0 });
}

function norm(call: Call, order: string): string {
  const degree = call.number(order, 2);
  if (degree === 1) return reduce(call, "ReduceL1");
  if (degree === 2) return reduce(call, "ReduceL2");
  return call.refuse(`expected norm 1 or 2, got ${degree}`);
}

/** Mean of squared differences from the mean, with `correction` fewer degrees of freedom. */
function variance(call: Call): string {
  const dtype = call.resultDType();
  const x = call.operand("self", dtype);
  const axes = axesOf(call);
  const count = axes.reduce((size, axis) => size * call.fixed(call.sizes("self")[axis]), 1);
  const unbiased = call.bool("unbiased", true) ? 1 : 0;
  const freedom = count - call.number("correction", unbiased);
  const mean = call.emit("ReduceMean", [x, call.longs(axes)], { keepdims: 1 });
  const difference = call.emit("Sub", [x, mean]);
  const squares = call.emit("Mul", [difference, difference]);
  const value = reduce(call, "ReduceMean", squares);
  if (freedom === count) return value;
  return call.emit("Mul", [value, call.scalar(dtype, count / freedom)]);
}
