/**
 * Pooling operators.
 * @module
 */
import { SottoError } from "../../errors.ts";
import { windowPositions, type Window } from "../../tensor/conv.ts";
import { reducedShape, reduceLanes } from "../../tensor/lanes.ts";
import { ceilWindow, countTaps, pool } from "../../tensor/pool.ts";
import type { Shape, Tensor } from "../../tensor/tensor.ts";
import type { Attributes } from "../graph.ts";
import { missing } from "./operands.ts";
import { defineOperator, int, type Operand, type Operator } from "./operator.ts";
import { resolveWindow, windowAttributes, type WindowAttributes } from "./window.ts";

interface PoolAttributes extends WindowAttributes {
  readonly ceil_mode: number;
}

/** The window as stated (`auto_pad` resolved) and with `ceil_mode` as larger pads at the end. */
function poolWindow(
  operator: string,
  x: Shape,
  attributes: PoolAttributes,
): { readonly stated: Window; readonly window: Window } {
  if (x.length < 3) {
    const message = `expected one or more spatial axes, got [${x.join(", ")}]`;
    throw new SottoError("BAD_SHAPE", operator, message);
  }
  const kernel = attributes.kernel_shape ?? missing(operator, "kernel_shape");
  const stated = resolveWindow(operator, x.slice(2), kernel, attributes);
  return { stated, window: attributes.ceil_mode ? ceilWindow(x.slice(2), stated) : stated };
}

function poolShape(operator: string, x: Shape, attributes: PoolAttributes): Shape {
  const [batch, channels, ...spatial] = x;
  const { window } = poolWindow(operator, x, attributes);
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
    const { window } = poolWindow("MaxPool", x.shape, attributes);
    return [pool(x, window, maximum)];
  },
  resolve: ([x]: readonly [Operand], attributes) =>
    windowOf(poolWindow("MaxPool", x.shape, attributes).window),
});

function maximum(elements: Float64Array): number {
  let largest = -Infinity;
  for (const element of elements) largest = Math.max(largest, element);
  return largest;
}

/**
 * Average of each window: over its elements in the input, or with `count_include_pad` also over the zeros of the padding.
 * What a last, incomplete step of `ceil_mode` reads beyond the padding never counts.
 */
export const AveragePool: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 1,
  since: 1,
  attributes: { ...windowAttributes, ceil_mode: int(0), count_include_pad: int(0) },
  shape: ([x]: readonly [Operand], attributes) => [poolShape("AveragePool", x.shape, attributes)],
  evaluate([x]: readonly [Tensor], attributes) {
    const { stated, window } = poolWindow("AveragePool", x.shape, attributes);
    if (!attributes.count_include_pad) {
      return [pool(x, window, (elements) => sum(elements) / elements.length)];
    }
    const counts = countTaps(x.shape.slice(2), window, stated.pads);
    return [pool(x, window, (elements, position) => sum(elements) / counts[position])];
  },
  resolve([x]: readonly [Operand], attributes) {
    const { stated, window } = poolWindow("AveragePool", x.shape, attributes);
    const { count_include_pad, ceil_mode } = attributes;
    // with padding counted, the stated pads say what counts
    return count_include_pad
      ? { ...windowOf(stated), count_include_pad, ceil_mode }
      : windowOf(window);
  },
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
    const { window } = poolWindow("LpPool", x.shape, attributes);
    const { p } = attributes;
    const norm = (elements: Float64Array): number =>
      sum(elements.map((element) => Math.abs(element) ** p)) ** (1 / p);
    return [pool(x, window, norm)];
  },
  resolve: ([x]: readonly [Operand], attributes) => ({
    ...windowOf(poolWindow("LpPool", x.shape, attributes).window),
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
