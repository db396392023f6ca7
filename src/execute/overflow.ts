/**
 * Overflow: integers that leave the interval that parameters were made for, where a table reads the other end negated and
 * an output is decoded a whole window off.
 * @module
 */
import { evaluateInSteps } from "../circuit/evaluate.ts";
import { type Circuit, type CircuitOp, type ValueId, valueId } from "../circuit/ir.ts";
import type { ClientPort } from "../format/client-spec.ts";
import type { EncodingPlan } from "../parameters/encoding-plan.ts";
import { type Steps, finish } from "../steps.ts";
import { combine } from "../tensor/elementwise.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** Number of table inputs and outputs beyond their interval, over all rows, by the clear integers. */
export function countOverflows(
  circuit: Circuit,
  plan: EncodingPlan,
  outputs: readonly ClientPort[],
  codes: readonly Tensor[],
): number {
  return finish(overflowsInSteps(circuit, plan, outputs, codes));
}

/** The same with a step per value. */
export function* overflowsInSteps(
  circuit: Circuit,
  plan: EncodingPlan,
  outputs: readonly ClientPort[],
  codes: readonly Tensor[],
): Steps<number> {
  let overflows = 0;
  const answers = yield* evaluateInSteps(circuit, codes, "overflow", {
    before({ op }, [operand], index) {
      const window = windowOf(plan, valueId(index));
      if (window) overflows += countOutside(shifted(op, operand), window);
    },
  });
  answers.forEach((answer, i) => {
    const { scale, middle } = outputs[i];
    const half = 2 ** 63 / Number(scale);
    overflows += countOutside(answer, [middle - half, middle + half]);
  });
  return overflows;
}

/** The integers as a table's window lies over them. */
function shifted(op: CircuitOp, operand: Tensor): Tensor {
  const shifts = op.kind === "table" && op.encoding.kind === "fit" ? op.encoding.shifts : undefined;
  return shifts ? combine(operand, shifts, (x, shift) => x - shift) : operand;
}

/**
 * Half-open range of integers on the half torus that a table reads; null for other values. A table that bears noise goes
 * on beyond its ends for a while: a quarter of its window counts as within.
 */
function windowOf(plan: EncodingPlan, id: ValueId): readonly [number, number] | null {
  const placement = plan.placements.get(id);
  if (placement === undefined) return null;
  const width = 2 ** 63 / Number(placement.scale);
  const spare = placement.noisySpan === null ? 0 : width / 4;
  return [placement.zero - spare, placement.zero + width + spare];
}

function countOutside({ data }: Tensor, [low, high]: readonly [number, number]): number {
  let count = 0;
  for (const x of data) if (x < low || x >= high) count++;
  return count;
}
