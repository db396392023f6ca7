/**
 * From a quantized module to a circuit, or to tensors at once: every operation lowers itself, fused ones as float operations
 * for now.
 * @module
 */
import { operatorName } from "../onnx/ops/index.ts";
import { isUniform, sameQuantizer } from "./quant-node.ts";
import type { ConstantOperand, Operand, QuantizedOperation, QuantizedValue } from "./operation.ts";
import { codeMapOf, floatResult } from "./operation.ts";
import type { QuantizedModule } from "./module.ts";
import { CircuitBuilder, type Target } from "../circuit/builder.ts";
import type { Circuit } from "../circuit/ir.ts";
import type { GraphNode } from "../onnx/graph.ts";
import { type Tensor, reshape, scalar } from "../tensor/tensor.ts";
import { domainOf } from "./domain.ts";

/** Builds the circuit of a module; float operations are still in it. */
export function buildCircuit(module: QuantizedModule): Circuit {
  const builder = new CircuitBuilder();
  const codes = module.inputs.map(({ name, shape, quantizer }, index) => {
    const [lo, hi] = quantizer.codeRange;
    return builder.input(index, shape, { lo, hi }, name);
  });
  return builder.finish(lowerModule(module, codes, () => builder));
}

/** Lowers every operation of a module, from codes of its inputs to codes of its outputs; each on a target of its own. */
export function lowerModule<V>(
  module: QuantizedModule,
  inputs: readonly V[],
  targetOf: (op: QuantizedOperation | null) => Target<V>,
): V[] {
  const target = targetOf(null);
  const values = new Map<string, QuantizedValue<V>>();
  module.inputs.forEach(({ name, quantizer }, index) => {
    const codes = inputs[index];
    const { scale, zeroPoint } = quantizer;
    const floats = target.emit({ kind: "dequantize", scale, zeroPoint }, [codes], name);
    values.set(name, { codes, floats, quantizer });
  });
  const operandOf = (name: string): Operand<V> => {
    const constant: ConstantOperand | undefined = module.constants.get(name);
    if (constant) return { constant, value: null };
    const value = values.get(name);
    if (!value) throw new Error(`internal: ${name} is used before it is defined`);
    return { constant: null, value };
  };
  for (const op of module.operations) {
    const operands = op.node.inputs.map((name) => (name === "" ? undefined : operandOf(name)));
    values.set(op.node.outputs[0], lowerOperation(targetOf(op), op, operands));
  }
  return module.outputs.map(({ name, quantizer }) => {
    const value = values.get(name);
    if (!value) throw new Error(`internal: output ${name} is not computed`);
    return (
      value.codes ??
      target.emit({ kind: "quantize", map: codeMapOf(quantizer) }, [value.floats], name)
    );
  });
}

/** Lowers one operation: by its rule, or as a float operation that a table will hold. */
export function lowerOperation<V>(
  target: Target<V>,
  op: QuantizedOperation,
  operands: readonly (Operand<V> | undefined)[],
): QuantizedValue<V> {
  if (!op.isFused) return op.rule.lower(target, op, operands);
  return alreadyQuantized(op, operands) ?? floatResult(op, emitFloat(target, op.node, operands));
}

/** The operand of a Quant node that is quantized in just this way, such as an input that the client quantizes for it. */
function alreadyQuantized<V>(
  { node, calibrated }: QuantizedOperation,
  [first]: readonly (Operand<V> | undefined)[],
): QuantizedValue<V> | null {
  const { outputQuantizer } = calibrated;
  if (!outputQuantizer.options.isPrecomputedQat || !first?.value) return null;
  return isUniform(node) && sameQuantizer(first.value.quantizer, outputQuantizer)
    ? first.value
    : null;
}

function emitFloat<V>(
  target: Target<V>,
  node: GraphNode,
  operands: readonly (Operand<V> | undefined)[],
): V {
  const domain = domainOf(node);
  const inputs = operands.flatMap((operand, i) => {
    if (!operand?.value) return [];
    const { floats } = operand.value;
    return [i === 0 && domain ? clampTo(target, node.name, floats, domain) : floats];
  });
  const rank = target.shapeOf(inputs[0]).length;
  const constants = operands.map((operand) => {
    if (!operand?.constant) return operand && null;
    const { values } = operand.constant;
    return node.opType === "BatchNormalization" ? alongChannels(values, rank) : values;
  });
  return target.emit(
    { kind: "float", opType: operatorName(node), attributes: node.attributes, operands: constants },
    inputs,
    node.name,
  );
}

/** Numbers per channel as a table takes its constants: in a shape that broadcasts against the tensor's. */
function alongChannels(values: Tensor, rank: number): Tensor {
  return reshape(values, [values.data.length, ...Array.from({ length: rank - 2 }, () => 1)]);
}

function clampTo<V>(target: Target<V>, name: string, x: V, bounds: readonly [number, number]): V {
  const operands = [null, ...bounds.map((bound) => scalar("float64", bound))];
  return target.emit({ kind: "float", opType: "Clip", attributes: {}, operands }, [x], name);
}
