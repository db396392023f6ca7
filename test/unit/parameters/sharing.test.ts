/**
 * Lookups that share work: what the search counts is what the program does.
 * @module
 */
import { expect, test } from "vitest";
import type { GatherOp, TableOp } from "../../../src/circuit/ir.ts";
import { predictInstructions } from "../../../src/execute/prediction.ts";
import { lower } from "../../../src/lower/lower.ts";
import { constraintsOf } from "../../../src/parameters/constraints.ts";
import { planEncodings } from "../../../src/parameters/encoding-plan.ts";
import { chooseParameters } from "../../../src/parameters/search.ts";
import { inferBounds } from "../../../src/passes/infer-bounds.ts";
import { float64, int64 } from "../../../src/tensor/tensor.ts";
import { circuitOf, divideTable } from "../../support/circuits.ts";

const RANGE = { lo: 0, hi: 7 };
const TABLE = divideTable(2, [0, 3]);

/** The same table with another zero point for each of so many elements. */
function tablePerElement(count: number): TableOp {
  const zeroPoint = float64(
    [1, count],
    Array.from({ length: count }, (_, i) => i % 2),
  );
  const [, quantize] = TABLE.steps;
  return {
    ...TABLE,
    steps: [{ op: { kind: "dequantize", scale: 1, zeroPoint }, inputs: [-1] }, quantize],
  };
}

const move = (...indices: number[]): GatherOp => ({
  kind: "gather",
  shape: [1, indices.length],
  indices: Int32Array.from(indices),
  fill: 0,
});

test.each<[string, readonly GatherOp[], TableOp, { rotations?: number; sources: number }]>([
  ["nothing moves", [], TABLE, { rotations: 3, sources: 3 }],
  [
    "a repeated element is looked up once",
    [move(0, 0, 1, 1, 1)],
    TABLE,
    { rotations: 2, sources: 2 },
  ],
  ["only neighbours share", [move(0, 1, 0, 1)], TABLE, { rotations: 4, sources: 4 }],
  ["moves compose", [move(2, 1, 0), move(0, 0, 2, 2, 1, 1)], TABLE, { rotations: 3, sources: 3 }],
  [
    "tables of their own share the keyswitch",
    [move(0, 0, 2, 2)],
    tablePerElement(4),
    { sources: 2 },
  ],
])("%s", (_, moves, table, expected) => {
  const built = circuitOf((b) => {
    const moved = moves.reduce(
      (value, op) => b.emit(op, [value], "moved"),
      b.input(0, [1, 3], RANGE, "x"),
    );
    return [b.emit(table, [moved], "table")];
  });
  const calibration = [int64([2, 3], [0, 0, 0, 7, 7, 7])];
  const circuit = inferBounds(built, { calibration, bounds: "guaranteed" });
  const plan = planEncodings(circuit, "guaranteed");
  const constraints = constraintsOf(circuit, plan);
  const { rotations, sources } = constraints[0];
  expect({ rotations, sources }).toEqual({ rotations: undefined, ...expected });

  const choice = chooseParameters(constraints);
  const program = lower(circuit, plan, constraints, choice);
  const times = predictInstructions(program, choice.costModel, 1);
  const lookups = times.filter((_time, i) => program.instructions[i].kind === "lookup");
  expect(lookups).toHaveLength(1);
  expect(lookups[0] / choice.predictedNanoseconds).toBeCloseTo(1, 9);
});

test.each([
  ["of different ciphertexts adds up by squares", [0, 1, 2, 3], 4],
  ["of one ciphertext four times is that of one, times four", [0, 0, 0, 0], 16],
  ["of two ciphertexts twice lies below the sum of all", [0, 1, 0, 1], 16],
])("the noise of lookups %s", (_, indices, expected) => {
  const built = circuitOf((b) => {
    const moved = b.emit(move(...indices), [b.input(0, [1, 4], RANGE, "x")], "moved");
    const looked = b.emit(TABLE, [moved], "table");
    const weights = int64([4, 1], [1, 1, 1, 1]);
    return [b.emit({ kind: "matmul", weights }, [looked], "sum")];
  });
  const calibration = [int64([2, 4], [0, 0, 0, 0, 7, 7, 7, 7])];
  const circuit = inferBounds(built, { calibration, bounds: "guaranteed" });
  const constraints = constraintsOf(circuit, planEncodings(circuit, "guaranteed"));
  const sum = constraints.find(({ kind }) => kind === "output");
  expect(sum?.lookupNorm).toBeCloseTo(expected, 9);
});
