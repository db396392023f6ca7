/**
 * The invariants of a graph, checked when a model is read and again on what the importer makes of it.
 * @module
 */
import { SottoError } from "../errors.ts";
import { sameShape } from "../tensor/tensor.ts";
import type { Graph, GraphNode } from "./graph.ts";
import { atNode, checkArity, operatorOf } from "./ops/index.ts";

/** The part of a graph that says which names exist. */
export interface Names {
  readonly inputs: readonly { readonly name: string }[];
  readonly outputs: readonly { readonly name: string }[];
  readonly nodes: readonly Pick<GraphNode, "name" | "inputs" | "outputs">[];
  /** Names of constants. */
  readonly constants: Iterable<string>;
}

/** Checks that each name is defined once and before it is read. */
export function verifyNames({ inputs, outputs, nodes, constants }: Names): void {
  const defined = new Set<string>(constants);
  const define = (name: string): void => {
    if (name === "") throw new SottoError("BAD_MODEL", "graph", "a value has an empty name");
    if (defined.has(name)) throw new SottoError("BAD_MODEL", name, "the name is defined twice");
    defined.add(name);
  };
  for (const { name } of inputs) define(name);
  for (const node of nodes) {
    const unknown = node.inputs.find((name) => name !== "" && !defined.has(name));
    if (unknown !== undefined) {
      throw new SottoError(
        "BAD_MODEL",
        node.name,
        `expected names that are defined before they are read, got ${unknown}`,
      );
    }
    for (const name of node.outputs) define(name);
  }
  for (const { name } of outputs) {
    if (!defined.has(name)) throw new SottoError("BAD_MODEL", name, "the output is never defined");
  }
}

/** Checks every invariant of a graph; throws BAD_MODEL or UNSUPPORTED_OPERATOR at the first that does not hold. */
export function verify(graph: Graph): void {
  verifyNames({ ...graph, constants: graph.constants.keys() });
  for (const [name, { shape }] of graph.constants) {
    if (!sameShape(shape, shapeOf(graph, name))) {
      throw new SottoError("BAD_MODEL", name, "the constant has another shape than the graph says");
    }
  }
  for (const { name } of graph.inputs) {
    if (shapeOf(graph, name)[0] !== 1) {
      throw new SottoError("BAD_MODEL", name, "the first axis of an input is not a batch of 1");
    }
  }
  for (const node of graph.nodes) verifyNode(graph, node);
}

function verifyNode(graph: Graph, node: GraphNode): void {
  checkArity(node);
  const operands = node.inputs.map((name) =>
    name === "" ? undefined : { shape: shapeOf(graph, name), value: graph.constants.get(name) },
  );
  const shapes = atNode(node, () => operatorOf(node).shape(operands, node.attributes));
  for (const [i, name] of node.outputs.entries()) {
    const stated = shapeOf(graph, name);
    if (!sameShape(shapes[i], stated)) {
      const message = `${name} has shape [${shapes[i].join(", ")}], the graph says [${stated.join(", ")}]`;
      throw new SottoError("BAD_MODEL", node.name, message);
    }
  }
}

function shapeOf(graph: Graph, name: string): readonly number[] {
  const shape = graph.shapes.get(name);
  if (!shape) throw new SottoError("BAD_MODEL", name, "the graph does not say its shape");
  return shape;
}
