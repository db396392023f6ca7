/**
 * Constants of a model under quantization: weights under Quant nodes, constants computed from constants, and which axis of
 * a constant holds output channels.
 * @module
 */
import { evaluateNode } from "../onnx/evaluate.ts";
import type { Graph, GraphNode } from "../onnx/graph.ts";
import type { PerChannel } from "../tensor/codes.ts";
import { expand } from "../tensor/strided.ts";
import { codeMoves } from "../onnx/rewrite/quant-order.ts";
import { type Tensor, float64, sizeOf, strides } from "../tensor/tensor.ts";
import { QuantizedArray } from "./array.ts";
import type { NBits } from "./bits.ts";
import type { ConstantOperand } from "./operation.ts";
import { ruleOf } from "./ops/index.ts";
import { isQuantNode, quantizeByNode } from "./quant-node.ts";

/** The result of a node whose operands are all constants. Codes that a Quant node made follow through movements. */
export function foldConstant(
  node: GraphNode,
  constants: ReadonlyMap<string, ConstantOperand>,
  quantize: (values: Tensor) => ConstantOperand,
): ConstantOperand {
  const operands = node.inputs.map((name) => constants.get(name)?.values);
  const [first] = operands;
  if (!first) throw new Error(`internal: ${node.name} has no operand to fold`);
  if (isQuantNode(node)) {
    const quantized = quantizeByNode(node, first, (name) => constants.get(name)?.values);
    return { values: quantized.values, quantized };
  }
  const move = (x: Tensor): Tensor => evaluateNode(node, [x, ...operands.slice(1)])[0];
  const values = move(first);
  const source = constants.get(node.inputs[0])?.quantized;
  if (!source?.quantizer.options.isPrecomputedQat || !codeMoves.has(node.opType)) {
    return quantize(values);
  }
  const { options, scale, zeroPoint, offset } = source.quantizer;
  const { shape } = source.values;
  const quantized = new QuantizedArray(options.nBits, values, {
    ...options,
    scale: moveParameter(scale, shape, move),
    zeroPoint: moveParameter(zeroPoint, shape, move),
    offset,
  });
  return { values, quantized };
}

/** A value per channel after a movement of the tensor that it belongs to. */
function moveParameter(
  value: PerChannel,
  shape: readonly number[],
  move: (x: Tensor) => Tensor,
): PerChannel {
  if (typeof value === "number") return value;
  const { shape: moved, data } = move(expand(value, shape));
  const steps = strides(moved);
  // Axes along which nothing changes shrink to 1.
  const kept = moved.map((dim, axis) => {
    const isConstant = data.every((x, i) => {
      const index = Math.floor(i / steps[axis]) % dim;
      return x === data[i - index * steps[axis]];
    });
    return isConstant ? 1 : dim;
  });
  const own = strides(kept);
  const out = new Float64Array(sizeOf(kept));
  data.forEach((x, i) => {
    const at = moved.reduce((sum, dim, axis) => {
      const index = Math.floor(i / steps[axis]) % dim;
      return sum + (kept[axis] === 1 ? 0 : index * own[axis]);
    }, 0);
    out[at] = x;
  });
  return float64(kept, out);
}

/** How the operators that read a constant want it quantized. */
export interface ConstantUse {
  /** Bits of a code. */
  readonly nBits: number;
  /** Axis of the output channels, where the constant is the weights of linear operators. */
  readonly axis: number | undefined;
}

/** The use of every constant that a node reads; of several readers the one with most bits decides. */
export function constantUses(
  graph: Graph,
  bitsOf: (node: GraphNode) => NBits,
): ReadonlyMap<string, ConstantUse> {
  const axes = weightAxes(graph);
  const uses = new Map<string, ConstantUse>();
  for (const node of graph.nodes) {
    for (const name of node.inputs) {
      if (!graph.constants.has(name)) continue;
      const nBits = Math.max(bitsOf(node).op_weights, uses.get(name)?.nBits ?? 0);
      uses.set(name, { nBits, axis: axes.get(name) });
    }
  }
  return uses;
}

/** Names of the nodes that multiply by constant weights, in order. */
export function nodesWithWeights({ nodes, constants }: Graph): string[] {
  return nodes
    .filter((node) => ruleOf(node).weightAxis !== undefined && constants.has(node.inputs[1]))
    .map(({ name }) => name);
}

/** Axis of the output channels of every constant that only linear operators read as weights, all along that axis. */
function weightAxes({ nodes, constants }: Graph): ReadonlyMap<string, number> {
  const uses = new Map<string, Set<number | null>>();
  for (const node of nodes) {
    node.inputs.forEach((name, i) => {
      if (!constants.has(name)) return;
      const axis = i === 1 ? ruleOf(node).weightAxis?.(node.attributes) : undefined;
      uses.set(name, (uses.get(name) ?? new Set()).add(axis ?? null));
    });
  }
  const axes = new Map<string, number>();
  for (const [name, [axis, ...others]] of uses) {
    const rank = constants.get(name)?.shape.length ?? 0;
    if (others.length === 0 && axis !== null && axis < rank) axes.set(name, axis);
  }
  return axes;
}
