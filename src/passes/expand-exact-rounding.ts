/**
 * Spells exact rounding out: add half a step, then take the low bits off one by one, each with a small lookup.
 * @module
 */
import {
  type Bounds,
  type Circuit,
  type CircuitOp,
  type CircuitValue,
  type ValueId,
  valueId,
} from "../circuit/ir.ts";
import { type Steps, finish } from "../steps.ts";
import { type BoundsContext, inferBoundsInSteps } from "./infer-bounds.ts";

/** Replaces every exact rounding by bit extractions and subtractions, and infers the new values' bounds. */
export function expandExactRounding(circuit: Circuit, context: BoundsContext): Circuit {
  return finish(expandExactRoundingInSteps(circuit, context));
}

/** The same with a step per value. */
export function* expandExactRoundingInSteps(
  circuit: Circuit,
  context: BoundsContext,
): Steps<Circuit> {
  if (!circuit.values.some(({ op }) => op.kind === "round")) return circuit;
  const values: CircuitValue[] = [];
  const renamed: ValueId[] = [];
  const push = (value: CircuitValue): ValueId => {
    values.push(value);
    return valueId(values.length - 1);
  };
  for (const value of circuit.values) {
    const inputs = value.inputs.map((id) => renamed[id]);
    const moved = { ...value, inputs };
    renamed.push(value.op.kind === "round" ? takeBits(moved, value.op.lsbs, push) : push(moved));
  }
  const outputs = circuit.outputs.map((id) => renamed[id]);
  const inferred = yield* inferBoundsInSteps({ values, outputs }, context);
  // A rounded value keeps the bounds of the rounding, which are tighter than those of a chain of subtractions.
  const bounds = new Map<ValueId, Bounds | null>();
  circuit.values.forEach(({ op, bounds: known }, i) => {
    if (op.kind === "round") bounds.set(renamed[i], known);
  });
  return {
    outputs,
    values: inferred.values.map((value, i) => ({
      ...value,
      bounds: bounds.get(valueId(i)) ?? value.bounds,
    })),
  };
}

function takeBits(
  round: CircuitValue,
  lsbs: number,
  push: (value: CircuitValue) => ValueId,
): ValueId {
  const make = (op: CircuitOp, inputs: readonly ValueId[]): ValueId =>
    push({ op, inputs, shape: round.shape, name: round.name, bounds: null });
  let rest = make({ kind: "shift", by: 2 ** (lsbs - 1) }, round.inputs);
  for (let position = 0; position < lsbs; position++) {
    const bit = make({ kind: "extractBit", position }, [rest]);
    rest = make({ kind: "sub" }, [rest, bit]);
  }
  return rest;
}
