/**
 * Models of scikit-learn, XGBoost and LightGBM as skl2onnx and onnxmltools write them, held against what onnxruntime gives.
 */
import { describe, expect, test } from "vitest";
import { evaluate } from "../../../src/onnx/evaluate.ts";
import { importOnnx } from "../../../src/onnx/import.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { readNpy } from "../../support/npy.ts";
import {
  elementsOf,
  inputTensors,
  readNumber,
  readRecorded,
  readSklearnFile,
  sklearnFixtures,
  type RecordedArray,
  type RecordedCase,
} from "../../support/sklearn-fixtures.ts";

/** Largest difference relative to the range of what is expected; NaN must meet NaN. */
function relativeError(got: Tensor, expected: readonly number[]): number {
  let worst = 0;
  let range = 1e-6;
  for (const [i, value] of expected.entries()) {
    const isSame =
      Object.is(got.data[i], value) || (Number.isNaN(value) && Number.isNaN(got.data[i]));
    worst = Math.max(worst, isSame ? 0 : Math.abs(got.data[i] - value));
    range = Math.max(range, Math.abs(value));
  }
  return worst / range;
}

const models = sklearnFixtures("model.onnx");
const recordedHere = models.filter((name) => !name.startsWith("sk_"));

describe.each(recordedHere)("%s", (name) => {
  const recorded = readRecorded<RecordedCase>(name, "case.json");
  const graph = importOnnx(readSklearnFile(name, "model.onnx"));

  test("gives the labels and scores of onnxruntime", () => {
    const results = evaluate(graph, inputTensors(graph, recorded));
    expect(graph.outputs.map((output) => output.name)).toEqual(Object.keys(recorded.outputs));
    for (const [i, output] of graph.outputs.entries()) {
      const expected: RecordedArray = recorded.outputs[output.name];
      expect(results[i].shape).toEqual(expected.shape);
      if (expected.dtype === "float32") {
        expect(results[i].dtype).toMatch(/^float/);
        expect(relativeError(results[i], expected.data.map(readNumber))).toBeLessThan(1e-6);
      } else {
        expect(elementsOf(output, results[i])).toEqual(expected.data);
      }
    }
  });
});

describe.each(models.filter((name) => name.startsWith("sk_")))(
  "%s of Concrete ML's fixtures",
  (name) => {
    const graph = importOnnx(readSklearnFile(name, "model.onnx"));
    const folder = new URL(`../../fixtures/sklearn/${name}/`, import.meta.url);

    test("gives the scores of scikit-learn", () => {
      const expected = readNpy(new URL("float_outputs.npy", folder));
      const results = evaluate(graph, [readNpy(new URL("inputs.npy", folder))]);
      const scores = results[results.length - 1];
      expect(scores.data.length).toBe(expected.data.length);
      expect(relativeError(scores, [...expected.data])).toBeLessThan(1e-5);
    });
  },
);
