/**
 * What the client computes itself, before encryption and after decryption: one-hot vectors of tokens that an embedding
 * looks up, and a last Softmax. The server never sees either.
 * @module
 */
import { SottoError } from "../errors.ts";
import { type Tensor, float32, sizeOf } from "../tensor/tensor.ts";
import { evaluateNode } from "./evaluate.ts";
import type { Graph, GraphNode, GraphValue } from "./graph.ts";

/** One step of a client; axes count from 0 with the batch first. */
export type ClientStep =
  | { readonly kind: "oneHot"; readonly depth: number }
  | { readonly kind: "softmax"; readonly axis: number }
  | { readonly kind: "logSoftmax"; readonly axis: number };

/** A graph without the client's part, and that part: one step or none per input and output. */
export interface SplitGraph {
  readonly graph: Graph;
  readonly before: readonly (ClientStep | null)[];
  readonly after: readonly (ClientStep | null)[];
}

const LAST = new Map([
  ["Softmax", "softmax"],
  ["LogSoftmax", "logSoftmax"],
] as const);

/** Nodes that the client computes after decryption: they give a graph output that no other node reads. */
export function clientNodes(
  { nodes, shapes }: Pick<Graph, "nodes" | "shapes">,
  outputs: readonly GraphValue[],
): ReadonlySet<GraphNode> {
  const read = new Set(nodes.flatMap(({ inputs }) => inputs));
  const isOutput = new Set(outputs.map(({ name }) => name));
  return new Set(
    nodes.filter(({ opType, domain, outputs: [name], attributes }) => {
      const isLast = (LAST as ReadonlyMap<string, string>).has(opType) && domain === "";
      const isFlat = attributes["flattened"] === 1;
      const axis = axisOf(attributes, shapes.get(name)?.length ?? 0);
      return isLast && !isFlat && isOutput.has(name) && !read.has(name) && axis !== 0;
    }),
  );
}

/** The stated axis, the last one by default, counted from the beginning. */
function axisOf(attributes: GraphNode["attributes"], rank: number): number {
  const stated = Number(attributes["axis"] ?? -1);
  return stated < 0 ? stated + rank : stated;
}

/** Takes the client's steps off both ends of a graph. Throws UNSUPPORTED_OPERATOR for tokens that have another use. */
export function splitClientSteps(graph: Graph): SplitGraph {
  const opened = takeEmbeddings(graph);
  const last = clientNodes(opened.graph, graph.outputs);
  const after = graph.outputs.map(({ name }) => {
    const node = [...last].find(({ outputs }) => outputs[0] === name);
    return node ? stepOf(node, graph.shapes.get(name)?.length ?? 0) : null;
  });
  const outputs = graph.outputs.map((output) => {
    const node = [...last].find((candidate) => candidate.outputs[0] === output.name);
    return node ? { ...output, name: node.inputs[0] } : output;
  });
  const nodes = opened.graph.nodes.filter((node) => !last.has(node));
  return { graph: { ...opened.graph, nodes, outputs }, before: opened.before, after };
}

function stepOf({ opType, attributes }: GraphNode, rank: number): ClientStep {
  const axis = axisOf(attributes, rank);
  return { kind: opType === "Softmax" ? "softmax" : "logSoftmax", axis };
}

/** Gather of rows of a constant by tokens becomes a product of one-hot vectors with the constant. */
function takeEmbeddings(graph: Graph): { graph: Graph; before: (ClientStep | null)[] } {
  const shapes = new Map(graph.shapes);
  const before = graph.inputs.map((input) => {
    if (input.dtype === "float32" || input.dtype === "float64") return null;
    return { kind: "oneHot", depth: vocabularyOf(graph, input.name) } as const;
  });
  if (before.every((step) => step === null)) return { graph, before };
  const isToken = new Map(graph.inputs.map(({ name }, i) => [name, before[i]]));
  const products: GraphNode[] = [];
  const others: GraphNode[] = [];
  for (const node of graph.nodes) {
    const step = node.opType === "Gather" ? isToken.get(node.inputs[1]) : null;
    if (step) products.push(productOf(node, step.depth, graph.constants));
    else others.push(node);
  }
  const inputs = graph.inputs.map((input, i): GraphValue => {
    const step = before[i];
    if (step === null) return input;
    shapes.set(input.name, [...(shapes.get(input.name) ?? []), step.depth]);
    return { ...input, dtype: "float32", shape: [...input.shape, step.depth] };
  });
  return {
    graph: { ...graph, inputs, nodes: [...products, ...others], shapes },
    before,
  };
}

/** Number of rows of the constants that the tokens of an input look up; they must all have it. */
function vocabularyOf(graph: Graph, input: string): number {
  const readers = graph.nodes.filter(({ inputs }) => inputs.includes(input));
  const sizes = readers.map(({ opType, inputs, attributes }) => {
    const table = graph.constants.get(inputs[0]);
    const isLookup = opType === "Gather" && inputs[1] === input && inputs[0] !== input;
    return isLookup && Number(attributes["axis"] ?? 0) === 0 ? table?.shape[0] : undefined;
  });
  const [size] = sizes;
  if (size !== undefined && sizes.every((other) => other === size)) return size;
  throw new SottoError(
    "UNSUPPORTED_OPERATOR",
    input,
    "expected floats, or integers that only look up rows of constants (an embedding), got integers of another use; export the model with float inputs",
  );
}

function productOf(
  node: GraphNode,
  depth: number,
  constants: ReadonlyMap<string, Tensor>,
): GraphNode {
  const [table, tokens] = node.inputs;
  const { shape } = constants.get(table) ?? { shape: [] };
  if (shape.length === 2 && shape[0] === depth) {
    return { ...node, opType: "MatMul", inputs: [tokens, table], attributes: {} };
  }
  throw new SottoError(
    "UNSUPPORTED_OPERATOR",
    node.name,
    `expected an embedding of one vector per token, got a table of shape [${shape.join(", ")}]`,
  );
}

/** Applies a step to a batch. Throws BAD_VALUE for tokens outside the vocabulary. */
export function applyStep(step: ClientStep | null, x: Tensor, where: string): Tensor {
  if (step === null) return x;
  if (step.kind === "oneHot") return oneHot(x, step.depth, where);
  const opType = step.kind === "softmax" ? "Softmax" : "LogSoftmax";
  const [result] = evaluateNode({ opType, attributes: { axis: step.axis } }, [x]);
  return result;
}

function oneHot(tokens: Tensor, depth: number, where: string): Tensor {
  const data = new Float32Array(sizeOf(tokens.shape) * depth);
  tokens.data.forEach((token, i) => {
    const index = token < 0 ? token + depth : token;
    if (!Number.isInteger(index) || index < 0 || index >= depth) {
      throw new SottoError(
        "BAD_VALUE",
        where,
        `expected tokens from 0 to ${depth - 1}, got ${token} at element ${i}`,
      );
    }
    data[i * depth + index] = 1;
  });
  return float32([...tokens.shape, depth], data);
}
