/**
 * Normalizations, and Dropout, which does nothing when a model is used.
 * @module
 */
import { SottoError } from "../../errors.ts";
import { combine } from "../../tensor/elementwise.ts";
import { mapLanes, reduceLanes } from "../../tensor/lanes.ts";
import { allocate, bool, reshape, sizeOf, tensor } from "../../tensor/tensor.ts";
import type { Shape, Tensor } from "../../tensor/tensor.ts";
import { broadcastInto, wrapAxes, wrapAxis } from "./operands.ts";
import { defineOperator, float, int, optionalInts, requiredInt } from "./operator.ts";
import type { Operand, Operator } from "./operator.ts";

function refuse(operator: string, message: string): never {
  throw new SottoError("UNSUPPORTED_OPERATOR", operator, message);
}

/** Throws BAD_SHAPE unless a parameter has one number per channel. */
function checkPerChannel(operator: string, x: Shape, parameters: readonly Operand[]): void {
  const wrong = parameters.find(({ shape }) => shape.length !== 1 || shape[0] !== x[1]);
  if (!wrong) return;
  const message = `expected one number per channel of [${x.join(", ")}], got [${wrong.shape.join(", ")}]`;
  throw new SottoError("BAD_SHAPE", operator, message);
}

/** A number per channel, shaped to broadcast along axis 1. */
function alongChannels(parameter: Tensor, x: Shape): Tensor {
  return reshape(parameter, [parameter.data.length, ...x.slice(2).map(() => 1)]);
}

/**
 * `(x - mean) / sqrt(variance + epsilon) * scale + bias` with the statistics of training. The square root is that of the
 * variance's element type, whatever x is: tables of quantized models have it so.
 */
export const BatchNormalization: Operator = defineOperator({
  minInputs: 5,
  maxInputs: 5,
  since: 1,
  attributes: {
    epsilon: float(1e-5),
    momentum: float(0.9),
    spatial: int(1),
    training_mode: int(0),
  },
  elementwise: true,
  shape(
    [x, ...parameters]: readonly [Operand, ...Operand[]],
    { training_mode, spatial },
  ): readonly Shape[] {
    const name = "BatchNormalization";
    if (training_mode) refuse(name, "training_mode 1; export the model for inference");
    if (!spatial) refuse(name, "spatial 0; export the model with opset 9 or newer");
    checkPerChannel(name, x.shape, parameters);
    return [x.shape];
  },
  evaluate(
    [x, scale, bias, mean, variance]: readonly [Tensor, Tensor, Tensor, Tensor, Tensor],
    { epsilon },
  ) {
    const deviation = allocate(variance.dtype, variance.data.length);
    const isFloat32 = variance.dtype === "float32";
    for (const [i, value] of variance.data.entries()) {
      const shifted = value + (isFloat32 ? Math.fround(epsilon) : epsilon);
      deviation[i] = Math.sqrt(isFloat32 ? Math.fround(shifted) : shifted);
    }
    const steps: [Tensor, (x: number, y: number) => number][] = [
      [mean, (a, b) => a - b],
      [tensor(variance.dtype, variance.shape, deviation), (a, b) => a / b],
      [scale, (a, b) => a * b],
      [bias, (a, b) => a + b],
    ];
    const apply = (value: Tensor, [by, op]: (typeof steps)[number]): Tensor =>
      combine(value, alongChannels(by, x.shape), op);
    return [steps.reduce(apply, x)];
  },
});

function average(lane: Float64Array): number {
  return lane.reduce((total, x) => total + x, 0) / lane.length;
}

/** Mean and the inverse of the standard deviation of a lane. */
function momentsOf(lane: Float64Array, epsilon: number): { mean: number; inverse: number } {
  const mean = average(lane);
  const variance = average(lane.map((x) => (x - mean) ** 2));
  return { mean, inverse: 1 / Math.sqrt(variance + epsilon) };
}

/** Normalizes the rows of a matrix of `rows` rows; `finish` scales each element by its row and place. */
function normalizeRows(
  x: Tensor,
  rows: number,
  epsilon: number,
  finish: (normal: number, row: number, place: number) => number,
): Tensor {
  const matrix = reshape(x, [rows, x.data.length / rows]);
  const normal = mapLanes(matrix, 1, (lane, row) => {
    const { mean, inverse } = momentsOf(lane, epsilon);
    return lane.map((value, place) => finish((value - mean) * inverse, row, place));
  });
  return reshape(normal, x.shape);
}

/** Normalizes each channel of each image, then scales it. */
export const InstanceNormalization: Operator = defineOperator({
  minInputs: 3,
  maxInputs: 3,
  since: 1,
  attributes: { epsilon: float(1e-5) },
  shape([x, scale, bias]: readonly [Operand, Operand, Operand]) {
    checkPerChannel("InstanceNormalization", x.shape, [scale, bias]);
    return [x.shape];
  },
  evaluate([x, scale, bias]: readonly [Tensor, Tensor, Tensor], { epsilon }) {
    const [batch, channels] = x.shape;
    const finish = (normal: number, row: number): number =>
      normal * scale.data[row % channels] + bias.data[row % channels];
    return [normalizeRows(x, batch * channels, epsilon, finish)];
  },
});

/** Normalizes groups of channels; scale and bias are per channel, or per group as before opset 21. */
export const GroupNormalization: Operator = defineOperator({
  minInputs: 3,
  maxInputs: 3,
  since: 18,
  attributes: { epsilon: float(1e-5), num_groups: requiredInt(), stash_type: int(1) },
  shape([x, scale, bias]: readonly [Operand, Operand, Operand], { num_groups }) {
    const name = "GroupNormalization";
    if (x.shape.length < 2 || num_groups < 1 || x.shape[1] % num_groups !== 0) {
      const message = `num_groups ${num_groups} does not divide the channels of [${x.shape.join(", ")}]`;
      throw new SottoError("BAD_SHAPE", name, message);
    }
    const isPerGroup = [scale, bias].every(({ shape }) => sizeOf(shape) === num_groups);
    if (!isPerGroup) checkPerChannel(name, x.shape, [scale, bias]);
    return [x.shape];
  },
  evaluate([x, scale, bias]: readonly [Tensor, Tensor, Tensor], { epsilon, num_groups }) {
    const [batch, channels] = x.shape;
    const perGroup = channels / num_groups;
    const pixels = sizeOf(x.shape.slice(2));
    const isPerGroup = scale.data.length === num_groups;
    const finish = (normal: number, row: number, place: number): number => {
      const group = row % num_groups;
      const i = isPerGroup ? group : group * perGroup + Math.floor(place / pixels);
      return normal * scale.data[i] + bias.data[i];
    };
    return [normalizeRows(x, batch * num_groups, epsilon, finish)];
  },
});

/** Normalizes over the axes from `axis` on; also gives the means and inverse deviations. */
export const LayerNormalization: Operator = defineOperator({
  minInputs: 2,
  maxInputs: 3,
  maxOutputs: 3,
  since: 17,
  attributes: { axis: int(-1), epsilon: float(1e-5), stash_type: int(1) },
  shape([x, scale, bias]: readonly [Operand, Operand, Operand?], { axis }) {
    for (const { shape } of bias ? [scale, bias] : [scale]) {
      broadcastInto("LayerNormalization", x.shape, shape);
    }
    const first = wrapAxis("LayerNormalization", axis, x.shape.length);
    const moments = x.shape.map((size, i) => (i < first ? size : 1));
    return [x.shape, moments, moments];
  },
  evaluate([x, scale, bias]: readonly [Tensor, Tensor, Tensor?], { axis, epsilon }) {
    const first = wrapAxis("LayerNormalization", axis, x.shape.length);
    const outer = x.shape.slice(0, first);
    const rows = sizeOf(outer);
    const normal = normalizeRows(x, rows, epsilon, (value) => value);
    const scaled = combine(normal, scale, (a, b) => a * b);
    const result = bias ? combine(scaled, bias, (a, b) => a + b) : scaled;
    const shape = x.shape.map((size, i) => (i < first ? size : 1));
    const length = x.data.length / rows;
    const moments = Array.from({ length: rows }, (_, row) =>
      momentsOf(Float64Array.from(x.data.subarray(row * length, (row + 1) * length)), epsilon),
    );
    const means = moments.map(({ mean }) => mean);
    const inverses = moments.map(({ inverse }) => inverse);
    return [result, tensor(x.dtype, shape, means), tensor(x.dtype, shape, inverses)];
  },
});

/** Divides by the `p`-norm along an axis; a lane of zeros stays zero. */
export const LpNormalization: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 1,
  since: 1,
  attributes: { axis: int(-1), p: int(2) },
  shape: ([x]: readonly [Operand]) => [x.shape],
  evaluate([x]: readonly [Tensor], { axis, p }) {
    const divide = (lane: Float64Array): Float64Array => {
      const norm = lane.reduce((total, value) => total + Math.abs(value) ** p, 0) ** (1 / p);
      return lane.map((value) => (norm === 0 ? 0 : value / norm));
    };
    return [mapLanes(x, wrapAxis("LpNormalization", axis, x.shape.length), divide)];
  },
});

/** Normalizes over `axes` to mean 0 and variance 1. */
export const MeanVarianceNormalization: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 1,
  since: 9,
  attributes: { axes: optionalInts() },
  shape: ([x]: readonly [Operand]) => [x.shape],
  evaluate([x]: readonly [Tensor], { axes = [0, 2, 3] }) {
    const over = wrapAxes("MeanVarianceNormalization", axes, x.shape.length);
    const mean = reduceLanes(x, over, x.dtype, average);
    const centred = combine(x, mean, (a, b) => a - b);
    const variance = reduceLanes(centred, over, x.dtype, (lane) => average(lane.map((v) => v * v)));
    // the function that defines the operator adds this number
    return [combine(centred, variance, (value, square) => value / (Math.sqrt(square) + 1e-9))];
  },
});

/** Local response normalization: divides by a power of the squares of `size` neighbouring channels. */
export const LRN: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 1,
  since: 1,
  attributes: {
    alpha: float(0.0001),
    beta: float(0.75),
    bias: float(1),
    size: requiredInt(),
  },
  shape([x]: readonly [Operand]) {
    wrapAxis("LRN", 1, x.shape.length);
    return [x.shape];
  },
  evaluate([x]: readonly [Tensor], { alpha, beta, bias, size }) {
    const before = Math.floor((size - 1) / 2);
    const after = Math.ceil((size - 1) / 2);
    const respond = (lane: Float64Array): Float64Array =>
      lane.map((value, channel) => {
        const near = lane.subarray(Math.max(0, channel - before), channel + after + 1);
        const squares = near.reduce((total, neighbour) => total + neighbour * neighbour, 0);
        return value / (bias + (alpha / size) * squares) ** beta;
      });
    return [mapLanes(x, 1, respond)];
  },
});

/** The input; a second output says that every element was kept. */
export const Dropout: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 3,
  maxOutputs: 2,
  since: 1,
  attributes: { ratio: float(0.5), seed: int(0) },
  elementwise: true,
  shape([x, , training]: readonly [Operand, Operand?, Operand?]) {
    if (training && (!training.value || training.value.data[0] !== 0)) {
      refuse("Dropout", "training_mode; export the model for inference");
    }
    return [x.shape, x.shape];
  },
  evaluate: ([x]: readonly [Tensor, Tensor?, Tensor?]) => [
    x,
    bool(
      x.shape,
      x.data.map(() => 1),
    ),
  ],
});
