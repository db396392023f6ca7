/**
 * Overflow: integers that leave the interval that parameters were made for, where a table reads the other end negated and
 * an output is decoded a whole window off.
 * @module
 */
import { evaluateInSteps } from "../circuit/evaluate.ts";
import { type Circuit, type ValueId, valueId } from "../circuit/ir.ts";
import type { ClientPort } from "../format/client-spec.ts";
import type { EncodingPlan } from "../parameters/encoding-plan.ts";
import { type Steps, finish } from "../steps.ts";
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
    before(_, [operand], index) {
      const window = windowOf(plan, valueId(index));
      if (window) overflows += countOutside(operand, window);
    },
  });
  answers.forEach((answer, i) => {
    const { scale, middle } = outputs[i];
    const half = 2 ** 63 / Number(scale);
    overflows += countOutside(answer, [middle - half, middle + half]);
  });
  return overflows;
}

/** Half-open range of integers on the half torus that a table reads; null for other values. */
function windowOf(plan: EncodingPlan, id: ValueId): readonly [number, number] | null {
  const placement = plan.placements.get(id);
  if (placement === undefined) return null;
  return [placement.zero, placement.zero + 2 ** 63 / Number(placement.scale)];
}

function countOutside({ data }: Tensor, [low, high]: readonly [number, number]): number {
  let count = 0;
  for (const x of data) if (x < low || x >= high) count++;
  return count;
}
