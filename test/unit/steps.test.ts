/**
 * Long work in steps: what is told, what stops it, and that other work gets its turn.
 * @module
 */
import { describe, expect, test } from "vitest";
import { compileOnnxModel } from "../../src/compile.ts";
import { type Steps, finish, finishAsync } from "../../src/steps.ts";
import { float32 } from "../../src/tensor/tensor.ts";
import { errorOf, rejectionOf } from "../support/errors.ts";
import { readModelFixture } from "../support/onnx-fixtures.ts";

function* counting(total: number): Steps<string> {
  for (let done = 0; done < total; done++) yield { stage: "count", done, total };
  return "counted";
}

/** Goes on for seconds unless it is stopped. */
function* patient(): Steps<string> {
  const start = performance.now();
  for (let done = 0; performance.now() - start < 4000; done++) {
    yield { stage: "wait", done, total: Infinity };
  }
  return "nobody stopped it";
}

describe("work in steps", () => {
  test("gives its result and tells every step", async () => {
    const told: string[] = [];
    const onProgress = (stage: string, done: number, total: number): void =>
      void told.push(`${stage} ${done} of ${total}`);
    expect(finish(counting(2), { onProgress })).toBe("counted");
    expect(await finishAsync(counting(1), { onProgress })).toBe("counted");
    expect(told).toEqual(["count 0 of 2", "count 1 of 2", "count 0 of 1"]);
  });

  test("does nothing more once it is cancelled", async () => {
    const controller = new AbortController();
    const told: number[] = [];
    const watch = {
      signal: controller.signal,
      onProgress(_: string, done: number) {
        told.push(done);
        if (done === 3) controller.abort();
      },
    };
    expect(errorOf(() => finish(counting(9), watch)).code).toBe("CANCELLED");
    expect(told).toEqual([0, 1, 2, 3]);
    const error = await rejectionOf(() => finishAsync(counting(9), watch));
    expect(error.code).toBe("CANCELLED");
    expect(told).toEqual([0, 1, 2, 3]);
  });

  test("lets a timer fire between steps, which may cancel it", async () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 0);
    const error = await rejectionOf(() => finishAsync(patient(), { signal: controller.signal }));
    expect(error.code).toBe("CANCELLED");
  });
});

describe("progress of a real model", () => {
  const { model, calibration } = readModelFixture("digits_cnn");
  const [rows] = calibration;
  const few = float32([20, 1, 8, 8], rows.data.slice(0, 20 * 64));

  test("every stage of a compilation begins at 0, never goes back and reaches its total", async () => {
    const stages = new Map<string, { done: number; total: number }>();
    const onProgress = (stage: string, done: number, total: number): void => {
      expect(done).toBe(stages.has(stage) ? (stages.get(stage)?.done ?? 0) + 1 : 0);
      stages.set(stage, { done, total });
    };
    await compileOnnxModel(model, few, {
      nBits: 3,
      onProgress,
      roundingThresholdBits: { nBits: 4, method: "approximate" },
    });
    expect([...stages.keys()]).toEqual(["import", "quantize", "passes", "parameters", "lower"]);
    stages.delete("import");
    for (const { done, total } of stages.values()) {
      expect(done).toBe(total);
      expect(total).toBeGreaterThan(5);
    }
  });

  test("a simulation tells of its circuit and of its program, and can be stopped", async () => {
    const { circuit, module } = await compileOnnxModel(model, few, {
      nBits: 3,
      roundingThresholdBits: { nBits: 4, method: "approximate" },
    });
    const codes = module.quantizeInput(float32([1, 1, 8, 8], rows.data.slice(0, 64)));
    const controller = new AbortController();
    const told = new Set<string>();
    const watch = {
      signal: controller.signal,
      onProgress: (stage: string): void => void told.add(stage),
      noise: false,
    };
    expect(await circuit.simulateAsync(codes, watch)).toEqual(
      circuit.simulate(codes, { noise: false }),
    );
    expect([...told]).toEqual(["overflow", "simulate"]);
    controller.abort();
    expect((await rejectionOf(() => circuit.simulateAsync(codes, watch))).code).toBe("CANCELLED");
  });
});
