/**
 * Predictions and the table of layers: one row per instruction and output, times that add up, names of ONNX nodes.
 * @module
 */
import { beforeAll, describe, expect, test } from "vitest";
import { compileOnnxModel } from "../../../src/compile.ts";
import { layersOf, type Measurement } from "../../../src/execute/layers.ts";
import type { CompiledModule } from "../../../src/execute/module.ts";
import { predictedTotal, predictInstructions } from "../../../src/execute/prediction.ts";
import { lookupLayerCost } from "../../../src/parameters/cost.ts";
import { COST_MODELS } from "../../../src/parameters/cost-models.ts";
import { renderReport } from "../../../src/report/report.ts";
import { OPERATIONS } from "../../support/cost-model.ts";
import { readModelFixture } from "../../support/onnx-fixtures.ts";

let compiled: CompiledModule;

beforeAll(async () => {
  const { model, calibration } = readModelFixture("digits_mlp");
  compiled = await compileOnnxModel(model, calibration, {
    nBits: 5,
    roundingThresholdBits: { nBits: 4, method: "fit" },
    costModel: "avx512",
  });
});

describe("predictions", () => {
  test("of lookups on one thread are those that the search minimised", () => {
    const { program, choice } = compiled.circuit.parts;
    const times = predictInstructions(program, choice.costModel, 1);
    const lookups = times.filter((_, i) => program.instructions[i].kind === "lookup");
    const total = lookups.reduce((sum, time) => sum + time, 0);
    expect(choice.costModel).toBe(COST_MODELS.avx512);
    expect(total / choice.predictedNanoseconds).toBeCloseTo(1, 9);
  });

  test("are in the statistics, with the threads that they are for", () => {
    const { statistics, parts } = compiled.circuit;
    const total = predictedTotal(parts.program, parts.choice.costModel, 1);
    expect(statistics.predictedThreads).toBe(1);
    expect(statistics.predictedMs).toBeCloseTo(total / 1e6, 6);
    expect(total).toBeGreaterThan(parts.choice.predictedNanoseconds);
  });

  test("count a combination by its words and terms", () => {
    const { program } = compiled.circuit.parts;
    const model = { ...OPERATIONS, combination: 1 };
    const [linear] = program.instructions;
    if (linear.kind !== "linear") throw new Error("expected a linear layer first");
    const words = program.parameters.glweDimension * program.parameters.polynomialSize + 1;
    const outputs = linear.groups * linear.rows * linear.positions;
    const [time] = predictInstructions(program, model, 1);
    expect(time).toBe(outputs * (linear.terms + 1) * words);
  });

  test("share lookups among threads, and the keys' traffic among the lookups of a batch", () => {
    const { parameters } = compiled.circuit.parts.program;
    const model = { ...OPERATIONS, stream: 100 };
    const cost = (rotations: number, threads: number, sources = rotations): number =>
      lookupLayerCost(parameters, { rotations, sources, extension: 1 }, model, threads);
    expect(cost(64, 2)).toBeCloseTo(cost(64, 1) / 2, 0);
    expect(cost(16, 1)).toBeLessThan(8 * cost(2, 1));
    expect(cost(1, 4)).toBe(cost(1, 1));
    expect(cost(16, 1, 4)).toBeLessThan(cost(16, 1));
  });
});

describe("layers", () => {
  test("are one for each instruction and output, by the name of its node", () => {
    const { program } = compiled.circuit.parts;
    const layers = layersOf(compiled);
    expect(layers.map(({ kind }) => kind)).toEqual([
      ...program.instructions.map(({ kind }) => kind),
      "output",
    ]);
    expect(new Set(layers.map(({ name }) => name))).toEqual(
      new Set(compiled.circuit.parts.circuit.values.slice(1).map(({ name }) => name)),
    );
    const lookups = layers.filter(({ kind }) => kind === "lookup");
    const results = lookups.reduce((sum, layer) => sum + layer.results, 0);
    expect(results).toBe(compiled.circuit.statistics.tableLookups);
  });

  test("say how many standard deviations a mistake is away", () => {
    const { log2Bound } = compiled.circuit.parts.choice;
    for (const { kind, noise } of layersOf(compiled)) {
      expect(noise === null).toBe(kind === "linear");
      if (noise === null) continue;
      expect(noise.log2Failure).toBeLessThanOrEqual(log2Bound * (1 - 1e-6));
      expect(noise.margin).toBeGreaterThan(7.1); // 7.14 standard deviations are 2^-40
    }
  });

  test("predict for the machine and the threads of a measurement", () => {
    const measurement = measured();
    const layers = layersOf(compiled, measurement);
    const { program } = compiled.circuit.parts;
    const expected = predictInstructions(program, measurement.costModel, measurement.threads);
    expect(layers.map(({ predictedMs }) => predictedMs)).toEqual([
      ...Array.from(expected, (time) => time / 1e6),
      0,
    ]);
    expect(layers.map(({ measuredMs }) => measuredMs)).toEqual([
      ...measurement.instructionMs,
      null,
    ]);
  });
});

function measured(): Measurement {
  const { instructions } = compiled.circuit.parts.program;
  const instructionMs = instructions.map((_, i) => 1234.5 + i);
  return { threads: 3, costModel: COST_MODELS.avx2, runMs: 4321, instructionMs };
}

describe("the report", () => {
  test("shows every layer with its time, as numbers and as bars", () => {
    const report = renderReport(compiled);
    for (const { name, predictedMs } of layersOf(compiled)) {
      expect(report).toContain(`<td>${name}</td>`);
      if (predictedMs >= 10 && predictedMs < 1000) {
        expect(report).toContain(`${predictedMs.toFixed(0)} ms</td>`);
      }
    }
    expect(report).toContain("<svg");
    expect(report).toContain("AVX-512");
    expect(report).not.toContain("Measured");
  });

  test("shows measured times beside predicted ones", () => {
    const report = renderReport(compiled, { measurement: measured() });
    expect(report).toContain("<td>Measured time on 3 threads</td><td>4.32 s</td>");
    expect(report).toContain("<th>Measured</th>");
    expect(report).toContain("<td>1.23 s</td>");
    expect(report).toContain("AVX2");
  });

  test("takes more sections, and text that looks like HTML", () => {
    const sections = ["<h2>Bits and accuracy</h2>"];
    const report = renderReport(compiled, { sections });
    expect(report.indexOf(sections[0])).toBeGreaterThan(report.indexOf("Summary"));
    const costModel = { ...COST_MODELS.avx2, name: "<script>" };
    const odd = renderReport(compiled, { measurement: { ...measured(), costModel } });
    expect(odd).not.toContain("<script>");
  });
});
