/**
 * Turns a rounding into the input grid of the tables that read it: dropping bits is what a table's wide boxes do.
 * Exact rounding keeps its own operation, because its bits must be taken off one by one.
 * @module
 */
import { type Circuit, type CircuitValue, type TableEncoding, rebuild } from "../circuit/ir.ts";

/** Moves approximate and fit roundings into their tables, and marks tables behind exact roundings. */
export function absorbRounding(circuit: Circuit): Circuit {
  return rebuild(circuit, (value) => {
    if (value.op.kind !== "table") return value;
    const source = circuit.values[value.inputs[0]];
    const encoding = encodingBehind(source);
    if (encoding === null) return value;
    const inputs = encoding.kind === "rounded" ? value.inputs : source.inputs;
    return { ...value, op: { ...value.op, encoding }, inputs };
  });
}

function encodingBehind({ op }: CircuitValue): TableEncoding | null {
  if (op.kind === "fit") return { kind: "fit", steps: op.steps, interval: op.interval };
  if (op.kind !== "round") return null;
  return { kind: op.method === "exact" ? "rounded" : "approximate", lsbs: op.lsbs };
}
