/**
 * Trying settings out: exact cost from the compiler, loss on rows from simulation with noise. The compiler is handed in, so
 * that this folder does not depend on it.
 * @module
 */
import { SottoError } from "../errors.ts";
import type { CompiledModule } from "../execute/module.ts";
import { evaluate } from "../onnx/evaluate.ts";
import type { Graph } from "../onnx/graph.ts";
import type { QuantizedModule } from "../quantization/module.ts";
import type { Steps } from "../steps.ts";
import { tensorsOf } from "../tensor/list.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type Judge, type MetricName, judgeOf, mean } from "./metric.ts";
import { seededRandom } from "./random.ts";
import { type Split, pickRows } from "./rows.ts";
import type { TunedOptions } from "./space.ts";

/** The compiler as a search needs it, with all options that it does not decide already in place. */
export interface Pipeline {
  quantize(calibration: readonly Tensor[], options: TunedOptions): Steps<QuantizedModule>;
  compile(module: QuantizedModule, options: TunedOptions): Steps<CompiledModule>;
}

/** What an inference costs. */
export interface Cost {
  /** Predicted milliseconds on one core. */
  readonly predictedMs: number;
  readonly tableLookups: number;
  readonly evaluationKeyBytes: number;
}

/** What a simulation of some rows says. */
export interface Measured extends Cost {
  /** One loss per row, the mean of all draws of noise. */
  readonly losses: Float64Array;
  /** Mean loss beyond that of the float model. */
  readonly excess: number;
  /** Mean distance to the float model's outputs. */
  readonly distance: number;
}

/** What a search asks about settings. */
export interface Measures {
  /** Loss in the clear, without noise and whatever no parameters could serve. */
  clear(split: Split, options: TunedOptions): Steps<ClearLoss>;
  /** Cost of the settings, or null where no parameters serve them. */
  cost(split: Split, options: TunedOptions): Steps<Cost | null>;
  /**
   * Cost and simulated loss of the settings, or null where no parameters serve them. Each of the draws simulates every row
   * with noise of its own.
   */
  simulate(split: Split, options: TunedOptions, draws?: number): Steps<Measured | null>;
}

/** Mean loss beyond that of the float model, and mean distance to its outputs. */
export interface ClearLoss {
  readonly excess: number;
  readonly distance: number;
}

/** Rows simulated between two looks at the signal. */
const BATCH = 64;
/** Quantized modules kept at hand: neighbours in noise share one. */
const KEPT_MODULES = 24;

/** Tries settings on splits; remembers quantized modules and judges. */
export class Trials implements Measures {
  readonly #pipeline: Pipeline;
  readonly #graph: Graph;
  readonly #metric: MetricName | "auto";
  readonly #modules = new Map<string, QuantizedModule>();
  readonly #judges = new Map<Split, Judge>();
  /** A cost is asked for first, and then often the losses of the same. */
  #last: { readonly key: string; readonly compiled: CompiledModule } | null = null;
  /** Why the last settings that could not be compiled could not. */
  lastError: SottoError | null = null;

  constructor(pipeline: Pipeline, graph: Graph, metric: MetricName | "auto") {
    this.#pipeline = pipeline;
    this.#graph = graph;
    this.#metric = metric;
  }

  /** The judge of a split's rows. Throws BAD_SHAPE on labels that do not fit. */
  judge(split: Split): Judge {
    const known = this.#judges.get(split);
    if (known) return known;
    const floats = evaluate(this.#graph, split.rows);
    const judge = judgeOf(this.#metric, floats, split.labels);
    this.#judges.set(split, judge);
    return judge;
  }

  *clear(split: Split, options: TunedOptions): Steps<ClearLoss> {
    const module = yield* this.#module(split, options);
    const outputs = tensorsOf(module.forward<Tensor[]>([...split.rows]));
    const judge = this.judge(split);
    return { excess: excessOf(judge.losses(outputs), judge), distance: judge.distance(outputs) };
  }

  *cost(split: Split, options: TunedOptions): Steps<Cost | null> {
    const compiled = yield* this.#compile(split, options);
    return compiled && costOf(compiled);
  }

  *simulate(split: Split, options: TunedOptions, draws = 1): Steps<Measured | null> {
    const compiled = yield* this.#compile(split, options);
    if (compiled === null) return null;
    const judge = this.judge(split);
    const rows = split.rows[0].shape[0];
    const losses = new Float64Array(rows);
    let distance = 0;
    for (let draw = 0; draw < draws; draw++) {
      const outputs = yield* simulateRows(compiled, split, seededRandom(draw + 1));
      judge.losses(outputs).forEach((loss, row) => {
        losses[row] += loss / draws;
      });
      distance += judge.distance(outputs) / draws;
    }
    return { ...costOf(compiled), losses, excess: excessOf(losses, judge), distance };
  }

  *#compile(split: Split, options: TunedOptions): Steps<CompiledModule | null> {
    const key = JSON.stringify([split.name, options]);
    if (this.#last?.key === key) return this.#last.compiled;
    const module = yield* this.#module(split, options);
    try {
      const compiled = yield* this.#pipeline.compile(module, options);
      this.#last = { key, compiled };
      return compiled;
    } catch (error) {
      const isTooWide =
        error instanceof SottoError &&
        (error.code === "NO_PARAMETERS" || error.code === "TABLE_TOO_WIDE");
      if (!isTooWide) throw error;
      this.lastError = error;
      return null;
    }
  }

  *#module(split: Split, options: TunedOptions): Steps<QuantizedModule> {
    const { nBits, roundingThresholdBits, quantization } = options;
    const key = JSON.stringify([split.name, nBits, roundingThresholdBits, quantization]);
    const known = this.#modules.get(key);
    this.#modules.delete(key);
    const module = known ?? (yield* this.#pipeline.quantize(split.calibration, options));
    this.#modules.set(key, module); // now the youngest
    for (const oldest of this.#modules.keys()) {
      if (this.#modules.size <= KEPT_MODULES) break;
      this.#modules.delete(oldest);
    }
    return module;
  }
}

function excessOf(losses: Float64Array, { floatLosses }: Judge): number {
  return mean(losses) - mean(floatLosses);
}

function costOf({ circuit }: CompiledModule): Cost {
  const { predictedMs, tableLookups, evaluationKeyBytes } = circuit.statistics;
  return { predictedMs, tableLookups, evaluationKeyBytes };
}

function* simulateRows(
  compiled: CompiledModule,
  { rows }: Split,
  random: () => number,
): Steps<Tensor[]> {
  const codes = tensorsOf(compiled.quantizeInput<Tensor[]>([...rows]));
  const count = codes[0].shape[0];
  const answers: Tensor[][] = [];
  for (let first = 0; first < count; first += BATCH) {
    yield { stage: "simulate", done: first, total: count };
    const batch = codes.map((full) => pickRows(full, (r) => r >= first && r < first + BATCH));
    answers.push(tensorsOf(compiled.circuit.simulate<Tensor[]>(batch, { random })));
  }
  const joined = answers[0].map((_, i) => concatRows(answers.map((batch) => batch[i])));
  return tensorsOf(compiled.dequantizeOutput<Tensor[]>(joined));
}

function concatRows(parts: readonly Tensor[]): Tensor {
  const [{ dtype, shape }] = parts;
  const data = new Float64Array(parts.reduce((sum, part) => sum + part.data.length, 0));
  let offset = 0;
  for (const part of parts) {
    data.set(part.data, offset);
    offset += part.data.length;
  }
  const rows = parts.reduce((sum, part) => sum + part.shape[0], 0);
  return { dtype, shape: [rows, ...shape.slice(1)], data };
}
