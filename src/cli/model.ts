/**
 * Steps that several verbs share: reading tensors, compiling, keys on disk, encrypted runs with progress.
 * @module
 */
import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { buildQuantizedModule, compileModuleAsync, compileOnnxModel } from "../compile.ts";
import { SottoError } from "../errors.ts";
import { joinRows, splitRows } from "../execute/circuit.ts";
import type { CompiledModule } from "../execute/module.ts";
import type { CompileOptions } from "../options.ts";
import type { QuantizedModule } from "../quantization/module.ts";
import type { Watch } from "../steps.ts";
import { tensor, type Tensor } from "../tensor/tensor.ts";
import { bitsOf, type ModelOptions } from "./options.ts";
import { writeBytes, type Timings } from "./output.ts";
import { createProgress, type Progress } from "./progress.ts";
import { readArrays, readBytes } from "./read-array.ts";

/** Names of the files in a folder of keys. */
export const SECRET_FILE = "secret.sotto";
export const EVALUATION_FILE = "evaluation.sotto";

/** What a run over encrypted rows needs. */
export interface EncryptedRun {
  readonly threads: number;
  readonly signal: AbortSignal;
  readonly timings: Timings;
  /** Called after each row with the nanoseconds of each instruction. */
  readonly onInstructionTimes?: (nanoseconds: Float64Array) => void;
}

/** One tensor per array of the files, in their order. */
export async function readTensors(paths: readonly string[]): Promise<Tensor[]> {
  const files: Tensor[] = [];
  for (const path of paths) {
    for (const array of await readArrays(path)) files.push(array.tensor);
  }
  return files;
}

/** The first rows of each tensor. */
export function limitRows(tensors: readonly Tensor[], limit: number | undefined): Tensor[] {
  return tensors.map((full) => {
    const [rows = 0, ...rest] = full.shape;
    if (limit === undefined || rows <= limit) return full;
    const size = full.data.length / rows;
    return tensor(full.dtype, [limit, ...rest], full.data.slice(0, limit * size));
  });
}

/** Threads asked for, or all cores. */
export function threadsOf(threads: number | undefined): number {
  return threads ?? availableParallelism();
}

/** Times of nothing yet. */
export function newTimings(): Timings {
  return { compileMs: 0, keygenMs: null, encryptMs: [], runMs: [], decryptMs: [] };
}

/** Reads calibration and compiles; `timings` gets the compiler's time. */
export async function compileModel(
  options: ModelOptions,
  timings: Timings,
  more: Pick<CompileOptions, "artifacts"> = {},
): Promise<CompiledModule> {
  const settings = { ...settingsOf(options), ...more };
  const rows = await readTensors(options.calibration);
  const start = performance.now();
  const compiled = await withProgress((onProgress) =>
    compileOnnxModel(options.model, rows, { ...settings, onProgress }),
  );
  timings.compileMs = performance.now() - start;
  return compiled;
}

/**
 * The same for clear runs, which have no width limits: where no parameters can serve the circuit, says so in one line
 * and goes on without them.
 */
export async function quantizeModel(
  options: ModelOptions,
  timings: Timings,
): Promise<{ readonly module: QuantizedModule; readonly compiled: CompiledModule | null }> {
  const settings = settingsOf(options);
  const rows = await readTensors(options.calibration);
  const start = performance.now();
  const { module, compiled } = await withProgress(async (onProgress) => {
    const watched = { ...settings, onProgress };
    const quantized = await buildQuantizedModule(options.model, rows, watched);
    return { module: quantized, compiled: await compileIfPossible(quantized, watched) };
  });
  timings.compileMs = performance.now() - start;
  return { module, compiled };
}

async function compileIfPossible(
  module: QuantizedModule,
  settings: CompileOptions,
): Promise<CompiledModule | null> {
  try {
    return await compileModuleAsync(module, settings);
  } catch (error) {
    const tooWide =
      error instanceof SottoError &&
      (error.code === "TABLE_TOO_WIDE" || error.code === "NO_PARAMETERS");
    if (!tooWide) throw error;
    process.stderr.write(`note: in the clear only; encrypted it would fail: ${error.message}\n`);
    return null;
  }
}

function settingsOf({ compiler, signal }: ModelOptions): CompileOptions {
  const { nBits: _, ...settings } = compiler;
  const nBits = bitsOf(compiler);
  return { ...settings, ...(nBits === undefined ? {} : { nBits }), signal };
}

/** Does work in stages and shows each of them on a bar. */
export async function withProgress<T>(
  work: (onProgress: NonNullable<Watch["onProgress"]>) => Promise<T>,
): Promise<T> {
  const progress = createProgress();
  let shown = "";
  try {
    return await work((stage, done, total) => {
      const next = `${stage} ${total}`;
      if (next !== shown) progress.start(stage, total);
      shown = next;
      progress.update(done);
    });
  } finally {
    progress.stop();
  }
}

/** Follows the callbacks of a long call on a bar. */
export function follow(progress: Progress, label: string): (done: number, total: number) => void {
  let started = false;
  return (done, total) => {
    if (!started && total > 0) {
      started = true;
      progress.start(label, total);
    }
    progress.update(done);
  };
}

/** Keys for a model: those in the folder if there are any, new ones otherwise (then written there). */
export async function prepareKeys(
  { circuit }: CompiledModule,
  folder: string | undefined,
  { threads, signal, timings }: EncryptedRun,
): Promise<void> {
  if (folder !== undefined && existsSync(join(folder, SECRET_FILE))) {
    const secret = await readBytes(join(folder, SECRET_FILE));
    const evaluation = await readBytes(join(folder, EVALUATION_FILE));
    await circuit.loadKeys(secret, evaluation, { threads, signal });
    return;
  }
  const progress = createProgress();
  const start = performance.now();
  try {
    const onProgress = follow(progress, "key generation");
    const evaluation = await circuit.keygenAsync({ force: true, threads, signal, onProgress });
    timings.keygenMs = performance.now() - start;
    if (folder !== undefined && evaluation)
      await writeKeys(folder, circuit.client.saveKey(), evaluation);
  } finally {
    progress.stop();
  }
}

/** Writes both keys; the secret one last, so that it is only there when the other is, and readable by its owner alone. */
export async function writeKeys(
  folder: string,
  secret: Uint8Array,
  evaluation: Uint8Array,
): Promise<void> {
  await writeBytes(join(folder, EVALUATION_FILE), evaluation);
  await writeBytes(join(folder, SECRET_FILE), secret, 0o600);
}

/** Encrypts, runs and decrypts codes row by row. */
export async function runEncrypted(
  { circuit }: CompiledModule,
  codes: readonly Tensor[],
  { threads, signal, timings, onInstructionTimes }: EncryptedRun,
): Promise<Tensor[]> {
  const rows = splitRows(codes);
  const results: Tensor[][] = [];
  const progress = createProgress();
  const { tableLookups } = circuit.statistics;
  progress.start(
    rows.length === 1 ? "encrypted run" : `${rows.length} encrypted runs`,
    tableLookups * rows.length,
  );
  try {
    for (const [index, row] of rows.entries()) {
      const encrypted = timed(timings.encryptMs, () => circuit.client.encrypt(row));
      const onProgress = (done: number) => progress.update(index * tableLookups + done);
      const start = performance.now();
      const answer = await circuit.runAsync(encrypted, {
        threads,
        signal,
        onProgress,
        ...(onInstructionTimes && { onInstructionTimes }),
      });
      timings.runMs.push(performance.now() - start);
      results.push(timed(timings.decryptMs, () => circuit.client.decrypt(answer)));
    }
  } finally {
    progress.stop();
  }
  return joinRows(results);
}

function timed<T>(times: number[], call: () => T): T {
  const start = performance.now();
  const result = call();
  times.push(performance.now() - start);
  return result;
}
