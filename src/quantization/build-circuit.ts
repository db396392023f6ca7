/**
 * From a quantized module to a circuit: every operation lowers itself, fused ones as float operations for now.
 * @module
 */
import type { ConstantOperand, Operand, QuantizedValue } from "./operation.ts";
import { codeMapOf, floatResult } from "./operation.ts";
import type { QuantizedModule } from "./module.ts";
import { CircuitBuilder } from "../circuit/builder.ts";
import type { Circuit, ValueId } from "../circuit/ir.ts";

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
      ? floatResult(op, emitFloat(builder, op.node, operands))
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

function emitFloat(
  builder: CircuitBuilder,
  node: { readonly opType: string; readonly name: string; readonly attributes: object },
  operands: readonly (Operand<ValueId> | undefined)[],
): ValueId {
  const inputs = operands.flatMap((operand) => (operand?.value ? [operand.value.floats] : []));
  const constants = operands.map((operand) => operand && (operand.constant?.values ?? null));
  const { opType, attributes } = node;
  return builder.emit(
    { kind: "float", opType, attributes: { ...attributes }, operands: constants },
    inputs,
    node.name,
  );
}
