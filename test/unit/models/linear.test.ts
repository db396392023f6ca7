/**
 * Linear models by their classes: the labels, probabilities and values of the float model, and what is refused.
 */
import { describe, expect, test } from "vitest";
import {
  ElasticNet,
  GammaRegressor,
  Lasso,
  LinearRegression,
  LinearSVC,
  LinearSVR,
  LogisticRegression,
  PoissonRegressor,
  Ridge,
  SGDClassifier,
  SGDRegressor,
  TweedieRegressor,
} from "../../../src/models/index.ts";
import { importGraph } from "../../../src/import.ts";
import { evaluate } from "../../../src/onnx/evaluate.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { rejectionOf } from "../../support/errors.ts";
import { readModelFixture } from "../../support/onnx-fixtures.ts";
import {
  elementsOf,
  inputTensors,
  readRecorded,
  readSklearnFile,
  type RecordedCase,
} from "../../support/sklearn-fixtures.ts";

/** A recorded model with its rows, which calibrate it too, and what it gives in float. */
function recorded(name: string): {
  readonly model: Uint8Array;
  readonly rows: readonly Tensor[];
  readonly label: readonly (number | string)[];
  readonly values: readonly number[];
} {
  const model = readSklearnFile(name, "model.onnx");
  const graph = importGraph(model);
  const rows = inputTensors(graph, readRecorded<RecordedCase>(name, "case.json"));
  const outputs = evaluate(graph, rows);
  const [first] = graph.outputs;
  const last = outputs[outputs.length - 1];
  return { model, rows, label: elementsOf(first, outputs[0]), values: [...last.data] };
}

/** Of classes at 8 bits, as many as may differ from the float model. */
function agreement(a: readonly unknown[], b: readonly unknown[]): number {
  return a.filter((x, i) => x === b[i]).length / a.length;
}

function relativeError(got: Tensor, expected: readonly number[]): number {
  const range = Math.max(...expected) - Math.min(...expected);
  return Math.max(...expected.map((y, i) => Math.abs(y - got.data[i]))) / range;
}

describe("a classifier", () => {
  test.each([
    ["logistic", LogisticRegression],
    ["logistic_multi", LogisticRegression],
    ["logistic_strings", LogisticRegression],
    ["logistic_opset1", LogisticRegression],
    ["logistic_ovr", LogisticRegression],
    ["pipeline_standard", LogisticRegression],
    ["pipeline_normalizer", LogisticRegression],
    ["pipeline_union", LogisticRegression],
    ["sgd_log", SGDClassifier],
    ["sgd_huber", SGDClassifier],
  ] as const)("of %s keeps labels and probabilities at 8 bits", async (name, Model) => {
    const { model, rows, label, values } = recorded(name);
    const classifier = await Model.fromOnnx(model, rows, { nBits: 8 });
    const got = classifier.predict(rows);
    expect(agreement(got, label)).toBeGreaterThan(0.98);
    expect(got.every((x) => classifier.classes.includes(x))).toBe(true);
    const probabilities = classifier.predictProba(rows);
    expect(probabilities.shape).toEqual([rows[0].shape[0], classifier.classes.length]);
    expect(relativeError(probabilities, values)).toBeLessThan(0.03);
    expect(classifier.compiled.circuit.statistics.tableLookups).toBe(0);
  });

  test.each(["linear_svc", "linear_svc_multi", "svc_linear", "svc_linear_multi"])(
    "of %s keeps labels and signed distances",
    async (name) => {
      const { model, rows, label } = recorded(name);
      const classifier = await LinearSVC.fromOnnx(model, rows, { nBits: 8 });
      const got = classifier.predict(rows);
      expect(agreement(got, label)).toBeGreaterThan(0.98);
      const distances = classifier.decisionFunction(rows);
      expect(distances.shape[0]).toBe(rows[0].shape[0]);
      if (classifier.classes.length > 2) return;
      expect(distances.shape).toHaveLength(1);
      const sides = [...distances.data].map((d) => classifier.classes[Number(d > 0)]);
      expect(agreement(sides, got)).toBe(1);
    },
  );

  test("takes columns of numbers and texts by name", async () => {
    const { model, rows, label } = recorded("columns_one_hot");
    const { inputs } = importGraph(model);
    const columns = Object.fromEntries(
      inputs.map((input, i) => [
        input.name,
        input.strings ? elementsOf(input, rows[i]).map(String) : rows[i],
      ]),
    );
    const classifier = await LogisticRegression.fromOnnx(model, columns, { nBits: 8 });
    expect(agreement(classifier.predict(columns), label)).toBe(1);
    expect(typeof classifier.classes[0]).toBe("string");
    const refused = (changed: object): string => {
      try {
        classifier.predict({ ...columns, ...changed });
      } catch (error) {
        return String(error);
      }
      return "";
    };
    const [text] = inputs.filter(({ strings }) => strings).map(({ name }) => name);
    expect(refused({ [text]: rows[0] })).toMatch(/BAD_DTYPE.*expected texts, got numbers/);
    expect(refused({ other: [1] })).toMatch(/BAD_ARGUMENT.*expected columns .*, got other/);
    expect(refused({ [text]: undefined })).toMatch(/BAD_ARGUMENT.*expected a column, got none/);
    expect(refused({ [text]: ["a"] })).toMatch(/BAD_SHAPE/);
  });

  test("may be a network of one layer", async () => {
    const { model, calibration, inputs } = readModelFixture("seed_logreg");
    const classifier = await LogisticRegression.fromOnnx(model, calibration, { nBits: 10 });
    const [expected] = evaluate(importGraph(model), inputs);
    const labels = [...expected.data].map((p) => Number(p > 0.5));
    expect(classifier.classes).toEqual([0, 1]);
    expect(agreement(classifier.predict(inputs), labels)).toBeGreaterThan(0.98);
    expect(
      relativeError(flatten(classifier.predictProba(inputs)), [...expected.data]),
    ).toBeLessThan(0.02);
    expect(classifier.compiled.circuit.statistics.tableLookups).toBe(0);
  });

  test("has no probabilities where the file has scores", async () => {
    const { model, rows } = recorded("logistic_scores");
    const classifier = await LogisticRegression.fromOnnx(model, rows);
    expect(() => classifier.predictProba(rows)).toThrow(
      /BAD_MODEL at predictProba.*decisionFunction/,
    );
    expect(classifier.decisionFunction(rows).shape).toEqual([rows[0].shape[0]]);
  });
});

/** The second of two columns. */
function flatten({ shape: [rows], data }: Tensor): Tensor {
  const second = Float64Array.from({ length: rows }, (_, row) => data[2 * row + 1]);
  return { dtype: "float64", shape: [rows], data: second };
}

describe("a regressor", () => {
  test.each([
    ["linear", LinearRegression],
    ["ridge", Ridge],
    ["lasso", Lasso],
    ["elastic_net", ElasticNet],
    ["linear_svr", LinearSVR],
    ["svr_linear", LinearSVR],
    ["sgd_regressor", SGDRegressor],
    ["poisson", PoissonRegressor],
    ["gamma", GammaRegressor],
    ["tweedie", TweedieRegressor],
    ["pipeline_robust", Ridge],
    ["linear_two_targets", LinearRegression],
  ] as const)("of %s keeps values at 8 bits", async (name, Model) => {
    const { model, rows, values } = recorded(name);
    const regressor = await Model.fromOnnx(model, rows, { nBits: 8 });
    const got = regressor.predict(rows);
    expect(got.shape).toEqual(
      name === "linear_two_targets" ? [rows[0].shape[0], 2] : [rows[0].shape[0]],
    );
    expect(relativeError(got, values)).toBeLessThan(0.01);
    expect(regressor.compiled.circuit.statistics.tableLookups).toBe(0);
    const simulated = regressor.predict(rows.map(firstRows), { fhe: "simulate" });
    expect([...simulated.data]).toEqual([...got.data].slice(0, simulated.data.length));
  });
});

function firstRows(x: Tensor): Tensor {
  const size = x.data.length / x.shape[0];
  return { ...x, shape: [3, ...x.shape.slice(1)], data: x.data.slice(0, 3 * size) };
}

describe("a file with another kind of model", () => {
  type Load = (model: Uint8Array, rows: readonly Tensor[]) => Promise<unknown>;
  const logistic: Load = (model, rows) => LogisticRegression.fromOnnx(model, rows);
  const ridge: Load = (model, rows) => Ridge.fromOnnx(model, rows);

  test.each([
    [
      "linear",
      logistic,
      "expected a linear classifier in the file, got a linear regressor; use LinearRegression",
    ],
    [
      "logistic",
      ridge,
      "expected a linear regressor in the file, got a linear classifier; use LogisticRegression",
    ],
    ["forest", logistic, "got a tree classifier; use RandomForestClassifier"],
    ["neighbours", logistic, "got a nearest neighbours classifier; use KNeighborsClassifier"],
  ] as const)("(%s) is refused", async (name, load, message) => {
    const { model, rows } = recorded(name);
    const error = await rejectionOf(() => load(model, rows));
    expect(error.code).toBe("BAD_MODEL");
    expect(error.message).toContain(message);
  });
});
