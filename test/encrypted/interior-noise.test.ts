/**
 * Tables that bear noise, on real ciphertexts: their results scatter as simulation says, and those at the ends of their
 * windows and beyond do not turn into the other end's.
 */
import { describe, expect, test } from "vitest";
import { compileOnnxModel } from "../../src/compile.ts";
import type { CompiledModule } from "../../src/execute/module.ts";
import { type Tensor, float32 } from "../../src/tensor/tensor.ts";
import { buildModel, floats, node, value } from "../support/onnx-builder.ts";
import { randomNumbers } from "../support/random-models.ts";

const INPUTS = 12;
const OUTPUTS = 32;
const ROWS = 24; // x 32 outputs: 768 lookups
const SIMULATIONS = 20;

/** One linear layer and an activation behind it; calibration rows, of which the first ones are run. */
async function compileLayer(
  activation: string,
): Promise<{ compiled: CompiledModule; codes: Tensor }> {
  const next = randomNumbers(11);
  const list = (length: number, scale: number): number[] =>
    Array.from({ length }, () => (2 * next() - 1) * scale);
  const model = buildModel({
    inputs: [value("x", ["n", INPUTS])],
    outputs: [value("y", ["n", OUTPUTS])],
    nodes: [node("Gemm", ["x", "w", "b"], "a"), node(activation, ["a"], "y")],
    initializers: [
      floats("w", [INPUTS, OUTPUTS], list(INPUTS * OUTPUTS, 0.8)),
      floats("b", [OUTPUTS], list(OUTPUTS, 0.5)),
    ],
  });
  const rows = Float32Array.from(list(400 * INPUTS, 1));
  const compiled = await compileOnnxModel(model, float32([400, INPUTS], rows), {
    nBits: { op_weights: 4, op_inputs: 4, model_inputs: 4, model_outputs: 6 },
    roundingThresholdBits: { nBits: 7, method: "fit" },
    interiorNoise: 0.04,
  });
  const run = float32([ROWS, INPUTS], rows.slice(0, ROWS * INPUTS));
  return { compiled, codes: compiled.quantizeInput<Tensor>(run) };
}

describe.each(["Relu", "Sigmoid", "Abs"])("%s", (activation) => {
  test("scatters encrypted as it does simulated, at the ends of its window too", async () => {
    const { compiled, codes } = await compileLayer(activation);
    expect(compiled.circuit.statistics.interior?.noise).toBeGreaterThan(0.03);
    const clear = compiled.quantizedForward<Tensor>(codes).data;
    const errorsOf = (results: Tensor): number[] =>
      Array.from(results.data, (y, i) => y - clear[i]);
    const encrypted = errorsOf(compiled.circuit.encryptRunDecrypt<Tensor>(codes));
    const simulated = Array.from({ length: SIMULATIONS }, () =>
      errorsOf(compiled.quantizedForward<Tensor>(codes, { fhe: "simulate" })),
    );
    const meanSquare = (errors: readonly number[]): number =>
      errors.reduce((sum, e) => sum + e * e, 0) / errors.length;
    const expected = meanSquare(simulated.flat());
    // 20 simulations say how far one run of as many lookups strays; 5 of their deviations happen once in a million runs.
    const spread = Math.sqrt(meanSquare(simulated.map((run) => meanSquare(run) - expected)));
    expect(expected).toBeGreaterThan(1);
    expect(Math.abs(meanSquare(encrypted) - expected)).toBeLessThan(5 * spread + 0.05 * expected);
    // The codes' range is 63: a sign turned at an end would be off by nearly all of it.
    const range = Math.max(...clear) - Math.min(...clear);
    const worst = Math.max(...encrypted.map(Math.abs));
    expect(range).toBeGreaterThan(40);
    expect(worst).toBeLessThan(range / 2);
    const furthest = Math.max(...simulated.flat().map(Math.abs));
    expect(worst).toBeLessThan(1.5 * furthest);
  });
});
