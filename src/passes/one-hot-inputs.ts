/**
 * Tables on an input: the client can encrypt unit vectors in place of codes, and then a table of the input is a sum with
 * the table's values as weights, which takes no lookup. An input that is read like that is read in no other way: its
 * other readers get its codes as one more such sum.
 * @module
 */
import { applyOp } from "../circuit/apply.ts";
import {
  type Circuit,
  type CircuitOp,
  type CircuitValue,
  type SelectOp,
  type TableOp,
  type ValueId,
  countReaders,
  dropDead,
  oneHotOf,
  valueId,
} from "../circuit/ir.ts";
import { int64, sizeOf } from "../tensor/tensor.ts";

/** Values that a row may take in place of its codes: 16,384 are 131 kB to send at most. */
const MAX_VALUES = 1 << 14;
/** Entries of a table that is written out, for each element and each code. */
const MAX_ENTRIES = 1 << 20;

/** The unit vectors of an input. */
interface Hot {
  readonly lowest: number;
  readonly sizes: readonly number[];
}

/** Where the elements of a value come from: an input, and the input's element of each (null: the same). */
interface Moved {
  readonly input: ValueId;
  readonly order: Int32Array | null;
}

/** Reads inputs one-hot where a table reads them and their codes are few; those read one-hot then have no other reader. */
export function readInputsOneHot(circuit: Circuit): Circuit {
  const moved = movedInputs(circuit);
  const hot = hotInputs(circuit, moved);
  if (hot.size === 0) return circuit;
  const values: CircuitValue[] = [];
  const push = (op: CircuitOp, of: CircuitValue, inputs: readonly ValueId[]): ValueId => {
    values.push({ ...of, op, inputs });
    return valueId(values.length - 1);
  };
  const renamed: ValueId[] = [];
  const oneHots = new Map<ValueId, ValueId>();
  for (const [i, value] of circuit.values.entries()) {
    const id = valueId(i);
    const [operand] = value.inputs;
    const own = hot.get(id);
    const from = value.op.kind === "table" ? moved[operand] : null;
    const source = from && hot.get(from.input);
    if (own) {
      const width = own.sizes.reduce((sum, size) => sum + size, 0);
      const flat = { ...value, shape: [1, width] };
      const oneHot = push({ kind: "oneHot", ...own }, flat, [push(value.op, value, [])]);
      oneHots.set(id, oneHot);
      renamed.push(pushSelect(codesOf(own), value, oneHot, push));
    } else if (value.op.kind === "table" && from && source && isWritable(value.op)) {
      const op = writtenOut(value.op, value.shape, source, from);
      renamed.push(pushSelect(op, value, found(oneHots, from.input), push));
    } else if (value.op.kind === "oneHot") {
      renamed.push(found(oneHots, operand));
    } else {
      const inputs = value.inputs.map((input) => renamed[input]);
      renamed.push(push(value.op, value, inputs));
    }
  }
  return dropDead({ values, outputs: circuit.outputs.map((id) => renamed[id]) });
}

/** A selection in the shape of the value that it stands for. */
function pushSelect(
  op: SelectOp,
  value: CircuitValue,
  oneHot: ValueId,
  push: (op: CircuitOp, of: CircuitValue, inputs: readonly ValueId[]) => ValueId,
): ValueId {
  const selected = push(op, { ...value, shape: [1, op.features.length] }, [oneHot]);
  return push({ kind: "reshape", shape: value.shape }, value, [selected]);
}

function found(ids: ReadonlyMap<ValueId, ValueId>, input: ValueId): ValueId {
  const id = ids.get(input);
  if (id === undefined) throw new Error(`internal: %${input} is not read one-hot`);
  return id;
}

/** For each value the input whose elements it holds, if it holds nothing else. */
function movedInputs({ values }: Circuit): (Moved | null)[] {
  const moved: (Moved | null)[] = [];
  for (const [i, { op, inputs }] of values.entries()) {
    if (op.kind === "input") {
      moved.push({ input: valueId(i), order: null });
      continue;
    }
    const from = inputs.length === 1 ? moved[inputs[0]] : null;
    if (from && op.kind === "reshape") {
      moved.push(from);
    } else if (from && op.kind === "gather" && !op.indices.includes(-1)) {
      const { order } = from;
      moved.push({ ...from, order: order ? op.indices.map((j) => order[j]) : op.indices });
    } else {
      moved.push(null);
    }
  }
  return moved;
}

/** Inputs that are read one-hot already, and those for which it saves lookups. */
function hotInputs(circuit: Circuit, moved: readonly (Moved | null)[]): ReadonlyMap<ValueId, Hot> {
  const hot = new Map<ValueId, Hot>();
  const readers = countReaders(circuit);
  for (const [i, { op }] of circuit.values.entries()) {
    if (op.kind !== "input") continue;
    const stated = oneHotOf(circuit, valueId(i));
    if (stated === null) continue;
    const { lowest, sizes } = stated;
    if (sizes.includes(0) && readers[i] > 1) {
      throw new Error(`internal: codes of %${i} are read that its unit vectors leave out`);
    }
    hot.set(valueId(i), { lowest, sizes });
  }
  for (const { op, inputs, shape } of circuit.values) {
    const from = op.kind === "table" && isWritable(op) ? moved[inputs[0]] : null;
    if (!from || hot.has(from.input)) continue;
    const input = circuit.values[from.input];
    if (input.op.kind !== "input") continue;
    const { lo, hi } = input.op.interval;
    const [elements, codes] = [sizeOf(input.shape), hi - lo + 1];
    if (elements * codes > MAX_VALUES || sizeOf(shape) * codes > MAX_ENTRIES) continue;
    hot.set(from.input, { lowest: lo, sizes: Array.from({ length: elements }, () => codes) });
  }
  return hot;
}

/** Where a table that fits steps will read is not known before bounds are. */
function isWritable({ encoding }: TableOp): boolean {
  return encoding.kind !== "fit";
}

/** The codes themselves. */
function codesOf({ lowest, sizes }: Hot): SelectOp {
  const values = sizes.flatMap((size) => Array.from({ length: size }, (_, j) => lowest + j));
  const features = Int32Array.from(sizes, (_, feature) => feature);
  return { kind: "select", sizes, features, values: Int32Array.from(values) };
}

/** A table's results for every code of every element. */
function writtenOut(
  op: TableOp,
  shape: readonly number[],
  { lowest, sizes }: Hot,
  { order }: Moved,
): SelectOp {
  const count = sizeOf(shape);
  const codes = sizes.reduce((most, size) => Math.max(most, size), 0);
  const points = new Float64Array(codes * count).map((_, i) => lowest + Math.floor(i / count));
  const results = applyOp(op, [int64([codes, ...shape.slice(1)], points)]).data;
  const features = Int32Array.from({ length: count }, (_, r) => (order ? order[r] : r));
  const values: number[] = [];
  features.forEach((feature, r) => {
    for (let j = 0; j < sizes[feature]; j++) values.push(results[j * count + r]);
  });
  return { kind: "select", sizes, features, values: Int32Array.from(values) };
}
