/**
 * Choices of post-training quantization beyond Concrete ML's; all are off by default, so that integers stay its own.
 * @module
 */
import { SottoError, checkKeys } from "../errors.ts";

/**
 * How the range of an activation follows from calibration rows: all of it; without the extreme 0.1 % at either end; or the
 * range whose codes lose least, by squared error or by relative entropy of the distribution of values.
 */
export type CalibrationRange = "minmax" | "percentile" | "mse" | "entropy";

/** Finer choices of post-training quantization. */
export interface QuantizationChoices {
  /** A scale per output channel for weights of linear operators. Costs nothing at run time. Default false. */
  readonly perChannelWeights?: boolean;
  /** Range of activations. Default "minmax". */
  readonly calibration?: CalibrationRange;
  /**
   * Whether the inputs of one operator are signed together ("shared", default), or each only if it has negative values
   * ("perInput"): one that has none then keeps zero point 0, which spares terms in products of encrypted tensors.
   */
  readonly inputSignedness?: "shared" | "perInput";
  /**
   * Cross-layer equalization: scales the channels between two linear operators with a Relu (or nothing) in between, so
   * that both have weights of similar size in each channel. The float model stays the same. Default false.
   */
  readonly equalization?: boolean;
  /**
   * Changes biases so that on calibration rows each channel keeps the mean that it has with weights that are not
   * rounded. Default false.
   */
  readonly biasCorrection?: boolean;
  /**
   * A range of its own for every feature of a linear model of ai.onnx.ml: the client scales features, the weights make up for
   * it. Costs nothing at run time. Default false, true for the model classes.
   */
  readonly perFeatureInputs?: boolean;
}

const CHOICES = {
  perChannelWeights: [false, true],
  calibration: ["minmax", "percentile", "mse", "entropy"],
  inputSignedness: ["shared", "perInput"],
  equalization: [false, true],
  biasCorrection: [false, true],
  perFeatureInputs: [false, true],
} as const;

/** Fills in defaults, the first of each. Throws BAD_ARGUMENT on an unknown key or value. */
export function completeChoices(choices: QuantizationChoices): Required<QuantizationChoices> {
  checkKeys(choices, Object.keys(CHOICES));
  for (const [key, allowed] of Object.entries(CHOICES)) {
    const value: unknown = Object.entries(choices).find(([name]) => name === key)?.[1];
    if (value === undefined || allowed.some((known) => known === value)) continue;
    throw new SottoError(
      "BAD_ARGUMENT",
      `quantization.${key}`,
      `expected ${allowed.map((known) => JSON.stringify(known)).join(" or ")}, got ${JSON.stringify(value)}`,
    );
  }
  return {
    perChannelWeights: false,
    calibration: "minmax",
    inputSignedness: "shared",
    equalization: false,
    biasCorrection: false,
    perFeatureInputs: false,
    ...choices,
  };
}
