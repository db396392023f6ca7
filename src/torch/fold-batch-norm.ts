/**
 * A batch normalization behind a convolution becomes part of the convolution's weights, as PyTorch's ONNX exporter does it:
 * the same operations in the same order in single precision, so that the weights are the same to the last bit.
 * @module
 */
import type { Model, ModelNode } from "../onnx/proto.ts";
import { tensor, type Tensor } from "../tensor/tensor.ts";

/** Folds every BatchNormalization whose input is a Conv with constant weights that nothing else reads. */
export function foldBatchNorm(model: Model): Model {
  const readers = new Map<string, number>();
  const read = [
    ...model.nodes.flatMap(({ inputs }) => inputs),
    ...model.outputs.map((o) => o.name),
  ];
  for (const name of read) readers.set(name, (readers.get(name) ?? 0) + 1);
  const convolutions = new Map<string, ModelNode>();
  const folded = new Map<ModelNode, ModelNode>();
  const initializers = new Map(model.initializers);
  for (const node of model.nodes) {
    if (node.opType === "Conv" && readers.get(node.outputs[0]) === 1) {
      convolutions.set(node.outputs[0], node);
    }
    const convolution = convolutions.get(node.inputs[0]);
    if (node.opType !== "BatchNormalization" || !convolution) continue;
    const weights = fold(convolution, node, initializers);
    if (!weights) continue;
    const names = [`${node.name}/weight`, `${node.name}/bias`];
    for (const [i, name] of names.entries()) initializers.set(name, weights[i]);
    const inputs = [convolution.inputs[0], ...names];
    folded.set(convolution, { ...convolution, inputs, outputs: node.outputs });
    convolutions.delete(node.inputs[0]);
    folded.set(node, convolution);
  }
  const nodes = model.nodes.flatMap((node) => {
    if (node.opType === "BatchNormalization" && folded.has(node)) return [];
    return [folded.get(node) ?? node];
  });
  return { ...model, nodes, initializers };
}

/** Weights and bias of the convolution and the normalization in one; undefined where some operand is no float32 constant. */
function fold(
  convolution: ModelNode,
  normalization: ModelNode,
  constants: ReadonlyMap<string, Tensor>,
): [Tensor, Tensor] | undefined {
  const [, weightName, biasName] = convolution.inputs;
  const weight = constants.get(weightName);
  const bias = biasName === undefined ? undefined : constants.get(biasName);
  const [scale, offset, mean, variance] = normalization.inputs
    .slice(1)
    .map((name) => constants.get(name));
  const { epsilon } = normalization.attributes;
  const operands = [
    weight,
    scale,
    offset,
    mean,
    variance,
    ...(biasName === undefined ? [] : [bias]),
  ];
  const isFloat = operands.every((operand) => operand?.dtype === "float32");
  if (!isFloat || !weight || !scale || !offset || !mean || !variance) return undefined;
  const [channels] = weight.shape;
  const perOutput = [scale, offset, mean, variance, ...(bias ? [bias] : [])];
  const fits = channels > 0 && perOutput.every(({ data }) => data.length === channels);
  if (typeof epsilon !== "number" || !fits) return undefined;
  const { fround } = Math;
  const perChannel = weight.data.length / channels;
  const factors = scale.data.map((value, i) =>
    fround(value / fround(Math.sqrt(fround(variance.data[i] + epsilon)))),
  );
  const weights = weight.data.map((value, i) =>
    fround(value * factors[Math.floor(i / perChannel)]),
  );
  const biases = offset.data.map((value, i) => {
    const centered = fround((bias?.data[i] ?? 0) - mean.data[i]);
    return fround(fround(centered * factors[i]) + value);
  });
  return [tensor("float32", weight.shape, weights), tensor("float32", [channels], biases)];
}
