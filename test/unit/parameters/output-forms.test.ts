/**
 * Outputs travel as short as their failure probability allows, and no shorter.
 * @module
 */
import { describe, expect, test } from "vitest";
import {
  type NoiseConstraint,
  type ParameterChoice,
  evaluateChoice,
  verify,
} from "../../../src/parameters/choice.ts";
import { DEFAULT_COST_MODEL } from "../../../src/parameters/cost-models.ts";
import { compressOutputs } from "../../../src/parameters/output-forms.ts";
import {
  type CryptoParameters,
  type OutputForm,
  WHOLE,
  outputBytes,
} from "../../../src/parameters/parameters.ts";
import { minimalNoiseStd } from "../../../src/parameters/security.ts";
import { FOUR_BITS } from "../../support/parameters.ts";

const LEVELED: CryptoParameters = {
  lweDimension: 0,
  glweDimension: 3,
  polynomialSize: 512,
  bootstrap: { baseLog: 0, level: 0 },
  keyswitch: { baseLog: 0, level: 0 },
  lweNoiseStd: 0,
  glweNoiseStd: minimalNoiseStd(1536),
};

function output(change: Partial<NoiseConstraint> = {}): NoiseConstraint {
  const norms = { inputNorm: 100, lookupNorm: 0 };
  return {
    kind: "output",
    name: "y",
    count: 10,
    ...norms,
    margin: 2 ** -12,
    misalignment: 0,
    ...change,
  };
}

function choose(
  parameters: CryptoParameters,
  constraints: readonly NoiseConstraint[],
  forms?: readonly OutputForm[],
  log2GlobalBound = 0,
): ParameterChoice {
  return evaluateChoice(constraints, parameters, {
    extensions: constraints.map(() => 1),
    ...(forms ? { forms } : {}),
    bounds: { log2Bound: -40, log2GlobalBound },
    model: DEFAULT_COST_MODEL,
  });
}

describe("a compressed output", () => {
  test.each([-8, -12, -20].map((log2) => [2 ** log2]))(
    "with a margin of %d keeps the fewest bits that keep the bound",
    (margin) => {
      const constraints = [output({ margin })];
      const found = compressOutputs(constraints, choose(LEVELED, constraints));
      verify(found, constraints);
      const [{ isSmall, bits }] = found.forms;
      expect(isSmall).toBe(false);
      expect(bits).toBeLessThan(30);
      expect(found.log2WorstFailure).toBeLessThanOrEqual(-40);
      const fewer = choose(LEVELED, constraints, [{ isSmall, bits: bits - 1 }]);
      expect(fewer.log2WorstFailure).toBeGreaterThan(-40);
    },
  );

  test("is switched to the small key where its noise allows it, and is shorter so", () => {
    const constraints = [output({ margin: 2 ** -5, inputNorm: 1, lookupNorm: 1 })];
    const found = compressOutputs(constraints, choose(FOUR_BITS, constraints));
    verify(found, constraints);
    const [form] = found.forms;
    expect(form.isSmall).toBe(true);
    expect(outputBytes(FOUR_BITS, form, 10)).toBeLessThan(outputBytes(FOUR_BITS, WHOLE, 10) / 10);
  });

  test("stays under the big key where the keyswitch alone would be too much", () => {
    const constraints = [output({ margin: 2 ** -12, inputNorm: 1, lookupNorm: 0 })];
    const found = compressOutputs(constraints, choose(FOUR_BITS, constraints));
    verify(found, constraints);
    expect(found.forms[0].isSmall).toBe(false);
    expect(found.forms[0].bits).toBeLessThan(64);
  });

  test("keeps more bits where the whole inference is bounded", () => {
    const constraints = [output({ count: 1000 })];
    const alone = compressOutputs(constraints, choose(LEVELED, constraints));
    const found = compressOutputs(constraints, choose(LEVELED, constraints, undefined, -40));
    verify(found, constraints);
    expect(alone.log2GlobalFailure).toBeGreaterThan(-40);
    expect(found.log2GlobalFailure).toBeLessThanOrEqual(-40);
    expect(found.forms[0].bits).toBe(alone.forms[0].bits + 1);
  });

  test("that bears noise gets 3 % more of it", () => {
    const interior = { width: 0.5, largest: 0.01 };
    const constraints = [output({ margin: 0.25, unit: 2 ** -30, interior, inputNorm: 1e9 })];
    const before = choose(LEVELED, constraints);
    const found = compressOutputs(constraints, before);
    verify(found, constraints);
    expect(found.forms[0].bits).toBeLessThan(64);
    expect(found.noiseStd[0] / before.noiseStd[0]).toBeLessThan(1.032);
  });

  test("keeps the rest of a choice, and lookups as they are", () => {
    const lookup: NoiseConstraint = {
      ...output({ margin: 2 ** -6, inputNorm: 1 }),
      kind: "lookup",
      name: "t",
    };
    const constraints = [lookup, output({ margin: 2 ** -5, lookupNorm: 1 })];
    const before = choose(FOUR_BITS, constraints);
    const found = compressOutputs(constraints, before);
    expect(found.forms[0]).toBe(WHOLE);
    expect(found.parameters).toBe(before.parameters);
    expect(found.log2Failure[0]).toBe(before.log2Failure[0]);
    expect(found.predictedNanoseconds).toBe(before.predictedNanoseconds);
  });

  test("of a form that its parameters do not have is no legal choice", () => {
    const constraints = [output()];
    const broken = choose(LEVELED, constraints, [{ isSmall: true, bits: 8 }]);
    expect(() => verify(broken, constraints)).toThrow("form of y");
  });
});
