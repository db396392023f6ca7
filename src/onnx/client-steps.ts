/**
 * What the client computes itself: everything before encryption and after decryption, each a graph of its own. Of a classical
 * model that is all but the model itself (see `cores.ts`); of a network, the vectors of tokens that an embedding looks up
 * and a last Softmax. The server sees neither.
 * @module
 */
import { SottoError } from "../errors.ts";
import { type Tensor, float32, scalar } from "../tensor/tensor.ts";
import { coresOf, splitAtCores } from "./cores.ts";
import type { Graph, GraphNode, GraphValue, SplitGraph } from "./graph.ts";
import { withVotes } from "./neighbours.ts";

const LAST = new Set(["Softmax", "LogSoftmax"]);

/** Nodes that the client computes after decryption: they give a graph output that no other node reads. */
export function clientNodes(
  { nodes, shapes }: Pick<Graph, "nodes" | "shapes">,
  outputs: readonly GraphValue[],
): ReadonlySet<GraphNode> {
  const read = new Set(nodes.flatMap(({ inputs }) => inputs));
  const isOutput = new Set(outputs.map(({ name }) => name));
  return new Set(
    nodes.filter(({ opType, domain, outputs: [name], attributes }) => {
      const isLast = LAST.has(opType) && domain === "";
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

/** A graph that gives its inputs as they are. */
export function passing(
  graph: Pick<Graph, "name" | "opset" | "shapes">,
  values: readonly GraphValue[],
): Graph {
  return {
    name: graph.name,
    opset: graph.opset,
    inputs: values,
    outputs: values,
    nodes: [],
    constants: new Map(),
    shapes: new Map(values.map(({ name }) => [name, graph.shapes.get(name) ?? []])),
  };
}

/** Takes the client's steps off both ends of a graph. Throws UNSUPPORTED_OPERATOR where that cannot be done. */
export function splitClientSteps(whole: Graph): SplitGraph {
  const graph = withVotes(whole);
  const cores = coresOf(graph);
  if (cores) return splitAtCores(graph, cores);
  const opened = takeEmbeddings(graph);
  return { before: opened.before, ...takeLast(opened.graph) };
}

/** Takes the last Softmax off every output. */
function takeLast(graph: Graph): Pick<SplitGraph, "graph" | "after"> {
  const last = [...clientNodes(graph, graph.outputs)];
  const nameOf = (output: GraphValue): string =>
    last.find(({ outputs }) => outputs[0] === output.name)?.inputs[0] ?? output.name;
  const names = new Map(graph.outputs.map((output) => [nameOf(output), output]));
  const outputs = [...names].map(([name, output]) => ({ ...output, name }));
  const nodes = graph.nodes.filter((node) => !last.includes(node));
  const after = passing(graph, outputs);
  const shapes = new Map(
    [...outputs, ...graph.outputs].map(({ name }) => [name, graph.shapes.get(name) ?? []]),
  );
  return {
    graph: { ...graph, nodes, outputs },
    after: { ...after, nodes: last, outputs: graph.outputs, shapes },
  };
}

/** Gather of rows of a constant by tokens becomes a product of one-hot vectors with the constant. */
function takeEmbeddings(graph: Graph): { before: Graph; graph: Graph } {
  const vectors = new Map(
    graph.inputs
      .filter(({ dtype }) => dtype !== "float32" && dtype !== "float64")
      .map((input) => [input.name, vectorsOf(graph, input)]),
  );
  const before = passing(graph, graph.inputs);
  if (vectors.size === 0) return { before, graph };
  const inputs = graph.inputs.map((input) => vectors.get(input.name)?.value ?? input);
  const shapes = new Map(graph.shapes);
  const constants = new Map<string, Tensor>();
  for (const { value, shape, parts } of vectors.values()) {
    shapes.set(value.name, shape);
    for (const [name, part] of Object.entries(parts)) constants.set(name, part);
  }
  for (const [name, { shape }] of constants) shapes.set(name, shape);
  const products: GraphNode[] = [];
  const others: GraphNode[] = [];
  for (const node of graph.nodes) {
    const found = node.opType === "Gather" ? vectors.get(node.inputs[1]) : undefined;
    if (found) products.push(productOf(node, found, graph.constants));
    else others.push(node);
  }
  const names = [...before.shapes.keys(), ...inputs.map(({ name }) => name), ...constants.keys()];
  return {
    before: {
      ...before,
      nodes: [...vectors.values()].map(({ node }) => node),
      outputs: inputs,
      constants,
      shapes: new Map(names.map((name) => [name, shapes.get(name) ?? []])),
    },
    graph: { ...graph, inputs, nodes: [...products, ...others], shapes },
  };
}

/** The node that makes one-hot vectors of an input of tokens, and what it needs. */
interface Vectors {
  readonly node: GraphNode;
  readonly value: GraphValue;
  readonly shape: readonly number[];
  readonly depth: number;
  readonly parts: Readonly<Record<string, Tensor>>;
}

function vectorsOf(graph: Graph, input: GraphValue): Vectors {
  const depth = vocabularyOf(graph, input.name);
  const name = `${input.name}/one-hot`;
  const [size, values] = [`${name}/depth`, `${name}/values`];
  return {
    node: {
      name,
      opType: "OneHot",
      domain: "",
      inputs: [input.name, size, values],
      outputs: [name],
      attributes: { isStrict: 1 },
    },
    value: { ...input, name, dtype: "float32", shape: [...input.shape, depth] },
    shape: [...(graph.shapes.get(input.name) ?? []), depth],
    depth,
    parts: { [size]: scalar("int64", depth), [values]: float32([2], [0, 1]) },
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
  { value, depth }: Vectors,
  constants: ReadonlyMap<string, Tensor>,
): GraphNode {
  const [table] = node.inputs;
  const { shape } = constants.get(table) ?? { shape: [] };
  if (shape.length === 2 && shape[0] === depth) {
    return { ...node, opType: "MatMul", inputs: [value.name, table], attributes: {} };
  }
  throw new SottoError(
    "UNSUPPORTED_OPERATOR",
    node.name,
    `expected an embedding of one vector per token, got a table of shape [${shape.join(", ")}]`,
  );
}
