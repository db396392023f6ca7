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
import { expectClose } from "../../support/close.ts";
import {
  inputTensor,
  readRecorded,
  readSklearnFile,
  sklearnFixtures,
  type RecordedBooster,
} from "../../support/sklearn-fixtures.ts";

const files = ["model.json", "model.ubj", "model.txt"].flatMap((file) =>
  sklearnFixtures(file).map((name): [string, string] => [name, file]),
);

function rawScoresOf(graph: Graph, x: Tensor): Tensor {
  const [ensemble] = graph.nodes.flatMap((node) => treeEnsembleOf(node) ?? []);
  return rawScores(ensemble, x);
}

describe.each(files)("%s/%s", (name, file) => {
  const recorded = readRecorded<RecordedBooster>(name, "booster.json");
  const graph = importGraph(readSklearnFile(name, file));
  const x = inputTensor(graph.inputs[0], recorded.inputs.X);

  test("gives the library's margins", () => {
    expectClose([...rawScoresOf(graph, x).data], recorded.margins.data, 1e-6);
  });

  test("gives the library's labels and scores", () => {
    const results = evaluate(graph, [x]);
    const scores = results[results.length - 1];
    expect(scores.shape).toEqual(recorded.scores.shape);
    expectClose([...scores.data], recorded.scores.data, 1e-6);
    if (recorded.labels) {
      expect([...results[0].data]).toEqual(recorded.labels.data);
      expect(graph.outputs[1].classes).toEqual([...Array(scores.shape[1]).keys()]);
    } else {
      expect(graph.outputs.map((output) => output.name)).toEqual(["variable"]);
    }
  });
});
