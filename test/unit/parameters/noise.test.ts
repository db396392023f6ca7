/**
 * The noise formulas against published failure probabilities, and facts that the search relies on.
 * @module
 */
import { describe, expect, test } from "vitest";
import { log2FailureOf } from "../../../src/parameters/failure.ts";
import {
  cmuxVariance,
  decisionVariance,
  freshVariance,
  keyswitchVariance,
  linearVariance,
  lookupVariance,
  modulusSwitchVariance,
} from "../../../src/parameters/noise.ts";
import type { CryptoParameters } from "../../../src/parameters/parameters.ts";

/** The curve of the published sets, 132 bits with gaussian noise. */
function gaussian132(dimension: number): number {
  return Math.sqrt(2 ** -124 + 2 ** (5.31469187675068 - 0.0497829131652661 * dimension));
}

/** TUniform noise of the 132-bit curve. */
function uniform132(dimension: number): number {
  const bound = Math.ceil(-0.025167785 * dimension + 64 + 4.10067100000001);
  return Math.sqrt(2 ** (4.44 - 128) + (2 ** (2 * bound) + 0.5) / 3 / 2 ** 128);
}

/** n, k, N, bootstrap base log and level, keyswitch base log and level. */
type Shape = readonly [number, number, number, number, number, number, number];

function set(shape: Shape, std: (dimension: number) => number): CryptoParameters {
  const [lweDimension, glweDimension, polynomialSize, baseLog, level, ksBaseLog, ksLevel] = shape;
  return {
    lweDimension,
    glweDimension,
    polynomialSize,
    bootstrap: { baseLog, level },
    keyswitch: { baseLog: ksBaseLog, level: ksLevel },
    lweNoiseStd: std(lweDimension),
    glweNoiseStd: std(glweDimension * polynomialSize),
  };
}

const SMALL = set([822, 2, 1024, 23, 1, 3, 5], gaussian132);

describe("published parameter sets of tfhe-rs with the centered-mean switch", () => {
  test.each([
    ["message 2 carry 2, gaussian", [866, 1, 2048, 23, 1, 3, 5], [5, 4], gaussian132, -128.597],
    ["message 1 carry 1, gaussian", [837, 4, 512, 23, 1, 5, 3], [3, 2], gaussian132, -128.186],
    ["message 1 carry 0, gaussian", [747, 6, 256, 17, 1, 4, 3], [1, 1], gaussian132, -128.603],
    ["message 4 carry 4, gaussian", [1098, 1, 65536, 11, 3, 3, 7], [17, 8], gaussian132, -128.731],
    ["message 8 carry 0, gaussian", [1098, 1, 65536, 15, 2, 3, 7], [1, 8], gaussian132, -129.169],
    ["message 3 carry 3, gaussian", [1006, 1, 8192, 15, 2, 3, 7], [9, 6], gaussian132, -128.115],
    ["message 2 carry 2, TUniform", [918, 1, 2048, 23, 1, 4, 4], [5, 4], uniform132, -129.581],
  ] as const)("%s: log2 of the failure probability", (_, shape, [norm, bits], std, log2Failure) => {
    const norms = { inputNorm: 0, lookupNorm: norm * norm };
    const variance = decisionVariance(set(shape, std), norms, 1);
    expect(log2FailureOf(2 ** -(bits + 2), variance)).toBeCloseTo(log2Failure, 3);
  });

  test("an extended lookup: k 4, N 512, extension 16, n 884", () => {
    const parameters = set([884, 4, 512, 23, 1, 5, 3], gaussian132);
    const variance = decisionVariance(parameters, { inputNorm: 0, lookupNorm: 25 }, 16);
    // Published as -128.147, with the classic switch in place of the centered one.
    const classic = modulusSwitchVariance(parameters, 16) + 1 / (12 * (2 * 512 * 16) ** 2);
    const total = variance + classic;
    expect(Math.abs(log2FailureOf(2 ** -6, total) - -128.147)).toBeLessThan(0.1);
  });
});

describe("noise formulas", () => {
  test("the variance at a decision is the sum of its parts", () => {
    const norms = { inputNorm: 3, lookupNorm: 7 };
    const parts =
      3 * freshVariance(SMALL.glweNoiseStd) +
      7 * lookupVariance(SMALL) +
      keyswitchVariance(SMALL) +
      modulusSwitchVariance(SMALL, 4);
    expect(decisionVariance(SMALL, norms, 4)).toBeCloseTo(parts, 20);
  });

  test("a fresh encryption has the variance of its noise", () => {
    expect(freshVariance(2 ** -20)).toBe(2 ** -40);
  });

  test("doubling the extension divides the noise of the modulus switch by four", () => {
    const ratio = modulusSwitchVariance(SMALL, 2) / modulusSwitchVariance(SMALL, 1);
    expect(ratio).toBeCloseTo(1 / 4, 9);
  });

  test("the centered switch has half the variance of a rounding error times half of a binary key", () => {
    expect(modulusSwitchVariance(SMALL, 1)).toBeCloseTo(822 / 48 / 2048 ** 2, 15);
  });

  test("the components of one CMUX at n 866, k 1, N 2048 add up to a std of 2^-15.0", () => {
    const key = freshVariance(gaussian132(2048));
    const shape = { glweDimension: 1, polynomialSize: 2048 };
    const variance = 866 * cmuxVariance(shape, { baseLog: 23, level: 1 }, key);
    expect(variance).toBeGreaterThan(9.3e-10);
    expect(variance).toBeLessThan(9.4e-10);
    expect(Math.log2(variance) / 2).toBeCloseTo(-15.0, 1);
  });

  test("without a small key there is no lookup, keyswitch or switch noise", () => {
    const none = { ...SMALL, lweDimension: 0 };
    const norms = { inputNorm: 1, lookupNorm: 0 };
    expect(decisionVariance(none, norms, 1)).toBe(linearVariance(none, norms));
    expect(linearVariance(none, norms)).toBe(freshVariance(SMALL.glweNoiseStd));
  });
});
