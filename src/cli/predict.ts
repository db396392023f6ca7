/**
 * `sotto predict`: compiles a model and runs it on rows of inputs, in the clear, simulated or encrypted.
 * @module
 */
import type { CompiledModule } from "../execute/module.ts";
import { tensorsOf } from "../quantization/module.ts";
import { toNested } from "../tensor/nested.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { compileModel, limitRows, newTimings, prepareKeys } from "./model.ts";
import { readTensors, runEncrypted, threadsOf, type EncryptedRun } from "./model.ts";
import type { PredictOptions } from "./options.ts";
import { costJson, outputsText, quantizerJson, summaryText, writeJson } from "./output.ts";

/** Prints the outputs and what they cost; the JSON is described in the manual. */
export async function predict(options: PredictOptions): Promise<void> {
  const timings = newTimings();
  const rows = limitRows(await readTensors(options.input), options.limit);
  const model = await compileModel(options, timings);
  const codes = tensorsOf(model.quantizeInput<Tensor[]>(rows));
  const run = { threads: threadsOf(options.threads), signal: options.signal, timings };
  const answers = await execute(model, codes, options, run);
  const outputs = tensorsOf(model.dequantizeOutput<Tensor[]>(answers));
  if (options.json !== "-") {
    process.stdout.write(`${outputsText(outputs)}\n${summaryText(model, timings)}\n`);
  }
  if (options.json === undefined) return;
  const { inputs, outputs: answerPorts } = model.circuit.parts.spec;
  await writeJson(options.json, {
    mode: options.mode,
    outputs: outputs.map(toNested),
    quantizedInputs: codes.map(toNested),
    quantizedOutputs: answers.map(toNested),
    inputQuantizers: inputs.map(({ quantizer }) => quantizerJson(quantizer)),
    outputQuantizers: answerPorts.map(({ quantizer }) => quantizerJson(quantizer)),
    ...costJson(model),
    timings,
    threads: run.threads,
  });
}

async function execute(
  model: CompiledModule,
  codes: readonly Tensor[],
  { mode, keys }: PredictOptions,
  run: EncryptedRun,
): Promise<Tensor[]> {
  switch (mode) {
    case "clear":
    case "simulate": {
      const start = performance.now();
      const fhe = mode === "clear" ? "disable" : "simulate";
      const answers = tensorsOf(model.quantizedForward<Tensor[]>(codes, { fhe }));
      run.timings.runMs.push(performance.now() - start);
      return answers;
    }
    case "encrypted":
      await prepareKeys(model, keys, run);
      return runEncrypted(model, codes, run);
  }
}
