/**
 * Each operator by small examples from its ONNX definition.
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { evaluateNode } from "../../../src/onnx/evaluate.ts";
import type { Attributes } from "../../../src/onnx/graph.ts";
import {
  isElementwise,
  operatorFamilies,
  supportedOperators,
} from "../../../src/onnx/ops/index.ts";
import { float32, float64, int64, scalar, type Tensor } from "../../../src/tensor/tensor.ts";

function run(
  opType: string,
  inputs: readonly (Tensor | undefined)[],
  attributes: Attributes = {},
): Tensor {
  return evaluateNode({ opType, attributes }, inputs)[0];
}

const image = float64(
  [1, 1, 3, 3],
  Array.from({ length: 9 }, (_, i) => i),
);

test("element-wise operators are told from the others", () => {
  const names = ["Add", "BatchNormalization", "Clip", "Identity", "PRelu", "Relu", "Where"];
  expect(names.filter((name) => !isElementwise(name))).toEqual([]);
  const others = ["CumSum", "Gather", "MatMul", "ReduceSum", "Reshape", "Softmax"];
  expect(others.filter((name) => isElementwise(name))).toEqual([]);
  expect(isElementwise("constructor")).toBe(false);
});

test("every export of the families is an operator of one name", () => {
  const names = Object.values(operatorFamilies).flatMap((family) => Object.keys(family));
  expect(names.sort()).toEqual(supportedOperators);
  expect(new Set(names).size).toBe(names.length);
});

describe("Gemm", () => {
  const a = float64([2, 3], [1, 2, 3, 4, 5, 6]);
  const b = float64([3, 2], [1, 0, 0, 1, 1, 1]);

  test("multiplies, scales and adds", () => {
    expect(run("Gemm", [a, b])).toEqual(float64([2, 2], [4, 5, 10, 11]));
    const c = float64([2], [10, 20]);
    const attributes = { alpha: 2, beta: 0.5 };
    expect(run("Gemm", [a, b, c], attributes)).toEqual(float64([2, 2], [13, 20, 25, 32]));
    expect(run("Gemm", [a, b, c], { beta: 0 })).toEqual(float64([2, 2], [4, 5, 10, 11]));
    expect(run("Gemm", [a, b, undefined])).toEqual(float64([2, 2], [4, 5, 10, 11]));
  });

  test("transposes either side", () => {
    const at = float64([3, 2], [1, 4, 2, 5, 3, 6]);
    const bt = float64([2, 3], [1, 0, 1, 0, 1, 1]);
    expect(run("Gemm", [at, bt], { transA: 1, transB: 1 })).toEqual(run("Gemm", [a, b]));
  });

  test("takes a stack of rows, as the importer's fusion makes", () => {
    const stack = float64([1, 2, 3], a.data);
    expect(run("Gemm", [stack, b, float64([2], [1, 1])])).toEqual(
      float64([1, 2, 2], [5, 6, 11, 12]),
    );
    expect(() => run("Gemm", [stack, b], { transA: 1 })).toThrow(/BAD_SHAPE.*matrix to transpose/);
  });
});

describe("Conv", () => {
  const ones = float64([1, 1, 2, 2], [1, 1, 1, 1]);

  test("auto_pad SAME puts the odd pad at the end or at the beginning", () => {
    const upper = run("Conv", [image, ones], { auto_pad: "SAME_UPPER" });
    expect(upper).toEqual(float64([1, 1, 3, 3], [8, 12, 7, 20, 24, 13, 13, 15, 8]));
    const lower = run("Conv", [image, ones], { auto_pad: "SAME_LOWER" });
    expect(lower).toEqual(float64([1, 1, 3, 3], [0, 1, 3, 3, 8, 12, 9, 20, 24]));
    const strided = run("Conv", [image, ones], { auto_pad: "SAME_UPPER", strides: [2, 2] });
    expect(strided).toEqual(float64([1, 1, 2, 2], [8, 7, 13, 8]));
  });

  test("auto_pad VALID ignores pads", () => {
    const valid = run("Conv", [image, ones], { auto_pad: "VALID", pads: [1, 1, 1, 1] });
    expect(valid).toEqual(float64([1, 1, 2, 2], [8, 12, 20, 24]));
  });

  test("dilations spread the kernel", () => {
    expect(run("Conv", [image, ones], { dilations: [2, 2] })).toEqual(float64([1, 1, 1, 1], [16]));
  });

  test("attributes that contradict the shapes are refused", () => {
    expect(() => run("Conv", [image, ones], { kernel_shape: [3, 3] })).toThrow(/kernel_shape/);
    expect(() => run("Conv", [image, ones], { strides: [1] })).toThrow(/BAD_MODEL.*strides/);
    expect(() => run("Conv", [image, ones], { strides: [0, 1] })).toThrow(/BAD_MODEL.*strides/);
    expect(() => run("Conv", [image, ones], { pads: [-1, 0, 0, 0] })).toThrow(/BAD_MODEL.*pads/);
    expect(() => run("Conv", [image, ones], { auto_pad: "SOME" })).toThrow(/auto_pad SOME/);
    expect(() => run("Conv", [image, ones], { group: 1.5 })).toThrow(/not of type int/);
    const row = float64([1, 1], [1]);
    expect(() => run("Conv", [row, row])).toThrow(/BAD_SHAPE.*one or more spatial/);
  });
});

describe("activations", () => {
  test("Relu keeps NaN and the element type", () => {
    expect(run("Relu", [float32([3], [-1, NaN, 2])])).toEqual(float32([3], [0, NaN, 2]));
  });

  test("Sigmoid does not overflow and is exact where it must be", () => {
    const [low, zero, high] = run("Sigmoid", [float64([3], [-1000, 0, 1000])]).data;
    expect([low, zero, high]).toEqual([0, 0.5, 1]);
    expect(run("Sigmoid", [float64([1], [-700])]).data[0]).toBeCloseTo(Math.exp(-700), 310);
    fc.assert(
      fc.property(fc.double({ min: -30, max: 30, noNaN: true }), (x) => {
        const got = run("Sigmoid", [float64([1], [x])]).data[0];
        expect(Math.abs(got * (1 + Math.exp(-x)) - 1)).toBeLessThan(1e-14);
      }),
    );
  });
});

describe("movement", () => {
  const x = float64([2, 3, 4], new Float64Array(24));

  test("Flatten splits the axes at a place counted from either end", () => {
    expect(run("Flatten", [x]).shape).toEqual([2, 12]);
    expect(run("Flatten", [x], { axis: 0 }).shape).toEqual([1, 24]);
    expect(run("Flatten", [x], { axis: -1 }).shape).toEqual([6, 4]);
    expect(run("Flatten", [x], { axis: 3 }).shape).toEqual([24, 1]);
    expect(() => run("Flatten", [x], { axis: 4 })).toThrow(/BAD_SHAPE/);
  });

  test("Reshape infers -1 and copies 0", () => {
    const to = (...dims: number[]): readonly number[] =>
      run("Reshape", [x, int64([dims.length], dims)]).shape;
    expect(to(0, -1)).toEqual([2, 12]);
    expect(to(4, 0, 2)).toEqual([4, 3, 2]);
    expect(to(-1)).toEqual([24]);
    expect(() => to(5, -1)).toThrow(/BAD_SHAPE.*\[2, 3, 4\] to \[5, -1\]/);
    expect(() => to(-1, -1)).toThrow(/BAD_SHAPE/);
    expect(() => to(1, 1, 24, 0)).toThrow(/BAD_SHAPE/);
  });

  test("Reshape with allowzero means an empty axis by 0", () => {
    const empty = float64([0, 3], []);
    const target = int64([2], [3, 0]);
    expect(run("Reshape", [empty, target], { allowzero: 1 }).shape).toEqual([3, 0]);
    expect(() => run("Reshape", [x, int64([2], [0, 12])], { allowzero: 1 })).toThrow(/BAD_SHAPE/);
  });

  test("Shape takes a slice of the sizes", () => {
    expect(run("Shape", [x])).toEqual(int64([3], [2, 3, 4]));
    expect(run("Shape", [x], { start: -2 })).toEqual(int64([2], [3, 4]));
    expect(run("Shape", [x], { start: 0, end: 1 })).toEqual(int64([1], [2]));
  });
});

test("Constant takes its value from any of its attributes", () => {
  expect(run("Constant", [], { value: float64([1], [4]) })).toEqual(float64([1], [4]));
  expect(run("Constant", [], { value_float: 0.5 })).toEqual(scalar("float32", 0.5));
  expect(run("Constant", [], { value_floats: [1, 2] })).toEqual(float32([2], [1, 2]));
  expect(run("Constant", [], { value_int: 3 })).toEqual(scalar("int64", 3));
  expect(run("Constant", [], { value_ints: [3, 4] })).toEqual(int64([2], [3, 4]));
  expect(() => run("Constant", [])).toThrow(/BAD_MODEL.*no value/);
});
