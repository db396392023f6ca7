/**
 * Computes equal values once: two readers of one tensor that ask for the same table get the same lookups. Besides the
 * time, equal lookups of one ciphertext would carry equal noise, which must not count as independent.
 * @module
 */
import {
  type Circuit,
  type CircuitOp,
  type CircuitValue,
  type ValueId,
  dropDead,
  valueId,
} from "../circuit/ir.ts";

/** Merges values with equal operations on equal inputs; weights are compared by identity, tables by content. */
export function shareValues(circuit: Circuit): Circuit {
  const first = new Map<string, ValueId>();
  const renamed: ValueId[] = [];
  const values: CircuitValue[] = circuit.values.map((value, i) => {
    const inputs = value.inputs.map((id) => renamed[id]);
    const key = keyOf(value.op, inputs);
    const known = key === null ? undefined : first.get(key);
    renamed.push(known ?? valueId(i));
    if (key !== null && known === undefined) first.set(key, valueId(i));
    return { ...value, inputs };
  });
  return dropDead({ values, outputs: circuit.outputs.map((id) => renamed[id]) });
}

/** Text that is equal for equal operations; null for those that are not worth comparing. */
function keyOf(op: CircuitOp, inputs: readonly ValueId[]): string | null {
  if (op.kind !== "table" && op.kind !== "reshape") return null;
  const plain = JSON.stringify(op, (_, value: unknown) =>
    ArrayBuffer.isView(value) ? Array.from(value as Float64Array) : value,
  );
  return `${inputs.join(",")} ${plain}`;
}
