/**
 * A compiled module layer by layer: what each instruction does, what it should take and took, and how far its noise is
 * from a mistake. What `sotto bench` prints and report.html shows.
 * @module
 */
import { sizeOf } from "../tensor/tensor.ts";
import type { Instruction } from "../lower/program.ts";
import { effectiveMargin } from "../parameters/choice.ts";
import type { CostModel } from "../parameters/cost.ts";
import type { CircuitConstraint } from "../parameters/constraints.ts";
import type { CompiledModule } from "./module.ts";
import { predictInstructions } from "./prediction.ts";

/** One instruction, or an output, which only decides. */
export interface Layer {
  /** ONNX node that it comes from. */
  readonly name: string;
  readonly kind: "lookup" | "linear" | "output";
  /** Ciphertexts that it gives. */
  readonly results: number;
  /** Lookups only. */
  readonly lookup: { readonly boxes: number; readonly extension: number } | null;
  readonly predictedMs: number;
  /** Null where nothing was measured. */
  readonly measuredMs: number | null;
  /** Lookups and outputs. */
  readonly noise: {
    /** Standard deviation at the decision, as a fraction of the torus. */
    readonly std: number;
    /** Half width of the decision, in standard deviations. */
    readonly margin: number;
    readonly log2Failure: number;
    /** The standard deviation as a share of the interval that is read; null where no noise is borne. */
    readonly share: number | null;
  } | null;
}

/** A run that was timed. */
export interface Measurement {
  readonly threads: number;
  /** The model that predicts for the machine of the run. */
  readonly costModel: CostModel;
  /** Median of whole runs. */
  readonly runMs: number;
  /** Of each instruction, the median over runs; empty where nothing ran. */
  readonly instructionMs: readonly number[];
}

/** All instructions in their order, then the outputs. Without a measurement, times are those of one core of the compilation's model. */
export function layersOf(
  { circuit: { parts }, constraints }: CompiledModule,
  measurement?: Measurement,
): Layer[] {
  const { circuit, program, choice } = parts;
  const { threads = 1, costModel = choice.costModel } = measurement ?? {};
  const predicted = predictInstructions(program, costModel, threads);
  const noiseOf = (
    kind: CircuitConstraint["kind"],
    id: CircuitConstraint["id"],
  ): Layer["noise"] => {
    const index = constraints.findIndex((c) => c.kind === kind && c.id === id);
    if (index < 0) return null;
    const std = choice.noiseStd[index];
    const size = choice.parameters.polynomialSize * choice.extensions[index];
    const margin = effectiveMargin(constraints[index], size) / std;
    const { interior } = constraints[index];
    const share = interior === undefined ? null : std / interior.width;
    return { std, margin, log2Failure: choice.log2Failure[index], share };
  };
  const layers = program.instructions.map((instruction, i): Layer => {
    const id = program.origins[i];
    const { kind } = instruction;
    return {
      name: circuit.values[id].name,
      kind,
      results: resultsOf(instruction),
      lookup:
        kind === "lookup"
          ? { boxes: instruction.boxes, extension: 2 ** instruction.extensionLog }
          : null,
      predictedMs: predicted[i] / 1e6,
      measuredMs: measurement?.instructionMs[i] ?? null,
      noise: kind === "lookup" ? noiseOf(kind, id) : null,
    };
  });
  const outputs = circuit.outputs.map((id): Layer => ({
    name: circuit.values[id].name,
    kind: "output",
    results: sizeOf(circuit.values[id].shape),
    lookup: null,
    predictedMs: 0,
    measuredMs: null,
    noise: noiseOf("output", id),
  }));
  return [...layers, ...outputs];
}

function resultsOf(instruction: Instruction): number {
  if (instruction.kind === "lookup") return instruction.sources.length;
  return instruction.groups * instruction.rows * instruction.positions;
}
