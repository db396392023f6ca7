/**
 * Element-wise operators against values of another implementation, and at the places where formulas break.
 * @module
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { evaluateNode } from "../../../src/onnx/evaluate.ts";
import type { Attributes } from "../../../src/onnx/graph.ts";
import { bool, float32, float64, int64, scalar } from "../../../src/tensor/tensor.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";

function run(
  opType: string,
  inputs: readonly (Tensor | undefined)[],
  attributes: Attributes = {},
): Tensor {
  return evaluateNode({ opType, attributes }, inputs)[0];
}

function values(opType: string, xs: readonly number[], attributes: Attributes = {}): number[] {
  return [...run(opType, [float64([xs.length], xs)], attributes).data];
}

interface FunctionValues {
  readonly x: readonly number[];
  readonly y: readonly number[];
}

/** Values of functions, computed with 40 digits (by mpmath) and rounded to float64. */
const { functions } = JSON.parse(
  readFileSync(new URL("function-values.json", import.meta.url), "utf8"),
) as { functions: Readonly<Record<string, FunctionValues>> };

describe.each(Object.entries(functions))("%s", (opType, { x: xs, y: expected }) => {
  test("is accurate to a few units in the last place, or 1e-15 near 0", () => {
    for (const [i, got] of values(opType, xs).entries()) {
      const difference = Math.abs(got - expected[i]);
      expect(difference, `at ${xs[i]}`).toBeLessThanOrEqual(
        1e-15 * Math.max(1, Math.abs(expected[i])),
      );
    }
  });

  test("rounds once to float32", () => {
    const got = run(opType, [float32([xs.length], xs)]);
    expect(got.dtype).toBe("float32");
    for (const [i, value] of got.data.entries()) {
      const wanted = Math.fround(values(opType, [Math.fround(xs[i])])[0]);
      expect(value, `at ${xs[i]}`).toBe(wanted);
    }
  });

  test("keeps NaN", () => {
    expect(values(opType, [NaN])).toEqual([NaN]);
  });
});

describe("far from 0", () => {
  test("no activation turns into NaN", () => {
    const far = [-1e4, 1e4];
    expect(values("Elu", far)).toEqual([-1, 1e4]);
    expect(values("Celu", far)).toEqual([-1, 1e4]);
    expect(values("Selu", far)[1]).toBeCloseTo(10507.009873554805, 9);
    expect(values("Softplus", far)).toEqual([0, 1e4]);
    expect(values("Mish", far)).toEqual([-0, 1e4]);
    expect(values("Gelu", far)).toEqual([-0, 1e4]);
    expect(values("Gelu", far, { approximate: "tanh" })).toEqual([-0, 1e4]);
    expect(values("Softsign", [-Infinity, Infinity])).toEqual([-1, 1]);
  });

  test("Where takes no part of what it does not choose", () => {
    const huge = float64([2], [Infinity, NaN]);
    expect(run("Where", [bool([2], [0, 0]), huge, scalar("float64", 3)])).toEqual(
      float64([2], [3, 3]),
    );
  });

  test("logarithms follow ONNX at and below 0", () => {
    expect(values("Log", [0, -1])).toEqual([-Infinity, NaN]);
  });
});

describe("attributes of activations", () => {
  const x = [-3, -1, 0, 1, 3];
  test.each<[string, Attributes, number[]]>([
    ["LeakyRelu", { alpha: 0.5 }, [-1.5, -0.5, 0, 1, 3]],
    ["ThresholdedRelu", { alpha: 2 }, [0, 0, 0, 0, 3]],
    ["Elu", { alpha: 2 }, [2 * (Math.exp(-3) - 1), 2 * (Math.exp(-1) - 1), 0, 1, 3]],
    ["Celu", { alpha: 2 }, [2 * (Math.exp(-1.5) - 1), 2 * (Math.exp(-0.5) - 1), 0, 1, 3]],
    ["Selu", { alpha: 1, gamma: 3 }, [3 * (Math.exp(-3) - 1), 3 * (Math.exp(-1) - 1), 0, 3, 9]],
    ["HardSigmoid", { alpha: 0.25, beta: 0.5 }, [0, 0.25, 0.5, 0.75, 1]],
    ["Shrink", { bias: 0.5, lambd: 2 }, [-2.5, 0, 0, 0, 2.5]],
    ["Clip", { min: -1, max: 2 }, [-1, -1, 0, 1, 2]],
    ["Clip", { max: 2 }, [-3, -1, 0, 1, 2]],
  ])("%s %o", (opType, attributes, expected) => {
    expect(values(opType, x, attributes)).toEqual(expected);
  });

  test("Gelu by a hyperbolic tangent", () => {
    const [got] = values("Gelu", [1], { approximate: "tanh" });
    expect(got).toBeCloseTo(0.8411919906082768, 14);
    expect(() => run("Gelu", [float64([1], [1])], { approximate: "fast" })).toThrow(
      /UNSUPPORTED_OPERATOR.*approximate fast; expected none or tanh/,
    );
  });

  test("Clip takes its bounds from inputs that may be absent", () => {
    const x = float32([3], [-5, 0, 5]);
    expect(run("Clip", [x, undefined, scalar("float32", 1)])).toEqual(float32([3], [-5, 0, 1]));
    expect(run("Clip", [x, scalar("float32", -1)])).toEqual(float32([3], [-1, 0, 5]));
  });

  test("PRelu has a slope per channel, which must not enlarge x", () => {
    const x = float64([1, 2, 2], [-1, 2, -3, 4]);
    const slope = float64([2, 1], [0.5, -2]);
    expect(run("PRelu", [x, slope])).toEqual(float64([1, 2, 2], [-0.5, 2, 6, 4]));
  });
});

describe("arithmetic", () => {
  const a = float64([2, 1], [6, -7]);
  const b = float64([2], [4, -2]);
  test.each<[string, number[]]>([
    ["Add", [10, 4, -3, -9]],
    ["Sub", [2, 8, -11, -5]],
    ["Mul", [24, -12, -28, 14]],
    ["Div", [1.5, -3, -1.75, 3.5]],
    ["Max", [6, 6, 4, -2]],
    ["Min", [4, -2, -7, -7]],
    ["Sum", [10, 4, -3, -9]],
    ["Mean", [5, 2, -1.5, -4.5]],
    ["Mod", [2, 0, 1, -1]],
  ])("%s broadcasts", (opType, expected) => {
    expect(run(opType, [a, b])).toEqual(float64([2, 2], expected));
  });

  test("Max, Min, Sum and Mean take any number of tensors", () => {
    const c = float64([1], [100]);
    expect(run("Max", [a, b, c]).data).toEqual(Float64Array.of(100, 100, 100, 100));
    expect(run("Mean", [b, b, b])).toEqual(b);
    expect(run("Sum", [c])).toEqual(c);
    expect(run("Max", [float64([1], [NaN]), c]).data).toEqual(Float64Array.of(NaN));
  });

  test("division of integers is truncated toward zero", () => {
    const x = int64([4], [7, -7, 7, -1]);
    const y = int64([4], [2, 2, -2, 2]);
    expect(run("Div", [x, y])).toEqual(int64([4], [3, -3, -3, 0]));
  });

  test("Mod follows the divisor's sign, with fmod the dividend's", () => {
    const x = int64([4], [7, -7, 7, -7]);
    const y = int64([4], [3, 3, -3, -3]);
    expect(run("Mod", [x, y])).toEqual(int64([4], [1, 2, -2, -1]));
    expect(run("Mod", [x, y], { fmod: 1 })).toEqual(int64([4], [1, -1, 1, -1]));
  });

  test("Pow keeps the type of its base", () => {
    const cube = run("Pow", [float32([2], [-2, 0.5]), int64([], [3])]);
    expect(cube).toEqual(float32([2], [-8, 0.125]));
    const wide = run("Pow", [float32([1], [2]), scalar("float64", 0.5)]);
    expect(wide).toEqual(float64([1], [Math.SQRT2]));
    const ends = run("Pow", [float64([2], [1, -1]), float64([2], [NaN, Infinity])]);
    expect(ends).toEqual(float64([2], [1, 1]));
  });

  test("Round takes ties to even", () => {
    expect(values("Round", [0.5, 1.5, 2.5, -0.5, -1.5, -2.5])).toEqual([0, 2, 2, 0, -2, -2]);
  });
});

describe("logic", () => {
  const x = float32([3], [1, 2, 3]);
  const y = scalar("float32", 2);
  test.each<[string, number[]]>([
    ["Equal", [0, 1, 0]],
    ["Greater", [0, 0, 1]],
    ["GreaterOrEqual", [0, 1, 1]],
    ["Less", [1, 0, 0]],
    ["LessOrEqual", [1, 1, 0]],
  ])("%s gives truth values", (opType, expected) => {
    expect(run(opType, [x, y])).toEqual(bool([3], expected));
  });

  test.each<[string, number[]]>([
    ["And", [0, 0, 0, 1]],
    ["Or", [0, 1, 1, 1]],
    ["Xor", [0, 1, 1, 0]],
  ])("%s", (opType, expected) => {
    const [a, b] = [bool([4], [0, 0, 1, 1]), bool([4], [0, 1, 0, 1])];
    expect(run(opType, [a, b])).toEqual(bool([4], expected));
  });

  test("Not, IsNaN and IsInf", () => {
    const odd = float32([4], [NaN, Infinity, -Infinity, 0]);
    expect(run("Not", [bool([2], [0, 1])])).toEqual(bool([2], [1, 0]));
    expect(run("IsNaN", [odd])).toEqual(bool([4], [1, 0, 0, 0]));
    expect(run("IsInf", [odd])).toEqual(bool([4], [0, 1, 1, 0]));
    expect(run("IsInf", [odd], { detect_negative: 0 })).toEqual(bool([4], [0, 1, 0, 0]));
    expect(run("IsInf", [odd], { detect_positive: 0 })).toEqual(bool([4], [0, 0, 1, 0]));
  });

  test("Cast converts, but leaves float64 evaluation in float64", () => {
    const toFloat = { to: 1 };
    expect(run("Cast", [bool([2], [0, 1])], toFloat)).toEqual(float32([2], [0, 1]));
    expect(run("Cast", [float64([1], [0.1])], toFloat)).toEqual(float64([1], [0.1]));
    expect(run("Cast", [float32([2], [1.9, -1.9])], { to: 7 })).toEqual(int64([2], [1, -1]));
    expect(run("Cast", [float32([2], [0, -2])], { to: 9 })).toEqual(bool([2], [0, 1]));
    expect(run("Cast", [int64([1], [3])], { to: 11 })).toEqual(float64([1], [3]));
    expect(run("CastLike", [int64([1], [3]), float32([1], [0])])).toEqual(float32([1], [3]));
    expect(() => run("Cast", [x], { to: 8 })).toThrow(/STRING/);
    expect(() => run("Cast", [x])).toThrow(/BAD_MODEL.*required attribute to/);
  });
});
