/**
 * Bounds inference: the interval that each integer takes on calibration rows, and the one it cannot leave.
 * Widths follow from bounds and parameters from widths: a guaranteed bound may be loose, never tight.
 * Fit tables get their interval here, from the integers that really arrive.
 * @module
 */
import type { Interval } from "../circuit/interval.ts";
import { measureInterval } from "../circuit/builder.ts";
import { evaluateInSteps } from "../circuit/evaluate.ts";
import {
  type Bounds,
  type Circuit,
  type CircuitValue,
  type GatherOp,
  type TableEncoding,
  type TableOp,
  gridOf,
} from "../circuit/ir.ts";
import { unreachable } from "../errors.ts";
import { type Steps, finish } from "../steps.ts";
import { type Tensor, int64 } from "../tensor/tensor.ts";
import { learnWindow } from "./learn-window.ts";
import { constantShape, shiftsOf, tabulate } from "../circuit/tabulate.ts";

export interface BoundsContext {
  /** Codes of the calibration rows, one tensor per input. */
  readonly calibration: readonly Tensor[];
  /** Which of the two intervals widths are taken from. */
  readonly bounds: "calibrated" | "guaranteed";
  /** Fit tables that bear so much noise learn where to read from calibration; null or none: the whole interval. */
  readonly interiorNoise?: number | null;
}

/** Table points beyond this are not enumerated; the quantizer's range of codes serves as the guaranteed bound. */
const MAX_ENUMERATED = 1 << 22;

/** Annotates every value with its bounds. */
export function inferBounds(circuit: Circuit, context: BoundsContext): Circuit {
  return finish(inferBoundsInSteps(circuit, context));
}

/** The same with a step per value. */
export function* inferBoundsInSteps(circuit: Circuit, context: BoundsContext): Steps<Circuit> {
  const values: CircuitValue[] = [];
  yield* evaluateInSteps(circuit, context.calibration, "passes", {
    before(value, [operand]) {
      return resolveFit(value, values, { ...context, operand });
    },
    after(value, result) {
      const inputs = value.inputs.map((id) => requireBounds(values[id]).guaranteed);
      const calibrated = measureInterval(result);
      // Rows are data: a result outside the proof would be our bug, and verify reports it.
      values.push({ ...value, bounds: { calibrated, guaranteed: guarantee(value, inputs) } });
    },
  });
  return { ...circuit, values };
}

/** The bounds of a value that has been through inference. */
export function requireBounds(value: CircuitValue): Bounds {
  if (value.bounds === null) throw new Error(`internal: ${value.name} has no bounds`);
  return value.bounds;
}

function resolveFit(
  value: CircuitValue,
  known: readonly CircuitValue[],
  { bounds, interiorNoise = null, operand }: BoundsContext & { readonly operand: Tensor },
): CircuitValue {
  const { op } = value;
  if (op.kind !== "table" || op.encoding.kind !== "fit" || op.encoding.interval !== null)
    return value;
  const { encoding } = op;
  const interval = requireBounds(known[value.inputs[0]])[bounds];
  const window =
    bounds === "calibrated" && interiorNoise !== null
      ? learnWindow(op, operand, { steps: encoding.steps, noise: interiorNoise })
      : null;
  return { ...value, op: { ...op, encoding: { ...encoding, ...(window ?? { interval }) } } };
}

function guarantee({ op, name, shape }: CircuitValue, inputs: readonly Interval[]): Interval {
  const [x] = inputs;
  switch (op.kind) {
    case "input":
      return op.interval;
    case "matmul":
      return weightedSum(op.weights, 1, x);
    case "conv":
      return weightedSum(op.weights, 0, {
        lo: Math.min(x.lo, op.padValue),
        hi: Math.max(x.hi, op.padValue),
      });
    case "add":
      return { lo: x.lo + inputs[1].lo, hi: x.hi + inputs[1].hi };
    case "sub":
      return { lo: x.lo - inputs[1].hi, hi: x.hi - inputs[1].lo };
    case "shift":
      return shiftedRange(op.by, x);
    case "reshape":
      return x;
    case "gather":
      return gatheredRange(op, inputs);
    case "oneHot":
      return { lo: 0, hi: 1 };
    case "select":
      return measureInterval(int64([op.values.length], op.values));
    case "round": {
      const step = 2 ** op.lsbs;
      const snap = (v: number): number => Math.floor((v + step / 2) / step) * step;
      return { lo: snap(x.lo), hi: snap(x.hi) };
    }
    case "table":
      return tableRange(op, statedRange(op.encoding) ?? x, shape.length);
    case "extractBit":
      return { lo: 0, hi: 2 ** op.position };
    case "fit":
    case "dequantize":
    case "float":
    case "quantize":
    case "list":
      throw new Error(`internal: ${name} is left after fusion`);
    default:
      return unreachable(op);
  }
}

function shiftedRange(by: number | Tensor, x: Interval): Interval {
  const { lo, hi } = typeof by === "number" ? { lo: by, hi: by } : measureInterval(by);
  return { lo: x.lo + lo, hi: x.hi + hi };
}

function gatheredRange({ indices, fill }: GatherOp, inputs: readonly Interval[]): Interval {
  const filled = indices.includes(-1) ? [fill] : [];
  return {
    lo: Math.min(...inputs.map(({ lo }) => lo), ...filled),
    hi: Math.max(...inputs.map(({ hi }) => hi), ...filled),
  };
}

/** Union over output channels of the interval of a sum of weight x input; `axis` is where the channels are. */
function weightedSum(weights: Tensor, axis: 0 | 1, x: Interval): Interval {
  const channels = weights.shape[axis];
  const lo = new Float64Array(channels);
  const hi = new Float64Array(channels);
  const perChannel = weights.data.length / channels;
  weights.data.forEach((w, i) => {
    const channel = axis === 1 ? i % channels : Math.floor(i / perChannel);
    lo[channel] += w > 0 ? w * x.lo : w * x.hi;
    hi[channel] += w > 0 ? w * x.hi : w * x.lo;
  });
  return { lo: Math.min(...lo), hi: Math.max(...hi) };
}

/** The integers that can arrive at a table, where its operator knows them. */
export function statedRange(encoding: TableEncoding): Interval | undefined {
  return encoding.kind === "each" ? encoding.range : undefined;
}

/** Everything a table can give on the boxes that an interval touches. */
function tableRange(op: TableOp, x: Interval, rank: number): Interval {
  const last = op.steps[op.steps.length - 1].op;
  const grid = gridOf(op.encoding);
  const shift = measureInterval(shiftsOf(op.encoding));
  const first = Math.floor((x.lo - shift.hi - grid.origin) / grid.step);
  const boxes = Math.floor((x.hi - shift.lo - grid.origin) / grid.step) - first + 1;
  const { shape } = constantShape(op);
  const classes = shape.reduce((product, dim) => product * dim, 1);
  if (boxes * classes > MAX_ENUMERATED && last.kind === "quantize" && !last.map.noClipping) {
    const [lo, hi] = last.map.codeRange;
    return { lo, hi };
  }
  return measureInterval(tabulate(op, first, boxes, rank));
}
