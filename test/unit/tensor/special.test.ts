/**
 * Functions that JavaScript lacks, against values computed with 40 digits (by mpmath).
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { erf, power, softplus } from "../../../src/tensor/special.ts";

const values: readonly (readonly [number, number])[] = [
  [0, 0],
  [1e-10, 1.1283791670955126e-10],
  [1e-5, 1.1283791670579e-5],
  [0.1, 0.1124629160182849],
  [0.3, 0.3286267594591274],
  [0.5, 0.5204998778130465],
  [0.7, 0.6778011938374184],
  [0.84, 0.7651427114549945],
  [0.85, 0.7706680576083526],
  [0.9, 0.7969082124228322],
  [1.0, 0.8427007929497149],
  [1.1, 0.8802050695740817],
  [1.24, 0.9205051842990297],
  [1.25, 0.9229001282564583],
  [1.3, 0.9340079449406524],
  [1.5, 0.9661051464753108],
  [1.7, 0.9837904585907745],
  [2.0, 0.9953222650189527],
  [2.3, 0.9988568234026434],
  [2.5, 0.999593047982555],
  [2.8, 0.9999249868053346],
  [2.86, 0.9999475988269556],
  [3.0, 0.9999779095030014],
  [3.5, 0.9999992569016276],
  [4.0, 0.9999999845827421],
  [4.5, 0.9999999998033839],
  [5.0, 0.9999999999984626],
  [5.5, 0.9999999999999927],
  [5.9, 0.9999999999999999],
  [6.0, 1.0],
];

test("erf is accurate to one unit in the last place", () => {
  for (const [x, expected] of values) {
    expect(Math.abs(erf(x) - expected), `erf(${x})`).toBeLessThanOrEqual(expected * 2 ** -52);
    expect(erf(-x)).toBe(-erf(x));
  }
});

test("erf has limits, and no other value where there is none", () => {
  expect([erf(Infinity), erf(-Infinity), erf(1e300), erf(NaN)]).toEqual([1, -1, 1, NaN]);
});

test("erf never decreases", () => {
  const anywhere = fc.double({ min: -7, max: 7, noNaN: true });
  fc.assert(
    fc.property(anywhere, fc.double({ min: 1e-3, max: 1, noNaN: true }), (x, step) => {
      expect(erf(x + step)).toBeGreaterThanOrEqual(erf(x));
    }),
  );
});

test("softplus neither overflows nor loses small values", () => {
  expect(softplus(0)).toBe(Math.LN2);
  expect(softplus(1000)).toBe(1000);
  expect(softplus(-40)).toBeCloseTo(Math.exp(-40), 30);
  expect(softplus(-Infinity)).toBe(0);
});

test("power squares exactly, and is 1 where C says so", () => {
  expect(power(1.1, 2)).toBe(1.1 * 1.1);
  expect(power(-3, 3)).toBe(-27);
  expect([power(1, NaN), power(-1, Infinity), power(2, 0)]).toEqual([1, 1, 1]);
});
