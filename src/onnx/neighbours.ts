/**
 * Nearest neighbours as skl2onnx writes them: distances, the k least of them, the labels of those points, a count per class.
 * Read as votes per class, which are computed encrypted, and what the client makes of them.
 * @module
 */
import { int64 } from "../tensor/tensor.ts";
import { DISTANCES } from "./distances.ts";
import type { Graph, GraphNode, GraphValue } from "./graph.ts";
import { VOTES } from "./ops/votes.ts";

/** What a classifier of neighbours is made of. */
interface Neighbours {
  /** Names of the rows, the points, and k. */
  readonly rows: string;
  readonly points: string;
  readonly k: string;
  /** The class of each point, counted from 0. */
  readonly places: readonly number[];
  /** What stands for each class in the output. */
  readonly labels: readonly number[];
}

/** The graph with votes in place of what it computes from distances; as it is where it is no such classifier. */
export function withVotes(graph: Graph): Graph {
  const found = findNeighbours(graph);
  const label = graph.outputs.find(({ dtype }) => dtype === "int64");
  const probabilities = graph.outputs.find((output) => output !== label);
  if (!found || !label || graph.outputs.length > 2) return graph;
  const { rows, points, k, places, labels } = found;
  const classes = labels.length;
  const votes = `${label.name}/votes`;
  const [classOf, list, flat] = ["places", "labels", "shape"].map((part) => `${votes}/${part}`);
  const [best, chosen, total] = ["best", "chosen", "total"].map((part) => `${votes}/${part}`);
  const node = (
    opType: string,
    inputs: readonly string[],
    output: string,
    attributes: GraphNode["attributes"] = {},
    domain = "",
  ): GraphNode => ({ name: output, opType, domain, inputs, outputs: [output], attributes });
  const kept = leadingTo(graph.nodes, rows);
  const shapes = new Map([
    ...graph.shapes,
    [votes, [1, classes]],
    [classOf, [places.length]],
    [list, [classes]],
    [flat, [1]],
    [best, [1]],
    [chosen, [1, 1]],
    [total, [1, 1]],
  ]);
  return {
    ...graph,
    nodes: [
      ...kept,
      node(VOTES.opType, [rows, points, classOf, k], votes, { classes }, VOTES.domain),
      node("ArgMax", [votes], best, { axis: 1, keepdims: 0 }),
      node("ArrayFeatureExtractor", [list, best], chosen, {}, "ai.onnx.ml"),
      node("Reshape", [chosen, flat], label.name),
      ...(probabilities ? dividing(node, votes, total, probabilities) : []),
    ],
    constants: new Map([
      ...graph.constants,
      [classOf, int64([places.length], places)],
      [list, int64([classes], labels)],
      [flat, int64([1], [-1])],
    ]),
    shapes,
  };
}

function dividing(
  node: (
    opType: string,
    inputs: readonly string[],
    output: string,
    attributes?: GraphNode["attributes"],
  ) => GraphNode,
  votes: string,
  total: string,
  { name }: GraphValue,
): GraphNode[] {
  return [
    node("ReduceSum", [votes], total, { axes: [1], keepdims: 1 }),
    node("Div", [votes, total], name),
  ];
}

/** Nodes that a name depends on. */
function leadingTo(nodes: readonly GraphNode[], name: string): GraphNode[] {
  const needed = new Set([name]);
  const found = nodes.toReversed().filter((node) => {
    if (!node.outputs.some((output) => needed.has(output))) return false;
    for (const input of node.inputs) needed.add(input);
    return true;
  });
  return found.toReversed();
}

// What keeps the order of distances, and what only moves indices.
const MONOTONE = new Set(["Cast", "Identity", "Sqrt", "Transpose"]);
const MOVES = new Set(["Cast", "Flatten", "Identity", "Reshape"]);

function findNeighbours({ nodes, constants }: Graph): Neighbours | null {
  const producers = new Map(nodes.flatMap((node) => node.outputs.map((name) => [name, node])));
  const origin = (name: string, through: ReadonlySet<string>): string => {
    let at = name;
    for (let node = producers.get(at); node && through.has(node.opType); node = producers.get(at)) {
      [at] = node.inputs;
    }
    return at;
  };
  const top = nodes.find(({ opType }) => opType === "TopK");
  if (!top || top.attributes["largest"] !== 0) return null;
  const [values, indices] = top.outputs;
  // Votes that count by distance read the distances too.
  if (nodes.some(({ inputs }) => inputs.includes(values))) return null;
  const distances = producers.get(origin(top.inputs[0], MONOTONE));
  if (distances?.opType !== DISTANCES.opType) return null;
  const [points, rows] = [...distances.inputs].sort(
    (a, b) => Number(constants.has(b)) - Number(constants.has(a)),
  );
  const pick = nodes.find(
    ({ opType, inputs }) =>
      opType === "ArrayFeatureExtractor" && origin(inputs[1], MOVES) === indices,
  );
  const own = pick && constants.get(pick.inputs[0]);
  if (!own || own.dtype !== "int64" || !constants.has(points) || constants.has(rows)) return null;
  const winner = nodes.find(
    ({ opType, inputs }) =>
      opType === "ArrayFeatureExtractor" && producers.get(inputs[1])?.opType === "ArgMax",
  );
  const listed = winner && constants.get(winner.inputs[0]);
  const places = [...own.data];
  const count = Math.max(...places) + 1;
  const labels = listed ? [...listed.data] : Array.from({ length: count }, (_, i) => i);
  const isPlace = places.every((place) => place >= 0 && place < labels.length);
  return isPlace ? { rows, points, k: top.inputs[1], places, labels } : null;
}
