/**
 * Measured noise against the formulas that parameters are chosen by (docs/noise.md), stage by stage.
 *
 * A measurement agrees when its variance is within 6.25 % of the formula or when the formula lies inside the 99.9 %
 * confidence interval of the measurement. One disagreement in a thousand is chance, so a second measurement decides:
 * a right formula fails a check with a probability of 10^-6. `SOTTO_NOISE_SAMPLES` asks for more samples than the
 * defaults, which keep slow extended lookups to a few hundred.
 * @module
 */
import { describe, expect, test } from "vitest";
import type { NoiseStage } from "../../src/native/binding.ts";
import { loadEngine } from "../../src/native/load.ts";
import { encodeParameters } from "../../src/parameters/encoding.ts";
import {
  freshVariance,
  keyswitchVariance,
  linearVariance,
  lookupVariance,
  modulusSwitchVariance,
} from "../../src/parameters/noise.ts";
import type { CryptoParameters } from "../../src/parameters/parameters.ts";
import { minimalNoiseStd } from "../../src/parameters/security.ts";

const sets: Record<string, CryptoParameters> = {
  "k 1, N 2048, two levels": {
    lweDimension: 885,
    glweDimension: 1,
    polynomialSize: 2048,
    bootstrap: { baseLog: 15, level: 2 },
    keyswitch: { baseLog: 3, level: 6 },
    lweNoiseStd: minimalNoiseStd(885),
    glweNoiseStd: minimalNoiseStd(2048),
  },
  "k 2, N 1024, one level": {
    lweDimension: 822,
    glweDimension: 2,
    polynomialSize: 1024,
    bootstrap: { baseLog: 23, level: 1 },
    keyswitch: { baseLog: 3, level: 5 },
    lweNoiseStd: minimalNoiseStd(822),
    glweNoiseStd: minimalNoiseStd(2048),
  },
};

const requested = Number(process.env.SOTTO_NOISE_SAMPLES ?? 0);
const engine = loadEngine();

/** Variance about zero: the mean is known, so nothing is lost to estimating it. */
function measure(
  p: CryptoParameters,
  stage: NoiseStage,
  weights: number[],
  extensionLog: number,
  samples: number,
) {
  const block = encodeParameters(p);
  const noise = engine.measureNoise(block, stage, Int32Array.from(weights), extensionLog, samples);
  return noise.reduce((sum, error) => sum + error * error, 0) / samples;
}

/** 99.9 % interval of chi squared over its degrees of freedom (Wilson and Hilferty's cube). */
function interval(samples: number): [number, number] {
  const spread = 2 / (9 * samples);
  const bound = (z: number): number => (1 - spread + z * Math.sqrt(spread)) ** 3;
  return [bound(-3.2905), bound(3.2905)];
}

function agrees(ratio: number, samples: number): boolean {
  const [low, high] = interval(samples);
  return Math.abs(ratio - 1) <= 0.0625 || (ratio >= low && ratio <= high);
}

describe.each(Object.entries(sets))("%s", (_name, p) => {
  const check = (
    stage: NoiseStage,
    expected: number,
    { weights = [1], extensionLog = 0, samples = 1000 } = {},
  ): void => {
    const count = Math.max(samples, requested);
    const ratios: number[] = [];
    do {
      ratios.push(measure(p, stage, weights, extensionLog, count) / expected);
      if (requested > 0)
        console.log(`${_name}: ${stage} x ${2 ** extensionLog}: ${ratios.at(-1)?.toFixed(4)}`);
    } while (ratios.length < 2 && !agrees(ratios[ratios.length - 1], count));
    expect(
      agrees(ratios[ratios.length - 1], count),
      `measured over predicted: ${ratios.join(", ")}`,
    ).toBe(true);
  };

  test("fresh inputs have the noise of the big key", () => {
    check("fresh", freshVariance(p.glweNoiseStd), { samples: 4000 });
  });

  test("a combination has the noise of its 2-norm", () => {
    const weights = [3, -5, 1, 0, 7];
    check("linear", linearVariance(p, { inputNorm: 84, lookupNorm: 0 }), { weights });
  });

  test("the keyswitch adds what the formula says", () => {
    check("keyswitch", keyswitchVariance(p));
  });

  test.each([0, 1, 2, 3])(
    "the modulus switch adds what the formula says at extension 2^%i",
    (extensionLog) => {
      check("modulusSwitch", modulusSwitchVariance(p, 2 ** extensionLog), { extensionLog });
    },
  );

  test("a lookup's output has the noise of the blind rotation", () => {
    check("lookup", lookupVariance(p));
  });
});

describe("extended lookups", () => {
  const [name, p] = Object.entries(sets)[0];
  test.each([
    [1, 400],
    [2, 200],
    [3, 100],
  ])("an output at extension 2^%i has the noise of a classic one", (extensionLog, least) => {
    const samples = Math.max(least, requested);
    const ratios: number[] = [];
    do {
      ratios.push(measure(p, "lookup", [1], extensionLog, samples) / lookupVariance(p));
      if (requested > 0)
        console.log(`${name}: lookup x ${2 ** extensionLog}: ${ratios.at(-1)?.toFixed(4)}`);
    } while (ratios.length < 2 && !agrees(ratios[ratios.length - 1], samples));
    expect(
      agrees(ratios[ratios.length - 1], samples),
      `measured over predicted: ${ratios.join(", ")}`,
    ).toBe(true);
  });
});
