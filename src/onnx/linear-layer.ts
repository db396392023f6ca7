/**
 * Linear models that are written as plain operators: what skl2onnx makes of regressions with a link function, and what
 * networks of a single layer are.
 * @module
 */
import { rawName, scoresOf } from "./ops/ml-linear-cores.ts";
import type { LinearMap } from "./ops/ml-linear-maps.ts";
import type { Core, Graph, GraphNode } from "./graph.ts";
import { expand, transpose } from "../tensor/strided.ts";
import { type Tensor, float32, reshape } from "../tensor/tensor.ts";

const WEIGHTED = new Set(["Conv", "ConvTranspose", "Gemm", "MatMul"]);

/** Nodes with weights: linear operators with a constant factor. */
export function weightedNodes({ nodes, constants }: Graph): GraphNode[] {
  return nodes.filter(
    ({ opType, domain, inputs }) =>
      domain === "" && WEIGHTED.has(opType) && inputs.some((name) => constants.has(name)),
  );
}

/** A layer on rows as the linear model that it is; null for any other node. */
export function linearLayer(node: GraphNode, { constants, shapes }: Graph): Core | null {
  const [x, matrix, bias = ""] = node.inputs;
  const weights = constants.get(matrix);
  const intercepts = constants.get(bias);
  const isLayer = node.opType === "Gemm" || node.opType === "MatMul";
  const rank = weights?.shape.length ?? 0;
  if (!isLayer || shapes.get(x)?.length !== 2 || !weights || rank < 1 || rank > 2) return null;
  if (bias !== "" && !intercepts) return null;
  // Factors and the other transpose are folded into the constants when a model is read.
  const isByRow = rank === 1 || node.attributes["transB"] === 1;
  const rows = isByRow ? weights : transpose(weights);
  const outputs = rank === 1 ? 1 : rows.shape[0];
  const sums = intercepts ?? zeros(outputs);
  if (sums.data.length !== outputs && sums.data.length !== 1) return null;
  const map: LinearMap = {
    outputs,
    coefficients: [...rows.data],
    intercepts: [...expand(reshape(sums, [sums.data.length]), [outputs]).data],
  };
  if (rank === 2)
    return { scores: scoresOf(node, map, node.outputs[0]), width: null, finish: null };
  const raw = rawName(node);
  const squeeze = { opType: "Squeeze", inputs: [raw], attributes: { axes: [1] } };
  return { scores: scoresOf(node, map, raw), width: outputs, finish: { ...node, ...squeeze } };
}

function zeros(size: number): Tensor {
  return float32([size], new Float32Array(size));
}
