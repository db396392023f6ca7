import { describe, expect, test } from "vitest";
import { float32, float64, int64 } from "../../../src/tensor/tensor.ts";
import { judgeOf, mean } from "../../../src/tune/metric.ts";
import { errorOf } from "../../support/errors.ts";

const scores = float32([3, 3], [1, 0, 0, 0, 1, 0, 0, 0, 1]);
const other = float64([3, 3], [3, 1, 2, 1, 2, 0, 0, 9, 1]);

describe("accuracy", () => {
  test("is agreement of the largest outputs with the float model's", () => {
    const judge = judgeOf("auto", [scores], null);
    expect(judge.metric).toBe("accuracy");
    expect(Array.from(judge.losses([other]))).toEqual([0, 0, 1]);
    expect(mean(judge.floatLosses)).toBe(0);
  });

  test("with labels counts the float model's mistakes too", () => {
    const judge = judgeOf("auto", [scores], int64([3], [0, 2, 1]));
    expect(Array.from(judge.losses([other]))).toEqual([0, 1, 0]);
    expect(Array.from(judge.floatLosses)).toEqual([0, 1, 1]);
  });

  test("of outputs with several places is the share of places", () => {
    const places = float32([1, 4, 2], [1, 0, 1, 0, 0, 1, 0, 1]);
    const answers = float32([1, 4, 2], [1, 0, 0, 1, 0, 1, 0, 1]);
    expect(Array.from(judgeOf("auto", [places], null).losses([answers]))).toEqual([0.25]);
  });

  test("is refused where outputs have no classes", () => {
    const one = float32([3, 1], [1, 2, 3]);
    expect(errorOf(() => judgeOf("accuracy", [one], null))).toMatchObject({ code: "BAD_SHAPE" });
  });
});

describe("error", () => {
  const values = float64([4, 1], [0, 10, 20, 30]);

  test("is the distance as a share of the mean deviation", () => {
    const judge = judgeOf("auto", [values], null);
    expect(judge.metric).toBe("error");
    expect(Array.from(judge.losses([float64([4, 1], [1, 10, 18, 30])]))).toEqual([0.1, 0, 0.2, 0]);
  });

  test("may be asked for where there are classes", () => {
    const judge = judgeOf("error", [scores], null);
    expect(mean(judge.losses([scores]))).toBe(0);
    expect(judge.distance([other])).toBeCloseTo(mean(judge.losses([other])));
  });

  test("compares with labels of as many values", () => {
    const judge = judgeOf("auto", [values], float64([4, 1], [0, 10, 20, 50]));
    expect(Array.from(judge.floatLosses)).toEqual([0, 0, 0, 20 / 15]);
    const few = int64([3], [1, 2, 3]);
    expect(errorOf(() => judgeOf("auto", [values], few))).toMatchObject({
      code: "BAD_SHAPE",
      where: "tuning.labels",
    });
  });

  test("of a constant output is absolute", () => {
    const constant = float64([2, 1], [5, 5]);
    const judge = judgeOf("error", [constant], null);
    expect(Array.from(judge.losses([float64([2, 1], [5, 7])]))).toEqual([0, 2]);
  });
});
