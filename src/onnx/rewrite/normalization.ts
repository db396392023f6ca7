/**
 * A batch normalization disappears into the weights of the linear layer before it.
 * @module
 */
import { add, combine, mapElements } from "../../tensor/elementwise.ts";
import { type Tensor, allocate, reshape, scalar, tensor } from "../../tensor/tensor.ts";
import type { GraphNode, GraphValue } from "../graph.ts";
import type { Parts } from "./builder.ts";
import { countReads } from "./fuse.ts";

/**
 * Folds a batch normalization into the convolution before it, and into a Gemm where it is a model's output. Elsewhere
 * behind a Gemm it stays: it is part of the table that reads the accumulator and costs nothing there.
 */
export function foldBatchNormalization(parts: Parts, outputs: readonly GraphValue[]): Parts {
  const { nodes, constants, shapes } = parts;
  const reads = countReads(nodes, outputs);
  const isOutput = new Set(outputs.map(({ name }) => name));
  const producers = new Map(nodes.map((node) => [node.outputs[0], node]));
  const all = new Map(constants);
  const absorbed = new Set<GraphNode>();
  const rewritten = nodes.map((node) => {
    if (node.opType !== "BatchNormalization" || node.domain !== "") return node;
    const layer = producers.get(node.inputs[0]);
    const isLayer =
      layer?.opType === "Conv" || (layer?.opType === "Gemm" && isOutput.has(node.outputs[0]));
    if (!layer || !isLayer || layer.domain !== "" || reads.get(node.inputs[0]) !== 1) return node;
    const folded = foldInto(layer, node, all);
    if (folded) absorbed.add(layer);
    return folded ?? node;
  });
  return { nodes: rewritten.filter((node) => !absorbed.has(node)), constants: all, shapes };
}

/** The layer with weights and bias of both; null unless everything is constant. */
function foldInto(
  layer: GraphNode,
  normalization: GraphNode,
  constants: Map<string, Tensor>,
): GraphNode | null {
  const [weights, oldBias] = layer.inputs.slice(1).map((name) => constants.get(name));
  const [scale, bias, mean, variance] = normalization.inputs
    .slice(1)
    .map((name) => constants.get(name));
  const isBiasKnown = layer.inputs.length < 3 || oldBias !== undefined;
  if (!weights || !scale || !bias || !mean || !variance || !isBiasKnown) return null;
  const factors = factorsOf(scale, variance, Number(normalization.attributes["epsilon"] ?? 1e-5));
  const isRows = layer.opType === "Conv" || layer.attributes["transB"] === 1;
  const channels = factors.data.length;
  const perChannel = weights.data.length / channels;
  const channelOf = (i: number): number => (isRows ? Math.floor(i / perChannel) : i % channels);
  const spread = allocate(factors.dtype, weights.data.length);
  for (let i = 0; i < spread.length; i++) spread[i] = factors.data[channelOf(i)];
  const perWeight = tensor(factors.dtype, weights.shape, spread);
  const old = oldBias ? reshape(oldBias, [oldBias.data.length]) : scalar("float32", 0);
  const centred = combine(old, mean, (x, m) => x - m);
  const scaled = combine(centred, factors, (x, factor) => x * factor);
  const names = ["weights", "bias"].map((part) => `${normalization.outputs[0]}/${part}`);
  const values = [combine(weights, perWeight, (w, factor) => w * factor), add(scaled, bias)];
  names.forEach((name, i) => constants.set(name, values[i]));
  return { ...layer, inputs: [layer.inputs[0], ...names], outputs: normalization.outputs };
}

/** `scale / sqrt(variance + epsilon)` per channel, step by step in the element type, as PyTorch's exporter folds it. */
function factorsOf(scale: Tensor, variance: Tensor, epsilon: number): Tensor {
  const shifted = mapElements(variance, (value) => value + epsilon);
  const deviation = mapElements(shifted, Math.sqrt);
  return combine(scale, deviation, (s, d) => s / d);
}
