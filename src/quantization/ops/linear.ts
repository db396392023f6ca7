/**
 * Gemm, MatMul and Conv: integer accumulators `x_q * (w_q - z_w)`, rounded if asked, then de-quantized with the bias
 * added in float, so that the bias costs nothing and is never rounded.
 * @module
 */
import type { Target } from "../../circuit/builder.ts";
import type { ConvGeometry } from "../../circuit/ir.ts";
import { SottoError } from "../../errors.ts";
import type { Attributes } from "../../onnx/graph.ts";
import { type Tensor, float64, int64, tensor } from "../../tensor/tensor.ts";
import type { QuantizedArray } from "../array.ts";
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
  if (!Number.isFinite(scale)) {
    throw new SottoError(
      "BAD_ARGUMENT",
      op.node.name,
      "weights around zero have no levels but zero at 1 bit; expected nBits (op_weights) of at least 2",
    );
  }
  if (typeof zeroPoint !== "number")
    throw new Error("internal: weights with a zero point per output");
  return int64(
    weights.qvalues.shape,
    Float64Array.from(weights.qvalues.data, (q) => q - zeroPoint),
  );
}

/** A linear operator's accumulator with what turns it back into floats. */
interface Accumulator<V> {
  readonly value: V;
  readonly scale: number;
  /** Zero point per output channel, in a shape that broadcasts against the accumulator. */
  readonly zeroPoint: Tensor<"float64">;
  /** Raw float bias in the same shape; null without bias. */
  readonly bias: Tensor | null;
}

function finish<V>(
  target: Target<V>,
  op: QuantizedOperation,
  { value, scale, zeroPoint, bias }: Accumulator<V>,
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
  const rounded = roundAccumulator(target, op, value);
  const name = op.node.name;
  const floats = target.emit({ kind: "dequantize", scale, zeroPoint }, [rounded], name);
  if (bias === null) return floatResult(op, floats);
  const add = { kind: "float", opType: "Add", attributes: {}, operands: [null, bias] } as const;
  return floatResult(op, target.emit(add, [floats], name));
}

/** `zeroPoint - bias / scale`; a float32 bias is divided in float32. */
function withBias(zeroPoint: Tensor<"float64">, bias: Tensor, scale: number): Tensor<"float64"> {
  const isFloat32 = bias.dtype === "float32";
  const divisor = isFloat32 ? Math.fround(scale) : scale;
  const data = zeroPoint.data.map((z, i) => {
    const quotient = bias.data[i] / divisor;
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
  const bias =
    operands[2] === undefined ? null : requireConstant(op, operands[2], "the bias").values;
  return finish(target, op, {
    value: target.emit({ kind: "matmul", weights }, [input.codes], op.node.name),
    scale: input.quantizer.scale * quantized.quantizer.scale,
    zeroPoint: zeroPointOf(
      weights,
      (i) => i % columns,
      columns,
      input.quantizer.zeroPoint,
      perColumn,
    ),
    bias: bias === null ? null : broadcastBias(op, bias, perColumn),
  });
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
  lower(target, op, operands) {
    requireUnit(op, "alpha", 1);
    requireUnit(op, "beta", 1);
    requireUnit(op, "transA", 0);
    return lowerProduct(target, op, operands, op.node.attributes["transB"] === 1);
  },
};

export const MatMul: OperatorRule = {
  ...linear,
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
    const bias =
      operands[2] === undefined ? null : requireConstant(op, operands[2], "the bias").values;
    const geometry = convGeometry(op.node.attributes, spatial);
    return finish(target, op, {
      value: target.emit(
        { kind: "conv", weights, geometry, padValue: Math.trunc(zeroPoint) },
        [input.codes],
        op.node.name,
      ),
      scale: input.quantizer.scale * quantized.quantizer.scale,
      zeroPoint: zeroPointOf(
        weights,
        (i) => Math.floor(i / terms),
        channels,
        zeroPoint,
        perChannel,
      ),
      bias: bias === null ? null : broadcastBias(op, bias, perChannel),
    });
  },
};
