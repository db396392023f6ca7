/**
 * Rounding to integers, ties to even.
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { roundHalfEven } from "../../../src/tensor/codes.ts";

test.each([
  [0.5, 0],
  [1.5, 2],
  [2.5, 2],
  [-0.5, 0],
  [-1.5, -2],
  [0.49999999999999994, 0],
  [2 ** 51 - 0.5, 2 ** 51],
  [2 ** 51 + 0.5, 2 ** 51],
  [2 ** 53 + 2, 2 ** 53 + 2],
  [-(2 ** 51) - 0.5, -(2 ** 51)],
  [Infinity, Infinity],
])("%d is %d", (x, rounded) => {
  expect(roundHalfEven(x) + 0).toBe(rounded);
});

test("any other number goes to the nearer integer", () => {
  fc.assert(
    fc.property(fc.double({ min: -(2 ** 52), max: 2 ** 52, noNaN: true }), (x) => {
      const fraction = x - Math.floor(x);
      fc.pre(fraction !== 0.5);
      expect(roundHalfEven(x) + 0).toBe(Math.floor(x) + (fraction < 0.5 ? 0 : 1) + 0);
    }),
  );
});
