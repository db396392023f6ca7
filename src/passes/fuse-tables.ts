/**
 * Fuses every float region with one integer producer into one table: quantize(f(dequantize(x))) becomes table(x).
 * @module
 */
import {
  type Circuit,
  type CircuitValue,
  type TableStep,
  type ValueId,
  isFloat,
  rebuild,
} from "../circuit/ir.ts";
import { SottoError } from "../errors.ts";
import { sameShape } from "../tensor/tensor.ts";

/** Replaces each quantize operation and the floats above it by a table on the integer that they come from. */
export function fuseTables(circuit: Circuit): Circuit {
  return rebuild(circuit, (value) => (value.op.kind === "quantize" ? fuse(circuit, value) : value));
}

function fuse(circuit: Circuit, quantize: CircuitValue): CircuitValue {
  const steps: TableStep[] = [];
  const stepOf = new Map<ValueId, number>();
  const producers = new Set<ValueId>();
  const visit = (id: ValueId): number => {
    const { op, inputs } = circuit.values[id];
    if (!isFloat(op)) {
      producers.add(id);
      return -1;
    }
    const known = stepOf.get(id);
    if (known !== undefined) return known;
    const args = inputs.map(visit);
    if (op.kind !== "dequantize" && op.kind !== "float")
      throw new Error(`internal: ${op.kind} is not float`);
    steps.push({ op, inputs: args });
    stepOf.set(id, steps.length - 1);
    return steps.length - 1;
  };
  const [source] = quantize.inputs.map(visit);
  const [producer, ...others] = producers;
  if (producer === undefined || others.length > 0) {
    throw new Error(`internal: ${quantize.name} depends on ${producers.size} integer producers`);
  }
  if (!sameShape(circuit.values[producer].shape, quantize.shape)) {
    throw new SottoError(
      "UNSUPPORTED_OPERATOR",
      quantize.name,
      `expected constants that keep the shape [${circuit.values[producer].shape.join(", ")}], got [${quantize.shape.join(", ")}]; expand the tensor before`,
    );
  }
  if (quantize.op.kind !== "quantize") throw new Error("internal: fuse takes a quantize operation");
  steps.push({ op: quantize.op, inputs: [source] });
  // Reports show a table under the node whose integers it reads.
  return {
    ...quantize,
    name: circuit.values[producer].name,
    op: { kind: "table", encoding: { kind: "each" }, steps },
    inputs: [producer],
  };
}
