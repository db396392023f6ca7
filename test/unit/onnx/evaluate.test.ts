/**
 * Float evaluation held against the outputs that onnxruntime recorded for real models.
 * @module
 */
import { describe, expect, test } from "vitest";
import { evaluate, evaluateNode } from "../../../src/onnx/evaluate.ts";
import { importOnnx } from "../../../src/onnx/import.ts";
import {
  float32,
  float64,
  sizeOf,
  tensor,
  type DType,
  type Tensor,
} from "../../../src/tensor/tensor.ts";
import { modelFixtures, readModelBytes, readModelFixture } from "../../support/onnx-fixtures.ts";

/** Largest difference relative to the range of what is expected. */
function relativeError(got: Tensor, expected: Tensor): number {
  let worst = 0;
  let range = 0;
  for (const [i, value] of expected.data.entries()) {
    worst = Math.max(worst, Math.abs(got.data[i] - value));
    range = Math.max(range, Math.abs(value));
  }
  return range === 0 ? worst : worst / range;
}

/** Rows `start` to `end` of a batch. */
function rows(input: Tensor, start: number, end: number): Tensor {
  const [, ...sample] = input.shape;
  const size = sizeOf(sample);
  return tensor(input.dtype, [end - start, ...sample], input.data.slice(start * size, end * size));
}

/** The type of an output when the inputs are float64. */
function wideType({ dtype }: Tensor): DType {
  return dtype === "float32" ? "float64" : dtype;
}

/** Models whose last floats are made of integers or truth values, and so are float32 whatever the inputs are. */
const beginsAnew = new Set([
  "act_greater",
  "act_greater_equal",
  "act_less",
  "act_less_equal",
  "gap_argmax_output",
  "op_embedding",
]);

describe.each(modelFixtures)("%s", (name) => {
  const { model, inputs, floatOutputs } = readModelFixture(name);
  const graph = importOnnx(model);
  const outputs = evaluate(graph, inputs);

  test("gives the recorded outputs", () => {
    expect(outputs.length).toBe(floatOutputs.length);
    for (const [i, expected] of floatOutputs.entries()) {
      expect(outputs[i].dtype).toBe(expected.dtype);
      expect(outputs[i].shape).toEqual(expected.shape);
      expect(relativeError(outputs[i], expected)).toBeLessThan(1e-5);
    }
  });

  test("gives each sample the same output alone as in a batch", () => {
    const count = inputs[0].shape[0];
    for (const i of [0, 1, count - 1]) {
      const alone = evaluate(
        graph,
        inputs.map((input) => rows(input, i, i + 1)),
      );
      expect(alone).toEqual(outputs.map((output) => rows(output, i, i + 1)));
    }
  });

  test("computes float64 inputs in float64", () => {
    const wide = inputs.map((input) =>
      input.dtype === "float32" ? float64(input.shape, input.data) : input,
    );
    for (const [i, output] of evaluate(graph, wide).entries()) {
      expect(output.dtype).toBe(beginsAnew.has(name) ? "float32" : wideType(floatOutputs[i]));
      expect(relativeError(output, floatOutputs[i])).toBeLessThan(1e-5);
    }
  });
});

describe("inputs of a graph", () => {
  const graph = importOnnx(readModelBytes("seed_logreg"));

  test("a wrong number, shape or element type is refused with what is expected", () => {
    const x = float32([2, 14], new Float32Array(28));
    expect(() => evaluate(graph, [])).toThrow(/BAD_ARGUMENT.*expected 1 inputs.*got 0/);
    expect(() => evaluate(graph, [float32([14], x.data.slice(14))])).toThrow(
      /BAD_SHAPE.*\[batch, 14\], got \[14\]/,
    );
    expect(() => evaluate(graph, [float32([2, 7], x.data.slice(14))])).toThrow(/BAD_SHAPE/);
    expect(() => evaluate(graph, [tensor("int64", [2, 14], x.data)])).toThrow(
      /BAD_DTYPE.*expected float32, got int64/,
    );
  });

  test("inputs of different batch sizes are refused", () => {
    const two = importOnnx(readModelBytes("op_add_two_inputs"));
    const { inputs } = readModelFixture("op_add_two_inputs");
    const shorter = rows(inputs[1], 0, 2);
    expect(() => evaluate(two, [inputs[0], shorter])).toThrow(/BAD_SHAPE.*batch size/);
  });

  test("an empty batch gives an empty result", () => {
    const [output] = evaluate(graph, [float32([0, 14], [])]);
    expect(output.shape).toEqual([0, 1]);
  });
});

describe("evaluateNode", () => {
  test("needs no graph", () => {
    const x = float64([3], [-1, 0, 2]);
    expect(evaluateNode({ opType: "Relu", attributes: {} }, [x])).toEqual([
      float64([3], [0, 0, 2]),
    ]);
  });

  test("refuses missing inputs, unknown operators and unknown attributes", () => {
    const x = float64([1], [1]);
    expect(() => evaluateNode({ opType: "Add", attributes: {} }, [x])).toThrow(/BAD_ARGUMENT/);
    expect(() => evaluateNode({ opType: "Add", attributes: {} }, [undefined, x])).toThrow(
      /BAD_ARGUMENT/,
    );
    expect(() => evaluateNode({ opType: "toString", attributes: {} }, [x])).toThrow(
      /UNSUPPORTED_OPERATOR at toString: operator toString is not supported; supported operators: Abs,/,
    );
    const attributes = { alpha: 1 };
    expect(() => evaluateNode({ opType: "Relu", attributes, name: "r1" }, [x])).toThrow(
      /UNSUPPORTED_OPERATOR at r1: Relu: unknown attribute alpha; expected none/,
    );
  });
});
