/**
 * The parameter search against the reference search, against brute force, and by its properties.
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SottoError } from "../../../src/errors.ts";
import { effectiveMargin, layerOf, verify } from "../../../src/parameters/choice.ts";
import { COST_MODELS } from "../../../src/parameters/cost-models.ts";
import {
  type CostModel,
  evaluationKeyBytes,
  lookupLayerCost,
} from "../../../src/parameters/cost.ts";
import { kappa } from "../../../src/parameters/failure.ts";
import {
  cmuxVariance,
  decisionVariance,
  keyswitchVariancePerBit,
  linearVariance,
} from "../../../src/parameters/noise.ts";
import {
  chooseParameters,
  type NoiseConstraint,
  type ParameterChoice,
  type SearchOptions,
  type SearchTarget,
} from "../../../src/parameters/search.ts";
import { minimalNoiseStd, minimalNoiseVariance } from "../../../src/parameters/security.ts";
import { DEFAULT_SPACE, type SearchSpace } from "../../../src/parameters/space.ts";
import { OPERATIONS } from "../../support/cost-model.ts";
import { REFERENCE_OPTIMA } from "./reference-optima.ts";

function lookup(bits: number, norm2: number, change: Partial<NoiseConstraint> = {}) {
  const margin = 2 ** -(bits + 2);
  const base = { name: "lookup", count: 1, inputNorm: 0, misalignment: 0 };
  return { kind: "lookup", lookupNorm: norm2 ** 2, margin, ...base, ...change } as const;
}

function output(bits: number, change: Partial<NoiseConstraint> = {}) {
  return { ...lookup(bits, 0, change), kind: "output", name: "output" } as const;
}

function choose(
  constraints: readonly NoiseConstraint[],
  target: SearchTarget = {},
  options: SearchOptions = {},
): ParameterChoice {
  const choice = chooseParameters(constraints, target, options);
  verify(choice, constraints);
  return choice;
}

describe("the optimum of one lookup is that of the reference search", () => {
  test.each(REFERENCE_OPTIMA)(
    "2^$log2PError, norm 2^$log2Norm, $bits bits",
    ({ log2PError, log2Norm, bits, parameters, cost }) => {
      const constraints = [lookup(bits, 2 ** log2Norm)];
      const choice = choose(constraints, { log2PError }, { costModel: OPERATIONS });
      const p = choice.parameters;
      expect([
        Math.log2(choice.extensions[0] ?? 0),
        p.glweDimension,
        Math.log2(p.polynomialSize),
        p.lweDimension,
        p.bootstrap.level,
        p.bootstrap.baseLog,
        p.keyswitch.level,
        p.keyswitch.baseLog,
      ]).toEqual(parameters);
      expect(Math.round(choice.predictedNanoseconds)).toBe(cost);
    },
  );
});

const SMALL_SPACE: SearchSpace = {
  glweDimensions: [1, 2],
  polynomialSizes: [1024, 2048],
  bigDimension: [1024, 4096],
  maxBootstrapLevel: 2,
  maxKeyswitchLevel: 6,
  lweDimension: [740, 900],
  extensions: [1, 2, 4],
};

/** The base of least variance, by trying all. */
function bestBase(largest: number, variance: (base: number) => number): number {
  const bases = Array.from({ length: largest }, (_, i) => i + 1);
  return bases.reduce((best, base) => (variance(base) < variance(best) ? base : best));
}

const keyswitchBases = new Map<string, number>();

function keyswitchBase(level: number, n: number): number {
  const key = `${level} ${n}`;
  const known = keyswitchBases.get(key);
  if (known !== undefined) return known;
  const best = bestBase(Math.floor(Math.min(24, 64 / level)), (baseLog) =>
    keyswitchVariancePerBit({ baseLog, level }, minimalNoiseVariance(n)),
  );
  keyswitchBases.set(key, best);
  return best;
}

/** Least cost over a space, by trying everything; Infinity if nothing is feasible. */
function bruteForce(constraints: readonly NoiseConstraint[], log2P: number, model: CostModel) {
  const deviations = kappa(log2P);
  let least = Infinity;
  for (const glweDimension of SMALL_SPACE.glweDimensions) {
    for (const polynomialSize of SMALL_SPACE.polynomialSizes) {
      const shape = { glweDimension, polynomialSize };
      const keyVariance = minimalNoiseVariance(glweDimension * polynomialSize);
      for (let level = 1; level <= SMALL_SPACE.maxBootstrapLevel; level++) {
        const baseLog = bestBase(Math.floor(Math.min(40, 64 / level)), (base) =>
          cmuxVariance(shape, { baseLog: base, level }, keyVariance),
        );
        for (let ksLevel = 1; ksLevel <= SMALL_SPACE.maxKeyswitchLevel; ksLevel++) {
          for (let n = SMALL_SPACE.lweDimension[0]; n <= SMALL_SPACE.lweDimension[1]; n++) {
            const ksBase = keyswitchBase(ksLevel, n);
            const p = {
              ...shape,
              lweDimension: n,
              bootstrap: { baseLog, level },
              keyswitch: { baseLog: ksBase, level: ksLevel },
              lweNoiseStd: minimalNoiseStd(n),
              glweNoiseStd: Math.sqrt(keyVariance),
            };
            let cost = 0;
            for (const c of constraints) {
              const isOutput = c.kind === "output";
              const extension = SMALL_SPACE.extensions.find((e) => {
                const margin = effectiveMargin(c, polynomialSize * e);
                const variance = isOutput ? linearVariance(p, c) : decisionVariance(p, c, e);
                return margin > 0 && variance <= (margin / deviations) ** 2;
              });
              if (extension === undefined) cost = Infinity;
              else if (!isOutput) {
                cost += lookupLayerCost(p, { ...layerOf(c), extension }, model);
              }
            }
            least = Math.min(least, cost);
          }
        }
      }
    }
  }
  return least;
}

const anyConstraint: fc.Arbitrary<NoiseConstraint> = fc
  .record({
    kind: fc.constantFrom("lookup" as const, "lookup" as const, "output" as const),
    name: fc.constant("item"),
    count: fc.integer({ min: 1, max: 500 }),
    inputNorm: fc.constantFrom(0, 1, 1000),
    lookupNorm: fc.double({ min: 0, max: 16, noNaN: true }).map((log2) => 2 ** log2),
    margin: fc.double({ min: 3, max: 8, noNaN: true }).map((log2) => 2 ** -log2),
    misalignment: fc.constantFrom(0, 0.5),
  })
  .chain((c) => fc.integer({ min: 1, max: c.count }).map((sources) => ({ ...c, sources })));

const anyLog2P = fc.constantFrom(-14, -40, -64, -128);

/** Cost of the choice, Infinity if there is none. */
function costOf(
  constraints: readonly NoiseConstraint[],
  target: SearchTarget,
  options: SearchOptions = {},
): number {
  try {
    return choose(constraints, target, options).predictedNanoseconds;
  } catch (error) {
    if (error instanceof SottoError && error.code === "NO_PARAMETERS") return Infinity;
    throw error;
  }
}

describe("properties of the search", () => {
  test("no cut changes the optimum: the cost is that of brute force", () => {
    const anyLookup = anyConstraint.map((c) => ({ ...c, kind: "lookup" as const }));
    const anyProblem = fc.tuple(anyLookup, fc.array(anyConstraint, { maxLength: 3 }));
    fc.assert(
      fc.property(anyProblem, anyLog2P, ([first, rest], log2PError) => {
        const problem = [first, ...rest];
        const model = COST_MODELS.avx2;
        const found = costOf(problem, { log2PError }, { space: SMALL_SPACE, costModel: model });
        const expected = bruteForce(problem, log2PError, model);
        if (expected === Infinity) expect(found).toBe(Infinity);
        else expect(found / expected).toBeCloseTo(1, 9);
      }),
      { numRuns: 25 },
    );
  });

  const constraintsOfAny = fc.array(anyConstraint, { minLength: 1, maxLength: 4 }).map((all) => {
    const [first, ...rest] = all;
    return first === undefined ? [] : [{ ...first, kind: "lookup" as const }, ...rest];
  });

  test.each<[string, (c: NoiseConstraint) => NoiseConstraint]>([
    ["a wider margin", (c) => ({ ...c, margin: Math.min(0.5, c.margin * 1.3) })],
    ["a smaller norm over lookups", (c) => ({ ...c, lookupNorm: c.lookupNorm / 3 })],
    ["a smaller norm over inputs", (c) => ({ ...c, inputNorm: 0 })],
    ["aligned boxes", (c) => ({ ...c, misalignment: 0 })],
  ])("%s never costs more", (_, loosen) => {
    fc.assert(
      fc.property(constraintsOfAny, anyLog2P, (constraints, log2PError) => {
        const before = costOf(constraints, { log2PError });
        const after = costOf(constraints.map(loosen), { log2PError });
        return after <= before * (1 + 1e-12);
      }),
      { numRuns: 40 },
    );
  });

  test("a larger failure probability or one constraint less never costs more", () => {
    fc.assert(
      fc.property(constraintsOfAny, (constraints) => {
        const strict = costOf(constraints, { log2PError: -64 });
        expect(costOf(constraints, { log2PError: -40 })).toBeLessThanOrEqual(strict);
        const fewer = constraints.slice(0, 1);
        expect(costOf(fewer, { log2PError: -64 })).toBeLessThanOrEqual(strict * (1 + 1e-12));
      }),
      { numRuns: 40 },
    );
  });

  test("equal lookups count as one lookup with the sum of their counts", () => {
    const apart = choose([lookup(5, 50, { count: 32 }), lookup(5, 50, { count: 48 })]);
    const merged = choose([lookup(5, 50, { count: 80 })]);
    expect(apart.parameters).toEqual(merged.parameters);
    expect(apart.extensions).toEqual([merged.extensions[0], merged.extensions[0]]);
    expect(apart.predictedNanoseconds).toBeCloseTo(merged.predictedNanoseconds, 0);
  });

  test("each lookup has the smallest extension that its own margin needs", () => {
    const constraints = [lookup(8, 16, { count: 2 }), lookup(4, 16, { count: 90 }), output(6)];
    const choice = choose(constraints);
    expect(choice.extensions[0]).toBeGreaterThan(1);
    expect(choice.extensions.slice(1)).toEqual([1, 1]);
  });

  test("an output alone can decide the noise of the lookups", () => {
    const plain = choose([lookup(4, 1)]);
    const strict = choose([lookup(4, 1), output(14, { lookupNorm: 16 })]);
    expect(strict.predictedNanoseconds).toBeGreaterThan(plain.predictedNanoseconds);
  });

  test("twelve distinct constraints take well under a second even on a slow machine", () => {
    const many = Array.from({ length: 12 }, (_, i) =>
      lookup(1 + ((i * 5) % 7), 2 ** (i / 2), { count: 10 + i, inputNorm: i }),
    );
    choose(many);
    const start = performance.now();
    chooseParameters(many, { log2PError: -64 });
    expect(performance.now() - start).toBeLessThan(500);
  });
});

describe("targets", () => {
  test("default to 2^-40 for each decision", () => {
    const choice = choose([lookup(5, 16, { count: 64 })]);
    expect(choice.log2Bound).toBe(-40);
    expect(choice.log2GlobalBound).toBe(0);
    expect(choice.log2GlobalFailure).toBeCloseTo((choice.log2Failure[0] ?? 0) + 6, 6);
    expect(choose([lookup(5, 16, { count: 64 })], { pError: 2 ** -40 })).toEqual(choice);
  });

  test.each([-128, -1e-3, -14])("2^%f per decision holds", (log2PError) => {
    const choice = choose([lookup(5, 16), output(5, { lookupNorm: 300 })], { log2PError });
    expect(Math.max(...choice.log2Failure)).toBeLessThanOrEqual(log2PError * (1 - 1e-6));
  });

  test.each([1e-2, 1e-5, 2 ** -60])("a global %f holds for the inference", (globalPError) => {
    const constraints = [
      lookup(6, 30, { count: 1000 }),
      lookup(3, 2, { count: 100_000 }),
      output(7, { lookupNorm: 100, count: 10 }),
    ];
    const choice = choose(constraints, { globalPError });
    expect(choice.log2GlobalFailure).toBeLessThanOrEqual(Math.log2(globalPError));
    const even = choose(constraints, { pError: globalPError / 101_010 });
    expect(choice.predictedNanoseconds).toBeLessThanOrEqual(even.predictedNanoseconds);
  });

  test.each([
    [{ pError: 1e-3, globalPError: 1e-2 }, "pError and globalPError"],
    [{ pError: 1e-3, log2PError: -10 }, "pError and log2PError"],
    [{ pError: 0 }, "pError"],
    [{ pError: 1 }, "pError"],
    [{ pError: -1 }, "pError"],
    [{ globalPError: 2 }, "globalPError"],
    [{ log2PError: 40 }, "log2PError"],
    [{ log2GlobalPError: Number.NaN }, "log2GlobalPError"],
  ])("refuses %j", (target, where) => {
    const attempt = (): unknown => chooseParameters([lookup(4, 1)], target);
    expect(attempt).toThrow("BAD_ARGUMENT");
    expect(attempt).toThrow(where);
  });
});

describe("no parameters", () => {
  test("names the tightest constraint, what it needs and what to do", () => {
    const constraints = [
      lookup(4, 1, { name: "relu" }),
      lookup(16, 1, { name: "Gemm_3" }),
      lookup(12, 1, { name: "sigmoid" }),
    ];
    const attempt = (): unknown => chooseParameters(constraints);
    expect(attempt).toThrow(SottoError);
    expect(attempt).toThrow(
      /^NO_PARAMETERS at Gemm_3: .*2\^-18\.00 \(about 16\.0 bits\).*noise of at most 2\^-20\.8/u,
    );
    expect(attempt).toThrow(/fewer bits .*roundingThresholdBits.*pError/u);
  });

  test("under a key limit says how large the keys are", () => {
    const constraints = [lookup(6, 1)];
    const { evaluationKeyBytes: bytes } = choose(constraints);
    const attempt = (): unknown => chooseParameters(constraints, {}, { maxKeyBytes: 1e6 });
    expect(attempt).toThrow(`expected at least ${bytes} bytes`);
  });

  test("a global target that nothing meets", () => {
    expect(() => chooseParameters([lookup(15, 1)], { globalPError: 1e-9 })).toThrow(
      "NO_PARAMETERS",
    );
  });
});

describe("limits and edges", () => {
  test("smaller keys cost more time", () => {
    const constraints = [lookup(5, 16)];
    const free = choose(constraints);
    const maxKeyBytes = free.evaluationKeyBytes * 0.7;
    const small = choose(constraints, {}, { maxKeyBytes });
    expect(small.evaluationKeyBytes).toBeLessThanOrEqual(maxKeyBytes);
    expect(small.predictedNanoseconds).toBeGreaterThan(free.predictedNanoseconds);
    const exact = choose(constraints, {}, { maxKeyBytes: free.evaluationKeyBytes });
    expect(exact.parameters).toEqual(free.parameters);
  });

  test("the size of the keys is that of packed bodies and the seeds of their pieces", () => {
    const { parameters: p } = choose([lookup(4, 16)], {}, { costModel: OPERATIONS });
    // Noise of 2^-18.4 leaves 22 of 32 bits, noise of 2^-49.95 leaves 53 of 64.
    const bits = 2048 * 5 * 22 + 822 * 3 * 1024 * 53;
    const seeds = 16 * (2048 / 256 + Math.ceil(822 / 16));
    expect(evaluationKeyBytes(p)).toBe(80 + 48 + 32 + bits / 8 + seeds);
  });

  test("without lookups there is one key, as small as the outputs allow", () => {
    const loose = choose([output(4, { inputNorm: 1 })]);
    const strict = choose([output(10, { inputNorm: 1e4 })]);
    expect(loose.parameters).toMatchObject({ lweDimension: 0, glweDimension: 1 });
    expect(loose.parameters.polynomialSize).toBeLessThan(strict.parameters.polynomialSize);
    expect(strict.evaluationKeyBytes).toBe(160);
    expect(strict.predictedNanoseconds).toBe(0);
    expect(strict.securityBits).toBeGreaterThanOrEqual(128);
  });

  test("a circuit without any decision has parameters", () => {
    expect(choose([]).log2GlobalFailure).toBe(-Infinity);
  });

  test("outputs that read lookups without lookups are a bug of the caller", () => {
    expect(() => chooseParameters([output(4, { lookupNorm: 1 })])).toThrow(/^internal:/u);
  });

  test.each([
    { count: 0 },
    { count: 1.5 },
    { inputNorm: -1 },
    { lookupNorm: Number.NaN },
    { margin: 0 },
    { margin: 0.6 },
    { misalignment: Infinity },
  ])("a constraint with %j is a bug of the caller", (change) => {
    expect(() => chooseParameters([lookup(4, 1, change)])).toThrow(/^internal:/u);
  });

  test("noise sits on the 128-bit curve", () => {
    const { parameters, securityBits } = choose([lookup(6, 30)], { log2PError: -128 });
    expect(parameters.lweNoiseStd).toBe(minimalNoiseStd(parameters.lweDimension));
    expect(parameters.glweNoiseStd).toBe(minimalNoiseStd(2048));
    expect(securityBits).toBeCloseTo(128, 5);
  });

  test("the default space is that of the documentation", () => {
    expect(DEFAULT_SPACE.lweDimension).toEqual([460, 1270]);
    expect(DEFAULT_SPACE.extensions).toEqual([1, 2, 4, 8, 16, 32]);
  });
});
