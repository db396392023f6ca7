/**
 * Fitting the cost model: an engine that follows a model to the nanosecond gives that model back.
 * @module
 */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { calibrateInSteps } from "../../../src/calibration/measure.ts";
import { COST_MODELS } from "../../../src/parameters/cost-models.ts";
import { type CostModel, isCostModel } from "../../../src/parameters/cost.ts";
import { finish } from "../../../src/steps.ts";
import { fakeEngine, NANOSECONDS_PER_BYTE } from "../../support/fake-engine.ts";

beforeEach(() => vi.useFakeTimers({ toFake: ["performance"] }));
afterEach(() => vi.useRealTimers());

/** Times that no shipped model has, in no order. */
const TRUTH: CostModel = {
  name: "truth",
  externalProducts: Object.fromEntries(
    Object.keys(COST_MODELS.avx2.externalProducts).map((shape, i) => {
      const first = 5000 + ((i * 7919) % 10_007);
      return [shape, [first, first * (0.3 + (i % 7) / 10)]];
    }),
  ),
  keyswitch: 0.7,
  stream: 0.11,
  combination: 0,
};

describe("a fitted model", () => {
  test("has the times of the engine it was fitted to", () => {
    const { engine } = fakeEngine(TRUTH);
    const model = finish(calibrateInSteps(engine, "this CPU"));
    expect(model.name).toBe("this CPU");
    expect(Object.keys(model.externalProducts)).toEqual(Object.keys(TRUTH.externalProducts));
    for (const [shape, [first, further]] of Object.entries(TRUTH.externalProducts)) {
      const [fittedFirst, fittedFurther] = model.externalProducts[shape];
      expect(fittedFirst / first).toBeCloseTo(1, 2);
      expect(fittedFurther / further).toBeCloseTo(1, 2);
    }
    expect(model.keyswitch).toBeCloseTo(TRUTH.keyswitch, 3);
    expect(model.stream).toBeCloseTo(TRUTH.stream, 3);
    expect(isCostModel(model)).toBe(true);
  });

  test("takes combinations from the difference of a long and a short program", () => {
    const { engine, timed } = fakeEngine(TRUTH);
    const { combination } = finish(calibrateInSteps(engine, "this CPU"));
    const [long, short] = [Math.max(...timed.programs), Math.min(...timed.programs)];
    const layer = (64 + 64 * 64) * 2049;
    const expected = (NANOSECONDS_PER_BYTE * (long - short)) / 8 / layer;
    expect(combination / expected).toBeCloseTo(1, 3);
  });

  test("counts the lesser of two times", () => {
    const { engine } = fakeEngine(TRUTH);
    const seen = new Set<string>();
    const disturbed = {
      ...engine,
      timeLookups(block: Uint8Array, extensionLog: number, batch: number) {
        const key = `${block.join()} ${batch}`;
        const delay = seen.has(key) ? 1 : 9;
        seen.add(key);
        return engine.timeLookups(block, extensionLog, batch).map((time) => delay * time);
      },
    };
    const quiet = finish(calibrateInSteps(engine, "this CPU"));
    expect(finish(calibrateInSteps(disturbed, "this CPU"))).toEqual(quiet);
  });

  test("times everything once when time is short", () => {
    const { engine, timed } = fakeEngine(TRUTH);
    finish(calibrateInSteps(engine, "this CPU"));
    const slow = fakeEngine(TRUTH);
    const late: typeof engine = {
      ...slow.engine,
      timeLookups(...args) {
        vi.advanceTimersByTime(1000);
        return slow.engine.timeLookups(...args);
      },
    };
    finish(calibrateInSteps(late, "this CPU"));
    expect(slow.timed.calls).toBe(timed.calls / 2);
  });

  test("says how far it is and stops when told to", () => {
    const { engine, timed } = fakeEngine(TRUTH);
    const steps = calibrateInSteps(engine, "this CPU");
    const { signal, abort } = stopper();
    const seen: number[] = [];
    const onProgress = (_: string, done: number, total: number): void => {
      expect(total).toBe(100);
      seen.push(done);
      if (done >= 25) abort();
    };
    expect(() => finish(steps, { signal, onProgress })).toThrow(/^CANCELLED/u);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(seen[0]).toBe(0);
    const before = timed.calls;
    expect(before).toBeGreaterThan(0);
    expect(timed.programs).toEqual([]);
  });
});

function stopper(): { readonly signal: AbortSignal; readonly abort: () => void } {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort() };
}

describe("isCostModel", () => {
  test.each<[string, unknown]>([
    ["no object", null],
    ["a missing weight", { ...TRUTH, stream: undefined }],
    ["a negative weight", { ...TRUTH, keyswitch: -1 }],
    ["an infinite weight", { ...TRUTH, combination: Infinity }],
    ["no shapes", { ...TRUTH, externalProducts: {} }],
    ["half a shape", { ...TRUTH, externalProducts: { "1x2048": [3] } }],
    ["no name", { ...TRUTH, name: 7 }],
  ])("refuses %s", (_, value) => {
    expect(isCostModel(value)).toBe(false);
  });

  test("accepts the shipped ones", () => {
    expect(Object.values(COST_MODELS).every(isCostModel)).toBe(true);
  });
});
