/**
 * Bins in client specs: round trips, and what damaged ones give.
 */
import { describe, expect, test } from "vitest";
import { binsFrom, binsToJson } from "../../../src/format/bins.ts";
import { Reader } from "../../../src/format/json-reader.ts";
import { BinQuantizer } from "../../../src/quantization/bin-quantizer.ts";
import { float32 } from "../../../src/tensor/tensor.ts";
import { errorOf } from "../../support/errors.ts";

const read = (json: unknown): BinQuantizer | null =>
  binsFrom(new Reader(JSON.parse(JSON.stringify(json)), "quantizer"));

describe("bins as JSON", () => {
  const bins = new BinQuantizer([
    { edges: Float64Array.of(-1.5, Number.MIN_VALUE, 2 ** 60), missing: 4 },
    { edges: new Float64Array(0), missing: 0 },
  ]);

  test("come back with the same edges and codes", () => {
    expect(read(binsToJson(bins))).toEqual(bins);
    const rows = float32([2, 2], [0.25, 7, NaN, NaN]);
    expect([...(read(binsToJson(bins))?.quant(rows).data ?? [])]).toEqual([2, 0, 4, 0]);
  });

  test("are told from other quantizers", () => {
    expect(read({ scale: 1 })).toBe(null);
  });

  test.each([
    ["no columns", { bins: [] }],
    ["edges that fall", { bins: [{ edges: [2, 1], missing: 0 }] }],
    ["edges that repeat", { bins: [{ edges: [1, 1], missing: 0 }] }],
    ["an edge that is no number", { bins: [{ edges: ["1"], missing: 0 }] }],
    ["an edge that is null", { bins: [{ edges: [null], missing: 0 }] }],
    ["a code of missing values that is too large", { bins: [{ edges: [1], missing: 3 }] }],
    ["a code of missing values that is negative", { bins: [{ edges: [1], missing: -1 }] }],
    ["no code of missing values", { bins: [{ edges: [1] }] }],
    ["too many columns", { bins: Array.from({ length: 2 ** 16 + 1 }, () => 0) }],
  ])("are refused with %s", (_, json) => {
    expect(errorOf(() => read(json)).code).toBe("BAD_BYTES");
  });
});
