/**
 * Widths and intervals of the integers of a circuit, node by node.
 * @module
 */
import { bitWidth } from "../circuit/interval.ts";
import type { Circuit } from "../circuit/ir.ts";

/** By node name. */
export type RangeReport = Readonly<
  Record<
    string,
    {
      /** Measured on calibration rows. */
      readonly range: readonly [number, number];
      readonly bitwidth: number;
      /** Proved by interval arithmetic. */
      readonly guaranteedRange: readonly [number, number];
      readonly guaranteedBitwidth: number;
    }
  >
>;

const LINEAR: ReadonlySet<string> = new Set(["matmul", "conv", "add"]);

/** The accumulators of linear operators; where both widths agree, guaranteed bounds cost nothing. */
export function bitwidthAndRangeReport(circuit: Circuit): RangeReport {
  const entries = circuit.values.flatMap(({ op, name, bounds }) => {
    if (bounds === null || !LINEAR.has(op.kind)) return [];
    const { calibrated, guaranteed } = bounds;
    const row = {
      range: [calibrated.lo, calibrated.hi] as const,
      bitwidth: bitWidth(calibrated),
      guaranteedRange: [guaranteed.lo, guaranteed.hi] as const,
      guaranteedBitwidth: bitWidth(guaranteed),
    };
    return [[name, row] as const];
  });
  return Object.fromEntries(entries);
}
