/**
 * Shape inference and constant folding in one walk, as each needs the other: a Reshape's shape comes from a folded
 * constant, and Shape folds because shapes are known. Shapes are those of a batch of 1; a node that names the batch
 * size of the exported example is rewritten to keep whatever batch it is given.
 * @module
 */
import { SottoError } from "../errors.ts";
import { int64, sizeOf, type Shape, type Tensor } from "../tensor/tensor.ts";
import type { Graph, GraphNode, GraphValue } from "./graph.ts";
import { atNode, checkArity, operatorOf } from "./ops/index.ts";
import type { Operand } from "./ops/operator.ts";

/** Nodes that remain after folding, with everything known about their operands. */
export interface Inferred {
  readonly nodes: readonly GraphNode[];
  readonly constants: ReadonlyMap<string, Tensor>;
  readonly shapes: ReadonlyMap<string, Shape>;
}

// Far above any model that can run encrypted; keeps a damaged file from asking for all the memory.
const mostElements = 2 ** 22;

/** Infers every shape, folds what is constant, and makes attributes independent of input sizes. */
export function inferShapes(
  graph: Pick<Graph, "inputs" | "nodes" | "constants" | "opset">,
): Inferred {
  const constants = new Map(graph.constants);
  const shapes = new Map<string, Shape>();
  for (const [name, { shape }] of constants) shapes.set(name, shape);
  for (const input of graph.inputs) shapes.set(input.name, sampleShape(input));
  const batches = new Set([1, ...graph.inputs.map(({ shape }) => shape[0])]);
  const nodes: GraphNode[] = [];
  for (const original of graph.nodes) {
    checkArity(original);
    const node = keepBatch(original, { constants, shapes }, batches);
    const operands = node.inputs.map((name) => operandOf(name, { constants, shapes }));
    const opset = graph.opset.get(node.domain) ?? 0;
    const { attributes, results, values } = inferNode(node, operands, opset);
    for (const [i, name] of node.outputs.entries()) {
      shapes.set(name, results[i]);
      if (values) constants.set(name, values[i]);
    }
    if (!values) nodes.push({ ...node, attributes });
  }
  return { nodes, constants, shapes };
}

/** Shape of an input for a batch of 1. */
function sampleShape({ name, shape }: GraphValue): Shape {
  if (shape.length === 0) {
    throw new SottoError("BAD_SHAPE", name, "the model does not state the input's shape");
  }
  return shape.map((dim, axis) => {
    if (axis === 0) return 1;
    if (typeof dim === "number" && dim > 0) return dim;
    const advice = "only the first axis may vary; export the model with fixed sizes";
    throw new SottoError("BAD_SHAPE", name, `axis ${axis} has size ${dim ?? "unknown"}; ${advice}`);
  });
}

function operandOf(
  name: string,
  { constants, shapes }: Pick<Inferred, "constants" | "shapes">,
): Operand | undefined {
  const shape = shapes.get(name);
  return shape && { shape, value: constants.get(name) };
}

/** What is known about a node's results; `values` if they are constant. */
function inferNode(
  node: GraphNode,
  operands: readonly (Operand | undefined)[],
  opset: number,
): {
  attributes: GraphNode["attributes"];
  results: readonly Shape[];
  values: readonly Tensor[] | undefined;
} {
  const operator = operatorOf(node);
  return atNode(node, () => {
    const attributes = operator.resolve(operands, node.attributes, {
      opset,
      outputCount: node.outputs.length,
    });
    const results = operator.shape(operands, attributes);
    // Large weights are in the file already: moving them asks for no more.
    const given = operands.reduce((sum, operand) => sum + sizeOf(operand?.shape ?? []), 0);
    for (const shape of results) {
      if (sizeOf(shape) <= Math.max(mostElements, given)) continue;
      const message = `a result of shape [${shape.join(", ")}] is too large`;
      throw new SottoError("BAD_SHAPE", node.name, message);
    }
    const isConstant =
      !operator.isQuantizer && operands.every((operand) => !operand || operand.value);
    const values = isConstant
      ? operator.evaluate(
          operands.map((operand) => operand?.value),
          attributes,
        )
      : operator.fold(operands, attributes);
    return { attributes, results, values };
  });
}

interface Known {
  readonly constants: Map<string, Tensor>;
  readonly shapes: Map<string, Shape>;
}

/**
 * A node whose constant sizes start with the batch size of the exported example (1, or the declared one), made to keep
 * whatever batch it is given: Reshape to 0 (the size of the input's first axis), Expand to 1, Resize on the other axes.
 */
function keepBatch(
  node: GraphNode,
  known: Known,
  batches: ReadonlySet<number | string | null | undefined>,
): GraphNode {
  if (node.domain !== "" || known.constants.has(node.inputs[0])) return node;
  if (known.shapes.get(node.inputs[0])?.[0] !== 1) return node;
  const place = node.opType === "Resize" ? 3 : 1;
  const list = known.constants.get(node.inputs[place]);
  if (!list || list.shape.length !== 1 || !batches.has(list.data[0])) return node;
  const rest = [...list.data].slice(1);
  switch (node.opType) {
    case "Reshape": {
      const { allowzero = 0, ...attributes } = node.attributes;
      if (allowzero !== 0 && rest.includes(0)) return node;
      return { ...withConstant(node, place, [0, ...rest], known), attributes };
    }
    case "Expand": {
      const rank = known.shapes.get(node.inputs[0])?.length;
      return list.data.length === rank ? withConstant(node, place, [1, ...rest], known) : node;
    }
    case "Resize": {
      const isCropped = node.attributes["coordinate_transformation_mode"] === "tf_crop_and_resize";
      if (node.attributes["axes"] !== undefined || isCropped) return node;
      const axes = rest.map((_, i) => i + 1);
      const resized = withConstant(node, place, rest, known);
      return { ...resized, attributes: { ...node.attributes, axes } };
    }
    default:
      return node;
  }
}

/** The node with another list of integers as an input. */
function withConstant(
  node: GraphNode,
  place: number,
  numbers: readonly number[],
  { constants, shapes }: Known,
): GraphNode {
  let name = `${node.outputs[0]}/shape`;
  while (shapes.has(name)) name += "_";
  constants.set(name, int64([numbers.length], numbers));
  shapes.set(name, [numbers.length]);
  return { ...node, inputs: node.inputs.with(place, name) };
}
