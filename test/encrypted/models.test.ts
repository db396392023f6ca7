/**
 * Whole models, encrypted: the same cases in the clear, simulated, encrypted, and after saving and loading every file.
 */
import { tensorsOf } from "../../src/tensor/list.ts";
import { describe, expect, test } from "vitest";
import { Client } from "../../src/client/client.ts";
import { type CompileOptions } from "../../src/options.ts";
import { compileOnnxModel } from "../../src/compile.ts";
import { splitRows } from "../../src/execute/circuit.ts";
import type { CompiledModule } from "../../src/execute/module.ts";
import { Server } from "../../src/execute/server.ts";
import { loadEngine } from "../../src/native/load.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { argmax, readFixture } from "../support/golden.ts";

interface Case {
  readonly name: string;
  readonly model: string;
  readonly options: CompileOptions;
  readonly rows: number;
  /** Integers must be equal in every position; otherwise the classes must be. */
  readonly isExact: boolean;
}

const CASES: readonly Case[] = [
  { name: "no rounding", model: "seed_logreg", options: { nBits: 3 }, rows: 5, isExact: true },
  {
    name: "no rounding at 2^-128",
    model: "seed_logreg",
    options: { nBits: 2, log2PError: -128 },
    rows: 3,
    isExact: true,
  },
  {
    name: "exact rounding",
    model: "digits_mlp",
    options: { nBits: 4, roundingThresholdBits: 6 },
    rows: 1,
    isExact: true,
  },
  {
    name: "range-fit tables",
    model: "digits_mlp",
    options: { nBits: 5, roundingThresholdBits: { nBits: 4, method: "fit" } },
    rows: 5,
    isExact: false,
  },
  {
    name: "range-fit tables at 2^-128",
    model: "digits_mlp",
    options: { nBits: 5, roundingThresholdBits: { nBits: 4, method: "fit" }, log2PError: -128 },
    rows: 1,
    isExact: false,
  },
  {
    name: "a scale per output channel",
    model: "digits_mlp",
    options: {
      nBits: 4,
      roundingThresholdBits: { nBits: 4, method: "fit" },
      quantization: { perChannelWeights: true, biasCorrection: true },
    },
    rows: 2,
    isExact: false,
  },
  {
    name: "quantization-aware training",
    model: "qat_mlp_w3a3",
    options: { importQat: true, roundingThresholdBits: { nBits: 5, method: "approximate" } },
    rows: 1,
    isExact: false,
  },
  {
    name: "quantization-aware training with power-of-two scales and integer biases",
    model: "qat_mlp_pot",
    options: { importQat: true },
    rows: 1,
    isExact: true,
  },
  {
    name: "sum of two encrypted tensors",
    model: "op_add_two_inputs",
    options: { nBits: 4, roundingThresholdBits: { nBits: 4, method: "approximate" } },
    rows: 1,
    isExact: false,
  },
  {
    name: "product of two encrypted tensors",
    model: "op_enc_mul",
    options: { nBits: 3 },
    rows: 1,
    isExact: true,
  },
  {
    name: "product of two encrypted matrices",
    model: "op_enc_matmul",
    options: { nBits: 2 },
    rows: 1,
    isExact: true,
  },
  {
    name: "quotient of two encrypted tensors",
    model: "op_enc_div",
    options: { nBits: 3 },
    rows: 1,
    isExact: true,
  },
  {
    name: "largest of several",
    model: "gap_reducemax",
    options: { nBits: 3 },
    rows: 1,
    isExact: true,
  },
  {
    name: "index of the largest",
    model: "gap_argmax_output",
    options: { nBits: 3 },
    rows: 1,
    isExact: true,
  },
  {
    name: "comparison of two encrypted tensors",
    model: "gap_compare_enc",
    options: { nBits: 2 },
    rows: 1,
    isExact: true,
  },
  {
    name: "normalization by channel inside tables",
    model: "op_bn_conv",
    options: { nBits: 3 },
    rows: 1,
    isExact: true,
  },
  {
    name: "layer normalization",
    model: "gap_layernorm_opset14",
    options: { nBits: 2 },
    rows: 1,
    isExact: true,
  },
  {
    name: "tensors of different scales joined",
    model: "gap_concat_diff_scale",
    options: { nBits: 3 },
    rows: 1,
    isExact: true,
  },
  {
    name: "slices and moves",
    model: "op_slice_gather",
    options: { nBits: 3 },
    rows: 1,
    isExact: true,
  },
  { name: "two outputs", model: "op_two_heads", options: { nBits: 3 }, rows: 1, isExact: true },
];

async function compileCase({
  model,
  options,
}: Case): Promise<{ compiled: CompiledModule; codes: Tensor[] }> {
  const fixture = readFixture(model);
  const compiled = await compileOnnxModel(fixture.model, fixture.calibration, options);
  const codes = tensorsOf(compiled.quantizeInput<Tensor[]>(fixture.inputs));
  return { compiled, codes };
}

/** Client and server made from files alone: nothing of the compiler is left but what each of them is given. */
async function fromFiles(
  compiled: CompiledModule,
): Promise<{ client: Client; server: Server; keyBytes: number }> {
  const engine = loadEngine();
  const maker = Client.load(compiled.clientBytes, engine);
  maker.generateKey();
  const client = Client.load(compiled.clientBytes, engine);
  client.loadKey(maker.saveKey());
  const evaluationKeys = await maker.evaluationKeys(engine.newControl(0));
  const server = new Server(compiled.serverBytes, engine);
  await server.loadKeys(evaluationKeys);
  return { client, server, keyBytes: evaluationKeys.length };
}

/** Distance of the answer from the clear one, as a share of the outputs' range over calibration rows. */
function deviation(compiled: CompiledModule, got: Tensor, clear: Tensor): number {
  const { circuit } = compiled.circuit.parts;
  const { calibrated } = circuit.values[circuit.outputs[0]].bounds ?? {
    calibrated: { lo: 0, hi: 1 },
  };
  return (
    Math.max(...got.data.map((y, i) => Math.abs(y - clear.data[i]))) /
    (calibrated.hi - calibrated.lo)
  );
}

describe.each(CASES)("$model, $name", (testCase) => {
  test("gives the clear answer from files alone, with bytes of the size it reports", async () => {
    const { compiled, codes } = await compileCase(testCase);
    const { client, server, keyBytes } = await fromFiles(compiled);
    const { statistics } = compiled.circuit;
    expect(keyBytes).toBe(statistics.evaluationKeyBytes);
    expect(statistics.securityBits).toBeGreaterThanOrEqual(128);
    expect(statistics.log2PError).toBe(testCase.options.log2PError ?? -40);
    for (const row of splitRows(codes).slice(0, testCase.rows)) {
      const clear = tensorsOf(compiled.quantizedForward<Tensor[]>(row));
      const inputs = client.encrypt(row);
      const outputs = await server.run(inputs);
      expect([inputs.length, outputs.length]).toEqual([
        statistics.inputBytes,
        statistics.outputBytes,
      ]);
      const encrypted = client.decrypt(outputs);
      if (testCase.isExact) expect(encrypted).toEqual(clear);
      else expect(deviation(compiled, encrypted[0], clear[0])).toBeLessThan(0.12);
      if (testCase.model === "digits_mlp") expect(argmax(encrypted[0])).toEqual(argmax(clear[0]));
    }
  });
});

describe("foreign keys and models", () => {
  test("a ciphertext of another key or another model is refused by its code", async () => {
    const [first, second] = await Promise.all([
      compileCase(CASES[0]),
      compileCase({ ...CASES[0], model: "seed_logreg", options: { nBits: 2, log2PError: -40 } }),
    ]);
    const [row] = splitRows(first.codes);
    const inputs = first.compiled.circuit.encrypt(row);
    const answer = first.compiled.circuit.run(inputs);
    const stranger = Client.load(first.compiled.clientBytes, loadEngine());
    stranger.generateKey();
    expect(() => stranger.decrypt(answer)).toThrow(/WRONG_KEY/);
    expect(() => first.compiled.circuit.server.runSync(stranger.encrypt(row))).toThrow(/WRONG_KEY/);
    second.compiled.circuit.keygen();
    expect(() => second.compiled.circuit.server.runSync(inputs)).toThrow(
      /WRONG_MODEL|WRONG_PARAMETERS/,
    );
  });

  test("a run that is aborted stops with CANCELLED", async () => {
    const { compiled, codes } = await compileCase(CASES[3]);
    const abort = new AbortController();
    const inputs = compiled.circuit.encrypt(splitRows(codes)[0]);
    const run = compiled.circuit.runAsync(inputs, {
      signal: abort.signal,
      onProgress: (done) => {
        if (done > 0) abort.abort();
      },
    });
    await expect(run).rejects.toThrow(/CANCELLED/);
  });
});
