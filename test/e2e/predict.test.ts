/**
 * `sotto predict` without encryption: the JSON against goldens, formats of files, and what users get wrong.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { float32, int64, type Tensor } from "../../src/tensor/tensor.ts";
import { csvText, headRows, npyBytes, npzBytes } from "../support/array-files.ts";
import {
  expectMistake,
  fixturePath,
  modelAndCalibration,
  modelAndRows,
  type PredictionJson,
  predictJson,
  type QuantizerJson,
  sotto,
  succeed,
  temporaryFolder,
} from "../support/cli.ts";
import { flat, type Golden, type GoldenQuantizer } from "../support/golden.ts";
import { readNpy } from "../support/npy.ts";

const FIELDS = [
  "mode",
  "outputs",
  "quantizedInputs",
  "quantizedOutputs",
  "inputQuantizers",
  "outputQuantizers",
  "circuit",
  "crypto",
  "timings",
  "threads",
];
const LOGREG = [...modelAndCalibration("seed_logreg"), "--n-bits", "3"];
const LOGREG_INPUTS = fixturePath("seed_logreg", "inputs.npy");

const folder = temporaryFolder();

function write(name: string, content: Uint8Array | string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

function readGolden(fixture: string, id: string): Golden {
  return JSON.parse(readFileSync(fixturePath(fixture, `golden_${id}.json`), "utf8")) as Golden;
}

function firstRows(tensors: readonly unknown[], like: readonly unknown[]): unknown[] {
  return tensors.map((tensor, i) =>
    (tensor as unknown[]).slice(0, (like[i] as unknown[] | undefined)?.length),
  );
}

function expectQuantizers(
  got: readonly QuantizerJson[],
  expected: readonly GoldenQuantizer[],
): void {
  expect(got).toHaveLength(expected.length);
  got.forEach((quantizer, i) => {
    const { scale, zero_point, offset, n_bits, is_signed } = expected[i];
    expect(Math.abs(quantizer.scale / scale - 1)).toBeLessThan(1e-9);
    const zeroPoints = flat(quantizer.zeroPoint);
    expect(zeroPoints).toHaveLength(flat(zero_point).length);
    flat(zero_point).forEach((zero, j) => expect(zeroPoints[j]).toBeCloseTo(zero, 6));
    const { offset: gotOffset, nBits, isSigned, isQat } = quantizer;
    expect({ offset: gotOffset, nBits, isSigned, isQat }).toEqual({
      offset,
      nBits: n_bits,
      isSigned: is_signed,
      isQat: false,
    });
    expect(typeof quantizer.isSymmetric).toBe("boolean");
  });
}

function expectGolden(got: PredictionJson, golden: Golden): void {
  expect(Object.keys(got)).toEqual(FIELDS);
  expect(got.mode).toBe("clear");
  expectQuantizers(got.inputQuantizers, golden.input_quantizers);
  expectQuantizers(got.outputQuantizers, golden.output_quantizers);
  const codes = golden.quantized_outputs;
  expect(flat(codes).length).toBeGreaterThan(0);
  expect(firstRows(got.quantizedInputs, golden.quantized_inputs)).toEqual(golden.quantized_inputs);
  expect(firstRows(got.quantizedOutputs, codes)).toEqual(codes);
  const outputs = flat(firstRows(got.outputs, codes));
  flat(golden.outputs).forEach((output, i) => expect(outputs[i]).toBeCloseTo(output, 6));
}

describe("predict in the clear", () => {
  test("seed_logreg gives the golden integers and a complete JSON", async () => {
    const got = await predictJson(...LOGREG, "--input", LOGREG_INPUTS, "--p-error", "2^-50");
    const golden = readGolden("seed_logreg", "n3");
    expectGolden(got, golden);
    expect(got.quantizedOutputs[0]).toHaveLength(100);
    expect(got.circuit).toEqual({
      tableLookups: 1,
      maxBitWidth: golden.compile.max_integer_bit_width,
    });
    const bytes = expect.any(Number) as number;
    expect(got.crypto).toEqual({
      predictedMs: bytes,
      pError: 2 ** -50,
      failureProbability: bytes,
      interiorNoise: null,
      securityBits: bytes,
      evaluationKeyBytes: bytes,
      inputBytes: bytes,
      outputBytes: bytes,
      parameters: {
        lweDimension: bytes,
        glweDimension: bytes,
        polynomialSize: bytes,
        bootstrap: { baseLog: bytes, level: bytes },
        keyswitch: { baseLog: bytes, level: bytes },
        lweNoiseStd: bytes,
        glweNoiseStd: bytes,
      },
    });
    expect(got.crypto?.["securityBits"]).toBeGreaterThanOrEqual(128);
    expect(got.crypto?.["failureProbability"]).toBeLessThan(2 ** -49);
    expect(got.timings).toEqual({
      compileMs: bytes,
      keygenMs: null,
      encryptMs: [],
      runMs: [bytes],
      decryptMs: [],
    });
    expect(got.threads).toBeGreaterThanOrEqual(1);
  });

  test("digits_mlp with exact rounding gives the golden integers", async () => {
    const bits = ["--n-bits", "5", "--rounding-threshold-bits", "5"];
    const got = await predictJson(...modelAndRows("digits_mlp"), ...bits);
    expectGolden(got, readGolden("digits_mlp", "n5_r5"));
    expect(got.circuit.tableLookups).toBeGreaterThan(64);
    expect(got.crypto).not.toBeNull();
  });

  test("a model trained with quantization keeps its integers with --import-qat", async () => {
    const rows = modelAndRows("qat_mlp_w3a3");
    const golden = readGolden("qat_mlp_w3a3", "qat");
    const got = await predictJson(...rows, "--import-qat");
    expect(got.inputQuantizers[0]).toMatchObject({ nBits: 3, isSigned: true, isQat: true });
    expect(firstRows(got.quantizedInputs, golden.quantized_inputs)).toEqual(
      golden.quantized_inputs,
    );
    expect(firstRows(got.quantizedOutputs, golden.quantized_outputs)).toEqual(
      golden.quantized_outputs,
    );
    const bits = '{"model_inputs": 5, "model_outputs": 6}';
    const few = await predictJson(...rows, "--import-qat", "--n-bits", bits);
    expect(few.outputQuantizers[0]).toMatchObject({ nBits: 6 });
    expect(few.quantizedOutputs).toEqual(got.quantizedOutputs);
  });

  test("finer choices of quantization change the integers", async () => {
    const rows = [...modelAndRows("digits_mlp"), "--n-bits", "4"];
    const plain = await predictJson(...rows);
    const chosen = await predictJson(
      ...rows,
      "--quantization",
      '{"per_channel_weights": true, "biasCorrection": true}',
    );
    expect(Array.isArray(chosen.outputQuantizers[0].scale)).toBe(true);
    expect(chosen.inputQuantizers).toEqual(plain.inputQuantizers);
    expect(chosen.quantizedOutputs).not.toEqual(plain.quantizedOutputs);
  });

  test("integers too wide for any parameters run in the clear, without a crypto part", async () => {
    const args = [...modelAndRows("digits_mlp"), "--limit", "20", "--n-bits", "8"];
    const { code, stdout, stderr } = await sotto("predict", ...args, "--json", "-");
    expect(code).toBe(0);
    expect(stderr).toMatch(/^note: in the clear only; [^\n]*TABLE_TOO_WIDE[^\n]*\n$/);
    const got = JSON.parse(stdout) as PredictionJson;
    expectGolden(got, readGolden("digits_mlp", "n8"));
    expect(got.crypto).toBeNull();
    expect(got.circuit.maxBitWidth).toBeGreaterThan(16);
  });

  test.each([
    '{"model_inputs": 8, "op_inputs": 4, "op_weights": 3, "model_outputs": 6}',
    '{"modelInputs": 8, "opInputs": 4, "opWeights": 3, "modelOutputs": 6}',
  ])("--n-bits as JSON %s", async (bits) => {
    const args = [...modelAndRows("digits_mlp"), "--limit", "20", "--n-bits", bits];
    expectGolden(await predictJson(...args), readGolden("digits_mlp", "dict_i8_o4_w3_m6"));
  });

  test("--limit takes the first rows", async () => {
    const all = await predictJson(...LOGREG, "--input", LOGREG_INPUTS);
    const some = await predictJson(...LOGREG, "--input", LOGREG_INPUTS, "--limit", "7");
    expect(some.outputs).toEqual([(all.outputs[0] as unknown[]).slice(0, 7)]);
  });

  test("prints a table, and writes the same numbers to --json FILE in a new folder", async () => {
    const path = join(folder, "new", "prediction.json");
    const stdout = await succeed(
      "predict",
      ...modelAndRows("seed_logreg"),
      "--n-bits",
      "3",
      "--limit",
      "2",
      "--json",
      path,
    );
    const { outputs, threads } = JSON.parse(readFileSync(path, "utf8")) as PredictionJson;
    const values = flat(outputs);
    expect(values).toHaveLength(2);
    expect(threads).toBeGreaterThanOrEqual(1);
    values.forEach((value, row) =>
      expect(stdout).toContain(`│   ${row} │      0 │ ${Number(value.toPrecision(4))}`),
    );
    expect(stdout).toMatch(/│ table lookups per inference +│ 1 +│/);
  });
});

describe("files with numbers", () => {
  test(".csv is read as the same rows", async () => {
    const golden = readGolden("seed_logreg", "n3");
    const input = write("inputs.csv", csvText(headRows(readNpy(LOGREG_INPUTS), 20)));
    const got = await predictJson(...LOGREG, "--input", input);
    expect(got.quantizedInputs).toEqual(golden.quantized_inputs);
    expect(got.quantizedOutputs).toEqual(golden.quantized_outputs);
  });

  test("arrays of a .npz count as one input each, as do files given one by one", async () => {
    const name = "op_add_two_inputs";
    const arrays = (stem: string): Tensor[] =>
      [0, 1].map((i) => readNpy(fixturePath(name, `${stem}_${i}.npy`)));
    const [x, y] = arrays("calibration");
    const calibration = write("calibration.npz", npzBytes({ x, y }));
    const inputs = [0, 1].flatMap((i) => ["--input", fixturePath(name, `inputs_${i}.npy`)]);
    const model = fixturePath(name, "model.onnx");
    const got = await predictJson(model, "--calibration", calibration, ...inputs, "--n-bits", "4");
    expectGolden(got, readGolden(name, "n4"));
  });
});

describe("predict --mode simulate", () => {
  test("gives the clear integers where nothing overflows", async () => {
    const args = [...LOGREG, "--input", LOGREG_INPUTS, "--limit", "20"];
    const got = await predictJson(...args, "--mode", "simulate");
    expect(Object.keys(got)).toEqual(FIELDS);
    expect(got.mode).toBe("simulate");
    expect(got.quantizedOutputs).toEqual(readGolden("seed_logreg", "n3").quantized_outputs);
    expect(got.timings).toMatchObject({ keygenMs: null, encryptMs: [], decryptMs: [] });
    expect(got.timings.runMs).toHaveLength(20);
  });

  test("refuses integers too wide for any parameters", async () => {
    const args = [...modelAndRows("digits_mlp"), "--limit", "1", "--mode", "simulate"];
    const line = expectMistake(await sotto("predict", ...args), "TABLE_TOO_WIDE");
    expect(line).toMatch(/roundingThresholdBits|fewer bits/);
  });
});

describe("what users get wrong", () => {
  const predict = (...args: readonly string[]) => sotto("predict", ...LOGREG, ...args);
  const rows = headRows(readNpy(LOGREG_INPUTS), 2);

  test("wrong shape", async () => {
    const input = fixturePath("digits_mlp", "inputs.npy");
    const line = expectMistake(await predict("--input", input), "BAD_SHAPE");
    expect(line).toContain("expected [rows, 14], got [450, 64]");
  });

  test("wrong dtype", async () => {
    const input = write("integers.npy", npyBytes(int64(rows.shape, new Float64Array(28))));
    const line = expectMistake(await predict("--input", input), "BAD_DTYPE");
    expect(line).toContain("got int64");
  });

  test.each([NaN, Infinity])("%s in inputs and in calibration rows", async (value) => {
    const data = Float32Array.from(rows.data);
    data[17] = value;
    const bad = write(`${value}.npy`, npyBytes(float32(rows.shape, data)));
    expectMistake(await predict("--input", bad), "BAD_VALUE");
    const model = fixturePath("seed_logreg", "model.onnx");
    const args = [model, "--calibration", bad, "--input", LOGREG_INPUTS];
    expectMistake(await sotto("predict", ...args), "BAD_VALUE");
  });

  test("empty calibration", async () => {
    const empty = write("empty.npy", npyBytes(float32([0, 14], [])));
    const model = fixturePath("seed_logreg", "model.onnx");
    const args = [model, "--calibration", empty, "--input", LOGREG_INPUTS];
    expectMistake(await sotto("predict", ...args), "EMPTY_CALIBRATION");
  });

  test("both failure probabilities", async () => {
    const both = ["--p-error", "2^-40", "--global-p-error", "1e-6"];
    const line = expectMistake(await predict("--input", LOGREG_INPUTS, ...both), "BAD_ARGUMENT");
    expect(line).toContain("--global-p-error");
  });

  test("missing and truncated files, and a file that cannot be written", async () => {
    const missing = join(folder, "missing.npy");
    expect(expectMistake(await predict("--input", missing), "FILE_NOT_FOUND")).toContain(missing);
    const truncated = write("truncated.npy", npyBytes(rows).subarray(0, -1));
    expect(expectMistake(await predict("--input", truncated), "BAD_BYTES")).toContain(truncated);
    const result = await sotto("compile", ...LOGREG, "-o", join(truncated, "folder"));
    expect(expectMistake(result, "BAD_ARGUMENT")).toContain("cannot write it");
  });

  test.each([
    ["--n-bits", "0"],
    ["--n-bits", '{"op_inputs": 3'],
    ["--rounding-threshold-bits", '{"nBits": 4, "method": "up"}'],
    ["--p-error", "2"],
    ["--mode", "fast"],
    ["--limit", "-1"],
    ["--threads", "0"],
  ])("%s %s", async (option, value) => {
    const line = expectMistake(
      await predict("--input", LOGREG_INPUTS, option, value),
      "BAD_ARGUMENT",
    );
    expect(line).toContain(`at ${option}: `);
  });
});
