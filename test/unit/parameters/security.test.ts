/**
 * The security gate: spot values of the curves, and what it refuses.
 * @module
 */
import { FOUR_BITS } from "../../support/parameters.ts";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  minimalNoiseStd,
  parameterSecurityBits,
  securityBits,
  verifySecurity,
} from "../../../src/parameters/security.ts";

describe("the 128-bit curve", () => {
  test.each([
    [600, -12.74],
    [700, -15.31],
    [800, -17.88],
    [900, -20.45],
    [1024, -23.64],
    [2048, -49.95],
    [3000, -62],
    [16384, -62],
  ])("dimension %i needs a std of 2^%f", (dimension, log2Std) => {
    expect(Math.log2(minimalNoiseStd(dimension))).toBeCloseTo(log2Std, 2);
  });

  test("it never goes under 4 / 2^64", () => {
    fc.assert(
      fc.property(fc.integer({ min: 451, max: 40000 }), (dimension) => {
        return minimalNoiseStd(dimension) * 2 ** 64 >= 4;
      }),
    );
  });
});

describe("security in bits", () => {
  test("is 128 on the curve and at most 132", () => {
    fc.assert(
      fc.property(fc.integer({ min: 451, max: 40000 }), (dimension) => {
        const bits = securityBits(dimension, minimalNoiseStd(dimension));
        return bits >= 128 && bits <= 132;
      }),
    );
    expect(securityBits(800, minimalNoiseStd(800))).toBeCloseTo(128, 6);
  });

  test.each([
    [600, -12.28],
    [800, -17.26],
    [1024, -22.83],
  ])("is 132 on the 132-bit curve: dimension %i, std 2^%f", (dimension, log2Std) => {
    expect(securityBits(dimension, 2 ** log2Std)).toBeCloseTo(132, 1);
  });

  test("grows with the noise", () => {
    const std = minimalNoiseStd(800);
    expect(securityBits(800, std * 1.2)).toBeGreaterThan(securityBits(800, std));
    expect(securityBits(800, std / 1.2)).toBeLessThan(128);
  });

  test("is 0 where the curves do not apply", () => {
    expect(securityBits(450, 0.1)).toBe(0);
    expect(securityBits(4096, 3 / 2 ** 64)).toBe(0);
    expect(securityBits(800, Number.NaN)).toBe(0);
  });

  test("of a parameter set is that of its weaker key", () => {
    const stronger = { ...FOUR_BITS, lweNoiseStd: FOUR_BITS.lweNoiseStd * 1.3 };
    expect(parameterSecurityBits(stronger)).toBeCloseTo(128, 6);
  });
});

describe("the gate", () => {
  test("accepts parameters on the curve", () => {
    expect(() => verifySecurity(FOUR_BITS)).not.toThrow();
  });

  test("accepts a single key when there are no lookups", () => {
    expect(() => verifySecurity({ ...FOUR_BITS, lweDimension: 0, lweNoiseStd: 0 })).not.toThrow();
  });

  test.each([
    ["noise of the small key", { lweNoiseStd: FOUR_BITS.lweNoiseStd * 0.999 }, "small key of 822"],
    ["noise of the big key", { glweNoiseStd: FOUR_BITS.glweNoiseStd * 0.999 }, "big key of 2048"],
    ["a smaller small key", { lweDimension: 821 }, "small key of 821"],
    ["a small key of 450 bits", { lweDimension: 450, lweNoiseStd: 0.5 }, "more than 450"],
    ["a big key of 256 bits", { glweDimension: 1, polynomialSize: 256 }, "more than 450"],
    [
      "noise under 4 / 2^64",
      { polynomialSize: 16384, glweNoiseStd: 3.99 * 2 ** -64 },
      "at least 4 / 2^64",
    ],
    ["NaN", { lweNoiseStd: Number.NaN }, "small key"],
    ["no noise", { lweNoiseStd: 0 }, "small key"],
    ["infinite noise", { lweNoiseStd: Infinity }, "small key"],
    ["a dimension that is not a number", { glweDimension: Number.NaN }, "big key"],
  ])("refuses %s", (_, change, message) => {
    expect(() => verifySecurity({ ...FOUR_BITS, ...change })).toThrow(message);
  });
});
