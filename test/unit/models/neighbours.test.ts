/**
 * Nearest neighbours: the graph that skl2onnx writes is read as votes, and votes of encrypted rows are those of the clear.
 */
import { describe, expect, test } from "vitest";
import { readFileSync } from "node:fs";
import { importGraph } from "../../../src/import.ts";
import { KNeighborsClassifier } from "../../../src/models/index.ts";
import { splitClientSteps } from "../../../src/onnx/client-steps.ts";
import { evaluate, evaluateNode } from "../../../src/onnx/evaluate.ts";
import { withVotes } from "../../../src/onnx/neighbours.ts";
import { operatorName } from "../../../src/onnx/ops/index.ts";
import { float32, int64, type Tensor } from "../../../src/tensor/tensor.ts";
import { readNpy } from "../../support/npy.ts";
import {
  elementsOf,
  inputTensors,
  readRecorded,
  readSklearnFile,
  type RecordedCase,
} from "../../support/sklearn-fixtures.ts";

const folder = new URL("../../fixtures/sklearn/sk_knn/", import.meta.url);

function rowsOf(name: string): readonly Tensor[] {
  if (name === "sk_knn") return [readNpy(new URL("inputs.npy", folder))];
  const graph = importGraph(readSklearnFile(name, "model.onnx"));
  return inputTensors(graph, readRecorded<RecordedCase>(name, "case.json"));
}

describe.each(["neighbours", "neighbours_scan", "sk_knn"])("the classifier of %s", (name) => {
  const model = readSklearnFile(name, "model.onnx");
  const graph = importGraph(model);
  const rows = rowsOf(name);
  const outputs = evaluate(graph, rows);
  const labels = elementsOf(graph.outputs[0], outputs[0]);

  test("is votes, and what the client makes of them", () => {
    const { graph: inner, after } = splitClientSteps(graph);
    expect(inner.nodes.map((node) => operatorName(node))).toEqual(["sotto.NeighbourVotes"]);
    expect(after.outputs).toEqual(graph.outputs);
    const got = evaluate(withVotes(graph), rows);
    expect([...got[0].data]).toEqual([...outputs[0].data]);
    expect(got[1].data.every((p, i) => Math.abs(p - outputs[1].data[i]) < 1e-6)).toBe(true);
  });

  test("keeps its labels in the clear and on the plaintext torus", async () => {
    const classifier = await KNeighborsClassifier.fromOnnx(model, rows, { nBits: 6 });
    const got = classifier.predict(rows);
    const same = got.filter((label, i) => label === labels[i]).length;
    expect(same / labels.length).toBeGreaterThanOrEqual(0.9);
    expect(got.every((label) => classifier.classes.includes(label))).toBe(true);
    const probabilities = classifier.predictProba(rows);
    expect(probabilities.shape).toEqual([labels.length, classifier.classes.length]);
    const [x] = rows;
    const two = x.data.slice(0, 2 * x.shape[1]);
    const first: Tensor = { ...x, shape: [2, x.shape[1]], data: two };
    expect(classifier.predict(first, { fhe: "simulate" })).toEqual(got.slice(0, 2));
  });
});

test("is at least as often right as Concrete ML's at any of its bits", async () => {
  const [x] = rowsOf("sk_knn");
  const labels = [...readNpy(new URL("labels.npy", folder)).data];
  const right = (predicted: readonly unknown[]): number =>
    predicted.filter((label, i) => label === labels[i]).length;
  const calibration = readNpy(new URL("calibration.npy", folder));
  const model = readSklearnFile("sk_knn", "model.onnx");
  const classifier = await KNeighborsClassifier.fromOnnx(model, calibration, { nBits: 6 });
  for (const bits of [2, 3, 4, 6]) {
    const text = readFileSync(new URL(`golden_n${bits}.json`, folder), "utf8");
    const golden = JSON.parse(text) as { all_inputs: { predictions: number[] } };
    expect(right(classifier.predict(x))).toBeGreaterThanOrEqual(
      right(golden.all_inputs.predictions),
    );
  }
});

describe("votes", () => {
  const points = float32([5, 1], [0, 1, 2, 10, 11]);
  const classes = int64([5], [0, 0, 1, 2, 2]);
  const votes = (x: number, k: number): number[] => {
    const use = { opType: "NeighbourVotes", domain: "sotto", attributes: { classes: 3 } };
    const inputs = [float32([1, 1], [x]), points, classes, int64([1], [k])];
    return [...evaluateNode(use, inputs)[0].data];
  };

  test("count the k nearest points", () => {
    expect(votes(0.1, 3)).toEqual([2, 1, 0]);
    expect(votes(12, 2)).toEqual([0, 0, 2]);
    expect(votes(1.4, 1)).toEqual([1, 0, 0]);
  });

  test("are refused for points of another width and labels of another number", () => {
    const use = { opType: "NeighbourVotes", domain: "sotto", attributes: { classes: 3 } };
    const x = float32([1, 2], [0, 0]);
    expect(() => evaluateNode(use, [x, points, classes, int64([1], [1])])).toThrow(/BAD_SHAPE/);
    const few = int64([1], [0]);
    const row = float32([1, 1], [0]);
    expect(() => evaluateNode(use, [row, points, few, int64([1], [1])])).toThrow(/BAD_SHAPE/);
  });
});

test("votes by distance and neighbours of a regression stay what they are", () => {
  const graph = importGraph(readSklearnFile("neighbours_regressor", "model.onnx"));
  expect(withVotes(graph)).toBe(graph);
  const classifier = importGraph(readSklearnFile("neighbours", "model.onnx"));
  const top = classifier.nodes.find(({ opType }) => opType === "TopK");
  const reader = { name: "r", opType: "Neg", domain: "", attributes: {}, outputs: ["r"] };
  const weighted = { ...reader, inputs: [top?.outputs[0] ?? ""] };
  const altered = { ...classifier, nodes: [...classifier.nodes, weighted] };
  expect(withVotes(altered)).toBe(altered);
});
