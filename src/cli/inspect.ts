/**
 * `sotto inspect`: operators of a model, which are supported, and shapes.
 * @module
 */
import { SottoError } from "../errors.ts";
import { importGraph, readOperators } from "../import.ts";
import { splitClientSteps } from "../onnx/client-steps.ts";
import type { GraphValue } from "../onnx/graph.ts";
import { findOperator, operatorName } from "../onnx/ops/index.ts";
import { requireRules } from "../quantization/ops/index.ts";
import type { InspectOptions } from "./options.ts";
import { readBytes } from "./read-array.ts";
import { table, wantsColor } from "./terminal.ts";

/** Prints tables; where an operator is not supported, the reason, in place of the shapes or below them. */
export async function inspect({ model: path }: InspectOptions): Promise<void> {
  const bytes = await readBytes(path);
  const model = unlessUnsupported(() => readOperators(bytes));
  if (model instanceof SottoError) {
    process.stdout.write(`cannot be compiled: ${model.message}\n`);
    return;
  }
  const color = wantsColor(process.stdout);
  const counts = new Map<string, { supported: boolean; count: number }>();
  for (const node of model.nodes) {
    const name = operatorName(node);
    const count = (counts.get(name)?.count ?? 0) + 1;
    counts.set(name, { supported: findOperator(node) !== undefined, count });
  }
  const operators = [...counts].map(([name, { supported, count }]) => [
    name,
    count,
    supported ? "yes" : "no",
  ]);
  process.stdout.write(`${table(["operator", "uses", "supported"], operators, { color })}\n`);

  const graph = unlessUnsupported(() => importGraph(bytes));
  if (graph instanceof SottoError) {
    process.stdout.write(`cannot be compiled: ${graph.message}\n`);
    return;
  }
  const size = (shape: readonly (number | string | null)[] | undefined): string =>
    shape === undefined ? "?" : `[${shape.map((dim) => dim ?? "?").join(", ")}]`;
  const rows = [
    ...graph.inputs.map((input) => ["input", input.name, `${typeOf(input)} ${size(input.shape)}`]),
    ...graph.nodes.map(({ opType, outputs: [output = ""] }) => [
      opType,
      output,
      size(graph.shapes.get(output)),
    ]),
    ...graph.outputs.map((output) => ["output", output.name, describeOutput(output, size)]),
  ];
  process.stdout.write(`${table(["", "value", "shape of one row"], rows, { color })}\n`);
  const refusal = unlessUnsupported(() => requireRules(splitClientSteps(graph).graph));
  if (refusal) process.stdout.write(`cannot be compiled: ${refusal.message}\n`);
}

function typeOf({ dtype, strings }: GraphValue): string {
  return strings ? "string" : dtype;
}

function describeOutput(
  output: GraphValue,
  size: (shape: GraphValue["shape"] | undefined) => string,
): string {
  const { shape, classes } = output;
  const columns = classes ? ` of classes ${classes.join(", ")}` : "";
  return `${typeOf(output)} ${size(shape)}${columns}`;
}

/** A result, or why an operator is not supported: for `inspect` that is an answer, not a failure. */
function unlessUnsupported<T>(read: () => T): T | SottoError {
  try {
    return read();
  } catch (error) {
    if (error instanceof SottoError && error.code === "UNSUPPORTED_OPERATOR") return error;
    throw error;
  }
}
