/**
 * Operators that move, choose, interpolate or make elements.
 * @module
 */
import fc from "fast-check";
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

/** What is inferred from constant operands. */
function shapeOf(opType: string, inputs: readonly Tensor[], attributes: Attributes = {}): unknown {
  const operands = inputs.map((value) => ({ shape: value.shape, value }));
  return operatorOf({ opType, attributes }).shape(operands, attributes)[0];
}

const list = (...numbers: number[]): Tensor => int64([numbers.length], numbers);
const matrix = float64([2, 3], [1, 2, 3, 4, 5, 6]);

describe("shapes", () => {
  test("Squeeze drops what is named, by an input or an attribute, or all axes of size 1", () => {
    const x = float64([1, 2, 1], [1, 2]);
    expect(run("Squeeze", [x, list(-1)]).shape).toEqual([1, 2]);
    expect(run("Squeeze", [x], { axes: [0] }).shape).toEqual([2, 1]);
    expect(run("Squeeze", [x]).shape).toEqual([2]);
    expect(() => run("Squeeze", [x], { axes: [1] })).toThrow(/BAD_SHAPE.*axis 1.*not of size 1/);
  });

  test("Unsqueeze adds axes at places of the result", () => {
    expect(run("Unsqueeze", [matrix, list(0, -1)]).shape).toEqual([1, 2, 3, 1]);
    expect(run("Unsqueeze", [matrix], { axes: [1] }).shape).toEqual([2, 1, 3]);
    expect(() => run("Unsqueeze", [matrix])).toThrow(/BAD_MODEL.*axes is missing/);
    expect(() => run("Unsqueeze", [matrix], { axes: [0, 0] })).toThrow(/BAD_SHAPE.*twice/);
  });

  test("Transpose reverses axes or permutes them", () => {
    expect(run("Transpose", [matrix])).toEqual(float64([3, 2], [1, 4, 2, 5, 3, 6]));
    const cube = float64([1, 2, 3], matrix.data);
    expect(run("Transpose", [cube], { perm: [1, 0, 2] }).shape).toEqual([2, 1, 3]);
    expect(() => shapeOf("Transpose", [matrix], { perm: [0] })).toThrow(/BAD_SHAPE.*permutation/);
    expect(() => shapeOf("Transpose", [matrix], { perm: [0, 0] })).toThrow(/BAD_SHAPE.*twice/);
  });

  test("Expand broadcasts both ways", () => {
    const row = float64([1, 2], [1, 2]);
    expect(run("Expand", [row, list(2, 1)])).toEqual(float64([2, 2], [1, 2, 1, 2]));
    expect(run("Expand", [row, list(1)])).toEqual(row);
  });
});

describe("parts", () => {
  test("Concat and Split undo one another", () => {
    const parts = evaluateNode({ opType: "Split", attributes: { axis: 1 } }, [matrix, list(1, 2)]);
    expect(parts).toEqual([float64([2, 1], [1, 4]), float64([2, 2], [2, 3, 5, 6])]);
    expect(run("Concat", parts, { axis: -1 })).toEqual(matrix);
    expect(run("Concat", [matrix, matrix], { axis: 0 }).shape).toEqual([4, 3]);
    expect(() => run("Concat", parts, { axis: 0 })).toThrow(/BAD_SHAPE.*cannot join/);
  });

  test("Split into a number of parts makes the last one smaller", () => {
    const split = (attributes: Attributes): number[] =>
      evaluateNode({ opType: "Split", attributes }, [float64([5], [1, 2, 3, 4, 5])]).map(
        ({ shape }) => shape[0],
      );
    expect(split({ num_outputs: 2 })).toEqual([3, 2]);
    expect(split({ split: [1, 4] })).toEqual([1, 4]);
    expect(() => split({ split: [1, 3] })).toThrow(/BAD_SHAPE.*5 elements into \[1, 3\]/);
    expect(() => split({})).toThrow(/BAD_MODEL.*number of parts/);
  });

  test("DepthToSpace and SpaceToDepth undo one another", () => {
    const x = float64([1, 4, 1, 2], [1, 2, 3, 4, 5, 6, 7, 8]);
    const wide = run("DepthToSpace", [x], { blocksize: 2 });
    expect(wide).toEqual(float64([1, 1, 2, 4], [1, 3, 2, 4, 5, 7, 6, 8]));
    expect(run("SpaceToDepth", [wide], { blocksize: 2 })).toEqual(x);
    const two = float64([1, 8, 1, 1], [1, 2, 3, 4, 5, 6, 7, 8]);
    const crd = run("DepthToSpace", [two], { blocksize: 2, mode: "CRD" });
    expect(crd).toEqual(float64([1, 2, 2, 2], [1, 2, 3, 4, 5, 6, 7, 8]));
    expect(run("DepthToSpace", [two], { blocksize: 2 }).data).toEqual(
      Float64Array.of(1, 3, 5, 7, 2, 4, 6, 8),
    );
    expect(() => shapeOf("SpaceToDepth", [x], { blocksize: 2 })).toThrow(
      /1 is not a multiple of 2/,
    );
  });
});

describe("Slice", () => {
  const x = float64([6], [0, 1, 2, 3, 4, 5]);
  const slice = (start: number, end: number, step = 1): number[] => [
    ...run("Slice", [x, list(start), list(end), list(0), list(step)]).data,
  ];

  test("takes what Python's slices take", () => {
    expect(slice(1, 4)).toEqual([1, 2, 3]);
    expect(slice(-3, 2 ** 53)).toEqual([3, 4, 5]);
    expect(slice(0, -1, 2)).toEqual([0, 2, 4]);
    expect(slice(4, 1, -1)).toEqual([4, 3, 2]);
    expect(slice(-1, -(2 ** 53), -2)).toEqual([5, 3, 1]);
    expect(slice(4, 4)).toEqual([]);
    expect(slice(9, 12)).toEqual([]);
    expect(() => slice(0, 1, 0)).toThrow(/BAD_MODEL.*step is 0/);
  });

  test("takes attributes too, and leaves other axes alone", () => {
    const got = run("Slice", [matrix], { starts: [1], ends: [3], axes: [-1] });
    expect(got).toEqual(float64([2, 2], [2, 3, 5, 6]));
    expect(run("Slice", [matrix, list(1), list(2)])).toEqual(float64([1, 3], [4, 5, 6]));
    expect(() => run("Slice", [matrix, list(1)])).toThrow(/BAD_MODEL.*ends is missing/);
  });

  test("a shape that depends on the input is refused", () => {
    const operator = operatorOf({ opType: "Slice", attributes: {} });
    const unknown = { shape: [1] };
    expect(() => operator.shape([matrix, unknown, unknown], {})).toThrow(
      /UNSUPPORTED_OPERATOR.*starts is computed from the model's inputs/,
    );
  });
});

describe("gathering", () => {
  test("Gather puts the axes of its indices in place of the axis", () => {
    const indices = int64([2, 2], [0, -1, 1, 0]);
    expect(run("Gather", [matrix, indices], { axis: 1 })).toEqual(
      float64([2, 2, 2], [1, 3, 2, 1, 4, 6, 5, 4]),
    );
    expect(run("Gather", [matrix, scalar("int64", 1)])).toEqual(float64([3], [4, 5, 6]));
    expect(() => run("Gather", [matrix, list(2)])).toThrow(
      /BAD_VALUE.*index 2 is outside \[-2, 1\]/,
    );
  });

  test("GatherElements and GatherND", () => {
    const indices = int64([2, 2], [2, 0, -1, 1]);
    expect(run("GatherElements", [matrix, indices], { axis: 1 })).toEqual(
      float64([2, 2], [3, 1, 6, 5]),
    );
    expect(run("GatherElements", [matrix, int64([1, 3], [1, 0, 1])])).toEqual(
      float64([1, 3], [4, 2, 6]),
    );
    expect(run("GatherND", [matrix, int64([2, 2], [0, 1, 1, -1])])).toEqual(float64([2], [2, 6]));
    expect(run("GatherND", [matrix, int64([1, 1], [1])])).toEqual(float64([1, 3], [4, 5, 6]));
    expect(run("GatherND", [matrix, int64([2, 1], [2, 0])], { batch_dims: 1 })).toEqual(
      float64([2], [3, 4]),
    );
    expect(() => run("GatherND", [matrix, int64([1, 3], [0, 0, 0])])).toThrow(/BAD_SHAPE/);
  });
});

describe("Pad", () => {
  const x = float64([3], [1, 2, 3]);
  const pad = (mode: string, begin: number, end: number): number[] => [
    ...run("Pad", [x, list(begin, end)], { mode }).data,
  ];

  test("modes", () => {
    expect(pad("constant", 1, 2)).toEqual([0, 1, 2, 3, 0, 0]);
    expect(pad("edge", 2, 1)).toEqual([1, 1, 1, 2, 3, 3]);
    expect(pad("reflect", 2, 2)).toEqual([3, 2, 1, 2, 3, 2, 1]);
    expect(pad("wrap", 2, 1)).toEqual([2, 3, 1, 2, 3, 1]);
    expect(pad("constant", -1, 1)).toEqual([2, 3, 0]);
    expect(() => pad("mirror", 1, 1)).toThrow(/BAD_MODEL.*mode mirror; expected constant/);
  });

  test("value and axes, by inputs or attributes", () => {
    const value = scalar("float64", 9);
    const got = run("Pad", [matrix, list(1, 0), value, list(-1)]);
    expect(got).toEqual(float64([2, 4], [9, 1, 2, 3, 9, 4, 5, 6]));
    expect(run("Pad", [matrix], { pads: [0, 1, 0, 0], value: 9 })).toEqual(got);
    expect(() => run("Pad", [matrix, list(1)])).toThrow(/BAD_MODEL.*expected 4 pads/);
  });
});

test("Tile repeats, Trilu keeps a triangle", () => {
  expect(run("Tile", [float64([1, 2], [1, 2]), list(2, 2)])).toEqual(
    float64([2, 4], [1, 2, 1, 2, 1, 2, 1, 2]),
  );
  expect(() => run("Tile", [matrix, list(1)])).toThrow(/BAD_MODEL.*2 repeats/);
  expect(run("Trilu", [matrix])).toEqual(float64([2, 3], [1, 2, 3, 0, 5, 6]));
  expect(run("Trilu", [matrix, scalar("int64", -1)], { upper: 0 })).toEqual(
    float64([2, 3], [0, 0, 0, 4, 0, 0]),
  );
});

describe("Resize", () => {
  const x = float64([1, 1, 1, 4], [1, 2, 3, 4]);
  const scales = (...numbers: number[]): Tensor => float32([4], [1, 1, ...numbers]);
  const resize = (sizes: number, attributes: Attributes): number[] => [
    ...run("Resize", [x, undefined, undefined, list(1, 1, 1, sizes)], attributes).data,
  ];

  test("nearest", () => {
    expect(resize(8, {})).toEqual([1, 1, 2, 2, 3, 3, 4, 4]);
    const asymmetric = { coordinate_transformation_mode: "asymmetric" };
    expect(resize(3, { ...asymmetric, nearest_mode: "floor" })).toEqual([1, 2, 3]);
    expect(resize(3, { ...asymmetric, nearest_mode: "ceil" })).toEqual([1, 3, 4]);
    expect(resize(8, { ...asymmetric, nearest_mode: "round_prefer_floor" })).toEqual([
      1, 1, 2, 2, 3, 3, 4, 4,
    ]);
    expect(resize(8, { ...asymmetric, nearest_mode: "round_prefer_ceil" })).toEqual([
      1, 2, 2, 3, 3, 4, 4, 4,
    ]);
  });

  test("linear, by each kind of coordinate", () => {
    const linear = { mode: "linear" };
    expect(resize(8, linear)).toEqual([1, 1.25, 1.75, 2.25, 2.75, 3.25, 3.75, 4]);
    const aligned = { ...linear, coordinate_transformation_mode: "align_corners" };
    expect(resize(7, aligned)).toEqual([1, 1.5, 2, 2.5, 3, 3.5, 4]);
    expect(resize(1, aligned)).toEqual([1]);
    const pytorch = { ...linear, coordinate_transformation_mode: "pytorch_half_pixel" };
    expect(resize(1, pytorch)).toEqual([1]);
    expect(resize(2, pytorch)).toEqual([1.5, 3.5]);
  });

  test("antialiasing averages over what a smaller result skips", () => {
    const [left, right] = resize(2, { mode: "linear", antialias: 1, exclude_outside: 1 });
    expect(left).toBeCloseTo((3 * 1 + 3 * 2 + 1 * 3) / 7, 13);
    expect(right).toBeCloseTo((1 * 2 + 3 * 3 + 3 * 4) / 7, 13);
  });

  test("cubic weights pass through the elements and sum to 1", () => {
    const cubic = { mode: "cubic", coordinate_transformation_mode: "asymmetric" };
    const got = resize(8, cubic);
    for (const i of [0, 1, 2, 3]) expect(got[2 * i]).toBeCloseTo(i + 1, 13);
    expect(got[3]).toBeCloseTo(2.5, 13);
    const excluded = resize(8, { ...cubic, exclude_outside: 1 });
    expect(excluded[0]).toBe(1);
    expect(excluded[7]).not.toBeCloseTo(got[7], 3);
  });

  test("a region outside the input gives the extrapolation value", () => {
    const roi = float32([8], [0, 0, 0, 0.5, 1, 1, 1, 1.5]);
    const attributes = {
      mode: "linear",
      coordinate_transformation_mode: "tf_crop_and_resize",
      extrapolation_value: 9,
    };
    const got = run("Resize", [x, roi, undefined, list(1, 1, 1, 3)], attributes);
    expect([...got.data]).toEqual([2.5, 4, 9]);
  });

  test("scales, axes and the policy of the aspect ratio", () => {
    expect(run("Resize", [x, undefined, scales(1, 0.6)]).shape).toEqual([1, 1, 1, 2]);
    const sizes = [x, undefined, undefined, list(2, 8)];
    expect(run("Resize", sizes, { axes: [2, 3] }).shape).toEqual([1, 1, 2, 8]);
    const larger = { axes: [2, 3], keep_aspect_ratio_policy: "not_larger" };
    expect(run("Resize", [x, undefined, undefined, list(3, 8)], larger).shape).toEqual([
      1, 1, 2, 8,
    ]);
    const smaller = { axes: [2, 3], keep_aspect_ratio_policy: "not_smaller" };
    expect(run("Resize", [x, undefined, undefined, list(3, 8)], smaller).shape).toEqual([
      1, 1, 3, 12,
    ]);
    expect(() => run("Resize", [x])).toThrow(/BAD_MODEL.*one of scales and sizes is missing/);
  });

  test("every linear mode keeps a constant", () => {
    const modes = fc.constantFrom(
      "half_pixel",
      "align_corners",
      "asymmetric",
      "half_pixel_symmetric",
    );
    const kinds = fc.constantFrom("nearest", "linear", "cubic");
    const size = fc.integer({ min: 1, max: 9 });
    fc.assert(
      fc.property(kinds, modes, size, fc.nat(1), (mode, coordinates, length, antialias) => {
        const fives = float64([1, 1, 1, 4], [5, 5, 5, 5]);
        const attributes = { mode, coordinate_transformation_mode: coordinates, antialias };
        const sizes = list(1, 1, 1, length);
        const got = run("Resize", [fives, undefined, undefined, sizes], attributes);
        expect(got.data.length).toBe(length);
        for (const value of got.data) expect(value).toBeCloseTo(5, 12);
      }),
    );
  });

  test("Upsample divides coordinates by the factors", () => {
    expect(run("Upsample", [x, scales(1, 2)]).data).toEqual(
      Float64Array.of(1, 1, 2, 2, 3, 3, 4, 4),
    );
    const linear = run("Upsample", [x], { scales: [1, 1, 1, 2], mode: "linear" });
    expect(linear.data).toEqual(Float64Array.of(1, 1.5, 2, 2.5, 3, 3.5, 4, 4));
    expect(() => run("Upsample", [x], { scales: [1, 1, 1, 0.5] })).toThrow(/at least 1/);
  });
});

describe("generators", () => {
  test("ConstantOfShape, Size and Range", () => {
    expect(run("ConstantOfShape", [list(2)])).toEqual(float32([2], [0, 0]));
    expect(run("ConstantOfShape", [list()], { value: int64([1], [7]) })).toEqual(int64([], [7]));
    expect(run("Size", [matrix])).toEqual(scalar("int64", 6));
    const range = [1, 8, 3].map((value) => scalar("int64", value));
    expect(run("Range", range)).toEqual(int64([3], [1, 4, 7]));
    const down = [1, 0, -0.5].map((value) => scalar("float32", value));
    expect(run("Range", down)).toEqual(float32([2], [1, 0.5]));
    const still = [1, 0, 0].map((value) => scalar("float32", value));
    expect(() => run("Range", still)).toThrow(/BAD_VALUE.*no range/);
  });

  test("OneHot and EyeLike", () => {
    const values = float32([2], [-1, 5]);
    expect(run("OneHot", [list(1, -1, 3), scalar("int64", 3), values])).toEqual(
      float32([3, 3], [-1, 5, -1, -1, -1, 5, -1, -1, -1]),
    );
    expect(run("OneHot", [list(1, 0), scalar("int64", 2), values], { axis: 0 })).toEqual(
      float32([2, 2], [-1, 5, 5, -1]),
    );
    expect(run("EyeLike", [matrix], { k: 1 })).toEqual(float64([2, 3], [0, 1, 0, 0, 0, 1]));
    expect(run("EyeLike", [matrix], { dtype: 9 })).toEqual(bool([2, 3], [1, 0, 0, 0, 1, 0]));
  });
});
