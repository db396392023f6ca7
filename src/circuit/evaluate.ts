/**
 * Clear execution of a circuit: exact integers, no width limits, any number of rows at once.
 * @module
 */
import { type Steps, finish } from "../steps.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { applyOp } from "./apply.ts";
import { type Circuit, type CircuitValue, type ValueId, valueId } from "./ir.ts";
import { readTable } from "./tabulate.ts";

/** Called around every value; `before` may replace the operation that is about to run. */
export interface EvaluationHooks {
  readonly before?: (
    value: CircuitValue,
    inputs: readonly Tensor[],
    index: number,
  ) => CircuitValue | void;
  readonly after?: (value: CircuitValue, result: Tensor, index: number) => void;
}

/** Evaluates a circuit on integer tensors, one per input, rows first. */
export function evaluate(
  circuit: Circuit,
  inputs: readonly Tensor[],
  hooks: EvaluationHooks = {},
): Tensor[] {
  return finish(evaluateInSteps(circuit, inputs, "evaluate", hooks));
}

/** The same with a step per value, under the name of a stage. A value is let go after its last reader. */
export function* evaluateInSteps(
  circuit: Circuit,
  inputs: readonly Tensor[],
  stage: string,
  hooks: EvaluationHooks = {},
): Steps<Tensor[]> {
  const results = new Map<ValueId, Tensor>();
  const lastReader = lastReaders(circuit);
  const total = circuit.values.length;
  for (const [index, original] of circuit.values.entries()) {
    yield { stage, done: index, total };
    const operands = original.inputs.map((id) => held(results, id));
    const value = hooks.before?.(original, operands, index) ?? original;
    const result = resultOf(value, operands, inputs);
    hooks.after?.(value, result, index);
    if (lastReader.has(valueId(index))) results.set(valueId(index), result);
    for (const id of original.inputs) if (lastReader.get(id) === index) results.delete(id);
  }
  yield { stage, done: total, total };
  return circuit.outputs.map((id) => held(results, id));
}

function resultOf(
  { op }: CircuitValue,
  operands: readonly Tensor[],
  inputs: readonly Tensor[],
): Tensor {
  if (op.kind === "input") return inputs[op.index];
  return op.kind === "table" ? readTable(op, operands[0]) : applyOp(op, operands);
}

/** Index of the last value that reads each one that is read; beyond all values for outputs. */
function lastReaders({ values, outputs }: Circuit): Map<ValueId, number> {
  const last = new Map<ValueId, number>();
  for (const [index, { inputs }] of values.entries()) {
    for (const id of inputs) last.set(id, index);
  }
  for (const id of outputs) last.set(id, values.length);
  return last;
}

function held(results: ReadonlyMap<ValueId, Tensor>, id: ValueId): Tensor {
  const result = results.get(id);
  if (result === undefined) throw new Error(`internal: value ${id} is read before it is computed`);
  return result;
}
