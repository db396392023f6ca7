/**
 * The list of operators as a page for users: docs/operators.md is what this makes of the operator table.
 * @module
 */
import { describeCount, operatorFamilies } from "./ops/index.ts";
import type { AttributeSpec, Operator } from "./ops/operator.ts";

/** Further columns of the tables, by their titles: what to say of an operator, by its name. */
export type OperatorColumns = Readonly<Record<string, ReadonlyMap<string, string>>>;

const introduction = `# Operators

What the importer understands of ONNX, operator sets 7 to 22, and of ai.onnx.ml, 1 to 5. Where older operator sets state by an
attribute what newer ones state by an input (axes, pads, bounds, sizes), both forms are read; such inputs must be constants.
Narrow element types are widened: float16 and bfloat16 to float32, integers to int64; strings become codes. "Encrypted" says what an operator costs, per element
of its result, on a tensor that depends on the model's inputs; everything works on constants. "In a table": any number of such operators in a
row are one lookup, or none where a table is there anyway; bits decide what a lookup costs. "As simpler operators": what
those cost. "Constants only" and "refused": not on encrypted tensors. Made by \`node scripts/write-operators.mjs\`.
`;

/** The page as Markdown, one table per family. */
export function documentOperators(columns: OperatorColumns = {}): string {
  const sections = Object.entries(operatorFamilies).map(([family, operators]) => {
    const rows = Object.entries(operators)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, operator]) => rowOf(name, operator, columns));
    const title = `${family[0].toUpperCase()}${family.slice(1)}`;
    const header = ["Operator", "Since", "Inputs", "Attributes", ...Object.keys(columns)];
    return `## ${title}\n\n${table([header, ...rows])}\n`;
  });
  return [introduction, ...sections].join("\n");
}

function rowOf(name: string, operator: Operator, columns: OperatorColumns): string[] {
  const { since, minInputs, maxInputs, attributes } = operator;
  const stated = Object.entries(attributes).filter(([, { isOwn }]) => !isOwn);
  const list = stated.map(([attribute, spec]) => describeAttribute(attribute, spec));
  return [
    `\`${name}\``,
    String(since),
    describeCount(minInputs, maxInputs),
    list.join(", "),
    ...Object.values(columns).map((column) => column.get(name) ?? ""),
  ];
}

function describeAttribute(name: string, spec: AttributeSpec<unknown>): string {
  if (spec.required) return `\`${name}\` (${spec.type}, required)`;
  if (spec.default === undefined) return `\`${name}\` (${spec.type})`;
  return `\`${name}\` = ${JSON.stringify(spec.default)}`;
}

/** A Markdown table with aligned columns; the first row is its header. */
function table(rows: readonly (readonly string[])[]): string {
  const [header, ...body] = rows;
  const widths = header.map((_, i) => Math.max(3, ...rows.map((row) => row[i].length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i])).join(" | ")} |`;
  return [line(header), line(widths.map((width) => "-".repeat(width))), ...body.map(line)].join(
    "\n",
  );
}
