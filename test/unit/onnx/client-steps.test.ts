/**
 * Models in three parts: what the client computes before and after the model give, in float, what the whole model gives.
 */
import { describe, expect, test } from "vitest";
import { importGraph } from "../../../src/import.ts";
import { splitClientSteps } from "../../../src/onnx/client-steps.ts";
import { evaluate } from "../../../src/onnx/evaluate.ts";
import type { Graph } from "../../../src/onnx/graph.ts";
import { operatorName } from "../../../src/onnx/ops/index.ts";
import { verify } from "../../../src/onnx/verify.ts";
import { int64, type Tensor } from "../../../src/tensor/tensor.ts";
import { expectClose } from "../../support/close.ts";
import { errorOf } from "../../support/errors.ts";
import { readModelFixture } from "../../support/onnx-fixtures.ts";
import { readNpy } from "../../support/npy.ts";
import { buildModel, floats, node, value } from "../../support/onnx-builder.ts";
import {
  inputTensors,
  readRecorded,
  readSklearnFile,
  sklearnFixtures,
  type RecordedCase,
} from "../../support/sklearn-fixtures.ts";

const names = sklearnFixtures("model.onnx");

function rowsOf(name: string, graph: Graph): Tensor[] {
  const folder = new URL(`../../fixtures/sklearn/${name}/`, import.meta.url);
  if (name.startsWith("sk_")) return [readNpy(new URL("inputs.npy", folder))];
  return inputTensors(graph, readRecorded<RecordedCase>(name, "case.json"));
}

/** What is computed encrypted. */
function encryptedOperators(graph: Graph): string[] {
  return splitClientSteps(graph).graph.nodes.map((n) => operatorName(n));
}

describe.each(names)("%s", (name) => {
  const graph = importGraph(readSklearnFile(name, "model.onnx"));

  test("is the same in three parts as in one", () => {
    const { before, graph: model, after } = splitClientSteps(graph);
    for (const part of [before, model, after]) expect(() => verify(part)).not.toThrow();
    const x = rowsOf(name, graph);
    const expected = evaluate(graph, x);
    const got = evaluate(after, evaluate(model, evaluate(before, x)));
    expect(after.outputs).toEqual(graph.outputs);
    for (const [i, { dtype, shape, data }] of expected.entries()) {
      expect(got[i].dtype).toBe(dtype);
      expect(got[i].shape).toEqual(shape);
      if (dtype === "int64") expect([...got[i].data]).toEqual([...data]);
      else expectClose([...got[i].data], [...data], 2e-6);
    }
  });
});

test("only the model itself is computed encrypted", () => {
  const wanted = names.filter((name) => name !== "neighbours_regressor");
  const others = wanted.filter((name) => {
    const operators = encryptedOperators(importGraph(readSklearnFile(name, "model.onnx")));
    return !/^(ai\.onnx\.ml\.(LinearRegressor|TreeEnsemble\w*)|sotto\.NeighbourVotes)$/.test(
      operators.join(),
    );
  });
  expect(others).toEqual([]);
});

test("of two classes whose scores are each other's negatives one score is computed", () => {
  const { graph } = splitClientSteps(importGraph(readSklearnFile("sk_logreg", "model.onnx")));
  expect(graph.shapes.get(graph.outputs[0].name)).toEqual([1, 1]);
});

test("the layers of a network stay together, with what is between them", () => {
  const { before, graph, after } = splitClientSteps(
    importGraph(readModelFixture("gap_softmax_output").model),
  );
  expect(before.nodes).toEqual([]);
  expect(graph.nodes.map(({ opType }) => opType)).toContain("Gemm");
  expect(after.nodes.map(({ opType }) => opType)).toEqual(["Softmax"]);
});

test("tokens outside the vocabulary are refused, negative ones count from its end", () => {
  const { before } = splitClientSteps(importGraph(readModelFixture("op_embedding").model));
  const [{ name, shape }] = before.inputs;
  const length = Number(shape[1]);
  const depth = before.shapes.get(before.outputs[0].name)?.at(-1) ?? 0;
  const tokens = (first: number): Tensor =>
    int64(
      [1, length],
      Array.from({ length }, (_, i) => (i === 0 ? first : 0)),
    );
  const [vectors] = evaluate(before, [tokens(-1)]);
  expect(vectors.data[depth - 1]).toBe(1);
  expect([...vectors.data].reduce((sum, x) => sum + x, 0)).toBe(length);
  for (const wrong of [depth, -depth - 1]) {
    const error = errorOf(() => evaluate(before, [tokens(wrong)]));
    expect(error.code).toBe("BAD_VALUE");
    expect(error.where).toContain(name);
    expect(error.message).toContain(`0 to ${depth - 1}, got ${wrong} at element 0`);
  }
});

test("an output that the client cannot compute from the model's results is refused", () => {
  const model = buildModel({
    domains: [{ domain: "ai.onnx.ml", version: 3n }],
    inputs: [value("x", ["n", 2])],
    outputs: [value("y", ["n", 1]), value("z", ["n", 2])],
    initializers: [floats("w", [2, 1], [1, 2])],
    nodes: [node("MatMul", ["x", "w"], "y"), node("Neg", ["x"], "z")],
  });
  const error = errorOf(() => splitClientSteps(importGraph(model)));
  expect(error.code).toBe("UNSUPPORTED_OPERATOR");
  expect(error.message).toContain("results of the model only");
});
