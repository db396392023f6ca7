/**
 * Rounding on real ciphertexts: how often a table reads its input one step off, and how often it fails at inflated noise,
 * against the predictions that parameters and simulation are made from.
 */
import { describe, expect, test } from "vitest";
import { compileOnnxModel } from "../../src/compile.ts";
import { splitRows } from "../../src/execute/circuit.ts";
import type { CompiledModule } from "../../src/execute/module.ts";
import type { LookupInstruction } from "../../src/lower/program.ts";
import { evaluate } from "../../src/circuit/evaluate.ts";
import { type Circuit, gridOf, valueId } from "../../src/circuit/ir.ts";
import { type Tensor, float32 } from "../../src/tensor/tensor.ts";
import { buildModel, floats, node, value } from "../support/onnx-builder.ts";
import { hitInterval, upperTail } from "../support/tails.ts";

const INPUTS = 24;
const OUTPUTS = 32;
const ROWS = 64; // x 32 outputs: 2,048 lookups

/** A reproducible stream of numbers in [-1, 1). */
function stream(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 32) * 2 - 1;
  };
}

/** One linear layer and a Sigmoid near its middle: every step of the accumulator gets a code of its own. */
function sigmoidLayer(): { readonly model: Uint8Array; readonly rows: Tensor } {
  const next = stream(7);
  const list = (length: number, scale: number): number[] =>
    Array.from({ length }, () => next() * scale);
  const model = buildModel({
    inputs: [value("x", ["n", INPUTS])],
    outputs: [value("y", ["n", OUTPUTS])],
    nodes: [node("MatMul", ["x", "w"], "a"), node("Sigmoid", ["a"], "y")],
    initializers: [floats("w", [INPUTS, OUTPUTS], list(INPUTS * OUTPUTS, 0.3))],
  });
  return { model, rows: float32([600, INPUTS], Float32Array.from(list(600 * INPUTS, 1))) };
}

/** The circuit up to the integers that the lookup reads. */
function accumulators(circuit: Circuit, codes: Tensor): Tensor {
  const table = circuit.values.findIndex(({ op }) => op.kind === "table");
  const [read] = circuit.values[table].inputs;
  return evaluate({ ...circuit, outputs: [valueId(read)] }, [codes])[0];
}

/** Runs rows encrypted, one by one, and returns all outputs. */
function runEncrypted(compiled: CompiledModule, codes: Tensor): number[] {
  return splitRows([codes]).flatMap((row) => [
    ...compiled.circuit.encryptRunDecrypt<Tensor>(row[0]).data,
  ]);
}

describe("approximate rounding", () => {
  test("reads one step off as often as predicted, encrypted and simulated alike", async () => {
    const { model, rows } = sigmoidLayer();
    const compiled = await compileOnnxModel(model, rows, {
      nBits: { op_weights: 4, op_inputs: 4, model_inputs: 4, model_outputs: 8 },
      roundingThresholdBits: { nBits: 5, method: "approximate" },
      log2PError: -20,
    });
    const codes = compiled.quantizeInput<Tensor>(
      float32([ROWS, INPUTS], rows.data.slice(0, ROWS * INPUTS)),
    );
    const clear = [...compiled.quantizedForward<Tensor>(codes).data];
    const { circuit, program, spec } = compiled.circuit.parts;
    const reads = accumulators(circuit, codes);
    const table = circuit.values.find(({ op }) => op.kind === "table");
    if (table?.op.kind !== "table") throw new Error("the circuit has no table");
    const { origin, step } = gridOf(table.op.encoding);
    const lookup = program.instructions.find((i): i is LookupInstruction => i.kind === "lookup");
    if (!lookup) throw new Error("the program has no lookup");
    // Both edges of the box count; noise is measured in integer units of the accumulator.
    const scale = Number(spec.inputs[0].scale) / 2 ** 64;
    const predicted = Array.from(reads.data, (x, i) => {
      const std = lookup.noiseStd[i % OUTPUTS] / scale;
      const above = (((x - origin) % step) + step) % step;
      return upperTail(above / std) + upperTail((step - above) / std);
    });
    const [low, high] = hitInterval(predicted);
    const encrypted = runEncrypted(compiled, codes);
    const simulated = compiled.quantizedForward<Tensor>(codes, { fhe: "simulate" });
    for (const outputs of [encrypted, [...simulated.data]]) {
      const moved = outputs.filter((y, i) => y !== clear[i]).length;
      expect(moved).toBeGreaterThan(low);
      expect(moved).toBeLessThan(high);
    }
    expect(low).toBeGreaterThan(30);
  });
});

describe("at inflated noise", () => {
  test("exact tables fail as often as the parameters predict", async () => {
    const { model, rows } = sigmoidLayer();
    const compiled = await compileOnnxModel(model, rows, {
      nBits: { op_weights: 2, op_inputs: 2, model_inputs: 2, model_outputs: 8 },
      log2PError: -3,
    });
    const codes = compiled.quantizeInput<Tensor>(
      float32([ROWS, INPUTS], rows.data.slice(0, ROWS * INPUTS)),
    );
    const clear = [...compiled.quantizedForward<Tensor>(codes).data];
    const { choice } = compiled.circuit.parts;
    // Noise was inflated for the table; the output is rounded on its way until it may fail as often.
    const [table, output] = choice.log2Failure.map((log2) => 2 ** log2);
    expect(output).toBeLessThanOrEqual(1 / 8);
    const [low, high] = hitInterval(clear.map(() => 1 - (1 - table) * (1 - output)));
    const failures = runEncrypted(compiled, codes).filter((y, i) => y !== clear[i]).length;
    // A box that ends beyond the interval does not show: two neighbouring steps may share a code at the clipped ends.
    expect(failures).toBeGreaterThan(low * 0.9);
    expect(failures).toBeLessThan(high);
    expect(low).toBeGreaterThan(50);
  });
});
