/**
 * Lowers a bounded circuit to a program: tensors of ciphertexts, matrix products, lookups.
 * Reshapes cost nothing, they only change the index map of a tensor.
 * @module
 */
import type { Circuit, CircuitOp, CircuitValue, ValueId } from "../circuit/ir.ts";
import { valueId } from "../circuit/ir.ts";
import { constantShape, tabulate } from "../passes/infer-bounds.ts";
import {
  type CircuitConstraint,
  bitAmplification,
  placementOf,
} from "../parameters/constraints.ts";
import type { ParameterChoice } from "../parameters/choice.ts";
import type { EncodingPlan } from "../parameters/encoding-plan.ts";
import { decisionVariance } from "../parameters/noise.ts";
import { gatherWindows } from "../tensor/conv.ts";
import { expand } from "../tensor/strided.ts";
import { type Tensor, float64, sizeOf } from "../tensor/tensor.ts";
import { boxStarts, offsetOf, toTorus } from "./boxes.ts";
import type {
  Instruction,
  LinearInstruction,
  LookupInstruction,
  Program,
  TensorId,
} from "./program.ts";

const NO_CONSTANTS = new BigUint64Array(0);

/** Where a circuit value's elements are: a tensor, and the tensor element of each circuit element (null: the same). */
interface Located {
  readonly tensor: TensorId;
  readonly order: Int32Array | null;
}

/** Everything the lowering of one value may look at. */
interface Context {
  readonly circuit: Circuit;
  readonly plan: EncodingPlan;
  readonly choice: ParameterChoice;
  readonly constraints: readonly CircuitConstraint[];
  readonly located: Located[];
  /** Appends an instruction and returns its tensor. */
  readonly emit: (instruction: Instruction) => TensorId;
}

/** Lowers a circuit with the parameters chosen for it. */
export function lower(
  circuit: Circuit,
  plan: EncodingPlan,
  constraints: readonly CircuitConstraint[],
  choice: ParameterChoice,
): Program {
  const inputs: number[] = [];
  circuit.values.forEach(({ op, shape }) => {
    if (op.kind === "input") inputs[op.index] = sizeOf(shape);
  });
  const instructions: Instruction[] = [];
  const emit = (instruction: Instruction): TensorId => {
    instructions.push(instruction);
    return inputs.length + instructions.length - 1;
  };
  const context: Context = { circuit, plan, choice, constraints, located: [], emit };
  circuit.values.forEach((value, i) => {
    context.located.push(lowerValue(context, value, valueId(i)));
  });
  const outputs = circuit.outputs.map((id) => inOrder(context, id));
  const outputNoiseStd = circuit.outputs.map((id) => {
    const index = constraints.findIndex((c) => c.kind === "output" && c.id === id);
    return choice.noiseStd[index];
  });
  return { parameters: choice.parameters, inputs, instructions, outputs, outputNoiseStd };
}

function lowerValue(context: Context, value: CircuitValue, id: ValueId): Located {
  const { op, inputs } = value;
  switch (op.kind) {
    case "input":
      return { tensor: op.index, order: null };
    case "reshape":
      return context.located[inputs[0]];
    case "matmul":
      return lowerMatmul(context, op, value);
    case "conv":
      return lowerConv(context, op, value);
    case "add":
      return lowerSum(context, value, 1);
    case "sub":
      return lowerSum(context, value, -1);
    case "shift":
      return lowerShift(context, op.by, value);
    case "table":
      return lowerTable(context, op, id);
    case "extractBit":
      return lowerBit(context, op.position, id);
    default:
      throw new Error(`internal: ${op.kind} cannot be lowered`);
  }
}

/** Tensor element of circuit element `index` of a value. */
function elementOf({ order }: Located, index: number): number {
  return order ? order[index] : index;
}

function lowerMatmul(
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

function lowerConv(
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

function lowerSum(context: Context, value: CircuitValue, sign: 1 | -1): Located {
  const [a, b] = value.inputs.map((id) => context.located[id]);
  const [shapeA, shapeB] = value.inputs.map((id) => context.circuit.values[id].shape);
  const positions = sizeOf(value.shape);
  const elementsA = broadcastElements(shapeA, value.shape);
  const elementsB = broadcastElements(shapeB, value.shape);
  const gather = new Int32Array(2 * positions);
  for (let p = 0; p < positions; p++) {
    gather[2 * p] = elementOf(a, elementsA[p]);
    gather[2 * p + 1] = sizeOf(shapeA) + elementOf(b, elementsB[p]);
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

/** One weight on every element, with no constant, one, or one per element. */
function emitScaled(
  context: Context,
  source: Located,
  count: number,
  weight: number,
  constants: BigUint64Array,
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
    constants,
  });
  return { tensor, order: null };
}

function lowerShift(
  context: Context,
  by: number | Tensor<"int64">,
  { inputs, shape }: CircuitValue,
): Located {
  const scale = context.plan.scales[inputs[0]];
  const source = context.located[inputs[0]];
  const constants =
    typeof by === "number"
      ? BigUint64Array.of(toTorus(by, scale))
      : BigUint64Array.from(expand(by, shape).data, (value) => toTorus(value, scale));
  return emitScaled(context, source, sizeOf(shape), 1, constants);
}

/** Extension and noise of a lookup, as the parameter search left them. */
function lookupNoise(
  { constraints, choice }: Context,
  id: ValueId,
): Pick<LookupInstruction, "extensionLog" | "noiseStd"> {
  const index = constraints.findIndex((c) => c.kind === "lookup" && c.id === id);
  const extension = choice.extensions[index];
  const { inputNorms, lookupNorms } = constraints[index];
  const noiseStd = Float64Array.from(lookupNorms, (lookupNorm, i) =>
    Math.sqrt(
      decisionVariance(choice.parameters, { inputNorm: inputNorms[i], lookupNorm }, extension),
    ),
  );
  return { extensionLog: Math.log2(extension), noiseStd };
}

function lowerTable(context: Context, op: CircuitOp & { kind: "table" }, id: ValueId): Located {
  const { circuit, plan, choice, located } = context;
  const { inputs, shape } = circuit.values[id];
  const source = located[inputs[0]];
  const { boxes, firstBox } = placementOf(plan, id);
  const noise = lookupNoise(context, id);
  const size = choice.parameters.polynomialSize * 2 ** noise.extensionLog;
  const scale = plan.scales[inputs[0]];
  const results = tabulate(op, firstBox, boxes, shape.length);
  const tables = results.data.length / boxes;
  const values = new BigUint64Array(tables * boxes);
  for (let t = 0; t < tables; t++) {
    for (let b = 0; b < boxes; b++) {
      values[t * boxes + b] = toTorus(results.data[b * tables + t], plan.scales[id]);
    }
  }
  const starts = boxStarts(placementOf(plan, id), scale, size);
  const count = sizeOf(shape);
  const tensor = context.emit({
    kind: "lookup",
    operand: source.tensor,
    ...noise,
    boxes,
    tables,
    starts: Uint32Array.from({ length: tables * boxes }, (_, i) => starts[i % boxes]),
    values,
    offsets: new BigUint64Array(tables).fill(offsetOf(placementOf(plan, id), scale)),
    outputOffset: 0n,
    sources: Uint32Array.from({ length: count }, (_, i) => elementOf(source, i)),
    tableOf: tableIndices(shape, constantShape(op).shape),
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
function lowerBit(context: Context, position: number, id: ValueId): Located {
  const { circuit, plan, located } = context;
  const { inputs, shape } = circuit.values[id];
  const scale = plan.scales[inputs[0]];
  const count = sizeOf(shape);
  const amplified = emitScaled(
    context,
    located[inputs[0]],
    count,
    bitAmplification(scale, position),
    NO_CONSTANTS,
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
    outputOffset: half,
    sources: Uint32Array.from({ length: count }, (_, i) => i),
    tableOf: new Uint32Array(count),
  });
  return { tensor, order: null };
}

/** A tensor whose elements are in the circuit's order. */
function inOrder(context: Context, id: ValueId): TensorId {
  const located = context.located[id];
  if (located.order === null) return located.tensor;
  return emitScaled(context, located, sizeOf(context.circuit.values[id].shape), 1, NO_CONSTANTS)
    .tensor;
}
