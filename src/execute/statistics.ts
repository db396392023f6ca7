/**
 * What a compiled circuit costs and promises, in numbers for people and scripts.
 * @module
 */
import { bitWidth } from "../circuit/interval.ts";
import type { Circuit } from "../circuit/ir.ts";
import type { ClientSpec } from "../format/client-spec.ts";
import { inputBytes, outputBytes } from "../format/sizes.ts";
import type { Program } from "../lower/program.ts";
import { predictedTotal } from "./prediction.ts";
import type { InteriorChoice, ParameterChoice } from "../parameters/choice.ts";
import type { CryptoParameters } from "../parameters/parameters.ts";
import { sizeOf } from "../tensor/tensor.ts";

/** Artifacts do not know the machine that they will run on: times in them are those of one core. */
const PREDICTED_THREADS = 1;

/** What a circuit asks for before any parameters are chosen. */
export interface CircuitStatistics {
  /** Lookups of one inference. */
  readonly tableLookups: number;
  /** Bits of the widest integer, by the calibrated bounds. */
  readonly maxBitWidth: number;
}

export interface Statistics extends CircuitStatistics {
  /** Bound on the failure probability of one lookup or output, and its base 2 logarithm. */
  readonly pError: number;
  readonly log2PError: number;
  /** Probability that anything fails in one inference, and its base 2 logarithm. */
  readonly failureProbability: number;
  readonly log2FailureProbability: number;
  /** Largest noise of tables and outputs that bear it, and how likely a value leaves; null without `interiorNoise`. */
  readonly interior: InteriorChoice | null;
  readonly securityBits: number;
  /** Sizes as sent, in bytes; inputs and outputs for one row. */
  readonly evaluationKeyBytes: number;
  readonly inputBytes: number;
  readonly outputBytes: number;
  /** Predicted time of one run on `predictedThreads` threads, in milliseconds, by the cost model of the compilation. */
  readonly predictedMs: number;
  readonly predictedThreads: number;
  readonly parameters: CryptoParameters;
}

/** Counts of a bounded circuit. */
export function circuitStatistics({ values }: Circuit): CircuitStatistics {
  const lookups = values.filter(({ op }) => op.kind === "table" || op.kind === "extractBit");
  return {
    tableLookups: lookups.reduce((sum, { shape }) => sum + sizeOf(shape), 0),
    maxBitWidth: Math.max(
      ...values.map(({ bounds }) => (bounds ? bitWidth(bounds.calibrated) : 0)),
    ),
  };
}

/** Statistics of a compiled circuit. */
export function statisticsOf({
  circuit,
  program,
  spec,
  choice,
}: {
  readonly circuit: Circuit;
  readonly program: Program;
  readonly spec: ClientSpec;
  readonly choice: ParameterChoice;
}): Statistics {
  return {
    ...circuitStatistics(circuit),
    pError: 2 ** choice.log2Bound,
    log2PError: choice.log2Bound,
    failureProbability: 2 ** choice.log2GlobalFailure,
    log2FailureProbability: choice.log2GlobalFailure,
    interior: choice.interior,
    securityBits: choice.securityBits,
    evaluationKeyBytes: choice.evaluationKeyBytes,
    inputBytes: inputBytes(spec),
    outputBytes: outputBytes(spec),
    predictedMs: predictedTotal(program, choice.costModel, PREDICTED_THREADS) / 1e6,
    predictedThreads: PREDICTED_THREADS,
    parameters: program.parameters,
  };
}
