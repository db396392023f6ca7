/**
 * Files that a compilation reads and leaves behind.
 * @module
 */
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { print as printCircuit } from "./circuit/print.ts";
import { SottoError } from "./errors.ts";
import type { CompiledModule } from "./execute/module.ts";
import { print as printProgram } from "./lower/print.ts";
import type { CompileOptions } from "./options.ts";
import { print as printChoice } from "./parameters/choice.ts";
import { renderFront } from "./report/front.ts";
import { renderReport } from "./report/report.ts";
import type { TuningResult } from "./tune/front.ts";

/** Bytes of a model given as bytes or as a path. Throws FILE_NOT_FOUND. */
export async function readModel(model: Uint8Array | string): Promise<Uint8Array> {
  if (typeof model !== "string") return model;
  try {
    return new Uint8Array(await readFile(model));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new SottoError("FILE_NOT_FOUND", model, `expected a readable model file, got: ${why}`);
  }
}

/** Prints and writes what the options ask for. */
export async function writeArtifacts(
  compiled: CompiledModule,
  model: Uint8Array | string,
  { verbose = false, showProgram = false, artifacts = null, onnxFile = null }: CompileOptions,
  tuning: TuningResult | null = null,
): Promise<void> {
  const { circuit, program, choice } = compiled.circuit.parts;
  if (verbose) process.stderr.write(`${printCircuit(circuit)}\n${printChoice(choice)}\n`);
  if (showProgram) process.stderr.write(`${printProgram(program)}\n`);
  if (onnxFile !== null) {
    await writing(
      onnxFile,
      typeof model === "string" ? copyFile(model, onnxFile) : writeFile(onnxFile, model),
    );
  }
  if (artifacts === null) return;
  await writing(artifacts, mkdir(artifacts, { recursive: true }));
  const files: Readonly<Record<string, string | Uint8Array>> = {
    "server.sotto": compiled.serverBytes,
    "client.sotto": compiled.clientBytes,
    "report.html": renderReport(compiled, { sections: tuning ? [renderFront(tuning)] : [] }),
    "circuit.txt": `${printCircuit(circuit)}\n`,
    "program.txt": `${printProgram(program)}\n`,
    "parameters.txt": `${printChoice(choice)}\n`,
  };
  await Promise.all(
    Object.entries(files).map(([name, data]) => {
      const path = join(artifacts, name);
      return writing(path, writeFile(path, data));
    }),
  );
}

/** Waits for a write; what the disk refuses is the caller's to mend. */
async function writing(path: string, write: Promise<unknown>): Promise<void> {
  try {
    await write;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new SottoError("BAD_ARGUMENT", path, `cannot write it: ${why}`);
  }
}
