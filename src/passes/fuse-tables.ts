/**
 * Fuses every float region with one integer producer into one table: quantize(f(dequantize(x))) becomes table(x).
 * @module
 */
import {
  type Circuit,
  type CircuitValue,
  type TableStep,
  type ValueId,
  dropDead,
  isFloat,
  valueId,
} from "../circuit/ir.ts";
import { SottoError } from "../errors.ts";
import { expand } from "../tensor/strided.ts";
import { float64, sameShape, sizeOf } from "../tensor/tensor.ts";

/** Replaces each quantize operation and the floats above it by a table on the integer that they come from. */
export function fuseTables(circuit: Circuit): Circuit {
  const values: CircuitValue[] = [];
  const renamed: ValueId[] = [];
  const push = (value: CircuitValue): ValueId => {
    values.push({ ...value, inputs: value.inputs.map((id) => renamed[id]) });
    return valueId(values.length - 1);
  };
  circuit.values.forEach((value) => {
    if (value.op.kind !== "quantize") return void renamed.push(push(value));
    const table = fuse(circuit, value);
    const [producer] = table.inputs;
    const { shape } = circuit.values[producer];
    if (sameShape(shape, table.shape)) return void renamed.push(push(table));
    const expanded = push(expansion(circuit, producer, table));
    values.push({ ...table, inputs: [expanded] });
    renamed.push(valueId(values.length - 1));
  });
  return dropDead({ values, outputs: circuit.outputs.map((id) => renamed[id]) });
}

/** Repeats a table's integers where constants of the float region enlarge the shape. */
function expansion(circuit: Circuit, producer: ValueId, table: CircuitValue): CircuitValue {
  const { shape, name } = circuit.values[producer];
  if (shape.length !== table.shape.length || table.shape[0] !== 1) {
    throw new SottoError(
      "UNSUPPORTED_OPERATOR",
      table.name,
      `expected constants that keep the rows apart, got shape [${table.shape.join(", ")}] from [${shape.join(", ")}]; give the constant as many axes as the tensor, the first of size 1`,
    );
  }
  const elements = float64(
    shape,
    Array.from({ length: sizeOf(shape) }, (_, i) => i),
  );
  const indices = Int32Array.from(expand(elements, table.shape).data);
  const op = { kind: "gather", shape: table.shape, indices, fill: 0 } as const;
  return { op, inputs: [producer], shape: table.shape, name, bounds: null };
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
