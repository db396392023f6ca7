/**
 * XGBoost's and LightGBM's own files, held against what the libraries predict.
 */
import { describe, expect, test } from "vitest";
import { importGraph } from "../../../src/import.ts";
import { evaluate } from "../../../src/onnx/evaluate.ts";
import type { Graph } from "../../../src/onnx/graph.ts";
import { treeEnsembleOf } from "../../../src/onnx/ops/ml-trees.ts";
import { rawScores } from "../../../src/onnx/trees/evaluate.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import {
  inputTensor,
  readNumber,
  readRecorded,
  readSklearnFile,
  sklearnFixtures,
  type RecordedArray,
  type RecordedBooster,
} from "../../support/sklearn-fixtures.ts";

const files = ["model.json", "model.ubj", "model.txt"].flatMap((file) =>
  sklearnFixtures(file).map((name): [string, string] => [name, file]),
);

function relativeError(got: Tensor, { data }: RecordedArray): number {
  const expected = data.map(readNumber);
  const worst = Math.max(...expected.map((value, i) => Math.abs(got.data[i] - value)));
  return worst / Math.max(...expected.map(Math.abs));
}

function rawScoresOf(graph: Graph, x: Tensor): Tensor {
  const [ensemble] = graph.nodes.flatMap((node) => treeEnsembleOf(node) ?? []);
  return rawScores(ensemble, x);
}

describe.each(files)("%s/%s", (name, file) => {
  const recorded = readRecorded<RecordedBooster>(name, "booster.json");
  const graph = importGraph(readSklearnFile(name, file));
  const x = inputTensor(graph.inputs[0], recorded.inputs.X);

  test("gives the library's margins", () => {
    expect(relativeError(rawScoresOf(graph, x), recorded.margins)).toBeLessThan(1e-6);
  });

  test("gives the library's labels and scores", () => {
    const results = evaluate(graph, [x]);
    const scores = results[results.length - 1];
    expect(scores.shape).toEqual(recorded.scores.shape);
    expect(relativeError(scores, recorded.scores)).toBeLessThan(1e-6);
    if (recorded.labels) {
      expect([...results[0].data]).toEqual(recorded.labels.data);
      expect(graph.outputs[1].classes).toEqual([...Array(scores.shape[1]).keys()]);
    } else {
      expect(graph.outputs.map((output) => output.name)).toEqual(["variable"]);
    }
  });
});
