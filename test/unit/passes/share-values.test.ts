/**
 * Equal tables of one value become one; unequal ones stay.
 */
import { expect, test } from "vitest";
import { CircuitBuilder } from "../../../src/circuit/builder.ts";
import type { TableOp } from "../../../src/circuit/ir.ts";
import { print } from "../../../src/circuit/print.ts";
import { shareValues } from "../../../src/passes/share-values.ts";
import { float64 } from "../../../src/tensor/tensor.ts";

function scaleTable(scale: number): TableOp {
  const map = { scale: 1, zeroPoint: 0, codeRange: [-9, 9] as const, noClipping: false };
  const zeroPoint = float64([1, 2], [0, 1]);
  return {
    kind: "table",
    encoding: { kind: "each" },
    steps: [
      { op: { kind: "dequantize", scale, zeroPoint }, inputs: [-1] },
      { op: { kind: "quantize", map }, inputs: [0] },
    ],
  };
}

test("two equal tables of one value are looked up once, a third that differs stays", () => {
  const builder = new CircuitBuilder();
  const x = builder.input(0, [1, 2], { lo: -4, hi: 4 }, "x");
  const tables = [1, 1, 2].map((scale) => builder.emit(scaleTable(scale), [x], "t"));
  const sum = builder.emit({ kind: "add" }, [tables[0], tables[1]], "sum");
  const shared = shareValues(builder.finish([sum, tables[2]]));
  expect(print(shared)).toMatchInlineSnapshot(`
    "circuit {
      %0 = input 0 [-4, 4]() : [1, 2]  # x
      %1 = table each dequantize 1 quantize 1 to [-9, 9](%0) : [1, 2]  # t
      %2 = table each dequantize 2 quantize 1 to [-9, 9](%0) : [1, 2]  # t
      %3 = add(%1, %1) : [1, 2]  # sum
      return %3, %2
    }"
  `);
});
