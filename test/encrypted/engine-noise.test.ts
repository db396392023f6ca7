/**
 * Measured noise against the formulas that parameters are chosen by (docs/noise.md), stage by stage.
 *
 * A measurement agrees when its variance is within 6.25 % of the formula or when the formula lies inside the 99.9 %
 * confidence interval of the measurement. One disagreement in a thousand is chance, so a second measurement decides:
 * a right formula fails a check with a probability of 10^-6. `SOTTO_NOISE_SAMPLES` asks for more samples than the
 * defaults, which keep slow extended lookups to a few hundred.
 * @module
 */
import { FOUR_BITS, SIX_BITS } from "../support/parameters.ts";
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

const sets: Record<string, CryptoParameters> = {
  "k 1, N 2048, two levels": SIX_BITS,
  "k 2, N 1024, one level": FOUR_BITS,
};

const requested = Number(process.env.SOTTO_NOISE_SAMPLES ?? 0);
const engine = loadEngine();

/** Variance about zero: the mean is known, so nothing is lost to estimating it. */
function measure(
  p: CryptoParameters,
  stage: NoiseStage,
  weights: readonly number[],
  extensionLog: number,
  samples: number,
) {
  const block = encodeParameters(p);
  const noise = engine.measureNoise(block, stage, Int32Array.from(weights), extensionLog, samples);
  return noise.reduce((sum, error) => sum + error * error, 0) / samples;
}

/**
 * 99.9 % interval of chi squared over its degrees of freedom (Wilson and Hilferty's cube). A lookup's variance also
 * goes with the Hamming weights of both secret keys, about 4 % from key to key: that counts as fewer samples.
 */
function interval(p: CryptoParameters, stage: NoiseStage, samples: number): [number, number] {
  const weights = 1 / p.lweDimension + 1 / (p.glweDimension * p.polynomialSize);
  const freedom = stage === "lookup" ? 2 / (2 / samples + weights) : samples;
  const spread = 2 / (9 * freedom);
  const bound = (z: number): number => (1 - spread + z * Math.sqrt(spread)) ** 3;
  return [bound(-3.2905), bound(3.2905)];
}

interface Sampling {
  readonly weights?: readonly number[];
  readonly extensionLog?: number;
  readonly samples?: number;
}

/** Measures once, and a second time if the first disagrees. */
function check(p: CryptoParameters, stage: NoiseStage, expected: number, sampling: Sampling = {}) {
  const { weights = [1], extensionLog = 0, samples = 1000 } = sampling;
  const count = Math.max(samples, requested);
  const [low, high] = interval(p, stage, count);
  const ratios: number[] = [];
  let agrees = false;
  while (!agrees && ratios.length < 2) {
    const ratio = measure(p, stage, weights, extensionLog, count) / expected;
    ratios.push(ratio);
    agrees = Math.abs(ratio - 1) <= 0.0625 || (ratio >= low && ratio <= high);
  }
  if (requested > 0) console.log(`${stage}, extension ${2 ** extensionLog}: ${ratios.join(", ")}`);
  expect(agrees, `measured over predicted: ${ratios.join(", ")}`).toBe(true);
}

describe.each(Object.entries(sets))("%s", (_name, p) => {
  test("fresh inputs have the noise of the big key", () => {
    check(p, "fresh", freshVariance(p.glweNoiseStd), { samples: 4000 });
  });

  test("a combination has the noise of its 2-norm", () => {
    const expected = linearVariance(p, { inputNorm: 84, lookupNorm: 0 });
    check(p, "linear", expected, { weights: [3, -5, 1, 0, 7] });
  });

  test("the keyswitch adds what the formula says", () => {
    check(p, "keyswitch", keyswitchVariance(p));
  });

  test.each([0, 1, 2, 3])(
    "the modulus switch adds what it should at extension 2^%i",
    (extensionLog) => {
      check(p, "modulusSwitch", modulusSwitchVariance(p, 2 ** extensionLog), { extensionLog });
    },
  );

  test("a lookup's output has the noise of the blind rotation", () => {
    check(p, "lookup", lookupVariance(p));
  });
});

test.each([
  [1, 300],
  [2, 150],
  [3, 80],
])(
  "a lookup's output at extension 2^%i has the noise of a classic one",
  (extensionLog, samples) => {
    check(SIX_BITS, "lookup", lookupVariance(SIX_BITS), { extensionLog, samples });
  },
);
