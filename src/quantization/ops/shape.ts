/**
 * Operators that move codes without computing: Flatten, Reshape.
 * @module
 */
import type { Target } from "../../circuit/builder.ts";
import { evaluateNode } from "../../onnx/evaluate.ts";
import { float64, sizeOf } from "../../tensor/tensor.ts";
import {
  type Operand,
  type OperatorRule,
  type QuantizedOperation,
  type QuantizedValue,
  codeResult,
  prepareInput,
  requireVariable,
} from "../operation.ts";

/** The new shape is whatever the float operator makes of one row of zeros. */
function lowerReshape<V>(
  target: Target<V>,
  op: QuantizedOperation,
  operands: readonly Operand<V>[],
): QuantizedValue<V> {
  const input = prepareInput(target, op, requireVariable(op, operands[0], "the data"));
  const [, ...rest] = target.shapeOf(input.codes);
  const row = float64([1, ...rest], new Float64Array(sizeOf(rest)));
  const constants = operands.slice(1).map((operand) => operand.constant?.values ?? row);
  const [{ shape }] = evaluateNode(op.node, [row, ...constants]);
  const codes = target.emit({ kind: "reshape", shape }, [input.codes], op.node.name);
  return codeResult(target, op, codes, input.quantizer);
}

const movement: OperatorRule = {
  canFuse: () => false,
  usesModelOutputBits: true,
  lower: lowerReshape,
};

export const Flatten: OperatorRule = movement;
export const Reshape: OperatorRule = movement;
