/**
 * Reductions, normalizations and Einsum.
 * @module
 */
import { describe, expect, test } from "vitest";
import { evaluateNode } from "../../../src/onnx/evaluate.ts";
import type { Attributes } from "../../../src/onnx/graph.ts";
import { operatorOf } from "../../../src/onnx/ops/index.ts";
import { bool, float32, float64, int64, scalar } from "../../../src/tensor/tensor.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";

function run(
  opType: string,
  inputs: readonly (Tensor | undefined)[],
  attributes: Attributes = {},
): Tensor {
  return evaluateNode({ opType, attributes }, inputs)[0];
}

/** Expects numbers that agree to 14 digits. */
function expectNear(got: Tensor, shape: readonly number[], expected: readonly number[]): void {
  expect(got.shape).toEqual(shape);
  for (const [i, value] of expected.entries()) expect(got.data[i]).toBeCloseTo(value, 13);
}

const x = float64([2, 3], [1, -2, 3, 4, 5, -6]);

describe("reductions", () => {
  test.each<[string, number[]]>([
    ["ReduceSum", [2, 3]],
    ["ReduceMean", [2 / 3, 1]],
    ["ReduceMax", [3, 5]],
    ["ReduceMin", [-2, -6]],
    ["ReduceProd", [-6, -120]],
    ["ReduceL1", [6, 15]],
    ["ReduceL2", [Math.sqrt(14), Math.sqrt(77)]],
    ["ReduceSumSquare", [14, 77]],
    ["ReduceLogSum", [Math.log(2), Math.log(3)]],
    [
      "ReduceLogSumExp",
      [
        Math.log(Math.exp(1) + Math.exp(-2) + Math.exp(3)),
        Math.log(Math.exp(4) + Math.exp(5) + Math.exp(-6)),
      ],
    ],
  ])("%s along the last axis", (opType, expected) => {
    expectNear(run(opType, [x, int64([1], [-1])]), [2, 1], expected);
    expectNear(run(opType, [x], { axes: [1], keepdims: 0 }), [2], expected);
  });

  test("without axes everything is reduced, unless told otherwise", () => {
    expect(run("ReduceSum", [x])).toEqual(float64([1, 1], [5]));
    expect(run("ReduceSum", [x], { keepdims: 0 })).toEqual(float64([], [5]));
    expect(run("ReduceSum", [x, int64([0], [])], { noop_with_empty_axes: 1 })).toEqual(x);
    expect(run("ReduceL1", [x], { noop_with_empty_axes: 1 }).data).toEqual(x.data.map(Math.abs));
  });

  test("axes may be several, in any order", () => {
    const cube = float64([2, 2, 2], [1, 2, 3, 4, 5, 6, 7, 8]);
    expect(run("ReduceSum", [cube], { axes: [2, 0], keepdims: 0 })).toEqual(float64([2], [14, 22]));
    expect(() => run("ReduceSum", [cube], { axes: [0, -3] })).toThrow(/BAD_SHAPE.*twice/);
    expect(() => run("ReduceSum", [cube], { axes: [3] })).toThrow(/BAD_SHAPE.*axis 3 is outside/);
  });

  test("ReduceLogSumExp does not overflow", () => {
    expectNear(run("ReduceLogSumExp", [float64([2], [1000, 1000])]), [1], [1000 + Math.LN2]);
    expect(run("ReduceLogSumExp", [float64([1], [-Infinity])]).data[0]).toBe(-Infinity);
  });

  test("ArgMax and ArgMin give the first or the last of equals", () => {
    const tied = float64([1, 4], [2, 7, 7, 2]);
    expect(run("ArgMax", [tied], { axis: 1 })).toEqual(int64([1, 1], [1]));
    expect(run("ArgMax", [tied], { axis: 1, select_last_index: 1, keepdims: 0 })).toEqual(
      int64([1], [2]),
    );
    expect(run("ArgMin", [tied], { axis: -1 })).toEqual(int64([1, 1], [0]));
    expect(run("ArgMin", [tied], { axis: 1, select_last_index: 1 })).toEqual(int64([1, 1], [3]));
  });

  test("CumSum runs either way, with or without the element itself", () => {
    const axis = int64([], [1]);
    expect(run("CumSum", [x, axis]).data).toEqual(Float64Array.of(1, -1, 2, 4, 9, 3));
    expect(run("CumSum", [x, axis], { exclusive: 1 }).data).toEqual(
      Float64Array.of(0, 1, -1, 0, 4, 9),
    );
    expect(run("CumSum", [x, axis], { reverse: 1 }).data).toEqual(
      Float64Array.of(2, 1, 3, 3, -1, -6),
    );
    expect(run("CumSum", [x, axis], { reverse: 1, exclusive: 1 }).data).toEqual(
      Float64Array.of(1, 3, 0, -1, -6, 0),
    );
  });
});

describe("normalizations", () => {
  test("BatchNormalization is per channel", () => {
    const image = float64([1, 2, 2], [1, 3, 10, 30]);
    const parameters = [
      [2, 1],
      [0.5, -1],
      [1, 10],
      [4, 100],
    ].map((list) => float64([2], list));
    const got = run("BatchNormalization", [image, ...parameters], { epsilon: 0 });
    expect(got).toEqual(float64([1, 2, 2], [0.5, 2.5, -1, 1]));
    const operator = operatorOf({ opType: "BatchNormalization", attributes: {} });
    const shape = (attributes: Attributes) => () =>
      operator.shape([image, ...parameters], attributes);
    expect(shape({ training_mode: 1 })).toThrow(/UNSUPPORTED_OPERATOR.*training_mode 1/);
    expect(shape({ spatial: 0 })).toThrow(/UNSUPPORTED_OPERATOR.*spatial 0/);
    expect(() => operator.shape([x, ...parameters], {})).toThrow(/BAD_SHAPE.*per channel/);
  });

  test("InstanceNormalization, GroupNormalization and LayerNormalization centre and scale", () => {
    const image = float64([1, 2, 2], [1, 3, 10, 30]);
    const [ones, zeros] = [float64([2], [1, 1]), float64([2], [0, 0])];
    const exact = { epsilon: 0 };
    expectNear(
      run("InstanceNormalization", [image, ones, zeros], exact),
      [1, 2, 2],
      [-1, 1, -1, 1],
    );
    const scaled = run("InstanceNormalization", [image, float64([2], [2, 3]), ones], exact);
    expectNear(scaled, [1, 2, 2], [-1, 3, -2, 4]);
    const group = float64([1, 2, 1], [1, 3]);
    const perChannel = [float64([2], [2, 3]), float64([2], [10, 20])];
    expectNear(
      run("GroupNormalization", [group, ...perChannel], { ...exact, num_groups: 1 }),
      [1, 2, 1],
      [8, 23],
    );
    const perGroup = [float64([1], [2]), float64([1], [10])];
    expectNear(
      run("GroupNormalization", [group, ...perGroup], { ...exact, num_groups: 1 }),
      [1, 2, 1],
      [8, 12],
    );
    const rows = float64([2, 2], [1, 3, 10, 30]);
    const attributes = { opType: "LayerNormalization", attributes: exact };
    const [normal, mean, inverse] = evaluateNode(attributes, [rows, float64([2], [1, 2]), ones]);
    expectNear(normal, [2, 2], [0, 3, 0, 3]);
    expectNear(mean, [2, 1], [2, 20]);
    expectNear(inverse, [2, 1], [1, 0.1]);
  });

  test("Softmax does not overflow, and its relatives agree with it", () => {
    const logits = float64([1, 3], [1000, 1001, 1000]);
    const e = Math.E;
    expectNear(run("Softmax", [logits]), [1, 3], [1 / (2 + e), e / (2 + e), 1 / (2 + e)]);
    expectNear(run("LogSoftmax", [logits]), [1, 3], [-Math.log(2 + e), 1 - Math.log(2 + e)]);
    expect(run("Hardmax", [logits]).data).toEqual(Float64Array.of(0, 1, 0));
    const columns = run("Softmax", [float64([2, 1], [0, 0])], { axis: 0 });
    expect(columns).toEqual(float64([2, 1], [0.5, 0.5]));
  });

  test("before opset 13, Softmax takes all axes from its axis on", () => {
    const zeros = float64([1, 2, 2], [0, 0, 0, 0]);
    const flattened = run("Softmax", [zeros], { axis: 1, flattened: 1 });
    expect(flattened).toEqual(float64([1, 2, 2], [0.25, 0.25, 0.25, 0.25]));
  });

  test("LpNormalization, LRN and MeanVarianceNormalization", () => {
    expectNear(run("LpNormalization", [float64([1, 2], [3, -4])]), [1, 2], [0.6, -0.8]);
    expectNear(
      run("LpNormalization", [float64([1, 2], [3, -5])], { p: 1 }),
      [1, 2],
      [0.375, -0.625],
    );
    expect(run("LpNormalization", [float64([1, 2], [0, 0])]).data).toEqual(Float64Array.of(0, 0));
    const channels = float64([1, 3, 1], [1, 2, 3]);
    const lrn = run("LRN", [channels], { size: 3, alpha: 3, beta: 1, bias: 1 });
    expectNear(lrn, [1, 3, 1], [1 / 6, 2 / 15, 3 / 14]);
    const image = float64([1, 1, 1, 2], [1, 3]);
    const standard = run("MeanVarianceNormalization", [image]);
    expect(standard.data[0]).toBeCloseTo(-1, 8);
    expect(standard.data[1]).toBeCloseTo(1, 8);
  });

  test("Dropout does nothing, and keeps everything", () => {
    const [y, mask] = evaluateNode({ opType: "Dropout", attributes: { ratio: 0.9 } }, [x]);
    expect(y).toEqual(x);
    expect(mask).toEqual(bool([2, 3], [1, 1, 1, 1, 1, 1]));
  });
});

describe("Einsum", () => {
  const a = float64([2, 2], [1, 2, 3, 4]);
  const b = float64([2, 2], [5, 6, 7, 8]);
  test.each<[string, readonly Tensor[], number[], number[]]>([
    ["ij,jk->ik", [a, b], [2, 2], [19, 22, 43, 50]],
    ["ij,jk", [a, b], [2, 2], [19, 22, 43, 50]],
    ["ij->ji", [a], [2, 2], [1, 3, 2, 4]],
    ["ba", [a], [2, 2], [1, 3, 2, 4]],
    ["ii->i", [a], [2], [1, 4]],
    ["ii", [a], [], [5]],
    ["ij->", [a], [], [10]],
    ["ij,ij->i", [a, b], [2], [17, 53]],
    ["...j,...j->...", [a, b], [2], [17, 53]],
    ["i...,j...->ij...", [a, b], [2, 2, 2], [5, 12, 7, 16, 15, 24, 21, 32]],
    [" i j , j k , k -> i ", [a, b, float64([2], [1, 10])], [2], [239, 543]],
  ])("%s", (equation, inputs, shape, expected) => {
    expect(run("Einsum", inputs, { equation })).toEqual(float64(shape, expected));
  });

  test("an equation that does not fit is refused", () => {
    expect(() => run("Einsum", [a], { equation: "i->i" })).toThrow(/BAD_MODEL.*2 axes/);
    expect(() => run("Einsum", [a], { equation: "ij,jk->ik" })).toThrow(/2 operands, got 1 inputs/);
    expect(() => run("Einsum", [a], { equation: "ij->ik" })).toThrow(/names k/);
    const c = float64([3], [1, 2, 3]);
    expect(() => run("Einsum", [a, c], { equation: "ij,j->i" })).toThrow(/j has size 2 and 3/);
  });

  test("float32 operands give float32", () => {
    const product = run("Einsum", [float32([2], [1, 2]), float32([2], [3, 4])], {
      equation: "i,i",
    });
    expect(product).toEqual(scalar("float32", 11));
  });
});
