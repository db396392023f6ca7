/**
 * Gaussian tails in the log domain, their inverse, and combining failure probabilities.
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  combineFailures,
  kappa,
  log2Erfc,
  log2FailureOf,
  log2TwoSidedTail,
  splitFailure,
} from "../../../src/parameters/failure.ts";

describe("log2 of erfc", () => {
  // Values of the C library, where erfc is still a normal double.
  test.each([
    [0, 0],
    [0.1, -0.17212069396432855],
    [2, -7.739974157122987],
    [3, -15.466214597195474],
    [5, -39.2425884551153],
    [10, -148.42430570335063],
    [20, -582.2274902829276],
  ])("at %f is %f", (x, expected) => {
    expect(Math.abs(log2Erfc(x) - expected)).toBeLessThanOrEqual(1e-12 * Math.abs(expected));
  });

  test("follows the asymptotic series to x = 40 and beyond without underflow", () => {
    for (const x of [12, 25, 40, 100]) {
      const square = x * x;
      const series = 1 - 1 / (2 * square) + 3 / (4 * square ** 2) - 15 / (8 * square ** 3);
      const expected = -square / Math.LN2 + Math.log2(series / (x * Math.sqrt(Math.PI)));
      expect(Math.abs(log2Erfc(x) / expected - 1)).toBeLessThan(1e-9);
    }
  });

  test("has no step where the method changes", () => {
    const slope = (log2Erfc(2 + 1e-6) - log2Erfc(2 - 1e-6)) / 2e-6;
    const below = (log2Erfc(2 - 1e-6) - log2Erfc(2 - 3e-6)) / 2e-6;
    expect(slope).toBeCloseTo(below, 3);
  });

  test("of a negative number is that of 2 - erfc", () => {
    expect(log2Erfc(-1)).toBeCloseTo(Math.log2(1.8427007929497148), 12);
    expect(log2Erfc(-30)).toBe(1);
    expect(log2Erfc(Infinity)).toBe(-Infinity);
    expect(log2Erfc(Number.NaN)).toBeNaN();
  });
});

describe("kappa", () => {
  test.each([
    [-10, 3.3],
    [Math.log2(6.3e-5), 4.0],
    [Math.log2(1e-5), 4.42],
    [-20, 4.9],
    [-40, 7.14],
    [-64, 9.16],
    [-128, 13.11],
  ])("of 2^%f is %f", (log2P, expected) => {
    expect(kappa(log2P)).toBeCloseTo(expected, 2);
  });

  test("inverts the two-sided tail from 2^-1 to 2^-1100", () => {
    fc.assert(
      fc.property(fc.double({ min: -1100, max: -1, noNaN: true }), (log2P) => {
        return Math.abs(log2TwoSidedTail(kappa(log2P)) / log2P - 1) < 1e-9;
      }),
    );
  });

  test("at the ends of its range", () => {
    expect(kappa(0)).toBe(0);
    expect(kappa(-Infinity)).toBe(Infinity);
    expect(kappa(Number.NaN)).toBeNaN();
  });
});

describe("a decision", () => {
  test("without noise never fails, without margin always does", () => {
    expect(log2FailureOf(0.1, 0)).toBe(-Infinity);
    expect(log2FailureOf(0, 0.1)).toBe(0);
    expect(log2FailureOf(-0.1, 0.1)).toBe(0);
  });

  test("fails less often with a larger margin", () => {
    expect(log2FailureOf(0.2, 1e-3)).toBeLessThan(log2FailureOf(0.1, 1e-3));
  });
});

describe("many decisions", () => {
  test("combine to 1 - prod (1 - p)^count", () => {
    const classes = [
      { log2Failure: Math.log2(0.01), count: 3 },
      { log2Failure: Math.log2(0.2), count: 2 },
    ];
    expect(2 ** combineFailures(classes)).toBeCloseTo(1 - 0.99 ** 3 * 0.8 ** 2, 12);
  });

  test("of tiny probabilities add up", () => {
    expect(combineFailures([{ log2Failure: -1000, count: 1024 }])).toBeCloseTo(-990, 9);
    expect(combineFailures([{ log2Failure: -5000, count: 8 }])).toBeCloseTo(-4997, 9);
    expect(combineFailures([])).toBe(-Infinity);
    expect(combineFailures([{ log2Failure: -Infinity, count: 3 }])).toBe(-Infinity);
    expect(combineFailures([{ log2Failure: 0, count: 1 }])).toBe(0);
  });

  test("split and combine are inverse", () => {
    fc.assert(
      fc.property(
        fc.double({ min: -200, max: -0.01, noNaN: true }),
        fc.integer({ min: 1, max: 1e9 }),
        (log2Global, count) => {
          const log2Failure = splitFailure(log2Global, count);
          const back = combineFailures([{ log2Failure, count }]);
          return Math.abs(back - log2Global) < 1e-9 * Math.max(1, Math.abs(log2Global));
        },
      ),
    );
  });
});
