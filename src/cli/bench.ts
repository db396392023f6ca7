/**
 * `sotto bench`: times each layer of encrypted inferences beside what the cost model predicts, and sets the run beside a
 * raw loop of the same lookups on one thread in this process: what the schedule costs on top of the cryptography.
 * @module
 */
import { costModelInSteps } from "../calibration/machine.ts";
import { type Layer, layersOf, type Measurement } from "../execute/layers.ts";
import type { CompiledModule } from "../execute/module.ts";
import { loadEngine } from "../native/load.ts";
import type { CostModel } from "../parameters/cost.ts";
import { encodeParameters } from "../parameters/encoding.ts";
import { renderReport } from "../report/report.ts";
import { finishAsync } from "../steps.ts";
import { tensorsOf } from "../tensor/list.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { compileModel, limitRows, newTimings, prepareKeys } from "./model.ts";
import { readTensors, runEncrypted, threadsOf, withProgress } from "./model.ts";
import type { BenchOptions } from "./options.ts";
import { costJson, median, summaryText, writeBytes, writeJson } from "./output.ts";
import { formatDuration, table, wantsColor } from "./terminal.ts";

/** Enough raw lookups for a steady median, about a second at the slowest parameters in common use. */
const RAW_ITERATIONS = 20;

/** Lookups of one extension factor, and the time of one raw lookup. */
interface RawLookups {
  readonly extensionLog: number;
  readonly count: number;
  readonly rawMs: number;
}

/** Prints times by layer, predicted and measured, and the ratio of run time x threads to the raw lookups. */
export async function bench(options: BenchOptions): Promise<void> {
  const timings = newTimings();
  const threads = threadsOf(options.threads);
  const rows = limitRows(await readTensors(options.input), options.limit);
  const costModel = await predictingModel(options);
  const model = await compileModel(options, timings);
  const codes = tensorsOf(model.quantizeInput<Tensor[]>(rows));
  const instructionTimes: Float64Array[] = [];
  const onInstructionTimes = (times: Float64Array): void => void instructionTimes.push(times);
  const run = { threads, signal: options.signal, timings, onInstructionTimes };
  const { statistics } = model.circuit;
  await prepareKeys(model, undefined, run);
  await runEncrypted(model, codes, run);
  const raw = timeRawLookups(model);
  const rawMs = raw.reduce((sum, { count, rawMs: each }) => sum + count * each, 0);
  const runMs = median(timings.runMs);
  const instructionMs = mediansOf(instructionTimes).map((nanoseconds) => nanoseconds / 1e6);
  const measurement: Measurement = { threads, costModel, runMs, instructionMs };
  const layers = layersOf(model, measurement);
  const predictedMs = layers.reduce((sum, layer) => sum + layer.predictedMs, 0);
  const ratio = rawMs === 0 ? null : (runMs * threads) / rawMs;
  if (options.report !== undefined) {
    await writeBytes(options.report, renderReport(model, { measurement }));
  }
  if (options.json !== "-") {
    const lines = [
      summaryText(statistics, statistics, timings),
      layersText(layers),
      `predicted / measured on ${threads} ${threads === 1 ? "thread" : "threads"} = ${formatDuration(predictedMs)} / ${formatDuration(runMs)} = ` +
        `${(predictedMs / runMs).toFixed(2)} (${costModel.name})`,
      rawText(raw),
      ratio === null
        ? "no lookups, nothing to compare with"
        : `run x threads / raw lookups = ${formatDuration(runMs)} x ${threads} / ${formatDuration(rawMs)} = ${ratio.toFixed(2)}`,
    ];
    process.stdout.write(`${lines.join("\n")}\n`);
  }
  if (options.json === undefined) return;
  await writeJson(options.json, {
    ...costJson(statistics, statistics),
    timings,
    threads,
    lookups: raw,
    runMs,
    rawMs,
    ratio,
    costModel: costModel.name,
    predictedMs,
    layers,
  });
}

/** The model that the user names; otherwise this machine's own, measured if it was not before. */
function predictingModel({ compiler, signal }: BenchOptions): Promise<CostModel> {
  return withProgress((onProgress) =>
    finishAsync(costModelInSteps(compiler.costModel ?? "machine"), { signal, onProgress }),
  );
}

/** The median of each entry over lists of equal length. */
function mediansOf(lists: readonly Float64Array[]): number[] {
  return Array.from(lists[0] ?? [], (_, i) => median(lists.map((list) => list[i])));
}

function layersText(layers: readonly Layer[]): string {
  const rows = layers.map(({ name, kind, results, lookup, predictedMs, measuredMs, noise }) => [
    name,
    kind,
    results,
    lookup === null ? "" : Number(Math.log2(lookup.boxes).toFixed(2)),
    lookup?.extension ?? "",
    kind === "output" ? "" : formatDuration(predictedMs),
    measuredMs === null ? "" : formatDuration(measuredMs),
    noise === null ? "" : `${noise.margin.toFixed(1)} std`,
  ]);
  const heads = [
    "node",
    "kind",
    "results",
    "bits",
    "extension",
    "predicted",
    "measured",
    "noise margin",
  ];
  return table(heads, rows, { color: wantsColor(process.stdout) });
}

function rawText(raw: readonly RawLookups[]): string {
  const rows = raw.map(({ extensionLog, count, rawMs }) => [
    2 ** extensionLog,
    count,
    formatDuration(rawMs),
  ]);
  const color = wantsColor(process.stdout);
  return table(["extension factor", "lookups", "one raw lookup"], rows, { color });
}

function timeRawLookups({ circuit }: CompiledModule): RawLookups[] {
  const { parameters, instructions } = circuit.parts.program;
  const counts = new Map<number, number>();
  for (const instruction of instructions) {
    if (instruction.kind !== "lookup") continue;
    const { extensionLog, sources } = instruction;
    counts.set(extensionLog, (counts.get(extensionLog) ?? 0) + sources.length);
  }
  const block = encodeParameters(parameters);
  return [...counts].map(([extensionLog, count]) => {
    const nanoseconds = loadEngine().timeRawLookup(block, extensionLog, RAW_ITERATIONS);
    return { extensionLog, count, rawMs: median([...nanoseconds]) / 1e6 };
  });
}
