/**
 * Settings found for a real model: what comes back, what "auto" compiles, and what is refused.
 */
import { beforeAll, describe, expect, test } from "vitest";
import {
  buildQuantizedModule,
  compileModule,
  compileOnnxModel,
  tuneOnnxModel,
} from "../../../src/compile.ts";
import type { CompileOptions } from "../../../src/options.ts";
import { renderFront } from "../../../src/report/front.ts";
import { renderReport } from "../../../src/report/report.ts";
import type { TuningResult } from "../../../src/tune/front.ts";
import { chooseFrom, frontOf } from "../../../src/tune/front.ts";
import { frontJson } from "../../../src/cli/output.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { rejectionOf } from "../../support/errors.ts";
import { readModelFixture } from "../../support/onnx-fixtures.ts";

const { model, calibration, inputs } = readModelFixture("act_relu");
const small = { points: 10, draws: 1, tolerance: 0.2, metric: "error" as const };
const auto: CompileOptions = { nBits: "auto", tuning: { ...small, rows: inputs } };
let result: TuningResult;
const stages = new Set<string>();

beforeAll(async () => {
  const onProgress = (stage: string, done: number, total: number): void => {
    stages.add(stage);
    if (done > total) throw new Error(`${done} of ${total}`);
  };
  result = await tuneOnnxModel(model, calibration, { ...auto, onProgress });
});

describe("tuning a model", () => {
  test("gives a front, and the point on it that the tolerance chooses", () => {
    expect(result.front.length).toBeGreaterThan(1);
    expect(frontOf(result.front)).toEqual(result.front);
    expect(result.chosen).not.toBeNull();
    expect(chooseFrom(result.front, 0.2, {})).toBe(result.chosen);
    expect(result.tried).toBeLessThanOrEqual(10);
    expect(result).toMatchObject({ metric: "error", isLabelled: false, floatScore: 1 });
    expect([...stages].sort()).toEqual(["score the front", "tune"]);
  });

  test("gives costs that compiling its settings has", async () => {
    for (const { options, predictedMs, evaluationKeyBytes } of result.front) {
      const { statistics } = (await compileOnnxModel(model, calibration, options)).circuit;
      expect(statistics).toMatchObject({ predictedMs, evaluationKeyBytes });
    }
  });

  test("gives JSON with the index of the chosen point", () => {
    const json = JSON.parse(JSON.stringify(frontJson(result))) as { chosen: number };
    expect(result.front[json.chosen]).toBe(result.chosen);
  });

  test("is stopped by a signal", async () => {
    const controller = new AbortController();
    const onProgress = (_: string, done: number): void => {
      if (done >= 2) controller.abort();
    };
    const { signal } = controller;
    const error = await rejectionOf(() =>
      tuneOnnxModel(model, calibration, { ...auto, signal, onProgress }),
    );
    expect(error.code).toBe("CANCELLED");
  });
});

describe('nBits "auto"', () => {
  test("searches again with the same result, tells it, and compiles the chosen point", async () => {
    let told: TuningResult | null = null;
    const onResult = (found: TuningResult): void => void (told = found);
    const compiled = await compileOnnxModel(model, calibration, {
      ...auto,
      tuning: { ...auto.tuning, onResult },
    });
    expect(told).toEqual(result);
    expect(compiled.circuit.statistics.predictedMs).toBe(result.chosen?.predictedMs);
    const report = renderReport(compiled, { sections: [renderFront(result)] });
    expect(report.match(/<circle/g)).toHaveLength(result.front.length);
    expect(report.match(/<circle class="chosen"/g)).toHaveLength(1);
    expect(report).not.toContain("NaN");
  });

  test("quantizes with the chosen settings", async () => {
    let told: TuningResult | null = null;
    const onResult = (found: TuningResult): void => void (told = found);
    const tuning = { ...auto.tuning, points: 3, tolerance: 10, onResult };
    const found = await buildQuantizedModule(model, calibration, { ...auto, tuning });
    const { chosen } = told ?? result;
    const again = await buildQuantizedModule(model, calibration, chosen?.options);
    expect(found.forward<Tensor>(inputs)).toEqual(again.forward<Tensor>(inputs));
  });

  test("says how far it is off where nothing is good enough", async () => {
    const options = { ...auto, tuning: { ...auto.tuning, points: 3, tolerance: 0 } };
    const error = await rejectionOf(() => compileOnnxModel(model, calibration, options));
    expect(error).toMatchObject({ code: "NO_PARAMETERS", where: "tuning.tolerance" });
    expect(error.message).toMatch(/got a loss of 0\.\d+/);
  });

  test("is no setting of a quantized module", async () => {
    const module = await buildQuantizedModule(model, calibration, { nBits: 4 });
    expect(await rejectionOf(async () => compileModule(module, auto))).toMatchObject({
      code: "BAD_ARGUMENT",
    });
  });

  test("of the rounding alone keeps the bits", async () => {
    const { front } = await tuneOnnxModel(model, calibration, {
      nBits: 4,
      roundingThresholdBits: { nBits: "auto", method: "approximate" },
      interiorNoise: null,
      pError: 0.001,
      tuning: { ...small, points: 4 },
    });
    for (const { options } of front) {
      expect(options).toMatchObject({ nBits: 4, roundingThresholdBits: { method: "approximate" } });
      expect(Object.keys(options).sort()).toEqual(["nBits", "roundingThresholdBits"]);
    }
  });
});

describe("budgets", () => {
  const fixed: CompileOptions = { nBits: 4, roundingThresholdBits: { nBits: 4, method: "fit" } };

  test.each([
    [{ maxMilliseconds: 1 }, "maxMilliseconds", /at most 1 predicted milliseconds .*, got \d/],
    [{ maxLookups: 15 }, "maxLookups", /at most 15 table lookups .*, got 16;/],
    [{ maxKeyBytes: 1000 }, "maxKeyBytes", /got 1000:/],
  ])("%j that a compilation exceeds stop it", async (budget, where, message) => {
    const error = await rejectionOf(() =>
      compileOnnxModel(model, calibration, { ...fixed, ...budget }),
    );
    expect(error).toMatchObject({ code: "NO_PARAMETERS", where });
    expect(error.message).toMatch(message);
  });

  test("that it meets change nothing", async () => {
    const plain = await compileOnnxModel(model, calibration, fixed);
    const { predictedMs, tableLookups, evaluationKeyBytes } = plain.circuit.statistics;
    const limited = await compileOnnxModel(model, calibration, {
      ...fixed,
      maxMilliseconds: predictedMs,
      maxLookups: tableLookups,
      maxKeyBytes: evaluationKeyBytes,
    });
    expect(limited.circuit.statistics).toEqual(plain.circuit.statistics);
  });

  test("restrict what auto chooses", async () => {
    const [cheapest, second] = result.front;
    const maxMilliseconds = (cheapest.predictedMs + second.predictedMs) / 2;
    const { chosen, front } = await tuneOnnxModel(model, calibration, { ...auto, maxMilliseconds });
    expect(chosen?.predictedMs ?? 0).toBeLessThanOrEqual(maxMilliseconds);
    expect(front[0].predictedMs).toBeLessThanOrEqual(maxMilliseconds);
  });
});

test.each([
  [{ maxLookups: -1 }, "maxLookups"],
  [{ maxMilliseconds: "1" }, "maxMilliseconds"],
  [{ maxKeyBytes: NaN }, "maxKeyBytes"],
  [{ nBits: 4, tuning: {} }, "tuning"],
  [{ nBits: "auto", tuning: { tolerance: -1 } }, "tuning.tolerance"],
  [{ nBits: "auto", tuning: { points: 0 } }, "tuning.points"],
  [{ nBits: "auto", tuning: { metric: "loss" } }, "tuning.metric"],
  [{ nBits: "auto", tuning: { rowss: 1 } }, "rowss"],
])("%j is refused", async (options, where) => {
  const error = await rejectionOf(() =>
    compileOnnxModel(model, calibration, options as CompileOptions),
  );
  expect(error).toMatchObject({ code: "BAD_ARGUMENT", where });
});
