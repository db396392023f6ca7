/**
 * Convolutions over codes, and their transposes.
 * @module
 */
import type { Target } from "../../circuit/builder.ts";
import type { ConvGeometry } from "../../circuit/ir.ts";
import { evaluateNode } from "../../onnx/evaluate.ts";
import type { Attributes } from "../../onnx/graph.ts";
import { type Tensor, float64, int64, reshape, sizeOf } from "../../tensor/tensor.ts";
import {
  type Operand,
  type OperatorRule,
  type QuantizedOperation,
  type QuantizedValue,
  prepareInput,
  requireConstant,
  requireVariable,
} from "../operation.ts";
import {
  accumulatorScale,
  centredWeights,
  finish,
  unfused,
  paddedInFloat32,
  zeroPointOf,
} from "./accumulator.ts";
import type { QuantizedArray } from "../array.ts";
import type { UniformQuantizer } from "../quantizer.ts";
import { scalarZeroPoint } from "./integers.ts";
import { emitMove } from "./movement.ts";

/** Geometry of a Conv node; `auto_pad` has been resolved to pads by the importer. */
export function convGeometry(attributes: Attributes, spatial: number): ConvGeometry {
  const list = (name: string, length: number, fallback: number): readonly number[] => {
    const value = attributes[name];
    if (!Array.isArray(value) || value.length === 0) return Array.from({ length }, () => fallback);
    return value.map(Number);
  };
  return {
    strides: list("strides", spatial, 1),
    pads: list("pads", 2 * spatial, 0),
    dilations: list("dilations", spatial, 1),
    group: Number(attributes["group"] ?? 1),
  };
}

export const Conv: OperatorRule = {
  ...unfused,
  weightAxis: () => 0,
  calibrationInputs: paddedInFloat32,
  lower(target, op, operands) {
    const input = prepareInput(target, op, requireVariable(op, operands[0], "the image"));
    const quantized = requireConstant(op, operands[1], "the kernel");
    const weights = centredWeights(op, quantized);
    const spatial = weights.shape.length - 2;
    const padValue = Math.trunc(scalarZeroPoint(input.quantizer));
    const geometry = convGeometry(op.node.attributes, spatial);
    const convolution = { kind: "conv", weights, geometry, padValue } as const;
    const value = target.emit(convolution, [input.codes], op.node.name);
    return convolved(target, op, value, {
      input: input.quantizer,
      quantized,
      weights,
      bias: operands[2],
    });
  },
};

/** What a convolution was made of. */
interface Convolved<V> {
  readonly input: UniformQuantizer;
  readonly quantized: QuantizedArray;
  /** Integer weights as the convolution used them: output channels first. */
  readonly weights: Tensor<"int64">;
  readonly bias: Operand<V> | undefined;
}

/** The accumulator of a convolution with its scale, zero points and bias per output channel. */
function convolved<V>(
  target: Target<V>,
  op: QuantizedOperation,
  value: V,
  { input, quantized, weights, bias }: Convolved<V>,
): QuantizedValue<V> {
  const [channels, , ...kernel] = weights.shape;
  const perChannel = [1, channels, ...kernel.map(() => 1)];
  const terms = weights.data.length / channels;
  const channelOf = (i: number): number => Math.floor(i / terms);
  // A transposed convolution has its weights' outputs on another axis than it computes with.
  const axis = op.node.opType === "Conv" ? 0 : -1;
  return finish(target, op, {
    value,
    scale: accumulatorScale(op, input, quantized, axis, perChannel),
    zeroPoint: zeroPointOf(weights, channelOf, channels, input.zeroPoint, perChannel),
    bias: channelBias(op, bias, perChannel),
    quantizedBias: bias?.constant?.quantized ?? null,
  });
}

/** The bias of a convolution, one number per output channel, in a shape that broadcasts against the image. */
function channelBias<V>(
  op: QuantizedOperation,
  operand: Operand<V> | undefined,
  perChannel: readonly number[],
): Tensor | null {
  return operand ? reshape(requireConstant(op, operand, "the bias").values, perChannel) : null;
}

/**
 * A convolution of the image with zeros between its pixels: those are codes of zero, and the kernels are mirrored and
 * have inputs and outputs exchanged.
 */
export const ConvTranspose: OperatorRule = {
  ...unfused,
  calibrationInputs: paddedInFloat32,
  lower(target, op, operands) {
    const { name } = op.node;
    const input = prepareInput(target, op, requireVariable(op, operands[0], "the image"));
    const quantized = requireConstant(op, operands[1], "the kernel");
    const weights = mirrored(centredWeights(op, quantized), numberOf(op.node.attributes, "group"));
    const shape = target.shapeOf(input.codes);
    const spatial = shape.length - 2;
    const zeroPoint = scalarZeroPoint(input.quantizer);
    const padValue = Math.trunc(zeroPoint);
    const { pads, strides, dilations, group } = convGeometry(op.node.attributes, spatial);
    const kernel = weights.shape.slice(2);
    const image = spreadOut(target, name, input.codes, strides, padValue);
    const [result] = evaluateNode(op.node, [
      zeros(shape),
      ...operands.slice(1).map((operand) => operand?.constant?.values),
    ]);
    const begins = kernel.map((size, axis) => (size - 1) * dilations[axis] - pads[axis]);
    const ends = kernel.map((size, axis) => {
      const reach = result.shape[axis + 2] - 1 + (size - 1) * dilations[axis] + 1;
      return reach - ((shape[axis + 2] - 1) * strides[axis] + 1) - begins[axis];
    });
    const steps = kernel.map(() => 1);
    const geometry = { strides: steps, dilations, group, pads: [...begins, ...ends] };
    const cropped = cropNegativePads(target, name, image, geometry);
    const convolution = { kind: "conv", weights, geometry: cropped.geometry, padValue } as const;
    const value = target.emit(convolution, [cropped.image], name);
    return convolved(target, op, value, {
      input: input.quantizer,
      quantized,
      weights,
      bias: operands[2],
    });
  },
};

function numberOf(attributes: Attributes, name: string): number {
  return Number(attributes[name] ?? 1);
}

function zeros(shape: readonly number[]): Tensor<"float64"> {
  const row = [1, ...shape.slice(1)];
  return float64(row, new Float64Array(sizeOf(row)));
}

/** Kernels [inputs, outputs / group, ...] of a transposed convolution as [outputs, inputs / group, ...], mirrored. */
function mirrored(weights: Tensor<"int64">, group: number): Tensor<"int64"> {
  const [inputs, outputs, ...kernel] = weights.shape;
  const perGroup = inputs / group;
  const taps = sizeOf(kernel);
  const data = new Float64Array(weights.data.length);
  weights.data.forEach((w, i) => {
    const tap = i % taps;
    const output = Math.floor(i / taps) % outputs;
    const input = Math.floor(i / taps / outputs);
    const row = Math.floor(input / perGroup) * outputs + output;
    data[(row * perGroup + (input % perGroup)) * taps + (taps - 1 - tap)] = w;
  });
  return int64([outputs * group, perGroup, ...kernel], data);
}

/** Puts stride - 1 codes of zero between neighbours along every spatial axis. */
function spreadOut<V>(
  target: Target<V>,
  name: string,
  codes: V,
  strides: readonly number[],
  zeroPoint: number,
): V {
  const [, channels, ...spatial] = target.shapeOf(codes);
  const wide = spatial.map((size, axis) => (size - 1) * strides[axis] + 1);
  const shape = [1, channels, ...wide];
  const indices = Int32Array.from({ length: sizeOf(shape) }, (_, i) => {
    let rest = i;
    let source = 0;
    let unit = 1;
    for (let axis = wide.length - 1; axis >= 0; axis--) {
      const place = rest % wide[axis];
      if (place % strides[axis] !== 0) return -1;
      source += (place / strides[axis]) * unit;
      unit *= spatial[axis];
      rest = Math.floor(rest / wide[axis]);
    }
    return rest * unit + source;
  });
  return emitMove(target, name, [codes], { shape, indices }, zeroPoint);
}

/** A convolution whose pads may be negative: those cut the image instead. */
function cropNegativePads<V>(
  target: Target<V>,
  name: string,
  image: V,
  geometry: ConvGeometry,
): { readonly image: V; readonly geometry: ConvGeometry } {
  const { pads } = geometry;
  if (pads.every((pad) => pad >= 0)) return { image, geometry };
  const [, channels, ...spatial] = target.shapeOf(image);
  const rank = spatial.length;
  const cut = pads.map((pad) => Math.max(0, -pad));
  const kept = spatial.map((size, axis) => size - cut[axis] - cut[axis + rank]);
  const shape = [1, channels, ...kept];
  const indices = Int32Array.from({ length: sizeOf(shape) }, (_, i) => {
    let rest = i;
    let source = 0;
    let unit = 1;
    for (let axis = rank - 1; axis >= 0; axis--) {
      source += ((rest % kept[axis]) + cut[axis]) * unit;
      unit *= spatial[axis];
      rest = Math.floor(rest / kept[axis]);
    }
    return rest * unit + source;
  });
  const cropped = emitMove(target, name, [image], { shape, indices });
  return { image: cropped, geometry: { ...geometry, pads: pads.map((pad) => Math.max(0, pad)) } };
}
