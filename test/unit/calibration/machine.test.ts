/**
 * The machine's own cost model: measured once for each CPU and engine, kept, and measured again where the file is no use.
 * @module
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  costModelInSteps,
  measureMachineInSteps,
  readMachineModel,
} from "../../../src/calibration/machine.ts";
import { COST_MODELS, DEFAULT_COST_MODEL } from "../../../src/parameters/cost-models.ts";
import { finish } from "../../../src/steps.ts";
import { fakeEngine } from "../../support/fake-engine.ts";

const native = vi.hoisted(() => ({ engine: {}, fingerprint: "" }));
vi.mock("../../../src/native/load.ts", () => ({
  loadEngine: () => native.engine,
  engineFingerprint: () => native.fingerprint,
}));

let cache = "";
let timed = { calls: 0 };

/** Microseconds of CPU time that this process seems to get during a measurement. */
function stubCpuTime(user: number): void {
  vi.spyOn(process, "cpuUsage").mockReturnValue({ user, system: 0 });
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
  cache = mkdtempSync(join(tmpdir(), "sotto-cache-"));
  vi.stubEnv("XDG_CACHE_HOME", cache);
  const fake = fakeEngine(COST_MODELS.avx512);
  timed = fake.timed;
  native.engine = fake.engine;
  native.fingerprint = "first build";
  stubCpuTime(Infinity);
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  rmSync(cache, { recursive: true, force: true });
});

const kept = (): string => join(cache, "sotto", readdirSync(join(cache, "sotto"))[0]);

describe("the model of this machine", () => {
  test("is measured once and then read", () => {
    const first = finish(costModelInSteps("machine"));
    expect(timed.calls).toBeGreaterThan(0);
    const calls = timed.calls;
    expect(finish(costModelInSteps("machine"))).toEqual(first);
    expect(timed.calls).toBe(calls);
    expect(JSON.parse(readFileSync(kept(), "utf8"))).toEqual(first);
  });

  test("is measured again for another build of the engine", () => {
    finish(costModelInSteps("machine"));
    native.fingerprint = "second build";
    expect(readMachineModel()).toBeNull();
    const calls = timed.calls;
    finish(costModelInSteps("machine"));
    expect(timed.calls).toBe(2 * calls);
    expect(readdirSync(join(cache, "sotto"))).toHaveLength(2);
  });

  test.each(["", "{", "{}", '{"name": "x"}'])("is measured again where the file is %j", (text) => {
    const first = finish(costModelInSteps("machine"));
    writeFileSync(kept(), text);
    expect(readMachineModel()).toBeNull();
    expect(finish(costModelInSteps("machine"))).toEqual(first);
    expect(readMachineModel()).toEqual(first);
  });

  test("is measured where nothing can be kept", () => {
    writeFileSync(join(cache, "file"), "");
    vi.stubEnv("XDG_CACHE_HOME", join(cache, "file"));
    const model = finish(costModelInSteps("machine"));
    expect(model.keyswitch).toBeCloseTo(COST_MODELS.avx512.keyswitch, 3);
    expect(readMachineModel()).toBeNull();
  });
});

test("a measurement that other work disturbed is not kept", () => {
  stubCpuTime(1);
  const measured = finish(measureMachineInSteps());
  expect(measured).toMatchObject({
    path: null,
    reason: expect.stringContaining("other work") as unknown,
  });
  expect(readMachineModel()).toBeNull();
});

test("other models need no engine", () => {
  const own = { ...COST_MODELS.avx2, name: "own" };
  expect(finish(costModelInSteps())).toBe(DEFAULT_COST_MODEL);
  expect(finish(costModelInSteps("avx512"))).toBe(COST_MODELS.avx512);
  expect(finish(costModelInSteps(own))).toBe(own);
  expect(timed.calls).toBe(0);
});
