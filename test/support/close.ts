/**
 * Comparison of results with recorded ones: texts and special numbers must be equal, other numbers close.
 * @module
 */
import { expect } from "vitest";
import { readNumber } from "./sklearn-fixtures.ts";

/** Fails where a difference, relative to the largest of what is expected, is above the tolerance. */
export function expectClose(
  got: readonly (number | string)[],
  recorded: readonly (number | string)[],
  tolerance: number,
): void {
  const texts = got.filter((element) => typeof element === "string");
  if (texts.length > 0) return expect(got).toEqual(recorded);
  const expected = recorded.map(readNumber);
  const magnitudes = expected.filter(Number.isFinite).map(Math.abs);
  const range = Math.max(1e-30, ...magnitudes);
  const wrong = expected.findIndex((value, i) => {
    const number = Number(got[i]);
    if (!Number.isFinite(value) || !Number.isFinite(number)) return !Object.is(number, value);
    return Math.abs(number - value) > tolerance * range;
  });
  expect({ wrong, got: got[wrong], length: got.length }).toEqual({
    wrong: -1,
    got: undefined,
    length: expected.length,
  });
}
