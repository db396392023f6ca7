/**
 * The ends of a table's interval: beyond them the torus turns negative, so both need room for the noise.
 */
import { describe, expect, test } from "vitest";
import { type Circuit, gridOf } from "../../../src/circuit/ir.ts";
import type { Interval } from "../../../src/circuit/interval.ts";
import { planEncodings } from "../../../src/parameters/encoding-plan.ts";
import { constraintsOf } from "../../../src/parameters/constraints.ts";
import { chooseParameters } from "../../../src/parameters/search.ts";
import { boxStarts } from "../../../src/lower/boxes.ts";
import { lower } from "../../../src/lower/lower.ts";
import { simulate } from "../../../src/execute/simulate.ts";
import { CircuitBuilder } from "../../../src/circuit/builder.ts";
import type { TableEncoding } from "../../../src/circuit/ir.ts";
import { inferBounds } from "../../../src/passes/infer-bounds.ts";
import { float64, int64 } from "../../../src/tensor/tensor.ts";

/** One input read by one table that keeps its value. */
function tableOf(
  range: Interval,
  encoding: TableEncoding,
  bounds: "calibrated" | "guaranteed",
): Circuit {
  const builder = new CircuitBuilder();
  const x = builder.input(0, [1, 1], range, "x");
  const map = {
    scale: 1,
    zeroPoint: 0,
    codeRange: [-(2 ** 20), 2 ** 20] as const,
    noClipping: false,
  };
  const zero = float64([1, 1], [0]);
  const steps = [
    { op: { kind: "dequantize", scale: 1, zeroPoint: zero }, inputs: [-1] },
    { op: { kind: "quantize", map }, inputs: [0] },
  ] as const;
  const y = builder.emit({ kind: "table", encoding, steps }, [x], "y");
  const calibration = [int64([2, 1], [range.lo, range.hi])];
  return inferBounds(builder.finish([y]), { calibration, bounds });
}

const RANGES: readonly Interval[] = [
  { lo: 0, hi: 123 },
  { lo: -128, hi: 123 },
  { lo: -100, hi: 90 },
  { lo: -59, hi: 51 },
  { lo: -64, hi: 63 },
  { lo: 3, hi: 130 },
  { lo: 0, hi: 7 },
];
const ENCODINGS: readonly TableEncoding[] = [
  { kind: "each" },
  { kind: "approximate", lsbs: 3 },
  { kind: "approximate", lsbs: 2 },
  { kind: "fit", steps: 16, interval: null },
];

describe.each(["calibrated", "guaranteed"] as const)("%s bounds", (bounds) => {
  describe.each(ENCODINGS)("$kind", (encoding) => {
    test.each(RANGES)("[$lo, $hi] keeps half a step of room at both ends", (range) => {
      const circuit = tableOf(range, encoding, bounds);
      const plan = planEncodings(circuit, bounds);
      const [[id, placement]] = [...plan.placements];
      const { op } = circuit.values[id];
      if (op.kind !== "table") throw new Error("expected a table");
      const { step } = gridOf(op.encoding);
      const units = 2 ** 63 / Number(placement.scale);
      expect(range.lo - placement.zero).toBeGreaterThan(step / 2 - 1e-4 * step);
      expect(placement.zero + units - range.hi).toBeGreaterThan(step / 2 - 1e-4 * step);
      const starts = boxStarts(placement, 4096);
      expect([...starts]).toEqual([...starts].sort((a, b) => a - b));
    });

    test.each(RANGES)("[$lo, $hi] never reads the other end under noise", (range) => {
      const circuit = tableOf(range, encoding, bounds);
      const plan = planEncodings(circuit, bounds);
      const constraints = constraintsOf(circuit, plan);
      const program = lower(circuit, plan, constraints, chooseParameters(constraints));
      const [[id, { grid }]] = [...plan.placements];
      for (const x of [range.lo, range.hi]) {
        const phase = BigUint64Array.of(BigInt.asUintN(64, BigInt(x) * plan.scales[0]));
        for (let i = 0; i < 200; i++) {
          const [[y]] = simulate(program, [phase]);
          const scale = plan.scales[id];
          const distance = Number(BigInt.asIntN(64, y - BigInt(x) * scale)) / Number(scale);
          // One step off is approximate rounding at work; the other end would be a whole interval off.
          expect(Math.abs(distance)).toBeLessThanOrEqual(1.5 * grid.step + 1);
        }
      }
    });
  });
});
