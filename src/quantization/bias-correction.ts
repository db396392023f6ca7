/**
 * Bias correction (Nagel et al. 2019): rounded weights shift the mean of every output channel by the mean of the inputs
 * times the rounding errors. On calibration rows this shift is known, and a bias can take it back at no cost.
 * @module
 */
import { evaluateNode } from "../onnx/evaluate.ts";
import type { Graph, GraphNode } from "../onnx/graph.ts";
import { combine } from "../tensor/elementwise.ts";
import { type Tensor, sizeOf, tensor } from "../tensor/tensor.ts";
import type { QuantizedArray } from "./array.ts";

/** The graph with corrected biases of linear operators; those without a bias get one. */
export function correctBiases(
  graph: Graph,
  calibration: readonly Tensor[],
  quantize: (weights: Tensor, name: string) => QuantizedArray,
): Graph {
  const values = new Map<string, Tensor>(graph.constants);
  graph.inputs.forEach(({ name }, i) => values.set(name, calibration[i]));
  const constants = new Map(graph.constants);
  const shapes = new Map(graph.shapes);
  const nodes = graph.nodes.map((node) => {
    const operands = node.inputs.map((name) => values.get(name));
    evaluateNode(node, operands).forEach((result, i) => values.set(node.outputs[i], result));
    const [x, weights, bias] = operands;
    const isLinear =
      ["Conv", "Gemm", "MatMul"].includes(node.opType) && (node.attributes["beta"] ?? 1) === 1;
    if (!isLinear || !x || !weights || !graph.constants.has(node.inputs[1])) return node;
    const errors = errorsOf(weights, quantize(weights, node.inputs[1]));
    const shift = meanShift(node, x, errors);
    const corrected = shift === null ? null : addTo(bias, shift);
    if (corrected === null) return node;
    const name = `${node.outputs[0]}/corrected_bias`;
    constants.set(name, corrected);
    shapes.set(name, corrected.shape);
    return withBias(node, name);
  });
  return { ...graph, nodes, constants, shapes };
}

/** What rounding took off the weights. */
function errorsOf(weights: Tensor, quantized: QuantizedArray): Tensor {
  return combine(weights, quantized.dequant(), (w, rounded) => w - rounded);
}

/** Mean of the operator's result on the rounding errors alone, per output channel; null where channels are unclear. */
function meanShift(node: GraphNode, x: Tensor, errors: Tensor): Float64Array | null {
  if (node.opType !== "Conv" && errors.shape.length !== 2) return null;
  const [lost] = evaluateNode(node, [x, errors]);
  const axis = node.opType === "Conv" ? 1 : lost.shape.length - 1;
  const channels = lost.shape[axis];
  const inner = sizeOf(lost.shape.slice(axis + 1));
  const sums = new Float64Array(channels);
  lost.data.forEach((value, i) => {
    sums[Math.floor(i / inner) % channels] += value;
  });
  return sums.map((sum) => (sum * channels) / lost.data.length);
}

/** A bias with the shift added; null for a bias that is computed or varies over more than channels. */
function addTo(bias: Tensor | undefined, shift: Float64Array): Tensor | null {
  if (bias === undefined) return tensor("float32", [shift.length], shift);
  if (bias.data.length !== 1 && bias.data.length !== shift.length) return null;
  const sum = shift.map((by, i) => by + bias.data[bias.data.length === 1 ? 0 : i]);
  return tensor(bias.dtype, [shift.length], sum);
}

/** The node with another bias; a MatMul becomes a Gemm for it. */
function withBias(node: GraphNode, bias: string): GraphNode {
  const [x, weights] = node.inputs;
  const inputs = [x, weights, bias];
  return node.opType === "MatMul"
    ? { ...node, opType: "Gemm", inputs, attributes: {} }
    : { ...node, inputs };
}
