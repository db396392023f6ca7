/** Tables that are computed once per box give what they give number by number. */
import { describe, expect, test } from "vitest";
import { applyOp } from "../../../src/circuit/apply.ts";
import type { TableEncoding, TableOp } from "../../../src/circuit/ir.ts";
import { readTable } from "../../../src/circuit/tabulate.ts";
import { float64, int64 } from "../../../src/tensor/tensor.ts";
import { divideTable } from "../../support/circuits.ts";
import { randomNumbers } from "../../support/random-models.ts";

const [ROWS, CHANNELS, PIXELS] = [50, 3, 4];

const ENCODINGS: [string, TableEncoding][] = [
  ["every integer", { kind: "each" }],
  ["steps of 8", { kind: "approximate", lsbs: 3 }],
  ["rounded multiples of 4", { kind: "rounded", lsbs: 2 }],
  ["an interval in 7 steps", { kind: "fit", steps: 7, interval: { lo: -33, hi: 41 } }],
  [
    "an interval per channel",
    {
      kind: "fit",
      steps: 9,
      interval: { lo: 0, hi: 50 },
      shifts: int64([CHANNELS, 1], [-20, 0, 31]),
    },
  ],
];

describe("a table read box by box", () => {
  for (const [name, encoding] of ENCODINGS) {
    test(`of ${name}`, () => {
      const random = randomNumbers(5);
      const shape = [ROWS, CHANNELS, PIXELS];
      const codes = Array.from({ length: ROWS * CHANNELS * PIXELS }, () =>
        Math.floor(random() * 120 - 60),
      );
      const [, quantize] = divideTable(3, [-9, 11], encoding).steps;
      const zeroPoint = float64([CHANNELS, 1], [0.3, -7, 12.5]);
      const table: TableOp = {
        kind: "table",
        encoding,
        steps: [{ op: { kind: "dequantize", scale: 0.7, zeroPoint }, inputs: [-1] }, quantize],
      };
      const x = int64(shape, codes);
      const result = readTable(table, x);
      expect(result).toEqual(applyOp(table, [x]));
      expect(new Set(result.data).size).toBeGreaterThan(3);
    });
  }
});
