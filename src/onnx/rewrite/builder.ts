/**
 * Writes the nodes that stand for one node of a model: names for their results, constants, shapes of what is known.
 * @module
 */
import { SottoError } from "../../errors.ts";
import type { Shape, Tensor } from "../../tensor/tensor.ts";
import type { Attributes, Graph, GraphNode } from "../graph.ts";

/** What a rewriting knows of the graph. */
export type Parts = Pick<Graph, "constants" | "nodes" | "shapes">;

/** Replaces one node by others. */
export class Replacement {
  readonly node: GraphNode;
  readonly nodes: GraphNode[] = [];
  readonly constants: Map<string, Tensor> = new Map();
  readonly #parts: Parts;
  readonly #fixed: ReadonlySet<string>;

  constructor(node: GraphNode, parts: Parts, fixed: ReadonlySet<string>) {
    this.node = node;
    this.#parts = parts;
    this.#fixed = fixed;
  }

  /** Adds a node and returns the name of its result. */
  add(opType: string, inputs: readonly string[], attributes: Attributes = {}): string {
    const name = this.#name(opType);
    this.nodes.push({ ...this.#origin(name), opType, inputs, outputs: [name], attributes });
    return name;
  }

  /** Adds the node that gives result `output` of the replaced one. */
  result(
    opType: string,
    inputs: readonly string[],
    attributes: Attributes = {},
    output: string = this.node.outputs[0],
  ): void {
    const isOnly = this.node.outputs.length === 1;
    const name = isOnly ? this.node.name : `${this.node.name}/${output}`;
    this.nodes.push({ ...this.#origin(name), opType, inputs, outputs: [output], attributes });
  }

  /** Adds a constant and returns its name. */
  constant(value: Tensor): string {
    const name = this.#name("constant");
    this.constants.set(name, value);
    return name;
  }

  /** Shape of an input for a batch of 1. */
  shape(input: number): Shape {
    return this.shapeOf(this.node.inputs[input]);
  }

  /** Shape of a name of the graph. */
  shapeOf(name: string): Shape {
    const shape = this.#parts.shapes.get(name);
    if (shape) return shape;
    throw new Error(`internal: the shape of ${name} is not known`);
  }

  /** Value of an input that must be constant. Throws UNSUPPORTED_OPERATOR. */
  value(input: number): Tensor {
    const value = this.#parts.constants.get(this.node.inputs[input]);
    if (value) return value;
    throw new SottoError(
      "UNSUPPORTED_OPERATOR",
      this.node.name,
      `expected input ${input} of ${this.node.opType} to be a constant, got one that depends on the model's input`,
    );
  }

  /** Whether an input does not depend on the model's inputs: a constant, or what a quantizer makes of one. */
  isFixed(input: number): boolean {
    return this.#fixed.has(this.node.inputs[input]);
  }

  /** Value of an input if it is there and constant. */
  known(input: number): Tensor | undefined {
    return this.#parts.constants.get(this.node.inputs[input] ?? "");
  }

  #origin(name: string): Pick<GraphNode, "name" | "domain"> {
    return { name, domain: "" };
  }

  #name(suffix: string): string {
    const count = this.nodes.length + this.constants.size;
    return `${this.node.outputs[0]}/${suffix}_${count}`;
  }
}

/** Constants, and what quantizers make of them. */
export function fixedNames(
  nodes: readonly GraphNode[],
  constants: Graph["constants"],
): ReadonlySet<string> {
  const fixed = new Set(constants.keys());
  for (const { inputs, outputs } of nodes) {
    if (!inputs.every((name) => name === "" || fixed.has(name))) continue;
    for (const name of outputs) fixed.add(name);
  }
  return fixed;
}
