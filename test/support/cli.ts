/**
 * Runs the built command as a child process, as a user does, and reads what it leaves behind.
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect } from "vitest";
import { FIXTURES } from "./golden.ts";

/** The package's root, where dist/ and native/ lie. */
export const PACKAGE_ROOT: string = join(import.meta.dirname, "..", "..");

/** How a command ended. */
export interface CliResult {
  /** Null where a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that runs. */
export interface RunningCli {
  readonly child: ChildProcess;
  readonly ended: Promise<CliResult>;
  /** Resolves once stderr so far matches; rejects where the command ends without. */
  readonly stderrMatches: (pattern: RegExp) => Promise<void>;
}

/** Starts the command; `root` is the package it runs from. */
export function startSotto(args: readonly string[], root: string = PACKAGE_ROOT): RunningCli {
  const entry = join(root, "dist", "cli", "main.js");
  const child = spawn(process.execPath, [entry, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, SOTTO_DEBUG: "" },
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const ended = new Promise<CliResult>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
  const stderrMatches = (pattern: RegExp): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = () => pattern.test(stderr) && resolve();
      child.stderr.on("data", look);
      child.on("close", () => reject(new Error(`ended without ${String(pattern)}: ${stderr}`)));
      look();
    });
  return { child, ended, stderrMatches };
}

/** Runs the command to its end. */
export function sotto(...args: readonly string[]): Promise<CliResult> {
  return startSotto(args).ended;
}

/** Runs the command and expects that it works; returns its stdout. */
export async function succeed(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await sotto(...args);
  expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
  return stdout;
}

/** Expects how a user's mistake is told: one line with a code, nothing on stdout, exit code 1. Returns the line. */
export function expectMistake({ code, stdout, stderr }: CliResult, errorCode: string): string {
  expect({ code, stdout, stderr }).toEqual({
    code: 1,
    stdout: "",
    stderr: expect.stringMatching(new RegExp(`^error: ${errorCode} at [^\\n]+: [^\\n]+\\n$`)),
  });
  return stderr;
}

/** A quantizer in JSON. */
export interface QuantizerJson {
  readonly scale: number;
  readonly zeroPoint: unknown;
  readonly offset: number;
  readonly nBits: number;
  readonly isSigned: boolean;
  readonly isSymmetric: boolean;
  readonly isQat: boolean;
}

/** What `predict --json` writes. */
export interface PredictionJson {
  readonly mode: string;
  readonly outputs: readonly unknown[];
  readonly quantizedInputs: readonly unknown[];
  readonly quantizedOutputs: readonly unknown[];
  readonly inputQuantizers: readonly QuantizerJson[];
  readonly outputQuantizers: readonly QuantizerJson[];
  readonly circuit: { readonly tableLookups: number; readonly maxBitWidth: number };
  readonly crypto: Readonly<Record<string, unknown>> | null;
  readonly timings: {
    readonly compileMs: number;
    readonly keygenMs: number | null;
    readonly encryptMs: readonly number[];
    readonly runMs: readonly number[];
    readonly decryptMs: readonly number[];
  };
  readonly threads: number;
}

/** What `predict` prints with `--json -`. */
export async function predictJson(...args: readonly string[]): Promise<PredictionJson> {
  return JSON.parse(await succeed("predict", ...args, "--json", "-")) as PredictionJson;
}

/** Path of a file of a fixture. */
export function fixturePath(fixture: string, file: string): string {
  return join(FIXTURES, fixture, file);
}

/** `MODEL --calibration FILE --input FILE` of a fixture with one input. */
export function modelAndRows(fixture: string): string[] {
  return [...modelAndCalibration(fixture), "--input", fixturePath(fixture, "inputs.npy")];
}

/** `MODEL --calibration FILE` of a fixture with one input. */
export function modelAndCalibration(fixture: string): string[] {
  const path = (file: string) => fixturePath(fixture, file);
  return [path("model.onnx"), "--calibration", path("calibration.npy")];
}

/** A folder that goes when the tests of the file have ended. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "sotto-e2e-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
