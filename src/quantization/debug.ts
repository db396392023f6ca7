/**
 * What happens inside a quantized module on given inputs: the integers that each operator reads and its accumulator. The
 * same lowering that builds the circuit runs here on tensors, so that these are the integers of the circuit.
 * @module
 */
import { applyOp } from "../circuit/apply.ts";
import { type Target, measureInterval } from "../circuit/builder.ts";
import type { Interval } from "../circuit/interval.ts";
import type { CircuitOp } from "../circuit/ir.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { lowerModule } from "./build-circuit.ts";
import type { QuantizedModule } from "./module.ts";
import type { QuantizedOperation } from "./operation.ts";

/** The integers of one operator, rows first. */
export interface OperatorIntegers {
  /** ONNX operator. */
  readonly opType: string;
  /** Name of the tensor that it computes. */
  readonly output: string;
  /** Codes that it reads, in the order in which it needs them. */
  readonly inputs: readonly Tensor[];
  /** Its integers before they are rounded or turned into floats; null where it has none of its own. */
  readonly accumulator: Tensor | null;
}

/** By node name; operators that are evaluated in float inside a table have no integers of their own. */
export type DebugValues = ReadonlyMap<string, OperatorIntegers>;

/** Runs a module on codes, one tensor per input; returns the codes of its outputs and the integers of every operator. */
export function debugForward(
  module: QuantizedModule,
  codes: readonly Tensor[],
): { readonly outputs: Tensor[]; readonly values: DebugValues } {
  const fits = measureFits(module);
  const values = new Map<string, OperatorIntegers>();
  const recorders = new Map<QuantizedOperation, Recorder>();
  const outputs = lowerModule(module, codes, (op) => {
    const recorder = new Recorder((id) => (op && fits.get(fitKey(op, id))) ?? null);
    if (op && !op.isFused) recorders.set(op, recorder);
    return recorder;
  });
  for (const [op, { inputs, accumulator }] of recorders) {
    const { name, opType, outputs: results } = op.node;
    values.set(name, { opType, output: results[0], inputs: [...inputs], accumulator });
  }
  return { outputs, values };
}

/** Intervals that fit rounding fills: those of the integers that calibration rows give. */
function measureFits(module: QuantizedModule): ReadonlyMap<string, Interval> {
  const fits = new Map<string, Interval>();
  const isFit = ({ rounding }: QuantizedOperation): boolean => rounding?.method === "fit";
  if (!module.operations.some(isFit)) return fits;
  const codes = module.calibration.map((rows, i) => module.inputs[i].quantizer.quant(rows));
  lowerModule(module, codes, (op) => {
    return new Recorder((id, value) => {
      if (op === null || !isFit(op)) return null;
      const interval = measureInterval(value);
      fits.set(fitKey(op, id), interval);
      return interval;
    });
  });
  return fits;
}

function fitKey({ node }: QuantizedOperation, id: string): string {
  return JSON.stringify([node.outputs[0], id]);
}

const LEAVES_INTEGERS: ReadonlySet<CircuitOp["kind"]> = new Set(["dequantize", "round", "fit"]);

/** Runs one operator's lowering on tensors and keeps what it read and the integers that it left. */
class Recorder implements Target<Tensor> {
  readonly inputs = new Set<Tensor>();
  accumulator: Tensor | null = null;
  readonly #made = new Set<Tensor>();
  readonly #interval: (id: string, value: Tensor) => Interval | null;

  constructor(interval: (id: string, value: Tensor) => Interval | null) {
    this.#interval = interval;
  }

  emit(op: CircuitOp, inputs: readonly Tensor[]): Tensor {
    const result = applyOp(op, inputs);
    if (op.kind === "float") return result;
    if (op.kind === "quantize") {
      this.inputs.add(result);
      return result;
    }
    if (LEAVES_INTEGERS.has(op.kind)) {
      if (this.#made.has(inputs[0])) this.accumulator ??= inputs[0];
      return result;
    }
    for (const input of inputs) if (!this.#made.has(input)) this.inputs.add(input);
    this.#made.add(result);
    return result;
  }

  shapeOf({ shape }: Tensor): readonly number[] {
    return shape;
  }

  intervalOf(value: Tensor, id: string): Interval | null {
    return this.#interval(id, value);
  }
}
