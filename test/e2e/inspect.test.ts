/**
 * `sotto inspect`, help and the frame around the verbs.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  expectMistake,
  fixturePath,
  modelAndRows,
  PACKAGE_ROOT,
  sotto,
  succeed,
  temporaryFolder,
} from "../support/cli.ts";
import { buildModel, node, value } from "../support/onnx-builder.ts";

const VERBS = [
  "inspect",
  "predict",
  "compile",
  "bench",
  "calibrate",
  "keygen",
  "encrypt",
  "run",
  "decrypt",
  "serve",
  "token",
];
const folder = temporaryFolder();

const unknown = join(folder, "unknown.onnx");
writeFileSync(
  unknown,
  buildModel({
    inputs: [value("x", [1, 14])],
    outputs: [value("y", [1, 14])],
    nodes: [node("Relu", ["x"], "r"), node("Frobnicate", ["r"], "y")],
  }),
);

describe("inspect", () => {
  test("lists operators and shapes of a model that it can compile", async () => {
    const { code, stdout, stderr } = await sotto(
      "inspect",
      fixturePath("digits_mlp", "model.onnx"),
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/│ Gemm +│ +\d+ │ yes +│/);
    expect(stdout).toMatch(/│ Relu +│ +\d+ │ yes +│/);
    expect(stdout).not.toMatch(/│ no +│/);
    expect(stdout).toMatch(/│ input +│ x +│ float32 \[1, 64\] +│/);
    expect(stdout).toMatch(/│ output +│ \S+ +│ float32 \[1, 10\] +│/);
  });

  test("says which operator it does not know", async () => {
    const { code, stdout, stderr } = await sotto("inspect", unknown);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/│ Relu +│ +1 │ yes +│/);
    expect(stdout).toMatch(/│ Frobnicate +│ +1 │ no +│/);
    expect(stdout).toMatch(/^cannot be compiled: UNSUPPORTED_OPERATOR at .*Frobnicate/m);
  });

  test("reads PyTorch programs, and names the ATen operators it does not know", async () => {
    const known = fixturePath(join("torch", "cnn"), "model.pt2");
    expect(await succeed("inspect", known)).toMatch(
      /│ input +│ input +│ float32 \[batch, 1, 8, 8\] +│/,
    );
    const strange = fixturePath(join("torch", "refused"), "unsupported.pt2");
    expect(await succeed("inspect", strange)).toMatch(
      /^cannot be compiled: UNSUPPORTED_OPERATOR .*aten\.sort\.default \(1\)/m,
    );
  });

  test("says so of an operator that works on constants only", async () => {
    const path = join(folder, "constants-only.onnx");
    const bytes = buildModel({
      inputs: [value("x", ["N", 3])],
      outputs: [value("y", ["N", 3])],
      nodes: [node("Hardmax", ["x"], "y")],
    });
    writeFileSync(path, bytes);
    const refusal = /^cannot be compiled: UNSUPPORTED_OPERATOR .*Hardmax/m;
    expect(await succeed("inspect", path)).toMatch(refusal);
  });

  test("predict and compile refuse that operator", async () => {
    const [, ...rows] = modelAndRows("seed_logreg");
    const predicted = await sotto("predict", unknown, ...rows);
    expect(expectMistake(predicted, "UNSUPPORTED_OPERATOR")).toContain("Frobnicate");
    const calibration = fixturePath("seed_logreg", "calibration.npy");
    const output = join(folder, "compiled");
    const compiled = await sotto("compile", unknown, "--calibration", calibration, "-o", output);
    expect(expectMistake(compiled, "UNSUPPORTED_OPERATOR")).toContain("Frobnicate");
  });

  test("refuses a truncated model, another file and a missing one", async () => {
    const truncated = join(folder, "truncated.onnx");
    const bytes = readFileSync(fixturePath("digits_mlp", "model.onnx"));
    writeFileSync(truncated, bytes.subarray(0, bytes.length >> 1));
    expectMistake(await sotto("inspect", truncated), "BAD_MODEL");
    expectMistake(await sotto("inspect", fixturePath("digits_mlp", "inputs.npy")), "BAD_MODEL");
    const missing = join(folder, "missing.onnx");
    expect(expectMistake(await sotto("inspect", missing), "FILE_NOT_FOUND")).toContain(missing);
  });
});

describe("the command itself", () => {
  test.each(VERBS)("%s --help shows usage and an example", async (verb) => {
    const { code, stdout, stderr } = await sotto(verb, "--help");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(new RegExp(`^Usage: sotto ${verb} `));
    expect(stdout).toMatch(new RegExp(`^Examples:\\n  \\$ sotto ${verb}[ \\n]`, "m"));
  });

  test("--help lists every verb", async () => {
    const help = await succeed("--help");
    const listed = [...help.matchAll(/^ {2}([a-z]+) (?:\[options\]|<)/gm)].map(([, name]) => name);
    expect(listed).toEqual(VERBS);
  });

  test("--version is the package's", async () => {
    const manifest = JSON.parse(readFileSync(join(PACKAGE_ROOT, "package.json"), "utf8")) as object;
    expect(manifest).toHaveProperty("version", (await succeed("--version")).trim());
  });

  test("refuses an unknown verb and an unknown option", async () => {
    expect(expectMistake(await sotto("forecast"), "BAD_ARGUMENT")).toContain("'forecast'");
    const result = await sotto("predict", ...modelAndRows("seed_logreg"), "--colour");
    expect(expectMistake(result, "BAD_ARGUMENT")).toContain("'--colour'");
  });

  test("without a verb it says what there is, and fails", async () => {
    const { code, stdout, stderr } = await sotto();
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain("predict [options] <model>");
    expect(stderr).toMatch(/\nerror: BAD_ARGUMENT at command line: expected a verb[^\n]*\n$/);
  });
});
