/**
 * `sotto compile`: writes what a server and a client need, and a report.
 * @module
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { compileModel, newTimings } from "./model.ts";
import type { CompileVerbOptions } from "./options.ts";
import { cannotWrite, summaryText } from "./output.ts";

/** Writes server.sotto, client.sotto, report.html and the printed stages. */
export async function compile(options: CompileVerbOptions): Promise<void> {
  // Before the compiler starts: a folder that cannot be written is the user's mistake, and found out at once.
  try {
    await mkdir(options.output, { recursive: true });
  } catch (error) {
    throw cannotWrite(options.output, error);
  }
  const timings = newTimings();
  const { circuit } = await compileModel(options, timings, { artifacts: options.output });
  const written = ["server.sotto", "client.sotto", "report.html"];
  const names = written.map((name) => join(options.output, name)).join("\n");
  process.stdout.write(
    `${names}\n${summaryText(circuit.statistics, circuit.statistics, timings)}\n`,
  );
}
