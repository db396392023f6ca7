/**
 * Operators that move codes without computing. What goes where is asked of the float operator itself, on a tensor that
 * holds the number of each element.
 * @module
 */
import type { Target } from "../../circuit/builder.ts";
import { SottoError } from "../../errors.ts";
import { evaluateNode } from "../../onnx/evaluate.ts";
import { roundHalfEven } from "../../tensor/codes.ts";
import { type Tensor, cast, float64, int64, sizeOf } from "../../tensor/tensor.ts";
import {
  type Operand,
  type OperatorRule,
  type QuantizedOperation,
  type QuantizedValue,
  codeMapOf,
  codeResult,
  prepareInput,
  requireVariable,
} from "../operation.ts";
import { UniformQuantizer } from "../quantizer.ts";
import { type Coded, indexRange, scalarZeroPoint, shiftByTensor } from "./integers.ts";

type Operands<V> = readonly (Operand<V> | undefined)[];

/** Where each element of a row comes from: its number among all elements of the operands, -1 for a filled one. */
interface Move {
  readonly shape: readonly number[];
  readonly indices: Int32Array;
}

/** Runs the float operator on numbered elements; those that it makes up are 0 and get index -1. */
function trace(
  { node }: QuantizedOperation,
  operands: readonly (readonly number[] | Tensor | undefined)[],
): Move {
  const numbered = (rows: number): (Tensor | undefined)[] => {
    let next = 1;
    return operands.map((operand) => {
      if (operand === undefined || "dtype" in operand) return operand;
      const shape = [rows, ...operand.slice(1)];
      const numbers = indexRange(sizeOf(shape)).map((i) => i + next);
      next += numbers.length;
      return float64(shape, numbers);
    });
  };
  const [{ shape, data }] = evaluateNode(node, numbered(1));
  const variables = operands.filter((operand) => operand && !("dtype" in operand)).length;
  // What several operands give is joined row by row; constants among them have one row.
  if (shape[0] !== 1 || (variables === 1 && operands[0] && mixesRows(node, numbered(2), shape))) {
    throw new SottoError(
      "UNSUPPORTED_OPERATOR",
      node.name,
      `expected ${node.opType} to keep the rows of a batch apart; move other axes only`,
    );
  }
  return { shape, indices: Int32Array.from(data, (number) => number - 1) };
}

/** Whether two rows do not come out as two rows, each of its own elements. */
function mixesRows(
  node: QuantizedOperation["node"],
  inputs: readonly (Tensor | undefined)[],
  row: readonly number[],
): boolean {
  const half = (inputs[0]?.data.length ?? 0) / 2;
  const [{ shape, data }] = evaluateNode(node, inputs);
  const size = sizeOf(row);
  return shape[0] !== 2 || data.some((number, i) => number !== 0 && number <= half !== i < size);
}

/** Moves elements; a move that changes nothing but the shape is a reshape. */
export function emitMove<V>(
  target: Target<V>,
  name: string,
  inputs: readonly V[],
  { shape, indices }: Move,
  fill = 0,
): V {
  const isInPlace =
    inputs.length === 1 &&
    indices.length === sizeOf(target.shapeOf(inputs[0]).slice(1)) &&
    indices.every((index, i) => index === i);
  if (isInPlace) return target.emit({ kind: "reshape", shape }, inputs, name);
  return target.emit({ kind: "gather", shape, indices, fill }, inputs, name);
}

/** Lowers an operator that only moves elements of its first operand. */
export function lowerMove<V>(
  target: Target<V>,
  op: QuantizedOperation,
  operands: Operands<V>,
): QuantizedValue<V> {
  const input = prepareInput(target, op, requireVariable(op, operands[0], "the data"));
  const constants = operands.slice(1).map((operand) => constantOf(op, operand));
  const isPad = op.node.opType === "Pad";
  const move = trace(isPad ? withZeroValue(op) : op, [
    target.shapeOf(input.codes),
    ...(isPad ? withoutValue(constants) : constants),
  ]);
  const fill = fillCode(op, input.quantizer, isPad ? paddingValue(op, constants[1]) : 0);
  const codes = emitMove(target, op.node.name, [input.codes], move, fill);
  return codeResult(target, op, codes, input.quantizer);
}

/** The padding value, an input or an attribute of older opsets. */
function paddingValue({ node }: QuantizedOperation, value: Tensor | undefined): number {
  return value?.data[0] ?? Number(node.attributes["value"] ?? 0);
}

/** The same Pad that makes up zeros, to trace elements with. */
function withZeroValue(op: QuantizedOperation): QuantizedOperation {
  const { value: _, ...attributes } = op.node.attributes;
  return { ...op, node: { ...op.node, attributes } };
}

function constantOf<V>(
  op: QuantizedOperation,
  operand: Operand<V> | undefined,
): Tensor | undefined {
  if (operand === undefined) return undefined;
  if (operand.constant) return operand.constant.values;
  throw new SottoError(
    "UNSUPPORTED_OPERATOR",
    op.node.name,
    `expected every operand of ${op.node.opType} but the first to be a constant, got one that depends on the model's input`,
  );
}

/** The padding value is the second constant of Pad; elements are traced with the default, 0. */
function withoutValue([pads, , ...axes]: readonly (Tensor | undefined)[]): (Tensor | undefined)[] {
  return [pads, undefined, ...axes];
}

/** The code of a value that an operator makes up. Throws UNSUPPORTED_OPERATOR for one outside the input's range. */
function fillCode(op: QuantizedOperation, quantizer: UniformQuantizer, value: number): number {
  if (value === 0) return Math.trunc(scalarZeroPoint(quantizer));
  const scale = quantizer.tensorScale(op.node.name);
  const code = roundHalfEven(value / scale + scalarZeroPoint(quantizer));
  const [lowest, highest] = quantizer.codeRange;
  if (code >= lowest && code <= highest) return code;
  const [lo, hi] = [lowest, highest].map((end) => scale * (end - scalarZeroPoint(quantizer)));
  throw new SottoError(
    "UNSUPPORTED_OPERATOR",
    op.node.name,
    `expected a padding value from ${lo} to ${hi}, the range of the calibrated input, got ${value}; pad with 0, or widen the calibration rows`,
  );
}

const movement: OperatorRule = {
  canFuse: () => false,
  usesModelOutputBits: true,
  lower: lowerMove,
};

/** Moves that read `op_inputs` bits instead of `model_outputs`, as Concrete ML's do. */
const selection: OperatorRule = { ...movement, usesModelOutputBits: false };

export const DepthToSpace: OperatorRule = movement;
export const Expand: OperatorRule = movement;
export const Flatten: OperatorRule = movement;
export const GatherElements: OperatorRule = movement;
export const GatherND: OperatorRule = movement;
export const Reshape: OperatorRule = movement;
export const SpaceToDepth: OperatorRule = movement;
export const Squeeze: OperatorRule = movement;
export const Tile: OperatorRule = movement;
export const Transpose: OperatorRule = movement;
export const Trilu: OperatorRule = movement;
export const Unfold: OperatorRule = movement;
export const Unsqueeze: OperatorRule = movement;
export const Gather: OperatorRule = selection;
/** Concrete ML pads calibration data in float32, and so rounds them. */
export const Pad: OperatorRule = {
  ...selection,
  calibrationInputs: ([x, ...others]) => [x && cast(x, "float32"), ...others],
};
export const Slice: OperatorRule = selection;

/** Joins tensors; those of unlike scales are first brought to one quantizer that covers them all. */
export const Concat: OperatorRule = {
  ...movement,
  lower(target, op, operands) {
    const values = operands.flatMap((operand) => operand?.value ?? []);
    const prepared = values.map((value) => prepareInput(target, op, value));
    const isUniform = prepared.every(({ quantizer }) => sameMap(quantizer, prepared[0].quantizer));
    const hasConstants = operands.some((operand) => operand?.constant);
    const { outputQuantizer } = op.calibrated;
    const common =
      isUniform && !hasConstants
        ? prepared[0].quantizer
        : new UniformQuantizer(
            { ...op.inputOptions, ...rangeOf(outputQuantizer) },
            outputQuantizer.stats,
          );
    const coded: Coded<ReturnType<typeof target.emit>>[] = prepared.map((input, i) =>
      sameMap(input.quantizer, common)
        ? input
        : {
            codes: target.emit(
              { kind: "quantize", map: codeMapOf(common) },
              [values[i].floats],
              op.node.name,
            ),
            quantizer: common,
          },
    );
    const shapes = operands.map((operand) =>
      operand?.constant ? zerosLike(operand.constant.values) : undefined,
    );
    let next = 0;
    const traced = shapes.map((shape) => shape ?? target.shapeOf(coded[next++].codes));
    const move = trace(op, traced);
    const joined = emitMove(
      target,
      op.node.name,
      coded.map(({ codes }) => codes),
      move,
    );
    const codes = hasConstants
      ? shiftByTensor(
          target,
          op.node.name,
          joined,
          constantCodes(op, operands, coded, common, target),
        )
      : joined;
    return codeResult(target, op, codes, common);
  },
};

function sameMap(a: UniformQuantizer, b: UniformQuantizer): boolean {
  return a.scale === b.scale && a.zeroPoint === b.zeroPoint && a.offset === b.offset;
}

function rangeOf({ stats }: UniformQuantizer): { rmin: number; rmax: number } {
  if (stats === null) throw new Error("internal: a result without statistics");
  return { rmin: stats.rmin, rmax: stats.rmax };
}

function zerosLike(values: Tensor): Tensor {
  return float64(values.shape, new Float64Array(values.data.length));
}

/** Codes of the constant parts of a Concat in the result's shape, 0 elsewhere. */
function constantCodes<V>(
  op: QuantizedOperation,
  operands: Operands<V>,
  coded: readonly Coded<V>[],
  common: UniformQuantizer,
  target: Target<V>,
): Tensor<"int64"> {
  let next = 0;
  const parts = operands.map((operand) => {
    if (operand?.constant) {
      const { values } = operand.constant;
      return common.quant(float64(values.shape, Float64Array.from(values.data)));
    }
    const shape = [1, ...target.shapeOf(coded[next++].codes).slice(1)];
    return int64(shape, new Float64Array(sizeOf(shape)));
  });
  const [{ shape, data }] = evaluateNode(op.node, parts);
  return int64(shape, data);
}
