/**
 * Gemm, MatMul and Conv: integer accumulators `x_q * (w_q - z_w)`, rounded if asked, then de-quantized with the bias
 * added in float, so that the bias costs nothing and is never rounded.
 * @module
 */
import type { Target } from "../../circuit/builder.ts";
import type { ConvGeometry } from "../../circuit/ir.ts";
import { SottoError } from "../../errors.ts";
import type { Attributes } from "../../onnx/graph.ts";
import type { PerChannel } from "../../tensor/codes.ts";
import { expand } from "../../tensor/strided.ts";
import { type Tensor, float64, int64, tensor } from "../../tensor/tensor.ts";
import type { QuantizedArray } from "../array.ts";
import type { UniformQuantizer } from "../quantizer.ts";
import {
  type Operand,
  type OperatorRule,
  type QuantizedOperation,
  type QuantizedValue,
  accumulatorQuantizer,
  codeResult,
  floatResult,
  prepareInput,
  requireConstant,
  requireVariable,
  roundAccumulator,
} from "../operation.ts";

/** Integer weights `w_q - z_w` of a linear operator. Throws BAD_ARGUMENT when the bits leave them no levels. */
function centredWeights(op: QuantizedOperation, weights: QuantizedArray): Tensor<"int64"> {
  const { zeroPoint, scale } = weights.quantizer;
  const scales = typeof scale === "number" ? [scale] : [...scale.data];
  if (!scales.every(Number.isFinite)) {
    throw new SottoError(
      "BAD_ARGUMENT",
      op.node.name,
      "weights around zero have no levels but zero at 1 bit; expected nBits (op_weights) of at least 2",
    );
  }
  const { shape, data } = weights.qvalues;
  const zero = typeof zeroPoint === "number" ? null : expand(zeroPoint, shape).data;
  return int64(
    shape,
    Float64Array.from(data, (q, i) => q - (zero === null ? Number(zeroPoint) : zero[i])),
  );
}

/**
 * Scale of an accumulator: the input's times the weights', in `shape` where those have one per output channel (`axis` of
 * the weights). Throws UNSUPPORTED_OPERATOR for scales along any other axis, which no sum over it can share.
 */
function accumulatorScale(
  op: QuantizedOperation,
  input: UniformQuantizer,
  weights: QuantizedArray,
  axis: number,
  shape: readonly number[],
): PerChannel {
  const step = input.tensorScale(op.node.name);
  const { scale } = weights.quantizer;
  if (typeof scale === "number") return step * scale;
  const { shape: dims } = weights.qvalues;
  const missing = dims.length - scale.shape.length;
  const isPerOutput = dims.every(
    (dim, i) => (i < missing ? 1 : scale.shape[i - missing]) === (i === axis ? dim : 1),
  );
  if (!isPerOutput) {
    throw new SottoError(
      "UNSUPPORTED_OPERATOR",
      op.node.name,
      `expected one scale per output channel (axis ${axis}) of weights [${dims.join(", ")}], got scales of shape [${scale.shape.join(", ")}]`,
    );
  }
  return float64(
    shape,
    scale.data.map((s) => step * s),
  );
}

/** A linear operator's accumulator with what turns it back into floats. */
interface Accumulator<V> {
  readonly value: V;
  readonly scale: PerChannel;
  /** Zero point per output channel, in a shape that broadcasts against the accumulator. */
  readonly zeroPoint: Tensor<"float64">;
  /** Raw float bias in the same shape; null without bias. */
  readonly bias: Tensor | null;
  /** Integer bias on the accumulator's own scale, from a quantization-aware model; it is added instead of `bias`. */
  readonly integerBias: Tensor<"int64"> | null;
}

function finish<V>(
  target: Target<V>,
  op: QuantizedOperation,
  { value, scale, zeroPoint, bias, integerBias }: Accumulator<V>,
): QuantizedValue<V> {
  if (op.isGraphOutput) {
    // The client divides the bias out: the raw accumulator is the answer.
    const shifted = bias === null ? zeroPoint : withBias(zeroPoint, bias, scale);
    return codeResult(
      target,
      op,
      value,
      accumulatorQuantizer(op, { scale, zeroPoint: shifted, offset: 0 }),
    );
  }
  const name = op.node.name;
  const sum =
    integerBias === null ? value : target.emit({ kind: "shift", by: integerBias }, [value], name);
  const rounded = roundAccumulator(target, op, sum);
  const floats = target.emit({ kind: "dequantize", scale, zeroPoint }, [rounded], name);
  if (bias === null || integerBias !== null) return floatResult(op, floats);
  const add = { kind: "float", opType: "Add", attributes: {}, operands: [null, bias] } as const;
  return floatResult(op, target.emit(add, [floats], name));
}

/** `zeroPoint - bias / scale`; a float32 bias is divided in float32. */
function withBias(
  zeroPoint: Tensor<"float64">,
  bias: Tensor,
  scale: PerChannel,
): Tensor<"float64"> {
  const isFloat32 = bias.dtype === "float32";
  const data = zeroPoint.data.map((z, i) => {
    const divisor = typeof scale === "number" ? scale : scale.data[i];
    const quotient = bias.data[i] / (isFloat32 ? Math.fround(divisor) : divisor);
    return z - (isFloat32 ? Math.fround(quotient) : quotient);
  });
  return float64(zeroPoint.shape, data);
}

/** Sum of the integer weights of each output channel, times the zero point of the input. */
function zeroPointOf(
  weights: Tensor<"int64">,
  channelOf: (index: number) => number,
  channels: number,
  inputZeroPoint: number | Tensor<"float64">,
  shape: readonly number[],
): Tensor<"float64"> {
  if (typeof inputZeroPoint !== "number") {
    throw new Error("internal: a linear operator reads codes with a zero point per output");
  }
  const sums = new Float64Array(channels);
  weights.data.forEach((w, i) => {
    sums[channelOf(i)] += w;
  });
  return float64(
    shape,
    sums.map((sum) => inputZeroPoint * sum + 0),
  );
}

function transposed(matrix: Tensor<"int64">): Tensor<"int64"> {
  const [rows, columns] = matrix.shape;
  const out = new Float64Array(matrix.data.length);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) out[c * rows + r] = matrix.data[r * columns + c];
  }
  return int64([columns, rows], out);
}

function lowerProduct<V>(
  target: Target<V>,
  op: QuantizedOperation,
  operands: readonly Operand<V>[],
  transposeWeights: boolean,
): QuantizedValue<V> {
  const input = prepareInput(target, op, requireVariable(op, operands[0], "the first operand"));
  const quantized = requireConstant(op, operands[1], "the second operand");
  if (quantized.qvalues.shape.length !== 2) {
    throw new SottoError(
      "UNSUPPORTED_OPERATOR",
      op.node.name,
      `expected a matrix of weights, got shape [${quantized.qvalues.shape.join(", ")}]`,
    );
  }
  const centred = centredWeights(op, quantized);
  const weights = transposeWeights ? transposed(centred) : centred;
  const columns = weights.shape[1];
  const rank = target.shapeOf(input.codes).length;
  const perColumn = Array.from({ length: rank }, (_, axis) => (axis === rank - 1 ? columns : 1));
  const scale = accumulatorScale(
    op,
    input.quantizer,
    quantized,
    transposeWeights ? 0 : 1,
    perColumn,
  );
  return finish(target, op, {
    value: target.emit({ kind: "matmul", weights }, [input.codes], op.node.name),
    scale,
    zeroPoint: zeroPointOf(
      weights,
      (i) => i % columns,
      columns,
      input.quantizer.zeroPoint,
      perColumn,
    ),
    ...biasOf(op, operands[2], scale, perColumn),
  });
}

/** The bias in `shape`, and its integers where a Quant node gives it the scale of the accumulator. */
function biasOf<V>(
  op: QuantizedOperation,
  operand: Operand<V> | undefined,
  scale: PerChannel,
  shape: readonly number[],
): Pick<Accumulator<V>, "bias" | "integerBias"> {
  if (operand === undefined) return { bias: null, integerBias: null };
  const { values, qvalues, quantizer } = requireConstant(op, operand, "the bias");
  const bias = broadcastBias(op, values, shape);
  if (!quantizer.options.isPrecomputedQat) return { bias, integerBias: null };
  const step = broadcastBias(op, asTensor(quantizer.scale), shape).data;
  const expected = broadcastBias(op, asTensor(scale), shape).data;
  const index = step.findIndex((s, i) => !isClose(s, expected[i]));
  if (index >= 0) {
    throw new SottoError(
      "BAD_MODEL",
      op.node.name,
      `expected a bias whose scale is that of the inputs times that of the weights, ${expected[index]}, got ${step[index]}; quantize the bias with that scale, or leave it a float`,
    );
  }
  const zero = broadcastBias(op, asTensor(quantizer.zeroPoint), shape).data;
  const codes = broadcastBias(op, qvalues, shape).data;
  return {
    bias,
    integerBias: int64(
      shape,
      codes.map((q, i) => q - zero[i]),
    ),
  };
}

function asTensor(value: PerChannel): Tensor {
  return typeof value === "number" ? float64([], [value]) : value;
}

/** numpy's `isclose` with its default tolerances. */
function isClose(a: number, b: number): boolean {
  return Math.abs(a - b) <= 1e-8 + 1e-5 * Math.abs(b);
}

/** A bias of any shape that has one value per output channel, or one in all. */
function broadcastBias(op: QuantizedOperation, bias: Tensor, shape: readonly number[]): Tensor {
  const channels = Math.max(...shape);
  if (bias.data.length !== channels && bias.data.length !== 1) {
    throw new SottoError(
      "UNSUPPORTED_OPERATOR",
      op.node.name,
      `expected a bias of ${channels} values, got shape [${bias.shape.join(", ")}]`,
    );
  }
  const spread = new Float64Array(channels).map(
    (_, i) => bias.data[bias.data.length === 1 ? 0 : i],
  );
  return tensor(bias.dtype, shape, spread);
}

function requireUnit(op: QuantizedOperation, name: string, expected: number): void {
  const value = op.node.attributes[name] ?? expected;
  if (value !== expected) {
    throw new SottoError(
      "UNSUPPORTED_OPERATOR",
      op.node.name,
      `expected ${name} = ${expected} of ${op.node.opType} on encrypted values, got ${JSON.stringify(value)}`,
    );
  }
}

const linear = { canFuse: () => false, usesModelOutputBits: false } as const;

export const Gemm: OperatorRule = {
  ...linear,
  weightAxis: (attributes) => (attributes["transB"] === 1 ? 0 : 1),
  lower(target, op, operands) {
    requireUnit(op, "alpha", 1);
    requireUnit(op, "beta", 1);
    requireUnit(op, "transA", 0);
    return lowerProduct(target, op, operands, op.node.attributes["transB"] === 1);
  },
};

export const MatMul: OperatorRule = {
  ...linear,
  weightAxis: () => 1,
  lower: (target, op, operands) => lowerProduct(target, op, operands, false),
};

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
  ...linear,
  weightAxis: () => 0,
  calibratesInFloat64: true,
  lower(target, op, operands) {
    const input = prepareInput(target, op, requireVariable(op, operands[0], "the image"));
    const quantized = requireConstant(op, operands[1], "the kernel");
    const weights = centredWeights(op, quantized);
    const [channels] = weights.shape;
    const spatial = weights.shape.length - 2;
    const { zeroPoint } = input.quantizer;
    if (typeof zeroPoint !== "number")
      throw new Error("internal: Conv reads codes with a zero point per output");
    const perChannel = [1, channels, ...Array.from({ length: spatial }, () => 1)];
    const terms = weights.data.length / channels;
    const scale = accumulatorScale(op, input.quantizer, quantized, 0, perChannel);
    const geometry = convGeometry(op.node.attributes, spatial);
    return finish(target, op, {
      value: target.emit(
        { kind: "conv", weights, geometry, padValue: Math.trunc(zeroPoint) },
        [input.codes],
        op.node.name,
      ),
      scale,
      zeroPoint: zeroPointOf(
        weights,
        (i) => Math.floor(i / terms),
        channels,
        zeroPoint,
        perChannel,
      ),
      ...biasOf(op, operands[2], scale, perChannel),
    });
  },
};
