/**
 * MatMul followed by the addition of a constant becomes Gemm, so that quantization meets one linear layer with a bias
 * however the exporter wrote it.
 * @module
 */
import { sameShape } from "../../tensor/tensor.ts";
import type { Graph, GraphNode, GraphValue } from "../graph.ts";
import { fixedNames } from "./builder.ts";

/** Fuses every MatMul whose only reader is an Add of a constant that does not enlarge the product. */
export function fuseMatMulAdd(
  nodes: readonly GraphNode[],
  outputs: readonly GraphValue[],
  { constants, shapes }: Pick<Graph, "constants" | "shapes">,
): GraphNode[] {
  const reads = countReads(nodes, outputs);
  const fixed = fixedNames(nodes, constants);
  const products = new Map<string, GraphNode>();
  for (const node of nodes) {
    const [name] = node.outputs;
    if (node.opType === "MatMul" && reads.get(name) === 1) products.set(name, node);
  }
  const absorbed = new Set<GraphNode>();
  const fused = nodes.map((node) => {
    if (node.opType !== "Add") return node;
    const [left, right] = node.inputs;
    const [name, bias] = products.has(left) ? [left, right] : [right, left];
    const product = products.get(name);
    const isSameShape = sameShape(shapes.get(name) ?? [], shapes.get(node.outputs[0]) ?? []);
    if (!product || !fixed.has(bias) || !isSameShape) return node;
    absorbed.add(product);
    return {
      ...product,
      opType: "Gemm",
      inputs: [...product.inputs, bias],
      outputs: node.outputs,
      attributes: {},
    };
  });
  return fused.filter((node) => !absorbed.has(node));
}

/** How often each name is read, by nodes and as a graph output. */
export function countReads(
  nodes: readonly GraphNode[],
  outputs: readonly GraphValue[],
): Map<string, number> {
  const reads = new Map<string, number>();
  const names = [...nodes.flatMap((node) => node.inputs), ...outputs.map(({ name }) => name)];
  for (const name of names) reads.set(name, (reads.get(name) ?? 0) + 1);
  return reads;
}
