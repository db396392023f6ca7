/**
 * Tables that bear noise inside their interval: what parameters promise for them, and what noise does at their ends.
 */
import { describe, expect, test } from "vitest";
import type { TableEncoding } from "../../../src/circuit/ir.ts";
import { simulate } from "../../../src/execute/simulate.ts";
import { lower } from "../../../src/lower/lower.ts";
import { evaluateChoice, print, verify } from "../../../src/parameters/choice.ts";
import { constraintsOf } from "../../../src/parameters/constraints.ts";
import { DEFAULT_COST_MODEL } from "../../../src/parameters/cost-models.ts";
import { planEncodings } from "../../../src/parameters/encoding-plan.ts";
import { chooseParameters } from "../../../src/parameters/search.ts";
import { runPasses } from "../../../src/passes/index.ts";
import { int64 } from "../../../src/tensor/tensor.ts";
import { circuitOf, divideTable } from "../../support/circuits.ts";
import { randomNumbers } from "../../support/random-models.ts";

const RANGE = { lo: -300, hi: 300 };
const CODES = [-15, 15] as const;
const FIT: TableEncoding = { kind: "fit", steps: 64, interval: null };

/** A scaled input, one table, and a sum of its results as output. */
function network(encoding: TableEncoding) {
  const built = circuitOf((b) => {
    const x = b.input(0, [1, 4], RANGE, "x");
    const sum = b.emit({ kind: "matmul", weights: int64([4, 4], IDENTITY) }, [x], "sum");
    const codes = b.emit(divideTable(20, CODES, encoding), [sum], "codes");
    const weights = int64([4, 1], [9, -7, 8, 5]);
    return [b.emit({ kind: "matmul", weights }, [codes], "scores")];
  });
  const ends = int64([2, 4], [-300, -300, -300, -300, 300, 300, 300, 300]);
  return runPasses(built, { calibration: [ends], bounds: "calibrated" });
}

const IDENTITY = Array.from({ length: 16 }, (_, i) => (i % 5 === 0 ? 1 : 0));

function chosen(encoding: TableEncoding, interiorNoise: number | null) {
  const circuit = network(encoding);
  const plan = planEncodings(circuit, "calibrated", interiorNoise);
  const constraints = constraintsOf(circuit, plan);
  const choice = chooseParameters(constraints);
  verify(choice, constraints);
  return { circuit, plan, constraints, choice };
}

describe("parameters", () => {
  test("bound the noise by a share of the interval, and leaving it by pError", () => {
    const { constraints, choice } = chosen(FIT, 0.02);
    const [table, output] = constraints;
    expect(table.margin).toBeCloseTo(0.25, 2);
    expect(table.interior?.width).toBeCloseTo(0.5, 2);
    expect(choice.noiseStd[0]).toBeLessThanOrEqual(0.02 * 0.5);
    expect(choice.noiseStd[0]).toBeGreaterThan(0.015 * 0.5);
    expect(choice.interior?.noise).toBeCloseTo(choice.noiseStd[0] / 0.5, 2);
    expect(choice.interior?.log2Leaving).toBeLessThan(-40);
    // The client's window is half as wide again as the range of outputs: a quarter of it on either side.
    expect(output.interior?.width).toBeCloseTo(2 / 3, 2);
    expect(output.margin).toBeCloseTo(1 / 6, 2);
    expect(print(choice)).toMatch(/^interior noise [12]\.\d+ % of an interval at most, 2\^-\d+/mu);
  });

  test("refuse a choice with more noise than that, and one that reports less", () => {
    const { constraints, choice } = chosen(FIT, 0.02);
    const strict = constraints.map((c) =>
      c.interior ? { ...c, interior: { ...c.interior, largest: 0.01 } } : c,
    );
    expect(() => verify(choice, strict)).toThrow(/^internal: parameters: codes has noise of/u);
    const lie = { ...choice, interior: { noise: 0.001, log2Leaving: -200 } };
    expect(() => verify(lie, constraints)).toThrow(/^internal: parameters: noise inside/u);
  });

  test("do not let noise past pError where the share alone would", () => {
    const { choice } = chosen(FIT, 0.25);
    expect(choice.interior?.log2Leaving).toBeLessThanOrEqual(-40);
    expect(choice.interior?.noise).toBeLessThan(0.071);
  });

  test("make steps free: 64 of them cost what 8 do, and less than 16 that must be read right", () => {
    const cost = (steps: number, noise: number | null) =>
      chosen({ ...FIT, steps }, noise).choice.predictedNanoseconds;
    expect(cost(64, 0.02)).toBeLessThan(cost(16, null));
    expect(cost(64, 0.02)).toBeCloseTo(cost(8, 0.02), -6);
  });

  test("leave tables alone that read every integer or exact roundings", () => {
    for (const encoding of [{ kind: "each" }, { kind: "rounded", lsbs: 4 }] as const) {
      const { constraints, choice } = chosen(encoding, 0.02);
      expect(constraints.some(({ interior }) => interior !== undefined)).toBe(false);
      expect(choice.interior).toBeNull();
    }
  });

  test("more boxes than coefficients are a legal program", () => {
    const { circuit, plan, constraints, choice } = chosen({ ...FIT, steps: 2048 }, 0.02);
    expect(choice.parameters.polynomialSize * choice.extensions[0]).toBeLessThan(2048);
    expect(() => lower(circuit, plan, constraints, choice)).not.toThrow();
  });
});

describe("beyond the ends", () => {
  test.each([FIT, { kind: "approximate", lsbs: 4 }, { kind: "each" }] as const)(
    "$kind: a value goes on from the end instead of turning its sign",
    (encoding) => {
      const { circuit, plan, constraints, choice } = chosen(encoding, 0.02);
      const program = lower(circuit, plan, constraints, choice);
      const table = { ...program, outputs: [program.inputs.length + 1], outputNoiseStd: [0] };
      const [[id]] = [...plan.placements];
      const read = (x: number): number => {
        const phase = BigInt.asUintN(64, BigInt(x) * plan.scales[0]);
        const [[y]] = simulate(table, [BigUint64Array.of(phase, 0n, 0n, 0n)], { noise: false });
        return Number(BigInt.asIntN(64, y)) / Number(plan.scales[id]);
      };
      const half = 2 ** 63 / Number(plan.scales[0]);
      for (const beyond of [1, 20, 60]) {
        // Codes change by 1 in 20 integers; the table's window may begin before its interval.
        const reach = (half - 600) / 20 + beyond / 20 + 2;
        expect(Math.abs(read(RANGE.lo - beyond) - CODES[0])).toBeLessThan(reach);
        expect(Math.abs(read(RANGE.hi + beyond) - CODES[1])).toBeLessThan(reach);
      }
    },
  );

  test("noise at an end of the interval moves results by as much as noise in its middle", () => {
    const { circuit, plan, constraints, choice } = chosen(FIT, 0.03);
    const program = lower(circuit, plan, constraints, choice);
    const table = { ...program, outputs: [program.inputs.length + 1], outputNoiseStd: [0] };
    const random = randomNumbers(5);
    const [[id]] = [...plan.placements];
    for (const [x, expected] of [
      [-300, -15],
      [0, 0],
      [300, 15],
    ]) {
      const phase = BigInt.asUintN(64, BigInt(x) * plan.scales[0]);
      let worst = 0;
      for (let i = 0; i < 500; i++) {
        const [results] = simulate(table, [new BigUint64Array(4).fill(phase)], { random });
        for (const y of results) {
          const code = Number(BigInt.asIntN(64, y)) / Number(plan.scales[id]);
          worst = Math.max(worst, Math.abs(code - expected));
        }
      }
      // 5 standard deviations of 0.03 x 609 integers, 20 of them a code; 2,000 results exceed that once in 900 runs.
      expect(worst).toBeLessThan((5 * 0.03 * 609) / 20 + 1);
      expect(worst).toBeGreaterThan(1);
    }
  });
});

test("an unattainable interior noise names itself", () => {
  const { constraints } = chosen(FIT, 0.02);
  const tiny = constraints.map((c) =>
    c.interior ? { ...c, interior: { ...c.interior, largest: 1e-9 } } : c,
  );
  expect(() => chooseParameters(tiny)).toThrow(/interior noise .* allow a larger interiorNoise/u);
  const bounds = { log2Bound: -40, log2GlobalBound: 0 };
  const { choice } = chosen(FIT, 0.02);
  const using = { extensions: choice.extensions, bounds, model: DEFAULT_COST_MODEL };
  expect(() => verify(evaluateChoice(tiny, choice.parameters, using), tiny)).toThrow(/has noise/u);
});
