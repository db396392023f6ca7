/**
 * `verify` refuses every altered choice, and `print` says what was chosen.
 * @module
 */
import { describe, expect, test } from "vitest";
import { print, verify } from "../../../src/parameters/choice.ts";
import {
  chooseParameters,
  type NoiseConstraint,
  type ParameterChoice,
} from "../../../src/parameters/search.ts";
import { OPERATIONS } from "../../support/cost-model.ts";

const CONSTRAINTS: readonly NoiseConstraint[] = [
  {
    kind: "lookup",
    name: "relu",
    count: 64,
    inputNorm: 2,
    lookupNorm: 900,
    margin: 2 ** -7,
    misalignment: 0.5,
  },
  {
    kind: "output",
    name: "logits",
    count: 10,
    inputNorm: 0,
    lookupNorm: 900,
    margin: 2 ** -8,
    misalignment: 0,
  },
];

const CHOICE = chooseParameters(CONSTRAINTS, {}, { costModel: OPERATIONS });

describe("verify", () => {
  test("accepts what the search returns", () => {
    expect(() => verify(CHOICE, CONSTRAINTS)).not.toThrow();
  });

  const p = CHOICE.parameters;
  test.each<[string, Partial<ParameterChoice>]>([
    ["less secure noise", { parameters: { ...p, lweNoiseStd: p.lweNoiseStd / 2 } }],
    ["more noise than recorded", { parameters: { ...p, lweNoiseStd: p.lweNoiseStd * 2 } }],
    ["a smaller table", { parameters: { ...p, polynomialSize: p.polynomialSize / 2 } }],
    ["another number of entries", { extensions: [1] }],
    ["an extension of 3", { extensions: [3, 1] }],
    ["an extended output", { extensions: [CHOICE.extensions[0] ?? 1, 2] }],
    ["a better failure probability", { log2Failure: CHOICE.log2Failure.map((x) => x - 1) }],
    ["a stricter bound", { log2Bound: CHOICE.log2Bound - 5 }],
    ["a stricter global bound", { log2GlobalBound: -60 }],
    ["a better global probability", { log2GlobalFailure: -100 }],
    ["less noise", { noiseStd: CHOICE.noiseStd.map((x) => x / 2) }],
    ["more security", { securityBits: 131 }],
    ["smaller keys", { evaluationKeyBytes: 1000 }],
    ["less time", { predictedNanoseconds: CHOICE.predictedNanoseconds / 2 }],
  ])("refuses %s", (_, change) => {
    expect(() => verify({ ...CHOICE, ...change }, CONSTRAINTS)).toThrow(/^internal: parameters/u);
  });

  test("refuses stricter constraints", () => {
    const stricter = CONSTRAINTS.map((c) => ({ ...c, margin: c.margin / 2 }));
    expect(() => verify(CHOICE, stricter)).toThrow(/^internal: parameters: relu fails/u);
  });
});

test("a choice prints as one fact a line", () => {
  expect(print(CHOICE)).toMatchInlineSnapshot(`
    "big key        k 1, N 2048, noise 2^-50.0
    small key      n 843, noise 2^-19.0
    bootstrap      2 x 16 bits
    keyswitch      8 x 2 bits
    extensions     1
    failure        2^-40.0 per item at most, 2^-34.0 per inference
    security       128.0 bits
    predicted      10609.5 ms for all lookups on one core (operations of the concrete-optimizer)
    evaluation key 45.8 MB"
  `);
  const plain = chooseParameters([], {}, { costModel: OPERATIONS });
  expect(print(plain)).toMatchInlineSnapshot(`
    "big key        k 1, N 512, noise 2^-10.5
    small key      none, no lookups
    failure        0 per item at most, 0 per inference
    security       128.0 bits
    predicted      0.0 ms for all lookups on one core (operations of the concrete-optimizer)
    evaluation key 0.0 MB"
  `);
});
