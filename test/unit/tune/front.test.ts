import { describe, expect, test } from "vitest";
import { type TuningPoint, chooseFrom, frontOf, pairedLoss } from "../../../src/tune/front.ts";

function point(predictedMs: number, loss: number, standardError = 0.001): TuningPoint {
  const cost = { predictedMs, tableLookups: predictedMs, evaluationKeyBytes: 100 * predictedMs };
  return { ...cost, loss, standardError, score: 1 - loss, options: { nBits: 4 } };
}

describe("the front", () => {
  test("is what no other point beats in both, the cheapest first", () => {
    const points = [point(5, 0.02), point(1, 0.3), point(3, 0.1), point(4, 0.2), point(9, 0.01)];
    expect(frontOf(points).map(({ predictedMs }) => predictedMs)).toEqual([1, 3, 5, 9]);
  });

  test("leaves out what saves next to no time", () => {
    const points = [point(1000, 0.3), point(1005, 0.1), point(1020, 0.05)];
    expect(frontOf(points).map(({ predictedMs }) => predictedMs)).toEqual([1005, 1020]);
  });

  test("has one of equal points", () => {
    expect(frontOf([point(2, 0.1), point(2, 0.1), point(2, 0.05)])).toEqual([point(2, 0.05)]);
  });
});

describe("the chosen point", () => {
  const front = [point(1, 0.05), point(2, 0.0095), point(3, 0.008), point(4, 0)];

  test("is the cheapest that meets the tolerance with a standard error to spare", () => {
    expect(chooseFrom(front, 0.01, {})).toBe(front[2]);
    expect(chooseFrom(front, 0.06, {})).toBe(front[0]);
  });

  test("spares no more than half the tolerance where rows are few", () => {
    const uncertain = [point(1, 0.006, 0.1), point(2, 0.004, 0.1)];
    expect(chooseFrom(uncertain, 0.01, {})).toBe(uncertain[1]);
  });

  test.each([
    [{ maxMilliseconds: 2.5 }, null],
    [{ maxLookups: 3 }, 2],
    [{ maxKeyBytes: 400 }, 2],
    [{ maxKeyBytes: 299 }, null],
  ])("obeys %j", (budgets, index) => {
    expect(chooseFrom(front, 0.01, budgets)).toBe(index === null ? null : front[index]);
  });
});

describe("the loss of rows against the float model's", () => {
  test("is the mean of differences", () => {
    const { loss } = pairedLoss(
      "accuracy",
      Float64Array.of(1, 0, 1, 0),
      Float64Array.of(1, 0, 0, 0),
    );
    expect(loss).toBe(0.25);
  });

  test("has the standard error of a share of rows", () => {
    const losses = Float64Array.from({ length: 1000 }, (_, row) => (row % 10 === 0 ? 1 : 0));
    const { standardError } = pairedLoss("accuracy", losses, new Float64Array(1000));
    expect(standardError).toBeCloseTo(Math.sqrt((0.1 * 0.9) / 1000), 3);
  });

  test("is smaller in pairs than alone where both lose the same rows", () => {
    const both = Float64Array.from({ length: 100 }, (_, row) => row % 2);
    const paired = pairedLoss("accuracy", both, both);
    const alone = pairedLoss("accuracy", both, new Float64Array(100));
    expect(paired.standardError).toBeLessThan(alone.standardError / 4);
  });

  test("of a measure of distance is as certain as its rows are equal", () => {
    const losses = Float64Array.of(0.25, 0.25, 0.25, 0.25);
    expect(pairedLoss("error", losses, new Float64Array(4)).standardError).toBe(0);
  });

  test("of right and wrong answers is never certain", () => {
    expect(
      pairedLoss("accuracy", new Float64Array(50), new Float64Array(50)).standardError,
    ).toBeCloseTo(0.02);
  });
});
