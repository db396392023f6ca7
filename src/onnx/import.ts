/**
 * Import: ONNX bytes to a verified graph. The steps of `importOnnx` are in an order that matters: dead nodes go before
 * the support check, so that only operators in use are refused, and shapes come before fusion, which reads them.
 * @module
 */
import { SottoError } from "../errors.ts";
import type { AttributeValue, Graph, GraphNode } from "./graph.ts";
import { findOperator, operatorName, supportedOperators } from "./ops/index.ts";
import { readModel, type Model, type ModelNode } from "./proto.ts";
import { liveNodes, rewrite } from "./rewrite/index.ts";
import { inferShapes } from "./shapes.ts";
import { verify, verifyNames } from "./verify.ts";
import { removeZipMaps, withClasses } from "./zip-map.ts";

const oldestOpset = 7;
const newestOpset = 22;
const newestMlOpset = 5;

/**
 * Reads an ONNX file into a graph: constants folded, compound operators written as simple ones, linear layers fused, dead
 * nodes dropped, shapes known.
 * Throws BAD_MODEL for bytes that are not a valid model, UNSUPPORTED_OPERATOR for what sotto cannot compute.
 */
export function importOnnx(bytes: Uint8Array): Graph {
  return importModel(readModel(bytes));
}

/** The same for a model of ONNX operators that was read from another format. */
export function importModel(read: Model): Graph {
  const model = removeZipMaps({ ...read, outputs: withClasses(read) });
  checkOpset(model);
  verifyNames({ ...model, constants: model.initializers.keys() });
  const live = liveNodes(model.nodes, model.outputs);
  checkOperators(live, model.opset);
  const nodes = live.map(readableNode);
  const folded = inferShapes({ ...model, nodes, constants: model.initializers });
  const simple = rewrite(folded, model);
  const graph = prune(model, { ...simple, nodes: liveNodes(simple.nodes, model.outputs) });
  verify(graph);
  return graph;
}

function checkOpset({ opset, nodes }: Model): void {
  const ml = opset.get("ai.onnx.ml") ?? 0;
  if (ml > newestMlOpset) {
    const expected = `expected opset 1 to ${newestMlOpset} of ai.onnx.ml`;
    const message = `${expected}, got opset ${ml}; export the model again with one of these`;
    throw new SottoError("UNSUPPORTED_OPERATOR", "opset", message);
  }
  const version = opset.get("");
  if (version === undefined && !nodes.some(({ domain }) => domain === "")) return;
  if (version !== undefined && version >= oldestOpset && version <= newestOpset) return;
  const got = version === undefined ? "the model states no opset" : `opset ${version}`;
  const expected = `expected opset ${oldestOpset} to ${newestOpset} of ai.onnx`;
  const message = `${expected}, got ${got}; export the model again with one of these`;
  throw new SottoError("UNSUPPORTED_OPERATOR", "opset", message);
}

/** Refuses a model with all its unsupported operators in one error. */
function checkOperators(nodes: readonly ModelNode[], opset: ReadonlyMap<string, number>): void {
  const unsupported = nodes.filter((node) => {
    const operator = findOperator(node);
    return !operator || operator.since > (opset.get(node.domain) ?? 0);
  });
  if (unsupported.length === 0) return;
  const counts = new Map<string, number>();
  for (const node of unsupported) {
    counts.set(operatorName(node), (counts.get(operatorName(node)) ?? 0) + 1);
  }
  const names = [...counts].map(([name, count]) => `${name} (${count})`);
  const message = `expected supported operators, got ${names.join(", ")}; supported operators: ${supportedOperators.join(", ")}`;
  throw new SottoError("UNSUPPORTED_OPERATOR", unsupported[0].name, message);
}

function readableNode(node: ModelNode): GraphNode {
  const attributes: Record<string, AttributeValue> = {};
  for (const [name, value] of Object.entries(node.attributes)) {
    if (value === null) {
      const known = Object.keys(findOperator(node)?.attributes ?? {});
      const expected = known.length === 0 ? "none" : `one of ${known.join(", ")}`;
      const message = `${operatorName(node)}: cannot read attribute ${name}; expected ${expected}`;
      throw new SottoError("UNSUPPORTED_OPERATOR", node.name, message);
    }
    attributes[name] = value;
  }
  return { ...node, attributes };
}

/** The graph without constants and shapes that nothing reads. */
function prune(
  { name, opset, inputs, outputs }: Model,
  { nodes, constants, shapes }: Pick<Graph, "nodes" | "constants" | "shapes">,
): Graph {
  const read = new Set([...nodes.flatMap((node) => node.inputs), ...outputs.map((o) => o.name)]);
  const known = new Set([
    ...inputs.map((input) => input.name),
    ...nodes.flatMap((node) => node.outputs),
    ...read,
  ]);
  return {
    name,
    opset,
    inputs,
    outputs,
    nodes,
    constants: new Map([...constants].filter(([constant]) => read.has(constant))),
    shapes: new Map([...shapes].filter(([value]) => known.has(value))),
  };
}
