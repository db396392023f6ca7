/**
 * What verbs leave behind: JSON, bytes, and the summary for people. Results go to stdout, everything else to stderr.
 * @module
 */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { SottoError } from "../errors.ts";
import type { UniformQuantizer } from "../quantization/quantizer.ts";
import type { CircuitStatistics, Statistics } from "../execute/statistics.ts";
import type { TuningResult } from "../tune/front.ts";
import { toNested } from "../tensor/nested.ts";
import type { GraphValue } from "../onnx/graph.ts";
import type { Nested, Tensor } from "../tensor/tensor.ts";
import { formatBytes, formatDuration, formatProbability, table, wantsColor } from "./terminal.ts";

/** Milliseconds of each step; a step that was not needed has null or no entry. */
export interface Timings {
  compileMs: number;
  keygenMs: number | null;
  encryptMs: number[];
  runMs: number[];
  decryptMs: number[];
}

/** Writes a file, and the folder for it. `mode` as in open(2). Throws BAD_ARGUMENT where that is not possible. */
export async function writeBytes(
  path: string,
  data: Uint8Array | string,
  mode: number = 0o666,
): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, data, { mode });
  } catch (error) {
    throw cannotWrite(path, error);
  }
}

/** What to throw where the file system refuses to write. */
export function cannotWrite(path: string, error: unknown): SottoError {
  const why = error instanceof Error ? error.message : String(error);
  return new SottoError("BAD_ARGUMENT", path, `cannot write it: ${why}`);
}

/** Writes JSON to a file, or to stdout for `-`. */
export async function writeJson(path: string, value: unknown): Promise<void> {
  const text = `${JSON.stringify(value)}\n`;
  if (path === "-") process.stdout.write(text);
  else await writeBytes(path, text);
}

/** A quantizer as the command line shows it. */
export function quantizerJson({ options, scale, zeroPoint, offset }: UniformQuantizer): object {
  const { nBits, isSigned, isSymmetric, isQat } = options;
  const zero: Nested = typeof zeroPoint === "number" ? zeroPoint : toNested(zeroPoint);
  const step: Nested = typeof scale === "number" ? scale : toNested(scale);
  return { scale: step, zeroPoint: zero, offset, nBits, isSigned, isSymmetric, isQat };
}

/** Circuit and crypto parts of the JSON; crypto is null for a circuit that no parameters can serve. */
export function costJson(
  { tableLookups, maxBitWidth }: CircuitStatistics,
  statistics: Statistics | null,
): { circuit: object; crypto: object | null } {
  const circuit = { tableLookups, maxBitWidth };
  if (statistics === null) return { circuit, crypto: null };
  const { pError, failureProbability, securityBits, evaluationKeyBytes, inputBytes, outputBytes } =
    statistics;
  const { parameters, predictedMs, interior } = statistics;
  return {
    circuit,
    crypto: {
      predictedMs,
      pError,
      failureProbability,
      interiorNoise: interior?.noise ?? null,
      securityBits,
      evaluationKeyBytes,
      inputBytes,
      outputBytes,
      parameters,
    },
  };
}

/** A front of settings: points from the cheapest on, and the index of the chosen one. */
export function frontJson({ front, chosen, ...about }: TuningResult): object {
  return { ...about, chosen: chosen === null ? null : front.indexOf(chosen), front };
}

/** Texts as nested lists. */
export type NestedTexts = string | readonly NestedTexts[];

/** Outputs of a model as JSON has them: nested lists of numbers, or of texts where the model's labels are texts. */
export function outputsJson(
  values: readonly GraphValue[],
  outputs: readonly Tensor[],
): (Nested | NestedTexts)[] {
  return outputs.map((output, i) => {
    const { strings } = values[i];
    const name = (codes: Nested): NestedTexts =>
      typeof codes === "number" ? (strings?.[codes] ?? "") : codes.map(name);
    return strings ? name(toNested(output)) : toNested(output);
  });
}

/** Rows of each output, at most ten numbers of each row, or texts. */
export function outputsText(values: readonly GraphValue[], outputs: readonly Tensor[]): string {
  const rows: (string | number)[][] = [];
  outputs.forEach(({ shape, data }, index) => {
    const { strings } = values[index];
    const count = shape[0] ?? 1;
    const size = count === 0 ? 0 : data.length / count;
    for (let row = 0; row < count; row++) {
      const shown = Array.from(data.subarray(row * size, row * size + Math.min(size, 10)));
      const more = size > 10 ? " …" : "";
      const text = shown
        .map((value) => (strings ? (strings[value] ?? "") : Number(value.toPrecision(4))))
        .join("  ");
      rows.push([row, index, `${text}${more}`]);
    }
  });
  return table(["row", "output", "values"], rows, { color: wantsColor(process.stdout) });
}

/** What tables with interior noise get; none without. */
function noiseRows({ interior }: Statistics): [string, string][] {
  if (interior === null) return [];
  const share = `${(100 * interior.noise).toFixed(1)} % of the interval`;
  return [["noise that tables bear, std", share]];
}

/** Where every table bears noise there is no exact step that could be missed. */
function failureText({ interior, log2FailureProbability }: Statistics): string {
  if (interior !== null && log2FailureProbability === -Infinity) return "none is exact: noise";
  return formatProbability(log2FailureProbability);
}

/** Costs and times for people. */
export function summaryText(
  { tableLookups, maxBitWidth }: CircuitStatistics,
  s: Statistics | null,
  timings: Timings,
): string {
  const rows: [string, string][] = [
    ["table lookups per inference", String(tableLookups)],
    ["widest integer", `${maxBitWidth} bits`],
  ];
  if (s !== null) {
    rows.push(
      [
        s.predictedThreads === 1
          ? "predicted time, one core"
          : `predicted time, ${s.predictedThreads} threads`,
        formatDuration(s.predictedMs),
      ],
      ["failure probability of an inference", failureText(s)],
      ...noiseRows(s),
      ["security", `${Math.floor(s.securityBits)} bits`],
      ["evaluation keys, as sent", formatBytes(s.evaluationKeyBytes)],
      ["encrypted input, as sent", formatBytes(s.inputBytes)],
      ["encrypted output, as sent", formatBytes(s.outputBytes)],
    );
  }
  rows.push(["compile", formatDuration(timings.compileMs)]);
  if (timings.keygenMs !== null) rows.push(["key generation", formatDuration(timings.keygenMs)]);
  const steps = { encrypt: timings.encryptMs, run: timings.runMs, decrypt: timings.decryptMs };
  for (const [name, times] of Object.entries(steps)) {
    if (times.length > 0) rows.push([`${name}, median`, formatDuration(median(times))]);
  }
  return table(["quantity", "value"], rows, { color: wantsColor(process.stdout) });
}

/** The middle value; NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle] ?? NaN;
  return ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}
