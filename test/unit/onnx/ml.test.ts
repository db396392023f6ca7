/**
 * Models of scikit-learn, XGBoost and LightGBM as skl2onnx and onnxmltools write them, held against what onnxruntime gives.
 */
import { describe, expect, test } from "vitest";
import { evaluate } from "../../../src/onnx/evaluate.ts";
import { importOnnx } from "../../../src/onnx/import.ts";
import { expectClose } from "../../support/close.ts";
import { readNpy } from "../../support/npy.ts";
import {
  elementsOf,
  inputTensors,
  readRecorded,
  readSklearnFile,
  sklearnFixtures,
  type RecordedCase,
} from "../../support/sklearn-fixtures.ts";

const models = sklearnFixtures("model.onnx");

describe.each(models.filter((name) => !name.startsWith("sk_")))("%s", (name) => {
  const recorded = readRecorded<RecordedCase>(name, "case.json");
  const graph = importOnnx(readSklearnFile(name, "model.onnx"));
  const inputs = inputTensors(graph, recorded);

  test("gives the labels and scores of onnxruntime", () => {
    const results = evaluate(graph, inputs);
    expect(graph.outputs.map((output) => output.name)).toEqual(Object.keys(recorded.outputs));
    for (const [i, output] of graph.outputs.entries()) {
      const { dtype, shape, data } = recorded.outputs[output.name];
      expect(results[i].shape).toEqual(shape);
      if (dtype === "float32") expectClose(elementsOf(output, results[i]), data, 1e-6);
      else expect(elementsOf(output, results[i])).toEqual(data);
    }
  });

  test("keeps the labels of the columns that a ZipMap names", () => {
    const named = graph.outputs.filter((output) => recorded.classes[output.name]);
    for (const { name, classes } of named) expect(classes).toEqual(recorded.classes[name]);
    expect(named.length).toBe(Object.keys(recorded.classes).length);
    expect(graph.nodes.some(({ opType }) => opType === "ZipMap")).toBe(false);
  });
});

describe.each(models.filter((name) => name.startsWith("sk_")))("%s", (name) => {
  const graph = importOnnx(readSklearnFile(name, "model.onnx"));
  const folder = new URL(`../../fixtures/sklearn/${name}/`, import.meta.url);

  test("gives the scores of scikit-learn", () => {
    const expected = readNpy(new URL("float_outputs.npy", folder));
    const results = evaluate(graph, [readNpy(new URL("inputs.npy", folder))]);
    const scores = results[results.length - 1];
    expect(scores.data.length).toBe(expected.data.length);
    expectClose([...scores.data], [...expected.data], 1e-5);
  });
});
