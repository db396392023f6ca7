/**
 * Linear operations as one kind of instruction: which ciphertexts each result adds up, with which weights.
 * @module
 */
import type { CircuitOp, CircuitValue, GatherOp, ValueId } from "../circuit/ir.ts";
import { gatherWindows } from "../tensor/conv.ts";
import { expand } from "../tensor/strided.ts";
import { type Tensor, float64, sizeOf } from "../tensor/tensor.ts";
import { toTorus } from "./boxes.ts";
import { type Context, type Located, elementOf } from "./context.ts";
import type { LinearInstruction } from "./program.ts";

export function lowerMatmul(
  context: Context,
  op: CircuitOp & { kind: "matmul" },
  value: CircuitValue,
): Located {
  const source = context.located[value.inputs[0]];
  const [terms, rows] = op.weights.shape;
  const positions = sizeOf(value.shape) / rows;
  const weights = new Int32Array(rows * terms);
  for (let m = 0; m < rows; m++) {
    for (let t = 0; t < terms; t++) weights[m * terms + t] = op.weights.data[t * rows + m];
  }
  const gather = Int32Array.from({ length: positions * terms }, (_, i) => elementOf(source, i));
  const tensor = context.emit({
    kind: "linear",
    operands: [source.tensor],
    groups: 1,
    rows,
    positions,
    terms,
    weights,
    gather,
    constants: new BigUint64Array(0),
  });
  // Results come row by row of the weights; the circuit counts position by position.
  const order = Int32Array.from(
    { length: rows * positions },
    (_, e) => (e % rows) * positions + Math.floor(e / rows),
  );
  return { tensor, order: positions === 1 ? null : order };
}

export function lowerConv(
  context: Context,
  op: CircuitOp & { kind: "conv" },
  value: CircuitValue,
): Located {
  const source = context.located[value.inputs[0]];
  const [, , ...spatial] = context.circuit.values[value.inputs[0]].shape;
  const [outputs, channels, ...kernel] = op.weights.shape;
  const { group } = op.geometry;
  const { indices, positions: axes } = gatherWindows(spatial, { ...op.geometry, kernel });
  const positions = sizeOf(axes);
  const taps = sizeOf(kernel);
  const plane = sizeOf(spatial);
  const terms = channels * taps;
  const gather = new Int32Array(group * positions * terms);
  for (let g = 0; g < group; g++) {
    for (let p = 0; p < positions; p++) {
      for (let t = 0; t < terms; t++) {
        const index = indices[(t % taps) * positions + p];
        const channel = g * channels + Math.floor(t / taps);
        gather[(g * positions + p) * terms + t] =
          index < 0 ? -1 : elementOf(source, channel * plane + index);
      }
    }
  }
  const linear = {
    kind: "linear",
    operands: [source.tensor],
    groups: group,
    rows: outputs / group,
    positions,
    terms,
    weights: Int32Array.from(op.weights.data),
    gather,
  } as const;
  const scale = context.plan.scales[value.inputs[0]];
  const constants = paddingConstants(linear, op.padValue, scale);
  return { tensor: context.emit({ ...linear, constants }), order: null };
}

/** What the padding adds: every absent term stands for the code of zero. */
function paddingConstants(
  { groups, rows, positions, terms, weights, gather }: Omit<LinearInstruction, "constants">,
  padValue: number,
  scale: bigint,
): BigUint64Array {
  if (padValue === 0 || !gather.includes(-1)) return new BigUint64Array(0);
  const constants = new BigUint64Array(groups * rows * positions);
  for (let g = 0; g < groups; g++) {
    for (let m = 0; m < rows; m++) {
      for (let p = 0; p < positions; p++) {
        let sum = 0;
        for (let t = 0; t < terms; t++) {
          if (gather[(g * positions + p) * terms + t] < 0)
            sum += weights[(g * rows + m) * terms + t];
        }
        constants[(g * rows + m) * positions + p] = toTorus(sum * padValue, scale);
      }
    }
  }
  return constants;
}

export function lowerSum(context: Context, value: CircuitValue, sign: 1 | -1): Located {
  const [a, b] = value.inputs.map((id) => context.located[id]);
  const [shapeA, shapeB] = value.inputs.map((id) => context.circuit.values[id].shape);
  const positions = sizeOf(value.shape);
  const elementsA = broadcastElements(shapeA, value.shape);
  const elementsB = broadcastElements(shapeB, value.shape);
  const gather = new Int32Array(2 * positions);
  const start = context.tensorSizes[a.tensor];
  for (let p = 0; p < positions; p++) {
    gather[2 * p] = elementOf(a, elementsA[p]);
    gather[2 * p + 1] = start + elementOf(b, elementsB[p]);
  }
  const tensor = context.emit({
    kind: "linear",
    operands: [a.tensor, b.tensor],
    groups: 1,
    rows: 1,
    positions,
    terms: 2,
    weights: Int32Array.of(1, sign),
    gather,
    constants: new BigUint64Array(0),
  });
  return { tensor, order: null };
}

/** Which element of an operand each element of the sum reads. */
function broadcastElements(operand: readonly number[], result: readonly number[]): Float64Array {
  const indices = float64(
    operand,
    Array.from({ length: sizeOf(operand) }, (_, i) => i),
  );
  return expand(indices, result).data;
}

/** One weight on every element, with an optional constant. */
export function emitScaled(
  context: Context,
  source: Located,
  count: number,
  weight: number,
  constant: bigint,
): Located {
  const tensor = context.emit({
    kind: "linear",
    operands: [source.tensor],
    groups: 1,
    rows: 1,
    positions: count,
    terms: 1,
    weights: Int32Array.of(weight),
    gather: Int32Array.from({ length: count }, (_, i) => elementOf(source, i)),
    constants: constant === 0n ? new BigUint64Array(0) : BigUint64Array.of(constant),
  });
  return { tensor, order: null };
}

export function lowerShift(
  context: Context,
  by: number | Tensor<"int64">,
  { inputs, shape }: CircuitValue,
): Located {
  const scale = context.plan.scales[inputs[0]];
  const values = typeof by === "number" ? [by] : Array.from(expand(by, shape).data);
  const constants = BigUint64Array.from(values, (value) => toTorus(value, scale));
  return emitUnit(context, [inputs[0]], sizeOf(shape), null, constants);
}

/** Moving within one tensor only changes the index map; joining tensors or filling in constants copies. */
export function lowerGather(
  context: Context,
  op: GatherOp,
  { inputs, shape }: CircuitValue,
): Located {
  const [source] = inputs.map((id) => context.located[id]);
  if (inputs.length === 1 && !op.indices.includes(-1)) {
    return { tensor: source.tensor, order: op.indices.map((index) => elementOf(source, index)) };
  }
  const scale = context.plan.scales[inputs[0]];
  const constants = BigUint64Array.from(op.indices, (index) =>
    index < 0 ? toTorus(op.fill, scale) : 0n,
  );
  return emitUnit(context, inputs, sizeOf(shape), op.indices, constants);
}

/** Copies elements of values laid end to end (null: as they come; -1: none), with constants added. */
function emitUnit(
  context: Context,
  inputs: readonly ValueId[],
  count: number,
  indices: Int32Array | null,
  constants: BigUint64Array,
): Located {
  const operands = inputs.map((id) => context.located[id]);
  const elements = laidEndToEnd(context, inputs);
  const gather = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    const index = indices === null ? i : indices[i];
    gather[i] = index < 0 ? -1 : elements[index];
  }
  const tensor = context.emit({
    kind: "linear",
    operands: operands.map((operand) => operand.tensor),
    groups: 1,
    rows: 1,
    positions: count,
    terms: 1,
    weights: Int32Array.of(1),
    gather,
    constants: constants.some((constant) => constant !== 0n) ? constants : new BigUint64Array(0),
  });
  return { tensor, order: null };
}

/** Index that each element of some values has when their tensors are laid end to end. */
function laidEndToEnd(
  { circuit, located, tensorSizes }: Context,
  inputs: readonly ValueId[],
): Int32Array {
  let start = 0;
  const parts = inputs.map((id) => {
    const part = Int32Array.from(
      { length: sizeOf(circuit.values[id].shape) },
      (_, i) => start + elementOf(located[id], i),
    );
    start += tensorSizes[located[id].tensor];
    return part;
  });
  return Int32Array.from(parts.flatMap((part) => [...part]));
}
