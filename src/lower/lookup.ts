/**
 * Tables and bit extractions as lookups: boxes on the torus and the value of each.
 * @module
 */
import type { CircuitOp, ValueId } from "../circuit/ir.ts";
import { bitAmplification, placementOf } from "../parameters/constraints.ts";
import { decisionVariance } from "../parameters/noise.ts";
import { constantShape, tabulate } from "../passes/infer-bounds.ts";
import { sizeOf } from "../tensor/tensor.ts";
import { boxStarts, offsetOf, toTorus } from "./boxes.ts";
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
  const values = new BigUint64Array(tables * boxes);
  for (let t = 0; t < tables; t++) {
    for (let b = 0; b < boxes; b++) {
      values[t * boxes + b] = toTorus(results.data[b * tables + t], plan.scales[id]);
    }
  }
  const starts = boxStarts(placement, size);
  const tensor = context.emit({
    kind: "lookup",
    operand: source.tensor,
    ...noise,
    boxes,
    tables,
    starts: Uint32Array.from({ length: tables * boxes }, (_, i) => starts[i % boxes]),
    values,
    offsets: new BigUint64Array(tables).fill(offsetOf(placement)),
    outputOffsets: new BigUint64Array(tables),
    sources: Uint32Array.from({ length: count }, (_, i) => elementOf(source, i)),
    tableOf: tableIndices(shape, constantShape(op).shape),
    degrees: new Uint32Array(count),
  });
  return { tensor, order: null };
}

/** Which combination of constants each element uses: its index in the constants' shape. */
function tableIndices(shape: readonly number[], constants: readonly number[]): Uint32Array {
  const aligned = shape.map((_, axis) => constants[axis - (shape.length - constants.length)] ?? 1);
  return Uint32Array.from({ length: sizeOf(shape) }, (_, element) => {
    let index = 0;
    let stride = 1;
    let rest = element;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const position = rest % shape[axis];
      rest = Math.floor(rest / shape[axis]);
      if (aligned[axis] > 1) index += position * stride;
      stride *= aligned[axis];
    }
    return index;
  });
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
