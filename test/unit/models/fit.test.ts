/**
 * Training: the weights that scikit-learn 1.5 finds for the same rows and penalties, texts as classes, and what is refused.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { elasticNet, leastSquares, ridge } from "../../../src/models/fit/least-squares.ts";
import { logisticRegression } from "../../../src/models/fit/logistic.ts";
import type { Table } from "../../../src/models/fit/table.ts";
import { LinearRegression, LogisticRegression, Ridge } from "../../../src/models/index.ts";
import { float64 } from "../../../src/tensor/tensor.ts";
import { rejectionOf } from "../../support/errors.ts";

const file = new URL("../../fixtures/breast_cancer/data.csv", import.meta.url);
const lines = readFileSync(file, "utf8").trim().split("\n").slice(1);
const rows = lines.slice(0, 400).map((line) => line.split(",").slice(0, -1).map(Number));
const diagnoses = lines.map((line) => line.split(",").at(-1) ?? "");

/** Columns with mean 0 and variance 1. */
function standardized(columns: readonly number[]): Table {
  const chosen = columns.map((j) => rows.map((row) => row[j]));
  const scaled = chosen.map((column) => {
    const mean = column.reduce((sum, x) => sum + x, 0) / column.length;
    const variance = column.reduce((sum, x) => sum + (x - mean) ** 2, 0) / column.length;
    return column.map((x) => (x - mean) / Math.sqrt(variance));
  });
  const data = Float64Array.from(rows.flatMap((_, i) => scaled.map((column) => column[i])));
  return { rows: rows.length, features: columns.length, data };
}

/** Perimeter by texture, smoothness and all behind. */
const table = standardized([1, 4, 5, 6, 7, 8, 9]);
const perimeter = Float64Array.from(rows, (row) => row[2]);

describe("scikit-learn's weights", () => {
  test.each([
    [
      "LinearRegression",
      leastSquares(table, perimeter),
      [0.3922653, -2.9470856, 6.3081373, -3.0651705, 22.9660141, -1.5378526, -9.5045141],
      92.42865,
    ],
    [
      "Ridge(1.5)",
      ridge(table, perimeter, 1.5),
      [0.4030854, -2.7417506, 6.2517303, -2.195382, 22.0306556, -1.5326155, -9.6816245],
      92.42865,
    ],
    [
      "Lasso(0.3)",
      elasticNet(table, perimeter, 0.3, 1),
      [0.2356191, -2.1122477, 3.5632878, 0.0, 21.4358266, -1.0059903, -9.1590233],
      92.42865,
    ],
    [
      "ElasticNet(0.3, l1_ratio=0.4)",
      elasticNet(table, perimeter, 0.3, 0.4),
      [1.0144869, -0.6621738, 4.5410529, 5.4932465, 12.3996858, -0.9587098, -9.3258685],
      92.42865,
    ],
  ] as const)("are those of %s", (_, line, weights, intercept) => {
    for (const [i, weight] of weights.entries()) expect(line.weights[i]).toBeCloseTo(weight, 5);
    expect(line.intercept).toBeCloseTo(intercept, 5);
  });

  test("are those of LogisticRegression with two classes", () => {
    const places = Int32Array.from(rows, (__, i) => Number(diagnoses[i] === "benign"));
    const all = standardized([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    const [line, ...others] = logisticRegression(all, places, 2, 1);
    const weights = [
      -1.162104, -1.2690194, -1.103416, -1.4129036, -0.9450324, 0.7033303, -1.1717143, -1.4611664,
      -0.5701221, 0.134575,
    ];
    expect(others).toEqual([]);
    for (const [i, weight] of weights.entries()) expect(line.weights[i]).toBeCloseTo(weight, 4);
    expect(line.intercept).toBeCloseTo(0.4487539, 4);
  });
});

describe("a trained model", () => {
  test("of three classes has the probabilities that the penalty asks for", async () => {
    // The gradient of the objective is zero at the weights, whatever found them.
    const x = rows.slice(0, 90).map((row) => [row[0] / 10, row[1] / 10]);
    const y = x.map(([radius]) => (radius < 1.2 ? "small" : radius < 1.6 ? "medium" : "large"));
    const data = Float64Array.from(x.flat());
    const classes = ["large", "medium", "small"];
    const places = Int32Array.from(y, (label) => classes.indexOf(label));
    const fitted = logisticRegression({ rows: 90, features: 2, data }, places, 3, 5);
    const scores = x.map((row) =>
      fitted.map(({ weights, intercept }) => row[0] * weights[0] + row[1] * weights[1] + intercept),
    );
    for (const [k, { weights }] of fitted.entries()) {
      for (const [j, weight] of weights.entries()) {
        const gradient = x.reduce((sum, row, i) => {
          const powers = scores[i].map(Math.exp);
          const p = powers[k] / powers.reduce((total, power) => total + power, 0);
          return sum + 5 * (p - Number(places[i] === k)) * row[j];
        }, weight);
        expect(Math.abs(gradient)).toBeLessThan(1e-4);
      }
    }
    const model = await LogisticRegression.fit(x, y, { c: 5 });
    expect(model.classes).toEqual(classes);
    const right = model.predict(x).filter((label, i) => label === y[i]).length;
    expect(right / x.length).toBeGreaterThan(0.9);
  });

  test("of features in their own units keeps its accuracy at 8 bits", async () => {
    const model = await LogisticRegression.fit(rows, diagnoses.slice(0, 400), { c: 100 });
    const test = lines.slice(400).map((line) => line.split(",").slice(0, -1).map(Number));
    const right = model.predict(test).filter((label, i) => label === diagnoses[400 + i]).length;
    expect(model.classes).toEqual(["benign", "malignant"]);
    expect(right / test.length).toBeGreaterThan(0.9);
    expect(model.compiled.circuit.statistics.tableLookups).toBe(0);
  });

  test("of values follows a line", async () => {
    const x = float64([5, 1], [0, 1, 2, 3, 4]);
    const model = await LinearRegression.fit(x, [1, 3, 5, 7, 9], {}, { nBits: 10 });
    const got = model.predict([[0], [2], [4]]);
    for (const [i, y] of [1, 5, 9].entries()) expect(got.data[i]).toBeCloseTo(y, 1);
  });
});

describe("training refuses", () => {
  test.each([
    ["rows that are no table", () => Ridge.fit([1, 2], [1, 2]), "BAD_SHAPE"],
    ["targets of another number", () => Ridge.fit([[1], [2]], [1]), "BAD_SHAPE"],
    ["no rows", () => Ridge.fit(float64([0, 2], []), []), "EMPTY_CALIBRATION"],
    ["numbers that are none", () => Ridge.fit([[NaN], [2]], [1, 2]), "BAD_VALUE"],
    ["a negative penalty", () => Ridge.fit([[1], [2]], [1, 2], { alpha: -1 }), "BAD_ARGUMENT"],
    ["one class", () => LogisticRegression.fit([[1], [2]], [1, 1]), "BAD_VALUE"],
    ["classes of two kinds", () => LogisticRegression.fit([[1], [2]], [1, "a"]), "BAD_DTYPE"],
    [
      "data without weight",
      () => LogisticRegression.fit([[1], [2]], [0, 1], { c: 0 }),
      "BAD_ARGUMENT",
    ],
  ] as const)("%s", async (_, fit, code) => {
    expect((await rejectionOf(fit)).code).toBe(code);
  });
});
