/**
 * A batch normalization disappears into the weights of the linear layer before it.
 * @module
 */
import { type Tensor, tensor } from "../../tensor/tensor.ts";
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
  const epsilon = Number(normalization.attributes["epsilon"] ?? 1e-5);
  const factors = Float64Array.from(
    scale.data,
    (s, i) => s / Math.sqrt(variance.data[i] + epsilon),
  );
  const isRows = layer.opType === "Conv" || layer.attributes["transB"] === 1;
  const channels = factors.length;
  const perChannel = weights.data.length / channels;
  const channelOf = (i: number): number => (isRows ? Math.floor(i / perChannel) : i % channels);
  const old = (i: number): number =>
    oldBias === undefined ? 0 : oldBias.data[oldBias.data.length === 1 ? 0 : i];
  const scaled = new Float64Array(weights.data.length);
  for (let i = 0; i < scaled.length; i++) scaled[i] = weights.data[i] * factors[channelOf(i)];
  const names = ["weights", "bias"].map((part) => `${normalization.outputs[0]}/${part}`);
  const values = [
    tensor(weights.dtype, weights.shape, scaled),
    tensor(
      weights.dtype,
      [channels],
      factors.map((factor, i) => (old(i) - mean.data[i]) * factor + bias.data[i]),
    ),
  ];
  names.forEach((name, i) => constants.set(name, values[i]));
  return { ...layer, inputs: [layer.inputs[0], ...names], outputs: normalization.outputs };
}
