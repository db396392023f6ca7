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

/** Merges values with equal operations on equal inputs; large constants are compared by identity, the rest by content. */
export function shareValues(circuit: Circuit): Circuit {
  const first = new Map<string, ValueId>();
  const identities = new Map<object, number>();
  const renamed: ValueId[] = [];
  const values: CircuitValue[] = circuit.values.map((value, i) => {
    const inputs = value.inputs.map((id) => renamed[id]);
    const key = `${inputs.join(",")} ${contentOf(value.op, identities)}`;
    const known = first.get(key);
    renamed.push(known ?? valueId(i));
    if (known === undefined) first.set(key, valueId(i));
    return { ...value, inputs };
  });
  return dropDead({ values, outputs: circuit.outputs.map((id) => renamed[id]) });
}

/** Constants up to this many elements are written out. */
const WRITTEN_OUT = 4096;

/** Text that is equal for equal operations. */
function contentOf(op: CircuitOp, identities: Map<object, number>): string {
  return JSON.stringify(op, (_, value: unknown) => {
    if (typeof value === "number" && !Number.isFinite(value)) return String(value);
    if (!ArrayBuffer.isView(value)) return value;
    if (value.byteLength <= WRITTEN_OUT * 8) return Array.from(value as Float64Array | Int32Array);
    const identity = identities.get(value) ?? identities.size;
    identities.set(value, identity);
    return identity;
  });
}
