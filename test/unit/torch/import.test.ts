/**
 * PyTorch programs of every archive layout against what PyTorch computed, and against their ONNX exports.
 */
import { describe, expect, test } from "vitest";
import { evaluate } from "../../../src/onnx/evaluate.ts";
import type { Graph } from "../../../src/onnx/graph.ts";
import { importOnnx } from "../../../src/onnx/import.ts";
import { print } from "../../../src/onnx/print.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { importTorch } from "../../../src/torch/import.ts";
import { errorOf } from "../../support/errors.ts";
import {
  archivesOf,
  readTorchArrays,
  readTorchFile,
  torchFixtures,
} from "../../support/torch-fixtures.ts";
import { unzip, zip } from "../../support/zip.ts";

const archives = torchFixtures.flatMap((name) => archivesOf(name).map((file) => ({ name, file })));

/** Resampling weights in single precision differ in their last digits from implementation to implementation. */
const tolerances: ReadonlyMap<string, number> = new Map([["operators_layers", 2e-5]]);

describe("float outputs equal PyTorch's", () => {
  test.each(archives)("$name/$file", ({ name, file }) => {
    const graph = importTorch(readTorchFile(name, file));
    const outputs = evaluate(graph, readTorchArrays(name, "inputs"));
    const expected = readTorchArrays(name, "float_outputs");
    expect(outputs.map(({ shape }) => shape)).toEqual(expected.map(({ shape }) => shape));
    for (const [i, { data }] of expected.entries()) {
      let worst = 0;
      for (const [k, value] of data.entries()) {
        worst = Math.max(worst, Math.abs(value - outputs[i].data[k]) / (1 + Math.abs(value)));
      }
      expect(worst).toBeLessThan(tolerances.get(name) ?? 2e-6);
    }
  });
});

/** Names, types and attributes aside: which operators, in which order. */
const operatorsOf = (graph: Graph): string[] => graph.nodes.map(({ opType }) => opType);

/** Float constants of at least two axes, in the order in which operators read them. */
function weightsOf(graph: Graph): Tensor[] {
  return graph.nodes
    .flatMap(({ inputs }) => inputs)
    .map((name) => graph.constants.get(name))
    .filter((tensor) => tensor !== undefined)
    .filter(({ dtype, shape }) => dtype === "float32" && shape.length > 1);
}

describe("the graph is that of the ONNX export", () => {
  // Batch normalization is folded here and there, so equal weights show equal rounding.
  test.each(["mlp", "mlp_tokens", "cnn", "residual", "mobile", "conv1d", "recurrent", "strided"])(
    "%s",
    (name) => {
      const expected = importOnnx(readTorchFile(name, "model.onnx"));
      for (const file of archivesOf(name).filter((file) => file !== "model_core.pt2")) {
        const graph = importTorch(readTorchFile(name, file));
        expect(operatorsOf(graph)).toEqual(operatorsOf(expected));
        expect(weightsOf(graph)).toEqual(weightsOf(expected));
      }
    },
  );
});

test("a program prints as expected", () => {
  expect(print(importTorch(readTorchFile("static_view", "model.pt2")))).toMatchInlineSnapshot(`
    "graph torch (ai.onnx 20) {
      input  x: float32[5, 1, 6, 6]
      const  conv.bias: float32[2]
             conv.weight: float32[2, 1, 3, 3]
             view/constant: int64[2]
             fc.weight: float32[3, 32]
             fc.bias: float32[3]
      let    conv2d: [1, 2, 4, 4] = Conv(x, conv.weight, conv.bias) dilations=[1, 1] group=1 kernel_shape=[3, 3] pads=[0, 0, 0, 0] strides=[1, 1]
             relu: [1, 2, 4, 4] = Relu(conv2d)
             view: [1, 32] = Reshape(relu, view/constant)
             linear: [1, 3] = Gemm(view, fc.weight, fc.bias) alpha=1 beta=1 transA=0 transB=1
      output linear
    }"
  `);
});

test("a view that shows memory which has changed is refused", () => {
  const path = "serialized_exported_program.json";
  const files = unzip(readTorchFile("in_place", "model_old.pt2"));
  // Reads the view from before the write in place of the result of the write.
  const json = new TextDecoder()
    .decode(files.get(path))
    .replace(
      `{"name": "self", "arg": {"as_tensor": {"name": "clamp_"}}}`,
      `{"name": "self", "arg": {"as_tensor": {"name": "add_"}}}`,
    );
  files.set(path, new TextEncoder().encode(json));
  const { code, message } = errorOf(() => importTorch(zip(files)));
  expect(code).toBe("UNSUPPORTED_OPERATOR");
  expect(message).toMatch(/read after aten.clamp_.default wrote over memory that it shares/);
});
