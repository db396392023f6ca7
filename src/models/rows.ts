/**
 * Rows as callers hold them: one tensor, a list with one per input of the model, or columns by name, which may hold texts.
 * @module
 */
import { SottoError } from "../errors.ts";
import type { Graph, GraphValue } from "../onnx/graph.ts";
import { encodeStrings } from "../onnx/strings.ts";
import { type TensorOrList, tensorsOf } from "../tensor/list.ts";
import { asTensor } from "../tensor/nested.ts";
import { type Tensor, type TensorLike, reshape, sizeOf } from "../tensor/tensor.ts";

/** Columns by the names of the model's inputs: numbers, or texts where the model takes texts; all of one length. */
export type Columns = Readonly<Record<string, TensorLike | readonly string[]>>;

/** Rows of a table. */
export type Rows = TensorOrList | Columns;

/** One tensor per input of a graph. Throws BAD_ARGUMENT, BAD_SHAPE or BAD_DTYPE. */
export function rowsOf(
  graph: Pick<Graph, "inputs" | "shapes">,
  rows: Rows,
  what: string,
): Tensor[] {
  if (!isColumns(rows)) return tensorsOf(rows, what);
  const names = graph.inputs.map(({ name }) => name);
  const unknown = Object.keys(rows).find((name) => !names.includes(name));
  if (unknown !== undefined) {
    const message = `expected columns ${names.join(", ")}, got ${unknown}`;
    throw new SottoError("BAD_ARGUMENT", what, message);
  }
  return graph.inputs.map((input) => {
    const column = Object.hasOwn(rows, input.name) ? rows[input.name] : undefined;
    if (column === undefined) {
      throw new SottoError("BAD_ARGUMENT", `${what} ${input.name}`, "expected a column, got none");
    }
    return columnOf(input, graph.shapes.get(input.name) ?? [], column, what);
  });
}

function isColumns(rows: Rows): rows is Columns {
  return typeof rows === "object" && !Array.isArray(rows) && !("shape" in rows);
}

function columnOf(
  input: GraphValue,
  shape: readonly number[],
  column: TensorLike | readonly string[],
  what: string,
): Tensor {
  const where = `${what} ${input.name}`;
  const isText = Array.isArray(column) && column.some((item) => typeof item === "string");
  if (isText !== (input.strings !== undefined)) {
    const [expected, got] = isText ? ["numbers", "texts"] : ["texts", "numbers"];
    throw new SottoError("BAD_DTYPE", where, `expected ${expected}, got ${got}`);
  }
  if (isText) {
    const texts = (column as readonly unknown[]).map((text, i) => {
      if (typeof text === "string") return text;
      throw new SottoError("BAD_DTYPE", where, `expected a text at row ${i}, got ${typeof text}`);
    });
    return encodeStrings(input, shapeOf(texts.length, shape, where), texts);
  }
  const values = asTensor(column as TensorLike, where);
  // A list of numbers is a column of rows.
  return values.shape.length === 1
    ? reshape(values, shapeOf(values.shape[0], shape, where))
    : values;
}

function shapeOf(elements: number, [, ...sample]: readonly number[], where: string): number[] {
  const rows = elements / sizeOf(sample);
  if (Number.isInteger(rows)) return [rows, ...sample];
  const message = `expected rows of shape [${sample.join(", ")}], got ${elements} elements`;
  throw new SottoError("BAD_SHAPE", where, message);
}
