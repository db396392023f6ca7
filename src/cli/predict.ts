/**
 * `sotto predict`: compiles a model and runs it on rows of inputs, in the clear, simulated or encrypted.
 * @module
 */
import { tensorsOf } from "../tensor/list.ts";
import { evaluateInSteps } from "../circuit/evaluate.ts";
import { finishAsync } from "../steps.ts";
import { joinRows, splitRows } from "../execute/circuit.ts";
import type { CompiledModule } from "../execute/module.ts";
import { circuitStatistics } from "../execute/statistics.ts";
import { type QuantizedModule } from "../quantization/module.ts";
import { toNested } from "../tensor/nested.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { compileModel, limitRows, newTimings, prepareKeys, quantizeModel } from "./model.ts";
import { readTensors, runEncrypted, threadsOf, withProgress, type EncryptedRun } from "./model.ts";
import type { PredictOptions } from "./options.ts";
import {
  costJson,
  outputsJson,
  outputsText,
  quantizerJson,
  summaryText,
  writeJson,
} from "./output.ts";
import type { Timings } from "./output.ts";

/** What a mode gives: codes in and out, and the model behind them. */
interface Prediction {
  readonly module: QuantizedModule;
  readonly compiled: CompiledModule | null;
  readonly codes: readonly Tensor[];
  readonly answers: readonly Tensor[];
}

/** Prints the outputs and what they cost; the JSON is described in the manual. */
export async function predict(options: PredictOptions): Promise<void> {
  const timings = newTimings();
  const rows = limitRows(await readTensors(options.input), options.limit);
  const run = { threads: threadsOf(options.threads), signal: options.signal, timings };
  const prediction =
    options.mode === "clear"
      ? await predictClear(options, rows, timings)
      : await predictCompiled(options, rows, run);
  const { module, compiled, codes, answers } = prediction;
  const outputs = tensorsOf(module.dequantizeOutput<Tensor[]>(answers));
  const counts = circuitStatistics(module.circuitFor("calibrated"));
  const statistics = compiled?.circuit.statistics ?? null;
  if (options.json !== "-") {
    const summary = summaryText(counts, statistics, timings);
    process.stdout.write(`${outputsText(module.after.outputs, outputs)}\n${summary}\n`);
  }
  if (options.json === undefined) return;
  await writeJson(options.json, {
    mode: options.mode,
    outputs: outputsJson(module.after.outputs, outputs),
    quantizedInputs: codes.map(toNested),
    quantizedOutputs: answers.map(toNested),
    inputQuantizers: module.inputs.map(({ quantizer }) => quantizerJson(quantizer)),
    outputQuantizers: module.outputs.map(({ quantizer }) => quantizerJson(quantizer)),
    ...costJson(counts, statistics),
    timings,
    threads: run.threads,
  });
}

async function predictClear(
  options: PredictOptions,
  rows: readonly Tensor[],
  timings: Timings,
): Promise<Prediction> {
  const { module, compiled } = await quantizeModel(options, timings);
  const codes = tensorsOf(module.quantizeInput<Tensor[]>(rows));
  const start = performance.now();
  const steps = evaluateInSteps(module.circuitFor("calibrated"), codes, "clear run");
  const { signal } = options;
  const answers = await withProgress((onProgress) => finishAsync(steps, { signal, onProgress }));
  timings.runMs.push(performance.now() - start);
  return { module, compiled, codes, answers };
}

async function predictCompiled(
  options: PredictOptions,
  rows: readonly Tensor[],
  run: EncryptedRun,
): Promise<Prediction> {
  const compiled = await compileModel(options, run.timings);
  const { module } = compiled;
  const codes = tensorsOf(module.quantizeInput<Tensor[]>(rows));
  if (options.mode === "encrypted") {
    await prepareKeys(compiled, options.keys, run);
    return { module, compiled, codes, answers: await runEncrypted(compiled, codes, run) };
  }
  const answers = await simulateRows(compiled, codes, run);
  return { module, compiled, codes, answers };
}

/** Row by row, as each has its own time. */
async function simulateRows(
  { circuit }: CompiledModule,
  codes: readonly Tensor[],
  { signal, timings }: EncryptedRun,
): Promise<Tensor[]> {
  const rows = splitRows(codes);
  const results: Tensor[][] = [];
  let overflows = 0;
  await withProgress(async (report) => {
    for (const [index, row] of rows.entries()) {
      const start = performance.now();
      const onProgress = (stage: string, done: number, total: number): void => {
        const half = stage === "simulate" ? 1 : 0; // the first half looks for overflows
        report("simulated runs", index + (half + done / total) / 2, rows.length);
      };
      results.push(tensorsOf(await circuit.simulateAsync<Tensor[]>(row, { signal, onProgress })));
      timings.runMs.push(performance.now() - start);
      overflows += circuit.overflows;
    }
  });
  if (overflows > 0) {
    process.stderr.write(`note: ${overflows} integers left the calibrated interval\n`);
  }
  return joinRows(results);
}
