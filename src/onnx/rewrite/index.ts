/**
 * The rewritings of a graph, in order; each says the same in float and leaves names of inputs and outputs alone.
 * @module
 */
import type { Graph, GraphNode, GraphValue } from "../graph.ts";
import { clientNodes } from "../client-steps.ts";
import { inferShapes } from "../shapes.ts";
import type { Parts } from "./builder.ts";
import { decompose } from "./decompose.ts";
import { fuseMatMulAdd } from "./fuse.ts";
import { foldBatchNormalization } from "./normalization.ts";
import { joinQuantizeDequantize } from "./qcdq.ts";
import { quantizeBeforeMoves } from "./quant-order.ts";

/** What stays the same. */
type Frame = Pick<Graph, "inputs" | "outputs" | "opset">;

type Rewriting = (parts: Parts, frame: Frame) => Parts;

const REWRITINGS: readonly Rewriting[] = [
  joinQuantizeDequantize, // three nodes that say in pieces what a quantizer is become one
  (parts, { outputs }) => quantizeBeforeMoves(parts, outputs), // codes move, not floats
  (parts, frame) => decompose(parts, clientNodes(parts, frame.outputs)), // compound operators become simple ones
  (parts, { outputs }) => foldBatchNormalization(parts, outputs), // normalization becomes weights of the layer before it
  (parts, { outputs }) => ({ ...parts, nodes: fuseMatMulAdd(parts.nodes, outputs, parts) }), // one linear layer, one node
];

/** Runs all rewritings on a graph whose shapes are known; shapes and constants are inferred anew after each. */
export function rewrite(parts: Parts, frame: Frame): Parts {
  return REWRITINGS.reduce((current, rewriting) => {
    const next = rewriting(current, frame);
    const isSame =
      next.nodes.length === current.nodes.length &&
      next.nodes.every((node, i) => node === current.nodes[i]);
    return isSame
      ? current
      : inferShapes({
          ...frame,
          nodes: liveNodes(next.nodes, frame.outputs),
          constants: next.constants,
        });
  }, parts);
}

/** The nodes that some output depends on, in the same order. */
export function liveNodes<N extends Pick<GraphNode, "inputs" | "outputs">>(
  nodes: readonly N[],
  outputs: readonly GraphValue[],
): N[] {
  const needed = new Set(outputs.map(({ name }) => name));
  const live = nodes.toReversed().filter((node) => {
    const isNeeded = node.outputs.some((name) => needed.has(name));
    if (isNeeded) for (const name of node.inputs) needed.add(name);
    return isNeeded;
  });
  return live.toReversed();
}
