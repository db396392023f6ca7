/**
 * Tensors and their kernels, held against naive versions that follow the definitions.
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SottoError } from "../../../src/errors.ts";
import { conv } from "../../../src/tensor/conv.ts";
import { add, combine, mapElements } from "../../../src/tensor/elementwise.ts";
import { matmul } from "../../../src/tensor/matmul.ts";
import { asTensor, fromNested, toNested } from "../../../src/tensor/nested.ts";
import { expand, transpose } from "../../../src/tensor/strided.ts";
import {
  bool,
  broadcastShapes,
  cast,
  float32,
  float64,
  int64,
  promote,
  reshape,
  scalar,
  sizeOf,
  strides,
  tensor,
  type Tensor,
} from "../../../src/tensor/tensor.ts";

/** Every index of a shape, in C order. */
function indices(shape: readonly number[]): number[][] {
  return shape.reduce<number[][]>(
    (all, dim) => all.flatMap((index) => Array.from({ length: dim }, (_, i) => [...index, i])),
    [[]],
  );
}

/** Element of a tensor at an index of a shape it broadcasts to. */
function at(input: Tensor, index: readonly number[]): number {
  const own = index.slice(index.length - input.shape.length);
  const steps = strides(input.shape);
  return input.data[
    own.reduce((sum, i, axis) => sum + (input.shape[axis] === 1 ? 0 : i * steps[axis]), 0)
  ];
}

function ramp(shape: readonly number[], seed = 1): Tensor<"float64"> {
  return float64(
    shape,
    Float64Array.from({ length: sizeOf(shape) }, (_, i) => ((i * 7 + seed * 3) % 11) - 5),
  );
}

/** Two shapes that broadcast: one common shape with axes dropped or set to 1 on either side. */
const broadcastable = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 3 }), fc.constantFrom("both", "left", "right")), {
    maxLength: 4,
  })
  .chain((axes) =>
    fc.record({
      left: fc.constant(axes.map(([dim, side]) => (side === "right" ? 1 : dim))),
      right: fc.constant(axes.map(([dim, side]) => (side === "left" ? 1 : dim))),
      dropped: fc.integer({ min: 0, max: axes.length }),
    }),
  )
  .map(({ left, right, dropped }) => {
    // leading axes of 1 may as well be missing
    const isDroppable = right.slice(0, dropped).every((dim) => dim === 1);
    return { left, right: isDroppable ? right.slice(dropped) : right };
  });

describe("construction", () => {
  test("data of the wrong length are refused with the expected size", () => {
    expect(() => float32([2, 3], [1, 2])).toThrow(/BAD_SHAPE.*needs 6 elements, got 2/);
    expect(() => float32([-1], [])).toThrow(/BAD_SHAPE/);
  });

  test("float32 data are rounded to float32", () => {
    expect(float32([1], [0.1]).data[0]).toBe(Math.fround(0.1));
  });

  test("int64 refuses fractions and numbers that a double cannot hold exactly", () => {
    expect(() => int64([1], [0.5])).toThrow(/BAD_VALUE/);
    expect(() => int64([1], [2 ** 54])).toThrow(/BAD_VALUE/);
    expect(int64([1], [-(2 ** 53)]).data[0]).toBe(-(2 ** 53));
  });

  test("typed arrays and nested lists are accepted as tensors", () => {
    expect(asTensor([[1, 2]])).toEqual(float64([1, 2], [1, 2]));
    expect(asTensor({ shape: [2], data: Float32Array.of(1, 2) })).toEqual(float32([2], [1, 2]));
    expect(asTensor({ shape: [2], data: Int32Array.of(1, -2) })).toEqual(int64([2], [1, -2]));
    expect(asTensor({ shape: [1], data: BigInt64Array.of(7n) })).toEqual(int64([1], [7]));
    expect(asTensor(3)).toEqual(scalar("float64", 3));
    const held = bool([2], [3, 0]);
    expect(asTensor(held)).toEqual(held);
  });

  test("what is not a tensor is refused", () => {
    const claims: unknown[] = [
      [[1, 2], [3]],
      [[1], 2],
      [1, [2]],
      ["a"],
      null,
      "text",
      {},
      { shape: [1], data: Uint8Array.of(1) },
      { shape: [1], data: [1] },
      { dtype: "float32", shape: [1], data: Float64Array.of(1) },
      { dtype: "complex", shape: [1], data: Float64Array.of(1) },
      { dtype: "int64", shape: [1], data: Float64Array.of(0.5) },
      { shape: [2], data: Float32Array.of(1) },
      { shape: [1], data: BigInt64Array.of(2n ** 60n) },
    ];
    for (const claim of claims) {
      expect(() => asTensor(claim as Tensor), JSON.stringify(claim, String)).toThrow(SottoError);
    }
  });

  test("nested lists come back as they went in", () => {
    const nested = [[[1, 2, 3]], [[4, 5, 6]]];
    expect(toNested(fromNested("float64", nested))).toEqual(nested);
    expect(toNested(scalar("float32", 2))).toBe(2);
    expect(toNested(float64([0, 2], []))).toEqual([]);
  });

  test("types promote as numpy promotes arrays", () => {
    expect(promote("float32", "float32")).toBe("float32");
    expect(promote("float32", "float64")).toBe("float64");
    expect(promote("float32", "int64")).toBe("float64");
    expect(promote("bool", "float32")).toBe("float32");
    expect(cast(float64([3], [-1.5, 0, 2.5]), "int64").data).toEqual(Float64Array.of(-1, 0, 2));
    expect(cast(float64([2], [-1.5, 0]), "bool").data).toEqual(Float64Array.of(1, 0));
  });
});

describe("broadcasting", () => {
  test("element-wise operators agree with the definition on every pair of shapes", () => {
    fc.assert(
      fc.property(broadcastable, fc.boolean(), ({ left, right }, isSwapped) => {
        const [a, b] = isSwapped ? [ramp(right), ramp(left, 2)] : [ramp(left), ramp(right, 2)];
        const shape = broadcastShapes(a.shape, b.shape);
        const expected = indices(shape).map((index) => at(a, index) - at(b, index));
        const got = combine(a, b, (x, y) => x - y);
        expect(got.shape).toEqual(shape);
        expect([...got.data]).toEqual(expected);
        expect([...add(a, b).data]).toEqual(indices(shape).map((i) => at(a, i) + at(b, i)));
      }),
    );
  });

  test("shapes that do not broadcast are refused", () => {
    expect(() => broadcastShapes([2, 3], [2])).toThrow(/BAD_SHAPE.*\[2, 3\] and \[2\]/);
    expect(() => expand(ramp([2]), [3])).toThrow(/BAD_SHAPE/);
    expect(() => expand(ramp([2, 2]), [2])).toThrow(/BAD_SHAPE/);
  });

  test("a float32 sum is rounded to float32, a mixed one is not", () => {
    const a = float32([1], [16777216]);
    expect(add(a, float32([1], [1])).data[0]).toBe(16777216);
    expect(add(a, float64([1], [1])).data[0]).toBe(16777217);
    expect(mapElements(a, (x) => x + 1).data[0]).toBe(16777216);
  });
});

describe("transpose", () => {
  test("any permutation moves every element to its permuted index", () => {
    const shape = [2, 3, 1, 4];
    const input = ramp(shape);
    const permutations = fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 });
    fc.assert(
      fc.property(permutations, (permutation) => {
        const got = transpose(input, permutation);
        for (const index of indices(shape)) {
          const moved = permutation.map((axis) => index[axis]);
          expect(at(got, moved)).toBe(at(input, index));
        }
      }),
    );
  });

  test("a list that is not a permutation is refused", () => {
    expect(() => transpose(ramp([2, 2]), [0, 0])).toThrow(/BAD_SHAPE/);
    expect(transpose(ramp([0, 2])).shape).toEqual([2, 0]);
  });
});

describe("matmul", () => {
  const dims = fc.integer({ min: 1, max: 4 });

  test("stacks of matrices agree with the definition", () => {
    fc.assert(
      fc.property(broadcastable, dims, dims, dims, ({ left, right }, m, k, n) => {
        const a = ramp([...left, m, k]);
        const b = ramp([...right, k, n], 2);
        const batch = broadcastShapes(left, right);
        const got = matmul(a, b);
        expect(got.shape).toEqual([...batch, m, n]);
        for (const index of indices(got.shape)) {
          const [i, j] = index.slice(-2);
          const lead = index.slice(0, -2);
          let sum = 0;
          for (let t = 0; t < k; t++) sum += at(a, [...lead, i, t]) * at(b, [...lead, t, j]);
          expect(at(got, index)).toBe(sum);
        }
      }),
    );
  });

  test("vectors act as a row on the left and a column on the right", () => {
    expect(matmul(ramp([3]), ramp([3]))).toMatchObject({ shape: [] });
    expect(matmul(ramp([2, 3]), ramp([3])).shape).toEqual([2]);
    expect(matmul(ramp([3]), ramp([3, 2])).shape).toEqual([2]);
    expect(matmul(ramp([3]), ramp([5, 3, 2])).shape).toEqual([5, 2]);
    expect(matmul(ramp([4, 2, 3]), ramp([3])).shape).toEqual([4, 2]);
    expect(() => matmul(ramp([2, 3]), ramp([2, 3]))).toThrow(/BAD_SHAPE/);
    expect(() => matmul(scalar("float64", 1), ramp([1]))).toThrow(/BAD_SHAPE/);
  });

  test("a float32 product rounds after every term, in order", () => {
    const x = Array.from({ length: 40 }, (_, i) => Math.fround(Math.sin(i + 1)));
    const w = Array.from({ length: 40 }, (_, i) => Math.fround(Math.cos(3 * i)));
    let sum = 0;
    for (let i = 0; i < 40; i++) sum = Math.fround(sum + x[i] * w[i]);
    const got = matmul(float32([1, 40], x), float32([40, 1], w));
    expect(got.dtype).toBe("float32");
    expect(got.data[0]).toBe(sum);
    expect(matmul(float32([1, 40], x), float64([40, 1], w)).dtype).toBe("float64");
  });

  test("an integer product is exact up to 2^53", () => {
    const a = int64([1, 2], [2 ** 26, 1]);
    const b = int64([2, 1], [2 ** 26, 1]);
    expect(matmul(a, b)).toEqual(int64([1, 1], [2 ** 52 + 1]));
  });
});

describe("conv", () => {
  /** Convolution by its definition, over two spatial axes. */
  function naive(
    x: Tensor,
    w: Tensor,
    index: readonly number[],
    options: { strides: number[]; pads: number[]; dilations: number[]; group: number },
  ): number {
    const [batch, filter, row, column] = index;
    const [, perGroup, height, width] = w.shape;
    const first = Math.floor(filter / (w.shape[0] / options.group)) * perGroup;
    let sum = 0;
    for (const [c, i, j] of indices([perGroup, height, width])) {
      const y = row * options.strides[0] + i * options.dilations[0] - options.pads[0];
      const z = column * options.strides[1] + j * options.dilations[1] - options.pads[1];
      const isInside = y >= 0 && y < x.shape[2] && z >= 0 && z < x.shape[3];
      if (isInside) sum += at(x, [batch, first + c, y, z]) * at(w, [filter, c, i, j]);
    }
    return sum;
  }

  test("any geometry agrees with the definition", () => {
    const small = fc.integer({ min: 1, max: 2 });
    const pair = fc.tuple(small, small);
    const geometry = fc.record({
      strides: pair,
      dilations: pair,
      kernel: fc.tuple(fc.integer({ min: 1, max: 3 }), small),
      pads: fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 4, maxLength: 4 }),
      group: small,
    });
    fc.assert(
      fc.property(geometry, ({ kernel, group, pads, ...lists }) => {
        const options = { ...lists, strides: [...lists.strides], pads, group };
        const dilations = [...lists.dilations];
        const x = ramp([2, 2 * group, 6, 5]);
        const w = ramp([3 * group, 2, ...kernel], 2);
        const bias = ramp([3 * group], 4);
        const got = conv(x, w, { ...options, dilations, bias });
        for (const index of indices(got.shape)) {
          const expected = naive(x, w, index, { ...options, dilations });
          expect(at(got, index)).toBe(expected + bias.data[index[1]]);
        }
      }),
    );
  });

  test("one and three spatial axes work as well", () => {
    const line = { strides: [2], pads: [1, 0], dilations: [1], group: 1 };
    const x = float64([1, 1, 4], [1, 2, 3, 4]);
    expect(conv(x, float64([1, 1, 2], [10, 1]), line)).toEqual(float64([1, 1, 2], [1, 23]));
    const cube = { strides: [1, 1, 1], pads: [0, 0, 0, 0, 0, 0], dilations: [1, 1, 1], group: 1 };
    const ones = float64(
      [1, 1, 2, 2, 2],
      Array.from({ length: 8 }, () => 1),
    );
    expect(conv(ones, ones, cube)).toEqual(float64([1, 1, 1, 1, 1], [8]));
  });

  test("a float32 convolution rounds after every term and after the bias", () => {
    const x = Array.from({ length: 9 }, (_, i) => Math.fround(Math.sin(i + 1)));
    const w = Array.from({ length: 9 }, (_, i) => Math.fround(Math.cos(3 * i)));
    let sum = 0;
    for (let i = 0; i < 9; i++) sum = Math.fround(sum + x[i] * w[i]);
    const options = { strides: [1, 1], pads: [0, 0, 0, 0], dilations: [1, 1], group: 1 };
    const bias = float32([1], [0.3]);
    const got = conv(float32([1, 1, 3, 3], x), float32([1, 1, 3, 3], w), { ...options, bias });
    expect(got.data[0]).toBe(Math.fround(sum + Math.fround(0.3)));
  });

  test("a window larger than the padded input is refused", () => {
    const options = { strides: [1], pads: [0, 0], dilations: [2], group: 1 };
    expect(() => conv(ramp([1, 1, 4]), ramp([1, 1, 3]), options)).toThrow(/BAD_SHAPE/);
    const groups = { ...options, dilations: [1], group: 2 };
    expect(() => conv(ramp([1, 3, 4]), ramp([2, 1, 3]), groups)).toThrow(/channels do not match/);
  });
});

test("reshape shares the elements and refuses another size", () => {
  const input = tensor("float32", [2, 3], new Float32Array(6));
  expect(reshape(input, [3, 2]).data).toBe(input.data);
  expect(() => reshape(input, [4])).toThrow(/BAD_SHAPE/);
});
