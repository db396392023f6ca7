/**
 * Clear execution of a circuit: exact integers, no width limits, any number of rows at once.
 * @module
 */
import type { Tensor } from "../tensor/tensor.ts";
import { applyOp } from "./apply.ts";
import type { Circuit, CircuitValue } from "./ir.ts";

/** Called with every value as soon as it is computed; may replace the operation that is about to run. */
export interface EvaluationHooks {
  readonly before?: (value: CircuitValue, inputs: readonly Tensor[]) => CircuitValue;
  readonly after?: (value: CircuitValue, result: Tensor, index: number) => void;
}

/** Evaluates a circuit on integer tensors, one per input, rows first. */
export function evaluate(
  circuit: Circuit,
  inputs: readonly Tensor[],
  hooks: EvaluationHooks = {},
): Tensor[] {
  const results: Tensor[] = [];
  circuit.values.forEach((original, index) => {
    const operands = original.inputs.map((id) => results[id]);
    const value = hooks.before?.(original, operands) ?? original;
    const result = value.op.kind === "input" ? inputs[value.op.index] : applyOp(value.op, operands);
    hooks.after?.(value, result, index);
    results.push(result);
  });
  return circuit.outputs.map((id) => results[id]);
}
