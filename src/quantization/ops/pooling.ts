/**
 * Pooling: sums of windows as convolutions with ones, and maxima as rounds of pairwise maxima, axis by axis.
 * @module
 */
import type { Target } from "../../circuit/builder.ts";
import { evaluateNode } from "../../onnx/evaluate.ts";
import type { Attributes } from "../../onnx/graph.ts";
import { type Window, gatherWindows } from "../../tensor/conv.ts";
import { float64, int64, sizeOf } from "../../tensor/tensor.ts";
import {
  type OperatorRule,
  type QuantizedOperation,
  accumulatorQuantizer,
  codeResult,
  floatResult,
  prepareInput,
  requireVariable,
  roundAccumulator,
} from "../operation.ts";
import { floatOp, larger, scalarZeroPoint } from "./integers.ts";
import { unfused, paddedInFloat32 } from "./accumulator.ts";
import { emitMove } from "./movement.ts";

/** A window over a spatial shape, with the pads at the ends widened to what ceil_mode reads beyond them. */
function poolWindow({ node }: QuantizedOperation, shape: readonly number[]): Window {
  const spatial = shape.slice(2);
  const list = (name: string, length: number, fallback: number): readonly number[] =>
    listOf(node.attributes, name) ?? Array.from({ length }, () => fallback);
  const kernel = list("kernel_shape", spatial.length, 1);
  const strides = list("strides", spatial.length, 1);
  const dilations = list("dilations", spatial.length, 1);
  const pads = [...list("pads", 2 * spatial.length, 0)];
  const [result] = evaluateNode(node, [ones(shape)]);
  spatial.forEach((size, axis) => {
    const end = axis + spatial.length;
    const extent = (kernel[axis] - 1) * dilations[axis] + 1;
    const reach = (result.shape[axis + 2] - 1) * strides[axis] + extent;
    pads[end] = reach - size - pads[axis];
  });
  return { kernel, strides, dilations, pads };
}

function listOf(attributes: Attributes, name: string): readonly number[] | null {
  const value = attributes[name];
  return Array.isArray(value) && value.length > 0 ? value.map(Number) : null;
}

function ones(shape: readonly number[]): ReturnType<typeof float64> {
  const row = [1, ...shape.slice(1)];
  return float64(row, new Float64Array(sizeOf(row)).fill(1));
}

/**
 * `S / d - z` in units of the scale, where S sums a window's codes with the zero point z in the padding. The divisor d of
 * each position follows from what the float operator makes of ones.
 */
export const AveragePool: OperatorRule = {
  ...unfused,
  calibrationInputs: paddedInFloat32,
  lower(target, op, operands) {
    const { name } = op.node;
    const input = prepareInput(target, op, requireVariable(op, operands[0], "the image"));
    const shape = target.shapeOf(input.codes);
    const { kernel, ...geometry } = poolWindow(op, shape);
    const taps = sizeOf(kernel);
    const zeroPoint = scalarZeroPoint(input.quantizer);
    const sum = target.emit(
      {
        kind: "conv",
        weights: int64([shape[1], 1, ...kernel], new Float64Array(shape[1] * taps).fill(1)),
        geometry: { ...geometry, group: shape[1] },
        padValue: Math.trunc(zeroPoint),
      },
      [input.codes],
      name,
    );
    const scale = input.quantizer.tensorScale(name);
    const weights = reciprocals(op, shape, { kernel, ...geometry });
    if (op.isGraphOutput && weights.data.length === 1 && !isReferences(op, shape)) {
      const parameters = { scale: scale * weights.data[0], zeroPoint: taps * zeroPoint, offset: 0 };
      return codeResult(target, op, sum, accumulatorQuantizer(op, parameters));
    }
    const rounded = roundAccumulator(target, op, sum);
    const read = { kind: "dequantize", scale, zeroPoint: taps * zeroPoint } as const;
    const floats = target.emit(read, [rounded], name);
    return floatResult(op, target.emit(floatOp("Mul", [null, weights]), [floats], name));
  },
};

/**
 * Whether Concrete ML pools like this: two axes, the padding counted and alike at both ends. There, an average that is a
 * graph output goes through a table, as its does; elsewhere the client divides the sum.
 */
function isReferences(
  { node: { attributes } }: QuantizedOperation,
  shape: readonly number[],
): boolean {
  const pads = listOf(attributes, "pads") ?? [0, 0, 0, 0];
  const isEven = pads.slice(0, 2).every((size, axis) => size === pads[axis + 2]);
  const counts = attributes["count_include_pad"] === 1 || pads.every((size) => size === 0);
  return shape.length === 4 && counts && isEven;
}

/** 1 / divisor of every position; one number where all are alike. */
function reciprocals(
  { node }: QuantizedOperation,
  shape: readonly number[],
  window: Window,
): ReturnType<typeof float64> {
  const spatial = shape.slice(2);
  const { positions, indices } = gatherWindows(spatial, window);
  const points = sizeOf(positions);
  const [averages] = evaluateNode(node, [ones([1, 1, ...spatial])]);
  const valid = new Float64Array(points);
  indices.forEach((index, i) => (valid[i % points] += index < 0 ? 0 : 1));
  const data = valid.map((count, i) => averages.data[i] / count);
  const rank = spatial.length + 2;
  if (data.every((x) => x === data[0]))
    return float64(
      Array.from({ length: rank }, () => 1),
      [data[0]],
    );
  return float64([1, 1, ...positions], data);
}

/**
 * Maxima along one axis after the other: a window of k taps along an axis costs k - 1 tables per result. The padding is the
 * lowest code, which never wins, as ONNX has it; Concrete ML pads with zeros, which win over negative values.
 */
export const MaxPool: OperatorRule = {
  ...unfused,
  calibrationInputs: paddedInFloat32,
  lower(target, op, operands) {
    const input = prepareInput(target, op, requireVariable(op, operands[0], "the image"));
    const window = poolWindow(op, target.shapeOf(input.codes));
    const zeroPoint = scalarZeroPoint(input.quantizer);
    let codes = input.codes;
    window.kernel.forEach((_, axis) => {
      const taps = tapsAlong(target, op.node.name, codes, {
        window: alongAxis(window, axis),
        fill: input.quantizer.codeRange[0],
      });
      codes = tournament(taps, (a, b) => larger(target, op.node.name, a, b));
    });
    const read = { kind: "dequantize", scale: input.quantizer.scale, zeroPoint } as const;
    return floatResult(op, target.emit(read, [codes], op.node.name));
  },
};

/** The part of a window that lies along one axis. */
function alongAxis({ kernel, strides, dilations, pads }: Window, axis: number): Window {
  const rank = kernel.length;
  const keepAxis = (list: readonly number[], otherwise: number): number[] =>
    kernel.map((_, i) => (i === axis ? list[i] : otherwise));
  return {
    kernel: keepAxis(kernel, 1),
    strides: keepAxis(strides, 1),
    dilations: keepAxis(dilations, 1),
    pads: [...keepAxis(pads.slice(0, rank), 0), ...keepAxis(pads.slice(rank), 0)],
  };
}

/** What each tap of a window reads at every position. */
function tapsAlong<V>(
  target: Target<V>,
  name: string,
  codes: V,
  { window, fill }: { readonly window: Window; readonly fill: number },
): V[] {
  const [, channels, ...spatial] = target.shapeOf(codes);
  const { positions, indices } = gatherWindows(spatial, window);
  const points = sizeOf(positions);
  const plane = sizeOf(spatial);
  return Array.from({ length: sizeOf(window.kernel) }, (_, tap) => {
    const places = indices.subarray(tap * points, (tap + 1) * points);
    const moved = Int32Array.from({ length: channels * points }, (__, i) => {
      const place = places[i % points];
      return place < 0 ? -1 : Math.floor(i / points) * plane + place;
    });
    const move = { shape: [1, channels, ...positions], indices: moved };
    return emitMove(target, name, [codes], move, fill);
  });
}

/** Combines values pairwise, in as few rounds as possible. */
export function tournament<V>(values: readonly V[], play: (a: V, b: V) => V): V {
  if (values.length === 1) return values[0];
  const half = Math.ceil(values.length / 2);
  return play(tournament(values.slice(0, half), play), tournament(values.slice(half), play));
}
