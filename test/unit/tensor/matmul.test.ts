/**
 * The tiles of the matrix product: sizes that do not fill a tile, and sums in the order of the terms, to the last bit.
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { matmul } from "../../../src/tensor/matmul.ts";
import { type Tensor, float32, float64 } from "../../../src/tensor/tensor.ts";

const size = fc.integer({ min: 1, max: 11 });
const number = fc.double({ min: -1e3, max: 1e3, noNaN: true });
const operands = fc
  .record({ rows: size, terms: size, columns: size })
  .chain(({ rows, terms, columns }) => {
    const list = (length: number): fc.Arbitrary<number[]> =>
      fc.array(number, { minLength: length, maxLength: length });
    return fc.record({
      a: list(rows * terms).map((data) => ({ shape: [rows, terms], data })),
      b: list(terms * columns).map((data) => ({ shape: [terms, columns], data })),
    });
  });

/** Sums term by term, each rounded. */
function inOrder(a: Tensor, b: Tensor, round: (x: number) => number): number[] {
  const [rows, terms] = a.shape;
  const [, columns] = b.shape;
  return Array.from({ length: rows * columns }, (_, i) => {
    const [row, column] = [Math.floor(i / columns), i % columns];
    let sum = 0;
    for (let t = 0; t < terms; t++) {
      sum = round(sum + a.data[row * terms + t] * b.data[t * columns + column]);
    }
    return sum;
  });
}

describe("a product of any size adds the terms in their order", () => {
  test("in float64", () => {
    fc.assert(
      fc.property(operands, ({ a, b }) => {
        const [x, y] = [float64(a.shape, a.data), float64(b.shape, b.data)];
        expect([...matmul(x, y).data]).toEqual(inOrder(x, y, (sum) => sum));
      }),
    );
  });

  test("in float32, rounding each sum", () => {
    fc.assert(
      fc.property(operands, ({ a, b }) => {
        const [x, y] = [float32(a.shape, a.data), float32(b.shape, b.data)];
        expect([...matmul(x, y).data]).toEqual(inOrder(x, y, Math.fround));
      }),
    );
  });

  test("an infinite row leaves the other one alone", () => {
    const x = float64([3, 1], [1, Infinity, 2]);
    const got = matmul(x, float64([1, 1], [3]));
    expect([...got.data]).toEqual([3, Infinity, 6]);
  });
});
