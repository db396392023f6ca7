/**
 * What a circuit asks of the parameters: one constraint per table, bit extraction and output.
 * @module
 */
import { type Circuit, type ValueId, valueId } from "../circuit/ir.ts";
import { constantShape } from "../circuit/tabulate.ts";
import { type Steps, finish } from "../steps.ts";
import { sizeOf } from "../tensor/tensor.ts";
import type { NoiseConstraint } from "./choice.ts";
import type { EncodingPlan, Placement } from "./encoding-plan.ts";
import { type LinearForm, linearForms, squaredNorm } from "./linear-forms.ts";

/** A constraint with the value it comes from, and the noise factors of each element. */
export interface CircuitConstraint extends NoiseConstraint {
  /** The table, bit extraction or output value. */
  readonly id: ValueId;
  /** Per element: sum of squared coefficients over lookup results, and over fresh inputs. */
  readonly lookupNorms: Float64Array;
  readonly inputNorms: Float64Array;
}

const TORUS = 2 ** 64;

/** All constraints of a circuit: lookups in order, then outputs. */
export function constraintsOf(circuit: Circuit, plan: EncodingPlan): CircuitConstraint[] {
  return finish(constraintsInSteps(circuit, plan));
}

/** The same with a step per value. */
export function* constraintsInSteps(
  circuit: Circuit,
  plan: EncodingPlan,
): Steps<CircuitConstraint[]> {
  const forms = yield* linearForms(circuit);
  const constraints: CircuitConstraint[] = [];
  circuit.values.forEach((value, i) => {
    const id = valueId(i);
    const [source] = value.inputs;
    if (value.op.kind === "table") {
      const placement = placementOf(plan, id);
      constraints.push({
        ...base(circuit, id, forms[source], placement.factor),
        ...workOf(circuit, id, placement.factor),
        kind: "lookup",
        ...tableMargin(placement, plan.interiorNoise),
      });
    }
    if (value.op.kind === "extractBit") {
      const amplification = bitAmplification(plan.scales[source], value.op.position);
      constraints.push({
        ...base(circuit, id, forms[source], amplification),
        kind: "lookup",
        margin: 1 / 4,
        misalignment: 0,
      });
    }
  });
  circuit.outputs.forEach((id) => {
    constraints.push({
      ...base(circuit, id, forms[id], 1),
      kind: "output",
      ...outputMargin(plan, id),
    });
  });
  return constraints;
}

type Margin = Pick<CircuitConstraint, "margin" | "misalignment" | "interior" | "unit">;

/** A table reads the right box, or, where it tolerates noise, a value that moves by less than half of its interval. */
function tableMargin(
  { grid, boxes, scale, noisySpan }: Placement,
  interiorNoise: number | null,
): Margin {
  if (interiorNoise !== null && noisySpan !== null) {
    const width = (noisySpan * Number(scale)) / TORUS;
    return { margin: width / 2, misalignment: 0, interior: { width, largest: interiorNoise } };
  }
  const width = (grid.step * Number(scale)) / TORUS;
  const isAligned = Number.isInteger(Math.log2(boxes)) && Math.abs(width * 2 * boxes - 1) < 1e-9;
  return { margin: width / 2, misalignment: isAligned ? 0 : 0.5 };
}

/** Outputs bear less than tables: no layer behind them averages their noise. It costs the search 4 % at most. */
const OUTPUT_SHARE = 1 / 4;

/** An output keeps its tolerance, or, where it tolerates noise, stays within the window that the client decodes in. */
function outputMargin({ outputs, scales, interiorNoise }: EncodingPlan, id: ValueId): Margin {
  const { tolerance, noisySpan } = outputs.get(id) ?? { tolerance: 0.5, noisySpan: null };
  const unit = Number(scales[id]) / TORUS;
  if (interiorNoise === null || noisySpan === null) {
    return { margin: tolerance * unit, misalignment: 0, unit };
  }
  const width = noisySpan * unit;
  const interior = { width, largest: OUTPUT_SHARE * interiorNoise };
  return { margin: (1 - width) / 2, misalignment: 0, interior, unit };
}

/** Factor that moves bit `position` of an integer at this scale to the top of the torus. */
export function bitAmplification(scale: bigint, position: number): number {
  return Number(2n ** 63n / (scale << BigInt(position)));
}

/** Rotations and keyswitches of a table: fewer than elements where consecutive ones read the same. */
function workOf(
  circuit: Circuit,
  id: ValueId,
  factor: number,
): Pick<NoiseConstraint, "rotations" | "sources"> {
  const { op, inputs } = circuit.values[id];
  // A table that multiplies its input reads copies of it.
  if (op.kind !== "table" || factor !== 1) return {};
  const sources = distinctInputs(circuit, inputs[0]);
  const isOneTable = sizeOf(constantShape(op).shape) === 1;
  return isOneTable ? { rotations: sources, sources } : { sources };
}

/**
 * Elements of a value that differ from the one before them: consecutive lookups of one ciphertext share its keyswitch.
 * Only moves within one value repeat ciphertexts.
 */
function distinctInputs(circuit: Circuit, id: ValueId): number {
  const count = sizeOf(circuit.values[id].shape);
  let order: Int32Array | null = null;
  let at = id;
  for (;;) {
    const { op, inputs } = circuit.values[at];
    const isMove = op.kind === "gather" && inputs.length === 1 && !op.indices.includes(-1);
    if (!isMove && op.kind !== "reshape") break;
    if (isMove) order = order === null ? op.indices : order.map((index) => op.indices[index]);
    at = inputs[0];
  }
  if (order === null) return count;
  return order.reduce((runs, index, i) => runs + (i > 0 && index === order[i - 1] ? 0 : 1), 0);
}

/** Where a table's boxes lie. */
export function placementOf(
  plan: EncodingPlan,
  id: ValueId,
): NonNullable<ReturnType<EncodingPlan["placements"]["get"]>> {
  const placement = plan.placements.get(id);
  if (!placement) throw new Error(`internal: table %${id} has no placement`);
  return placement;
}

function base(
  circuit: Circuit,
  id: ValueId,
  form: LinearForm,
  amplification: number,
): Omit<CircuitConstraint, "kind" | keyof Margin> {
  const { shape, name } = circuit.values[id];
  const count = sizeOf(shape);
  const factor = amplification * amplification;
  const isInput = (source: ValueId): boolean => {
    const { kind } = circuit.values[source].op;
    return kind === "input" || kind === "oneHot";
  };
  const inputNorms = squaredNorm(form, isInput, count).map((x) => x * factor);
  const lookupNorms = squaredNorm(form, (source) => !isInput(source), count).map((x) => x * factor);
  return {
    id,
    name,
    count,
    inputNorms,
    lookupNorms,
    inputNorm: inputNorms.reduce((a, b) => Math.max(a, b), 0),
    lookupNorm: lookupNorms.reduce((a, b) => Math.max(a, b), 0),
  };
}
