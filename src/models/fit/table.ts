/**
 * Rows and targets to train on, checked.
 * @module
 */
import { SottoError } from "../../errors.ts";
import { asTensor } from "../../tensor/nested.ts";
import type { Tensor, TensorLike } from "../../tensor/tensor.ts";
import type { Label } from "../description.ts";

/** Rows of features, in C order. */
export interface Table {
  readonly rows: number;
  readonly features: number;
  readonly data: Float64Array;
}

/** Reads rows of features. Throws BAD_SHAPE for anything else, EMPTY_CALIBRATION for none, BAD_VALUE for NaN. */
export function tableOf(x: TensorLike): { readonly table: Table; readonly tensor: Tensor } {
  const given = asTensor(x, "x");
  if (given.shape.length !== 2 || given.shape[1] === 0) {
    const message = `expected rows of features, got shape [${given.shape.join(", ")}]`;
    throw new SottoError("BAD_SHAPE", "x", message);
  }
  const [rows, features] = given.shape;
  if (rows === 0)
    throw new SottoError("EMPTY_CALIBRATION", "x", "expected rows to train on, got none");
  requireFinite("x", given.data);
  const data = Float64Array.from(given.data);
  const tensor: Tensor = { dtype: "float64", shape: [rows, features], data };
  return { table: { rows, features, data }, tensor };
}

/** Reads a number per row. */
export function targetsOf(y: TensorLike, { rows }: Table): Float64Array {
  const { data } = asTensor(y, "y");
  requireCount(data.length, rows);
  requireFinite("y", data);
  return Float64Array.from(data);
}

/** Reads a class per row: the classes in order, and the place of each row's class among them. */
export function classesOf(
  y: readonly Label[],
  { rows }: Table,
): { readonly classes: readonly Label[]; readonly places: Int32Array } {
  requireCount(y.length, rows);
  const isText = y.some((label) => typeof label === "string");
  const wrong = y.findIndex((label) =>
    isText ? typeof label !== "string" : !Number.isSafeInteger(label),
  );
  if (wrong >= 0) {
    const expected = isText ? "texts" : "whole numbers or texts";
    throw new SottoError(
      "BAD_DTYPE",
      "y",
      `expected ${expected} as classes, got ${y[wrong]} at row ${wrong}`,
    );
  }
  const classes = [...new Set(y)].sort((a, b) => (a < b ? -1 : 1));
  if (classes.length < 2) {
    throw new SottoError("BAD_VALUE", "y", `expected at least two classes, got ${classes.length}`);
  }
  const place = new Map(classes.map((label, i) => [label, i]));
  return { classes, places: Int32Array.from(y, (label) => place.get(label) ?? 0) };
}

function requireCount(got: number, rows: number): void {
  if (got === rows) return;
  throw new SottoError("BAD_SHAPE", "y", `expected one for each of ${rows} rows, got ${got}`);
}

function requireFinite(where: string, data: Tensor["data"]): void {
  const at = data.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return;
  const message = `expected finite numbers, got ${data[at]} at element ${at}`;
  throw new SottoError("BAD_VALUE", where, message);
}

/** A number that a setting must be at least. */
export function requireAtLeast(name: string, value: number, least: number): number {
  if (Number.isFinite(value) && value >= least) return value;
  throw new SottoError(
    "BAD_ARGUMENT",
    name,
    `expected a number of at least ${least}, got ${value}`,
  );
}
