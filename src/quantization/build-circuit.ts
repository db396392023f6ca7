/**
 * From a quantized module to a circuit: every operation lowers itself, fused ones as float operations for now.
 * @module
 */
import { operatorName } from "../onnx/ops/index.ts";
import { isUniform, sameQuantizer } from "./quant-node.ts";
import type { ConstantOperand, Operand, QuantizedOperation, QuantizedValue } from "./operation.ts";
import { codeMapOf, floatResult } from "./operation.ts";
import type { QuantizedModule } from "./module.ts";
import { CircuitBuilder } from "../circuit/builder.ts";
import type { Circuit, ValueId } from "../circuit/ir.ts";
import type { GraphNode } from "../onnx/graph.ts";
import { type Tensor, reshape, scalar } from "../tensor/tensor.ts";
import { domainOf } from "./domain.ts";

/** Builds the circuit of a module; float operations are still in it. */
export function buildCircuit(module: QuantizedModule): Circuit {
  const builder = new CircuitBuilder();
  const values = new Map<string, QuantizedValue<ValueId>>();
  module.inputs.forEach(({ name, shape, quantizer }, index) => {
    const [lo, hi] = quantizer.codeRange;
    const codes = builder.input(index, shape, { lo, hi }, name);
    const { scale, zeroPoint } = quantizer;
    const floats = builder.emit({ kind: "dequantize", scale, zeroPoint }, [codes], name);
    values.set(name, { codes, floats, quantizer });
  });
  const operandOf = (name: string): Operand<ValueId> => {
    const constant: ConstantOperand | undefined = module.constants.get(name);
    if (constant) return { constant, value: null };
    const value = values.get(name);
    if (!value) throw new Error(`internal: ${name} is used before it is defined`);
    return { constant: null, value };
  };
  for (const op of module.operations) {
    const operands = op.node.inputs.map((name) => (name === "" ? undefined : operandOf(name)));
    const result = op.isFused
      ? (alreadyQuantized(op, operands) ?? floatResult(op, emitFloat(builder, op.node, operands)))
      : op.rule.lower(builder, op, operands);
    values.set(op.node.outputs[0], result);
  }
  const outputs = module.outputs.map(({ name, quantizer }) => {
    const value = values.get(name);
    if (!value) throw new Error(`internal: output ${name} is not computed`);
    return (
      value.codes ??
      builder.emit({ kind: "quantize", map: codeMapOf(quantizer) }, [value.floats], name)
    );
  });
  return builder.finish(outputs);
}

/** The operand of a Quant node that is quantized in just this way, such as an input that the client quantizes for it. */
function alreadyQuantized(
  { node, calibrated }: QuantizedOperation,
  [first]: readonly (Operand<ValueId> | undefined)[],
): QuantizedValue<ValueId> | null {
  const { outputQuantizer } = calibrated;
  if (!outputQuantizer.options.isPrecomputedQat || !first?.value) return null;
  return isUniform(node) && sameQuantizer(first.value.quantizer, outputQuantizer)
    ? first.value
    : null;
}

function emitFloat(
  builder: CircuitBuilder,
  node: GraphNode,
  operands: readonly (Operand<ValueId> | undefined)[],
): ValueId {
  const domain = domainOf(node);
  const inputs = operands.flatMap((operand, i) => {
    if (!operand?.value) return [];
    const { floats } = operand.value;
    return [i === 0 && domain ? clampTo(builder, node.name, floats, domain) : floats];
  });
  const rank = builder.shapeOf(inputs[0]).length;
  const constants = operands.map((operand) => {
    if (!operand?.constant) return operand && null;
    const { values } = operand.constant;
    return node.opType === "BatchNormalization" ? alongChannels(values, rank) : values;
  });
  return builder.emit(
    { kind: "float", opType: operatorName(node), attributes: node.attributes, operands: constants },
    inputs,
    node.name,
  );
}

/** Numbers per channel as a table takes its constants: in a shape that broadcasts against the tensor's. */
function alongChannels(values: Tensor, rank: number): Tensor {
  return reshape(values, [values.data.length, ...Array.from({ length: rank - 2 }, () => 1)]);
}

function clampTo(
  builder: CircuitBuilder,
  name: string,
  x: ValueId,
  bounds: readonly [number, number],
): ValueId {
  const operands = [null, ...bounds.map((bound) => scalar("float64", bound))];
  return builder.emit({ kind: "float", opType: "Clip", attributes: {}, operands }, [x], name);
}
