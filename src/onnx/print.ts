/**
 * A graph as text: one line per input, constant and node, for tests, reports and people.
 * @module
 */
import type { AttributeValue, Graph, GraphValue } from "./graph.ts";
import { operatorName } from "./ops/index.ts";

/** Prints a graph; constants by type and shape only, node shapes for a batch of 1. */
export function print(graph: Graph): string {
  const opsets = [...graph.opset].map(([domain, version]) => `${domain || "ai.onnx"} ${version}`);
  const constants = [...graph.constants].map(
    ([name, { dtype, shape }]) => `${name}: ${dtype}${list(shape)}`,
  );
  const nodes = graph.nodes.map((node) => {
    const results = node.outputs.map((name) => `${name}: ${list(graph.shapes.get(name) ?? [])}`);
    const attributes = Object.entries(node.attributes).map(
      ([name, value]) => ` ${name}=${printAttribute(value)}`,
    );
    const call = `${operatorName(node)}(${node.inputs.map((name) => name || "_").join(", ")})`;
    return `${results.join(", ")} = ${call}${attributes.join("")}`;
  });
  return [
    `graph ${graph.name} (${opsets.join(", ")}) {`,
    ...section("input ", graph.inputs.map(printValue)),
    ...section("const ", constants),
    ...section("let   ", nodes),
    ...section("output", [graph.outputs.map(({ name }) => name).join(", ")]),
    "}",
  ].join("\n");
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.map((line, i) => `  ${i === 0 ? title : " ".repeat(title.length)} ${line}`);
}

function printValue({ name, dtype, shape }: GraphValue): string {
  return `${name}: ${dtype}${list(shape.map((dim) => dim ?? "?"))}`;
}

function list(items: readonly (number | string)[]): string {
  return `[${items.join(", ")}]`;
}

function printAttribute(value: AttributeValue): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number") return String(value);
  if ("dtype" in value) return `${value.dtype}${list(value.shape)}`;
  return list(value);
}
