/**
 * Tensors that a program makes up: they become constants of the model.
 * @module
 */
import { tensor } from "../../tensor/tensor.ts";
import type { Call, Rule } from "./call.ts";

/** Rules by `operator.overload`; several that share a rule are separated by spaces. */
export const creation: Readonly<Record<string, Rule>> = {
  "scalar_tensor.default": (call) => filled(call, call.number("s")),
  "full.default": (call) => filled(call, call.number("fill_value")),
  "full_like.default new_full.default": (call) => filled(call, call.number("fill_value")),
  "zeros.default zeros_like.default new_zeros.default": (call) => filled(call, 0),
  "ones.default ones_like.default new_ones.default": (call) => filled(call, 1),
  "fill.Scalar": (call) => filled(call, call.number("value")),
  "zero.default": (call) => filled(call, 0),
  "arange.default arange.start arange.start_step": arange,
  "eye.default eye.m": eye,
};

/** A constant of the result's sizes; a batch axis has size 1 and broadcasts. */
function filled(call: Call, value: number): string {
  call.ignore("size", "self", "dtype");
  return call.filled(call.resultDType(), call.resultSizes(), value);
}

function arange(call: Call): string {
  call.ignore("dtype", "end");
  const [count] = call.resultSizes().map((size) => call.fixed(size));
  call.checkCount(count);
  const start = call.number("start", 0);
  const step = call.number("step", 1);
  const data = Array.from({ length: count }, (_, i) => start + i * step);
  return call.constant(tensor(call.resultDType(), [count], data));
}

function eye(call: Call): string {
  call.ignore("dtype", "n", "m");
  const [rows, columns] = call.resultSizes().map((size) => call.fixed(size));
  call.checkCount(rows * columns);
  const data = Array.from({ length: rows * columns }, (_, i) =>
    i % columns === Math.floor(i / columns) ? 1 : 0,
  );
  return call.constant(tensor(call.resultDType(), [rows, columns], data));
}
