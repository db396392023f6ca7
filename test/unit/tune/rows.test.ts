import { describe, expect, test } from "vitest";
import { float32, int64 } from "../../../src/tensor/tensor.ts";
import { splitsOf } from "../../../src/tune/rows.ts";
import { errorOf } from "../../support/errors.ts";

const count = 30;
const numbers = Array.from({ length: count }, (_, row) => row);
const calibration = [float32([count, 1], numbers)];
const given = { calibration, validation: null, labels: null, maxRows: 1000 };

describe("calibration rows alone", () => {
  const { search, confirm } = splitsOf(given);
  const splits = [search, ...confirm];

  test("each judge once", () => {
    const rows = splits.flatMap((split) => [...split.rows[0].data]);
    expect(rows.sort((a, b) => a - b)).toEqual(numbers);
  });

  test("judge nothing that they calibrated", () => {
    for (const split of splits) {
      const own = new Set(split.calibration[0].data);
      expect([...split.rows[0].data].filter((row) => own.has(row))).toEqual([]);
      expect(own.size + split.rows[0].data.length).toBe(count);
    }
  });

  test("keep their labels", () => {
    const labels = int64(
      [count],
      numbers.map((row) => 7 * row),
    );
    for (const split of splitsOf({ ...given, labels }).confirm) {
      expect([...(split.labels?.data ?? [])]).toEqual(
        Array.from(split.rows[0].data, (row) => 7 * row),
      );
    }
  });
});

describe("rows for validation", () => {
  const validation = [float32([10, 1], numbers.slice(0, 10))];

  test("are dealt to search and scores, and all calibration rows calibrate", () => {
    const { search, confirm } = splitsOf({ ...given, validation });
    expect([...search.rows[0].data]).toEqual([0, 2, 4, 6, 8]);
    expect(confirm.map(({ rows }) => [...rows[0].data])).toEqual([[1, 3, 5, 7, 9]]);
    expect(confirm[0].calibration).toBe(calibration);
    expect(confirm[0].name).toBe(search.name);
  });

  test("are as many as allowed", () => {
    const { search } = splitsOf({ ...given, validation, maxRows: 2 });
    expect([...search.rows[0].data]).toEqual([0, 2]);
  });
});

test.each([
  [{ calibration: [float32([9, 1], numbers.slice(0, 9))] }, "calibration", /at least 12 rows/],
  [{ validation: [float32([3, 1], [1, 2, 3])] }, "tuning.rows", /at least 8 rows/],
  [{ labels: int64([4], [1, 2, 3, 4]) }, "tuning.labels", /one label per row .* \(30\), got 4/],
])("too few rows and labels are refused: %j", (change, where, message) => {
  const error = errorOf(() => splitsOf({ ...given, ...change }));
  expect(error).toMatchObject({ code: "BAD_SHAPE", where });
  expect(error.message).toMatch(message);
});
