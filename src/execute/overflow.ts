/**
 * Overflow: integers that leave the interval that parameters were made for, where a table reads the other end negated and
 * an output is decoded a whole window off.
 * @module
 */
import { evaluate } from "../circuit/evaluate.ts";
import type { Circuit } from "../circuit/ir.ts";
import type { ClientPort } from "../format/client-spec.ts";
import type { EncodingPlan } from "../parameters/encoding-plan.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** Number of table inputs and outputs beyond their interval, over all rows, by the clear integers. */
export function countOverflows(
  circuit: Circuit,
  plan: EncodingPlan,
  outputs: readonly ClientPort[],
  codes: readonly Tensor[],
): number {
  const results: Tensor[] = [];
  let overflows = 0;
  const answers = evaluate(circuit, codes, {
    after({ inputs }, result, index) {
      results.push(result);
      const window = windowOf(plan, index);
      if (window) overflows += countOutside(results[inputs[0]], window);
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
function windowOf(plan: EncodingPlan, index: number): readonly [number, number] | null {
  const placement = [...plan.placements].find(([id]) => id === index)?.[1];
  if (placement === undefined) return null;
  return [placement.zero, placement.zero + 2 ** 63 / Number(placement.scale)];
}

function countOutside({ data }: Tensor, [low, high]: readonly [number, number]): number {
  let count = 0;
  for (const x of data) if (x < low || x >= high) count++;
  return count;
}
