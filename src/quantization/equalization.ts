/**
 * Cross-layer equalization (Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction"):
 * a channel between two linear operators may be scaled down in the first and up in the second, since what lies between
 * commutes with positive factors. Channels get weights of similar size in both, so that one scale per tensor serves all.
 * The float model stays the same but for rounding.
 * @module
 */
import type { Graph, GraphNode } from "../onnx/graph.ts";
import { type Tensor, sizeOf, tensor } from "../tensor/tensor.ts";

/** Operators f with f(s x) = s f(x) for s > 0 that keep channels apart. */
const HOMOGENEOUS: ReadonlySet<string> = new Set([
  "AveragePool",
  "GlobalAveragePool",
  "GlobalMaxPool",
  "Identity",
  "LeakyRelu",
  "MaxPool",
  "Relu",
]);
/** Chains of several operators settle after a few rounds. */
const ROUNDS = 20;

/** Weights with the axis of the channels between the two operators, and how many indices of it belong to a channel. */
interface Side {
  readonly name: string;
  readonly axis: number;
}

interface Pair {
  readonly first: Side;
  readonly bias: string | null;
  readonly second: Side;
  readonly channels: number;
}

/** The same graph with equalized weights wherever two linear operators follow each other. */
export function equalize(graph: Graph): Graph {
  const pairs = pairsOf(graph);
  const constants = new Map(graph.constants);
  for (let round = 0; round < ROUNDS; round++) {
    for (const pair of pairs) equalizePair(constants, pair);
  }
  return { ...graph, constants };
}

function equalizePair(
  constants: Map<string, Tensor>,
  { first, bias, second, channels }: Pair,
): void {
  const outgoing = largestPerChannel(valueOf(constants, first.name), first.axis, channels);
  const incoming = largestPerChannel(valueOf(constants, second.name), second.axis, channels);
  const factors = outgoing.map((r, i) =>
    r > 0 && incoming[i] > 0 ? Math.sqrt(incoming[i] / r) : 1,
  );
  const inverse = factors.map((factor) => 1 / factor);
  constants.set(first.name, scaled(valueOf(constants, first.name), first.axis, factors));
  if (bias !== null) constants.set(bias, scaled(valueOf(constants, bias), -1, factors));
  constants.set(second.name, scaled(valueOf(constants, second.name), second.axis, inverse));
}

function valueOf(constants: ReadonlyMap<string, Tensor>, name: string): Tensor {
  const value = constants.get(name);
  if (!value) throw new Error(`internal: ${name} is no constant`);
  return value;
}

/** Channel of each element; after a Flatten several neighbours along the axis belong to one channel. */
function channelOf(
  shape: readonly number[],
  axis: number,
  channels: number,
): (i: number) => number {
  const at = axis < 0 ? axis + shape.length : axis;
  const inner = sizeOf(shape.slice(at + 1));
  const perChannel = shape[at] / channels;
  return (i) => Math.floor((Math.floor(i / inner) % shape[at]) / perChannel);
}

function largestPerChannel({ shape, data }: Tensor, axis: number, channels: number): Float64Array {
  const largest = new Float64Array(channels);
  const channel = channelOf(shape, axis, channels);
  data.forEach((w, i) => {
    largest[channel(i)] = Math.max(largest[channel(i)], Math.abs(w));
  });
  return largest;
}

function scaled({ dtype, shape, data }: Tensor, axis: number, factors: Float64Array): Tensor {
  const channel = channelOf(shape, axis, factors.length);
  return tensor(
    dtype,
    shape,
    Float64Array.from(data, (w, i) => w * factors[channel(i)]),
  );
}

/** Every pair of linear operators with only homogeneous ones, read once each, between them. */
function pairsOf(graph: Graph): Pair[] {
  const readers = new Map<string, GraphNode[]>();
  for (const node of graph.nodes) {
    for (const name of node.inputs) readers.set(name, [...(readers.get(name) ?? []), node]);
  }
  const isOwn = (name: string): boolean =>
    graph.constants.has(name) && (readers.get(name)?.length ?? 0) === 1;
  return graph.nodes.flatMap((node) => {
    const first = weightsOf(node, graph, "output");
    if (first === null || !isOwn(first.name)) return [];
    const channels = sizeAt(graph, first);
    const bias = node.inputs.at(2) ?? "";
    if (bias !== "" && !(isOwn(bias) && isPerChannel(graph.constants.get(bias), channels))) {
      return [];
    }
    const second = sideBehind(node, graph, readers);
    if (second === null || !isOwn(second.name) || sizeAt(graph, second) % channels !== 0) return [];
    return [{ first, bias: bias === "" ? null : bias, second, channels }];
  });
}

/** The weights that read a node's result through homogeneous operators alone; null if anything else reads it. */
function sideBehind(
  node: GraphNode,
  graph: Graph,
  readers: ReadonlyMap<string, readonly GraphNode[]>,
): Side | null {
  const isOutput = (name: string): boolean => graph.outputs.some((output) => output.name === name);
  let [name] = node.outputs;
  for (;;) {
    const [next, ...others] = readers.get(name) ?? [];
    if (next === undefined || others.length > 0 || isOutput(name)) return null;
    if (!HOMOGENEOUS.has(next.opType) && !isFlatten(next)) {
      return next.inputs[0] === name ? weightsOf(next, graph, "input") : null;
    }
    [name] = next.outputs;
  }
}

function sizeAt({ constants }: Graph, { name, axis }: Side): number {
  return constants.get(name)?.shape[axis] ?? 0;
}

function isPerChannel(bias: Tensor | undefined, channels: number): boolean {
  return bias?.data.length === channels && bias.shape.at(-1) === channels;
}

/** Flatten of everything but the batch keeps the elements of a channel together. */
function isFlatten({ opType, attributes }: GraphNode): boolean {
  return opType === "Flatten" && (attributes["axis"] ?? 1) === 1;
}

/** Constant matrix or kernels of a linear operator, with the axis of its output or input channels. */
function weightsOf(node: GraphNode, graph: Graph, side: "input" | "output"): Side | null {
  const { opType, attributes, inputs } = node;
  const [, name = ""] = inputs;
  const shape = graph.constants.get(name)?.shape;
  if (shape === undefined) return null;
  if (opType === "Conv" && (attributes["group"] ?? 1) === 1) {
    return { name, axis: side === "output" ? 0 : 1 };
  }
  const isProduct = opType === "Gemm" || opType === "MatMul";
  if (!isProduct || shape.length !== 2) return null;
  const isTransposed = attributes["transB"] === 1;
  return { name, axis: (side === "output") === isTransposed ? 0 : 1 };
}
