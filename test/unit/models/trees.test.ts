/**
 * Models of trees by their classes, from ONNX and from the boosters' own files: labels, probabilities and values of the float
 * model, and missing values.
 */
import { describe, expect, test } from "vitest";
import {
  DecisionTreeClassifier,
  DecisionTreeRegressor,
  ExtraTreesClassifier,
  GradientBoostingClassifier,
  HistGradientBoostingClassifier,
  LGBMClassifier,
  LGBMRegressor,
  RandomForestClassifier,
  RandomForestRegressor,
  XGBClassifier,
  XGBRegressor,
} from "../../../src/models/index.ts";
import { importGraph } from "../../../src/import.ts";
import { evaluate } from "../../../src/onnx/evaluate.ts";
import { BinQuantizer } from "../../../src/quantization/bin-quantizer.ts";
import { type Tensor, float32, float64 } from "../../../src/tensor/tensor.ts";
import { rejectionOf } from "../../support/errors.ts";
import {
  elementsOf,
  inputTensors,
  readRecorded,
  readSklearnFile,
  type RecordedCase,
} from "../../support/sklearn-fixtures.ts";

interface Recorded {
  readonly model: Uint8Array;
  readonly rows: readonly Tensor[];
  readonly label: readonly (number | string)[];
  readonly values: readonly number[];
}

function recorded(name: string): Recorded {
  const model = readSklearnFile(name, "model.onnx");
  const graph = importGraph(model);
  const rows = inputTensors(graph, readRecorded<RecordedCase>(name, "case.json"));
  const outputs = evaluate(graph, rows);
  const last = outputs[outputs.length - 1];
  return { model, rows, label: elementsOf(graph.outputs[0], outputs[0]), values: [...last.data] };
}

function relativeError(got: Tensor, expected: readonly number[]): number {
  const range = Math.max(...expected) - Math.min(...expected);
  return Math.max(...expected.map((y, i) => Math.abs(y - got.data[i]))) / range;
}

describe("rows of doubles", () => {
  test("are compared as the float32 numbers that the model was trained on", async () => {
    const { model, rows } = recorded("forest_regressor");
    const [x] = rows;
    const trained = await RandomForestRegressor.fromOnnx(model, x);
    const quantizer = trained.compiled.module.inputs[0].quantizer;
    if (!(quantizer instanceof BinQuantizer)) throw new Error("expected bins");
    // The decimal text of a threshold lies beside it in float64, and is it in float32.
    const edges = quantizer.columns.map((column) => column.edges.at(-1) ?? 0);
    const texts = edges.map((edge) => Number(edge.toPrecision(9)));
    expect(texts.some((text, i) => text < edges[i])).toBe(true);
    const shape = [1, texts.length];
    const single = trained.compiled.quantizeInput<Tensor>(float32(shape, texts));
    expect(trained.compiled.quantizeInput<Tensor>(float64(shape, texts))).toEqual(single);
  });
});

describe("a classifier", () => {
  test.each([
    ["tree", DecisionTreeClassifier],
    ["tree_multi", DecisionTreeClassifier],
    ["forest", RandomForestClassifier],
    ["forest_multi", RandomForestClassifier],
    ["extra_trees", ExtraTreesClassifier],
    ["gradient_boosting", GradientBoostingClassifier],
    ["hist_boosting", HistGradientBoostingClassifier],
    ["xgboost", XGBClassifier],
    ["xgboost_multi", XGBClassifier],
    ["lightgbm", LGBMClassifier],
    ["pipeline_imputer", DecisionTreeClassifier],
  ] as const)("of %s keeps labels and probabilities", async (name, Model) => {
    const { model, rows, label, values } = recorded(name);
    const classifier = await Model.fromOnnx(model, rows, { nBits: 8 });
    expect(classifier.predict(rows)).toEqual(label);
    expect(classifier.predictProba(rows).shape).toEqual([label.length, classifier.classes.length]);
    expect(relativeError(classifier.predictProba(rows), values)).toBeLessThan(0.02);
  });
});

describe("a regressor", () => {
  test.each([
    ["tree_regressor", DecisionTreeRegressor],
    ["forest_regressor", RandomForestRegressor],
    ["xgboost_regressor", XGBRegressor],
    ["lightgbm_regressor", LGBMRegressor],
  ] as const)("of %s keeps values", async (name, Model) => {
    const { model, rows, values } = recorded(name);
    const regressor = await Model.fromOnnx(model, rows, { nBits: 8 });
    expect(relativeError(regressor.predict(rows), values)).toBeLessThan(0.02);
  });
});

test("another kind of model is refused", async () => {
  const { model, rows } = recorded("forest_regressor");
  const error = await rejectionOf(() => RandomForestClassifier.fromOnnx(model, rows));
  expect(error.code).toBe("BAD_MODEL");
  expect(error.message).toContain("got a tree regressor; use RandomForestRegressor");
});
