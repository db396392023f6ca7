/**
 * Pooling operators.
 * @module
 */
import { SottoError } from "../../errors.ts";
import { windowPositions, type Window } from "../../tensor/conv.ts";
import { reducedShape, reduceLanes } from "../../tensor/lanes.ts";
import { ceilWindow, pool } from "../../tensor/pool.ts";
import { sizeOf, type Shape, type Tensor } from "../../tensor/tensor.ts";
import type { Attributes } from "../graph.ts";
import { missing } from "./operands.ts";
import { defineOperator, int, type Operand, type Operator } from "./operator.ts";
import { resolveWindow, windowAttributes, type WindowAttributes } from "./window.ts";

interface PoolAttributes extends WindowAttributes {
  readonly ceil_mode: number;
}

/** The window with `auto_pad` resolved, and with `ceil_mode` as larger pads at the end. */
function poolWindow(operator: string, x: Shape, attributes: PoolAttributes): Window {
  if (x.length < 3) {
    const message = `expected one or more spatial axes, got [${x.join(", ")}]`;
    throw new SottoError("BAD_SHAPE", operator, message);
  }
  const kernel = attributes.kernel_shape ?? missing(operator, "kernel_shape");
  const stated = resolveWindow(operator, x.slice(2), kernel, attributes);
  return attributes.ceil_mode ? ceilWindow(x.slice(2), stated) : stated;
}

function poolShape(operator: string, x: Shape, attributes: PoolAttributes): Shape {
  const [batch, channels, ...spatial] = x;
  const window = poolWindow(operator, x, attributes);
  return [batch, channels, ...windowPositions(spatial, window)];
}

/** Attributes of a window without `auto_pad`, and without `ceil_mode`, which its pads stand for. */
function windowOf({ kernel, strides, pads, dilations }: Window): Attributes {
  return { dilations, kernel_shape: kernel, pads, strides };
}

/** Largest element of each window; the padding counts as minus infinity. */
export const MaxPool: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 1,
  since: 1,
  // storage_order is about a second output, which is not supported
  attributes: { ...windowAttributes, ceil_mode: int(0), storage_order: int(0) },
  shape: ([x]: readonly [Operand], attributes) => [poolShape("MaxPool", x.shape, attributes)],
  evaluate([x]: readonly [Tensor], attributes) {
    const window = poolWindow("MaxPool", x.shape, attributes);
    return [pool(x, window, maximum)];
  },
  resolve: ([x]: readonly [Operand], attributes) =>
    windowOf(poolWindow("MaxPool", x.shape, attributes)),
});

function maximum(elements: Float64Array): number {
  let largest = -Infinity;
  for (const element of elements) largest = Math.max(largest, element);
  return largest;
}

/**
 * Average of each window: over its elements in the input, or with `count_include_pad` over the size of the kernel. The
 * latter holds too for a last, incomplete step of `ceil_mode`, as in onnxruntime 1.18 and the tests of ONNX 1.17 (PyTorch
 * and ONNX from 1.19 on leave out what lies beyond the padding).
 */
export const AveragePool: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 1,
  since: 1,
  attributes: { ...windowAttributes, ceil_mode: int(0), count_include_pad: int(0) },
  shape: ([x]: readonly [Operand], attributes) => [poolShape("AveragePool", x.shape, attributes)],
  evaluate([x]: readonly [Tensor], attributes) {
    const window = poolWindow("AveragePool", x.shape, attributes);
    const size = attributes.count_include_pad ? sizeOf(window.kernel) : undefined;
    return [pool(x, window, (elements) => sum(elements) / (size ?? elements.length))];
  },
  resolve: ([x]: readonly [Operand], attributes) => ({
    ...windowOf(poolWindow("AveragePool", x.shape, attributes)),
    count_include_pad: attributes.count_include_pad,
  }),
});

function sum(elements: Float64Array): number {
  let total = 0;
  for (const element of elements) total += element;
  return total;
}

/** The `p`-norm of each window. */
export const LpPool: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 1,
  since: 1,
  attributes: { ...windowAttributes, ceil_mode: int(0), p: int(2) },
  shape: ([x]: readonly [Operand], attributes) => [poolShape("LpPool", x.shape, attributes)],
  evaluate([x]: readonly [Tensor], attributes) {
    const window = poolWindow("LpPool", x.shape, attributes);
    const { p } = attributes;
    const norm = (elements: Float64Array): number =>
      sum(elements.map((element) => Math.abs(element) ** p)) ** (1 / p);
    return [pool(x, window, norm)];
  },
  resolve: ([x]: readonly [Operand], attributes) => ({
    ...windowOf(poolWindow("LpPool", x.shape, attributes)),
    p: attributes.p,
  }),
});

function globalPool(name: string, reduce: (lane: Float64Array) => number): Operator {
  return defineOperator({
    minInputs: 1,
    maxInputs: 1,
    since: 1,
    attributes: {},
    shape: ([x]: readonly [Operand]) => [reducedShape(x.shape, spatialAxes(name, x.shape))],
    evaluate: ([x]: readonly [Tensor]) => [
      reduceLanes(x, spatialAxes(name, x.shape), x.dtype, reduce),
    ],
  });
}

function spatialAxes(name: string, shape: Shape): readonly number[] {
  if (shape.length >= 3) return shape.map((_, axis) => axis).slice(2);
  const message = `expected one or more spatial axes, got [${shape.join(", ")}]`;
  throw new SottoError("BAD_SHAPE", name, message);
}

/** Average over all spatial axes. */
export const GlobalAveragePool: Operator = globalPool(
  "GlobalAveragePool",
  (lane) => sum(lane) / lane.length,
);

/** Maximum over all spatial axes. */
export const GlobalMaxPool: Operator = globalPool("GlobalMaxPool", maximum);
