/**
 * Classical models (what scikit-learn's and the boosting libraries' exporters write): which nodes are the model itself, to be
 * computed encrypted, and what the client computes before and after them.
 * @module
 */
import { SottoError } from "../errors.ts";
import type { Core, Graph, GraphNode, GraphValue, SplitGraph } from "./graph.ts";
import { linearLayer, weightedNodes } from "./linear-layer.ts";
import { linearCore } from "./ops/ml-linear-cores.ts";
import { VOTES } from "./ops/votes.ts";
import { treeCore } from "./trees/core.ts";

/** The two parts of a node, null for a node that is no model. */
function coreOf(node: GraphNode): Core | null {
  if (node.opType === VOTES.opType && node.domain === VOTES.domain) {
    return { scores: node, width: null, finish: null };
  }
  return linearCore(node) ?? treeCore(node);
}

/**
 * The nodes of a classical model that are to be computed encrypted; null for a graph that is no classical model. A model
 * without an operator of its own, such as skl2onnx's Poisson regression, has the linear layers instead.
 */
export function coresOf(graph: Graph): ReadonlyMap<GraphNode, Core> | null {
  const stated = pairsOf(graph.nodes, coreOf);
  if (stated.size > 0) return stated;
  // Exporters of classical models state the domain even where they use none of its operators.
  if (!graph.opset.has("ai.onnx.ml")) return null;
  const weighted = weightedNodes(graph);
  if (weighted.length === 0) return null;
  const [only, ...others] = weighted;
  const linear = others.length === 0 ? linearLayer(only, graph) : null;
  if (linear) return new Map([[only, linear]]);
  return new Map(weighted.map((node) => [node, { scores: node, width: null, finish: null }]));
}

function pairsOf(
  nodes: readonly GraphNode[],
  read: (node: GraphNode) => Core | null,
): Map<GraphNode, Core> {
  const pairs = new Map<GraphNode, Core>();
  for (const node of nodes) {
    const core = read(node);
    if (core) pairs.set(node, core);
  }
  return pairs;
}

/** Cuts a graph before its first cores and after its last ones. Throws UNSUPPORTED_OPERATOR for an output that passes them by. */
export function splitAtCores(graph: Graph, cores: ReadonlyMap<GraphNode, Core>): SplitGraph {
  const nodes = graph.nodes.flatMap((node) => {
    const core = cores.get(node);
    if (!core) return [node];
    return core.finish ? [core.scores, core.finish] : [core.scores];
  });
  const models = new Set([...cores.values()].map(({ scores }) => scores));
  const shapes = new Map(graph.shapes);
  for (const { scores, width } of cores.values()) {
    if (width !== null) shapes.set(scores.outputs[0], [1, width]);
  }
  const ahead = leadingTo(nodes, models);
  const behind = followingFrom(nodes, models);
  const isInner = (node: GraphNode): boolean => ahead.has(node) && behind.has(node);
  const whole = { ...graph, shapes };
  const inner = nodes.filter(isInner);
  const first = nodes.filter((node) => ahead.has(node) && !isInner(node));
  const last = nodes.filter((node) => !ahead.has(node));
  const encrypted = crossing(whole, [...first, ...passed(graph)], inner);
  const decrypted = crossing(whole, inner, [...last, ...wanted(graph)]);
  requireDecrypted(graph, last, decrypted);
  return {
    before: part(whole, { inputs: graph.inputs, nodes: first, outputs: encrypted }),
    graph: part(whole, { inputs: encrypted, nodes: inner, outputs: decrypted }),
    after: part(whole, { inputs: decrypted, nodes: last, outputs: graph.outputs }),
  };
}

/** What gives or reads names. */
type Ends = Pick<GraphNode, "inputs" | "outputs">;

function passed({ inputs }: Graph): Ends[] {
  return [{ inputs: [], outputs: inputs.map(({ name }) => name) }];
}

function wanted({ outputs }: Graph): Ends[] {
  return [{ inputs: outputs.map(({ name }) => name), outputs: [] }];
}

/** Nodes that some model depends on, models included. */
function leadingTo(nodes: readonly GraphNode[], models: ReadonlySet<GraphNode>): Set<GraphNode> {
  const needed = new Set<string>();
  const found = new Set<GraphNode>();
  for (const node of nodes.toReversed()) {
    if (!models.has(node) && !node.outputs.some((name) => needed.has(name))) continue;
    found.add(node);
    for (const name of node.inputs) needed.add(name);
  }
  return found;
}

/** Nodes that depend on some model, models included. */
function followingFrom(
  nodes: readonly GraphNode[],
  models: ReadonlySet<GraphNode>,
): Set<GraphNode> {
  const made = new Set<string>();
  const found = new Set<GraphNode>();
  for (const node of nodes) {
    if (!models.has(node) && !node.inputs.some((name) => made.has(name))) continue;
    found.add(node);
    for (const name of node.outputs) made.add(name);
  }
  return found;
}

/** Values that some nodes give and others read, each once, as floats. */
function crossing(
  { inputs, outputs, shapes }: Graph,
  from: readonly Ends[],
  to: readonly Ends[],
): GraphValue[] {
  const given = new Set(from.flatMap((node) => node.outputs));
  const names = new Set(to.flatMap((node) => node.inputs).filter((name) => given.has(name)));
  return [...names].map((name) => {
    const stated = [...inputs, ...outputs].find((value) => value.name === name);
    const shape = [null, ...(shapes.get(name) ?? []).slice(1)];
    return { name, dtype: "float32", shape: stated?.shape ?? shape };
  });
}

/** The client has what was decrypted, but not the inputs any more. */
function requireDecrypted(
  graph: Graph,
  last: readonly GraphNode[],
  decrypted: readonly GraphValue[],
): void {
  const known = new Set([...graph.constants.keys(), ...decrypted.map(({ name }) => name), ""]);
  for (const node of [...last, { name: "output", ...wanted(graph)[0] }]) {
    const missing = node.inputs.find((name) => !known.has(name));
    if (missing !== undefined) {
      throw new SottoError(
        "UNSUPPORTED_OPERATOR",
        node.name,
        `expected results of the model only, got ${missing}, which comes from its inputs; leave such outputs out of the export`,
      );
    }
    for (const name of node.outputs) known.add(name);
  }
}

/** A part of a graph, with the constants and shapes that it needs. */
function part(
  { name, opset, constants, shapes }: Graph,
  ends: Pick<Graph, "inputs" | "nodes" | "outputs">,
): Graph {
  const { inputs, nodes, outputs } = ends;
  const read = new Set([...nodes.flatMap((node) => node.inputs), ...outputs.map((o) => o.name)]);
  const given = nodes.flatMap((node) => node.outputs).filter((output) => output !== "");
  const own = new Set([...inputs.map((input) => input.name), ...given]);
  const fixed = [...constants].filter(([constant]) => read.has(constant));
  const names = [...own, ...fixed.map(([constant]) => constant)];
  return {
    name,
    opset,
    ...ends,
    constants: new Map(fixed),
    shapes: new Map(names.map((value) => [value, shapes.get(value) ?? []])),
  };
}
