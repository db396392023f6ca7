/**
 * Tables and bit extractions as lookups: boxes on the torus and the value of each.
 * @module
 */
import type { CircuitOp, TableOp, ValueId } from "../circuit/ir.ts";
import { bitAmplification, placementOf } from "../parameters/constraints.ts";
import type { Placement } from "../parameters/encoding-plan.ts";
import { decisionVariance } from "../parameters/noise.ts";
import { constantIndices, constantShape, shiftsOf, tabulate } from "../circuit/tabulate.ts";
import { sizeOf } from "../tensor/tensor.ts";
import { boxStarts, offsetOf } from "./boxes.ts";
import { type Context, type Located, elementOf } from "./context.ts";
import { emitScaled } from "./linear.ts";
import type { LookupInstruction } from "./program.ts";

/** Extension and noise of a lookup, as the parameter search left them. */
function lookupNoise(
  { constraints, choice }: Context,
  id: ValueId,
): Pick<LookupInstruction, "extensionLog" | "noiseStd"> {
  const index = constraints.findIndex((c) => c.kind === "lookup" && c.id === id);
  const extension = choice.extensions[index];
  const { inputNorms, lookupNorms } = constraints[index];
  const noiseStd = new Float64Array(lookupNorms.length);
  for (let i = 0; i < noiseStd.length; i++) {
    const isAsBefore =
      i > 0 && lookupNorms[i] === lookupNorms[i - 1] && inputNorms[i] === inputNorms[i - 1];
    const norms = { inputNorm: inputNorms[i], lookupNorm: lookupNorms[i] };
    noiseStd[i] = isAsBefore
      ? noiseStd[i - 1]
      : Math.sqrt(decisionVariance(choice.parameters, norms, extension));
  }
  return { extensionLog: Math.log2(extension), noiseStd };
}

export function lowerTable(
  context: Context,
  op: CircuitOp & { kind: "table" },
  id: ValueId,
): Located {
  const { circuit, plan, choice, located } = context;
  const { inputs, shape } = circuit.values[id];
  const placement = placementOf(plan, id);
  const { boxes, firstBox, factor } = placement;
  const count = sizeOf(shape);
  const read = located[inputs[0]];
  const source = factor === 1 ? read : emitScaled(context, read, count, factor, 0n);
  const noise = lookupNoise(context, id);
  const size = choice.parameters.polynomialSize * 2 ** noise.extensionLog;
  const results = tabulate(op, firstBox, boxes, shape.length);
  const tables = results.data.length / boxes;
  const { values, outputOffsets } = centred(results.data, boxes, plan.scales[id]);
  const starts = boxStarts(placement, size);
  const tensor = context.emit({
    kind: "lookup",
    operand: source.tensor,
    ...noise,
    boxes,
    tables,
    starts: Uint32Array.from({ length: tables * boxes }, (_, i) => starts[i % boxes]),
    values,
    offsets: offsetsOf(op, placement),
    outputOffsets,
    sources: Uint32Array.from({ length: count }, (_, i) => elementOf(source, i)),
    tableOf: constantIndices(shape, constantShape(op).shape),
    degrees: new Uint32Array(count),
  });
  return { tensor, order: null };
}

/** What moves the window of each table to phase 0. */
function offsetsOf(op: TableOp, placement: Placement): BigUint64Array {
  const { shape } = constantShape(op);
  const shifts = shiftsOf(op.encoding);
  return BigUint64Array.from(constantIndices(shape, shifts.shape), (index) =>
    offsetOf(placement, shifts.data[index]),
  );
}

/**
 * Tables whose first and last boxes are each other's negative, with the constant that was taken off for it. The torus
 * beyond an end reads the other end negated: so it goes on there without a jump, and what a value beyond an end gives is
 * as far off as the table changes at the other end.
 */
function centred(
  results: ArrayLike<number>,
  boxes: number,
  scale: bigint,
): Pick<LookupInstruction, "values" | "outputOffsets"> {
  const tables = results.length / boxes;
  const values = new BigUint64Array(results.length);
  const outputOffsets = new BigUint64Array(tables);
  for (let t = 0; t < tables; t++) {
    const at = (box: number): bigint => BigInt(results[box * tables + t]) * scale;
    const centre = (at(0) + at(boxes - 1)) >> 1n;
    outputOffsets[t] = BigInt.asUintN(64, centre);
    for (let box = 0; box < boxes; box++) {
      values[t * boxes + box] = BigInt.asUintN(64, at(box) - centre);
    }
  }
  return { values, outputOffsets };
}

/**
 * Moves the bit to the top of the torus, where the negacyclic table reads it as a sign: bit 0 gives -half, bit 1 gives
 * +half, and adding half leaves 0 or the bit's weight.
 */
export function lowerBit(context: Context, position: number, id: ValueId): Located {
  const { circuit, plan, located } = context;
  const { inputs, shape } = circuit.values[id];
  const scale = plan.scales[inputs[0]];
  const count = sizeOf(shape);
  const amplified = emitScaled(
    context,
    located[inputs[0]],
    count,
    bitAmplification(scale, position),
    0n,
  );
  const half = (scale << BigInt(position)) / 2n;
  const tensor = context.emit({
    kind: "lookup",
    operand: amplified.tensor,
    ...lookupNoise(context, id),
    boxes: 1,
    tables: 1,
    starts: Uint32Array.of(0),
    values: BigUint64Array.of(BigInt.asUintN(64, -half)),
    offsets: BigUint64Array.of(2n ** 62n),
    outputOffsets: BigUint64Array.of(half),
    sources: Uint32Array.from({ length: count }, (_, i) => i),
    tableOf: new Uint32Array(count),
    degrees: new Uint32Array(count),
  });
  return { tensor, order: null };
}
