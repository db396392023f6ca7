/**
 * Gemm and MatMul: integer accumulators `x_q * (w_q - z_w)`, rounded if asked, then de-quantized.
 * @module
 */
import type { Target } from "../../circuit/builder.ts";
import { SottoError } from "../../errors.ts";
import { mapElements } from "../../tensor/elementwise.ts";
import { matmul } from "../../tensor/matmul.ts";
import { transpose } from "../../tensor/strided.ts";
import { type Tensor, int64, reshape } from "../../tensor/tensor.ts";
import {
  type Operand,
  type OperatorRule,
  type QuantizedOperation,
  type QuantizedValue,
  floatResult,
  prepareInput,
  requireConstant,
  requireVariable,
} from "../operation.ts";
import {
  accumulatorScale,
  centredWeights,
  finish,
  unfused,
  toFloat64,
  zeroPointOf,
} from "./accumulator.ts";
import { type Coded, floatOp, scalarZeroPoint } from "./integers.ts";
import { lowerEncryptedProduct, stackedProduct } from "./product.ts";

type Operands<V> = readonly (Operand<V> | undefined)[];

/** A product with a constant stack of matrices, on either side. */
function lowerStackedProduct<V>(
  target: Target<V>,
  op: QuantizedOperation,
  operands: Operands<V>,
): QuantizedValue<V> {
  const isLeft = operands[0]?.constant !== null;
  const [variable, fixed] = isLeft ? [operands[1], operands[0]] : operands;
  const input = prepareInput(target, op, requireVariable(op, variable, "a factor"));
  const quantized = requireConstant(op, fixed, "a factor");
  const weights = centredWeights(op, quantized);
  const ones = int64([...weights.shape], new Float64Array(weights.data.length).fill(1));
  const sums = isLeft ? matmul(weights, onesColumn(ones)) : matmul(onesRow(ones), weights);
  const zeroPoint = scalarZeroPoint(input.quantizer);
  const shifts = mapElements(toFloat64(sums), (sum) => zeroPoint * sum + 0);
  const rank = target.shapeOf(input.codes).length;
  const leading = Array.from({ length: Math.max(0, rank - sums.shape.length) }, () => 1);
  return finish(target, op, {
    value: stackedProduct(target, op.node.name, input.codes, weights, isLeft),
    scale: accumulatorScale(op, input.quantizer, quantized, -1, []),
    zeroPoint: reshape(shifts, [...leading, ...sums.shape]),
    bias: operands[2] ? requireConstant(op, operands[2], "the bias").values : null,
    quantizedBias: operands[2]?.constant?.quantized ?? null,
  });
}

/** A column of ones that sums along the last axis of a matrix. */
function onesColumn({ shape }: Tensor): Tensor<"int64"> {
  const size = shape[shape.length - 1];
  return int64([size, 1], new Float64Array(size).fill(1));
}

/** A row of ones that sums along the first axis of a matrix. */
function onesRow({ shape }: Tensor): Tensor<"int64"> {
  const size = shape[shape.length - 2];
  return int64([1, size], new Float64Array(size).fill(1));
}

function lowerProduct<V>(
  target: Target<V>,
  op: QuantizedOperation,
  operands: Operands<V>,
  transposeWeights: boolean,
): QuantizedValue<V> {
  const [first, second] = operands;
  if (first?.value && second?.value) return lowerVariableProduct(target, op, operands);
  if (first?.constant || second?.constant?.values.shape.length !== 2) {
    return lowerStackedProduct(target, op, operands);
  }
  const input = prepareInput(target, op, requireVariable(op, first, "the first operand"));
  const quantized = requireConstant(op, second, "the second operand");
  const centred = centredWeights(op, quantized);
  const weights = transposeWeights ? transpose(centred) : centred;
  const columns = weights.shape[1];
  const rank = target.shapeOf(input.codes).length;
  const perColumn = Array.from({ length: rank }, (_, axis) => (axis === rank - 1 ? columns : 1));
  return finish(target, op, {
    value: target.emit({ kind: "matmul", weights }, [input.codes], op.node.name),
    scale: accumulatorScale(op, input.quantizer, quantized, transposeWeights ? 0 : 1, perColumn),
    zeroPoint: zeroPointOf(
      weights,
      (i) => i % columns,
      columns,
      input.quantizer.zeroPoint,
      perColumn,
    ),
    bias: operands[2] ? requireConstant(op, operands[2], "the bias").values : null,
    quantizedBias: operands[2]?.constant?.quantized ?? null,
  });
}

/** A product of two encrypted tensors, with a bias that a table adds. */
function lowerVariableProduct<V>(
  target: Target<V>,
  op: QuantizedOperation,
  operands: Operands<V>,
): QuantizedValue<V> {
  const prepare = (i: number): Coded<V> =>
    prepareInput(target, op, requireVariable(op, operands[i], "each factor"));
  const result = lowerEncryptedProduct(target, op, [prepare(0), prepare(1)]);
  if (operands[2] === undefined) return result;
  const { values } = requireConstant(op, operands[2], "the bias");
  const sum = target.emit(floatOp("Add", [null, values]), [result.floats], op.node.name);
  return floatResult(op, sum);
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

export const Gemm: OperatorRule = {
  ...unfused,
  weightAxis: (attributes) => (attributes["transB"] === 1 ? 0 : 1),
  lower(target, op, operands) {
    requireUnit(op, "transA", 0);
    return lowerProduct(target, op, operands, op.node.attributes["transB"] === 1);
  },
};

export const MatMul: OperatorRule = {
  ...unfused,
  weightAxis: () => 1,
  lower: (target, op, operands) => lowerProduct(target, op, operands, false),
};
