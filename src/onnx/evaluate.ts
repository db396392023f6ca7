/**
 * Float evaluation of a graph: the reference that quantized and encrypted results are held against.
 * @module
 */
import { SottoError } from "../errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Graph, GraphValue } from "./graph.ts";
import { atNode, describeCount, operatorOf, type OperatorUse } from "./ops/index.ts";

/**
 * Applies one operator to inputs in ONNX order (undefined where an optional one is absent). float32 operands are
 * computed in float32; with a float64 operand everything is float64.
 */
export function evaluateNode(
  use: OperatorUse,
  inputs: readonly (Tensor | undefined)[],
): readonly Tensor[] {
  const operator = operatorOf(use);
  return atNode(use, () => {
    const isMissing = inputs.slice(0, operator.minInputs).includes(undefined);
    if (inputs.length < operator.minInputs || inputs.length > operator.maxInputs || isMissing) {
      const expected = `expected ${describeCount(operator.minInputs, operator.maxInputs)} inputs`;
      throw new SottoError("BAD_ARGUMENT", use.opType, `${expected}, got ${inputs.length}`);
    }
    return operator.evaluate(inputs, use.attributes);
  });
}

/** Outputs of a graph on one tensor per input, all with one batch size; float64 inputs are computed in float64. */
export function evaluate(graph: Graph, inputs: readonly Tensor[]): readonly Tensor[] {
  checkInputs(graph, inputs);
  const values = new Map<string, Tensor>(graph.constants);
  for (const [i, { name }] of graph.inputs.entries()) values.set(name, inputs[i]);
  const lastReader = findLastReaders(graph);
  for (const node of graph.nodes) {
    const results = evaluateNode(
      node,
      node.inputs.map((name) => (name === "" ? undefined : valueOf(values, name))),
    );
    for (const [i, name] of node.outputs.entries()) values.set(name, results[i]);
    for (const name of node.inputs) {
      if (lastReader.get(name) === node.name) values.delete(name);
    }
  }
  return graph.outputs.map(({ name }) => valueOf(values, name));
}

/** Name of the last node that reads each name, but for outputs, so that big intermediates can be let go. */
function findLastReaders(graph: Graph): Map<string, string> {
  const readers = new Map<string, string>();
  for (const node of graph.nodes) {
    for (const name of node.inputs) readers.set(name, node.name);
  }
  for (const { name } of graph.outputs) readers.delete(name);
  return readers;
}

function valueOf(values: ReadonlyMap<string, Tensor>, name: string): Tensor {
  const value = values.get(name);
  if (!value) throw new Error(`internal: ${name} is read before it is defined`);
  return value;
}

function checkInputs(graph: Graph, inputs: readonly Tensor[]): void {
  if (inputs.length !== graph.inputs.length) {
    const names = graph.inputs.map(({ name }) => name).join(", ");
    const expected = `expected ${graph.inputs.length} inputs (${names})`;
    throw new SottoError("BAD_ARGUMENT", "inputs", `${expected}, got ${inputs.length}`);
  }
  for (const [i, value] of graph.inputs.entries()) {
    checkInput(value, graph.shapes.get(value.name) ?? [], inputs[i]);
    if (inputs[i].shape[0] !== inputs[0].shape[0]) {
      const got = `${inputs[0].shape[0]} and ${inputs[i].shape[0]}`;
      throw new SottoError("BAD_SHAPE", value.name, `inputs differ in batch size: ${got}`);
    }
  }
}

function checkInput(value: GraphValue, expected: readonly number[], input: Tensor): void {
  const isFloat = input.dtype === "float32" || input.dtype === "float64";
  const isFloatExpected = value.dtype === "float32" || value.dtype === "float64";
  if (input.dtype !== value.dtype && !(isFloat && isFloatExpected)) {
    throw new SottoError("BAD_DTYPE", value.name, `expected ${value.dtype}, got ${input.dtype}`);
  }
  const [, ...sample] = expected;
  const isSame =
    input.shape.length === expected.length &&
    sample.every((dim, axis) => dim === input.shape[axis + 1]);
  if (!isSame) {
    const wanted = `expected shape [${["batch", ...sample].join(", ")}]`;
    const message = `${wanted}, got [${input.shape.join(", ")}]`;
    throw new SottoError("BAD_SHAPE", value.name, message);
  }
}
