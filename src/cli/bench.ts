/**
 * `sotto bench`: times each step of encrypted inferences, and sets the run beside a raw loop of the same lookups on one
 * thread in this process: what the schedule costs on top of the cryptography.
 * @module
 */
import { tensorsOf } from "../tensor/list.ts";
import type { CompiledModule } from "../execute/module.ts";
import { loadEngine } from "../native/load.ts";
import { encodeParameters } from "../parameters/encoding.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { compileModel, limitRows, newTimings, prepareKeys } from "./model.ts";
import { readTensors, runEncrypted, threadsOf } from "./model.ts";
import type { BenchOptions } from "./options.ts";
import { costJson, median, summaryText, writeJson } from "./output.ts";
import { formatDuration, table, wantsColor } from "./terminal.ts";

/** Enough raw lookups for a steady median, about a second at the slowest parameters in common use. */
const RAW_ITERATIONS = 20;

/** Lookups of one extension factor, and the time of one raw lookup. */
interface RawLookups {
  readonly extensionLog: number;
  readonly count: number;
  readonly rawMs: number;
}

/** Prints times and the ratio of run time x threads to the raw lookups. */
export async function bench(options: BenchOptions): Promise<void> {
  const timings = newTimings();
  const threads = threadsOf(options.threads);
  const rows = limitRows(await readTensors(options.input), options.limit);
  const model = await compileModel(options, timings);
  const codes = tensorsOf(model.quantizeInput<Tensor[]>(rows));
  const run = { threads, signal: options.signal, timings };
  const { statistics } = model.circuit;
  await prepareKeys(model, undefined, run);
  await runEncrypted(model, codes, run);
  const lookups = timeRawLookups(model);
  const rawMs = lookups.reduce((sum, { count, rawMs }) => sum + count * rawMs, 0);
  const runMs = median(timings.runMs);
  const ratio = rawMs === 0 ? null : (runMs * threads) / rawMs;
  if (options.json !== "-") {
    const color = wantsColor(process.stdout);
    const lines = lookups.map(({ extensionLog, count, rawMs }) => [
      2 ** extensionLog,
      count,
      formatDuration(rawMs),
    ]);
    const raw = table(["extension factor", "lookups", "one raw lookup"], lines, { color });
    const told =
      ratio === null
        ? "no lookups, nothing to compare with"
        : `run x threads / raw lookups = ${formatDuration(runMs)} x ${threads} / ${formatDuration(rawMs)} = ${ratio.toFixed(2)}`;
    process.stdout.write(`${summaryText(statistics, statistics, timings)}\n${raw}\n${told}\n`);
  }
  if (options.json !== undefined) {
    const result = {
      ...costJson(statistics, statistics),
      timings,
      threads,
      lookups,
      runMs,
      rawMs,
      ratio,
    };
    await writeJson(options.json, result);
  }
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
