/**
 * Post-training quantization: weights and activations get quantizers from their values. Calibration data are rounded to
 * codes after every node, fused ones too, while at run time fused nodes pass floats on: this is how Concrete ML
 * calibrates, and the integers depend on it.
 * @module
 */
import type { Graph, GraphNode } from "../onnx/graph.ts";
import { type Steps, finish } from "../steps.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type QuantizedArray, quantizeConstant } from "./array.ts";
import { correctBiases } from "./bias-correction.ts";
import {
  type NBits,
  type NBitsOption,
  type Rounding,
  type RoundingOption,
  getNBitsDict,
  getNodeBits,
  getRounding,
} from "./bits.ts";
import { type QuantizationChoices, completeChoices } from "./choices.ts";
import { type ConstantUse, constantUses, nodesWithWeights } from "./constants.ts";
import { type ConversionMethod, convert } from "./convert.ts";
import { equalize } from "./equalization.ts";
import { scaleFeatures } from "./feature-scales.ts";
import type { QuantizedModule } from "./module.ts";
import type { QuantizedValue } from "./operation.ts";
import { quantizePerChannel } from "./per-channel.ts";
import { quantizationOptions } from "./quantizer.ts";
import { rangeOf } from "./ranges.ts";

/** Options of post-training quantization beside the bits. */
export interface QuantizationSettings extends QuantizationChoices {
  /** Round accumulators to so many bits before a table. Default null: no rounding. */
  readonly roundingThresholdBits?: RoundingOption;
  /** Pass every term of a sum through a lookup of its own first. Default false. */
  readonly reduceSumCopy?: boolean;
}

/** Quantizes a float graph with calibration rows. */
export class PostTrainingAffineQuantization {
  readonly nBits: NBits;
  readonly rounding: Rounding | null;
  readonly graph: Graph;
  readonly #nodeBits: ReadonlyMap<string, NBits>;
  readonly #choices: Required<QuantizationChoices>;
  readonly #copiesSums: boolean;

  /** Throws BAD_ARGUMENT on bad bits. */
  constructor(nBits: NBitsOption, graph: Graph, options: QuantizationSettings = {}) {
    this.nBits = getNBitsDict(nBits);
    this.#nodeBits = getNodeBits(nBits, () => nodesWithWeights(graph));
    const { roundingThresholdBits, reduceSumCopy = false, ...choices } = options;
    this.rounding = getRounding(roundingThresholdBits);
    this.#copiesSums = reduceSumCopy;
    this.#choices = completeChoices(choices);
    this.graph = graph;
  }

  /**
   * One tensor per graph input, rows first, float32 or float64.
   * Throws EMPTY_CALIBRATION, BAD_DTYPE, BAD_SHAPE, BAD_VALUE, BAD_MODEL or UNSUPPORTED_OPERATOR.
   */
  quantizeModule(...calibration: readonly Tensor[]): QuantizedModule {
    return finish(this.quantizeInSteps(calibration));
  }

  /** The same with a step per node. */
  *quantizeInSteps(calibration: readonly Tensor[]): Steps<QuantizedModule> {
    const { module } = yield* convert(
      this.graph,
      {
        ...postTrainingMethod(this.nBits, this.rounding, this.#choices),
        copiesSums: this.#copiesSums,
        ...(this.#choices.perFeatureInputs ? { move: scaleFeatures } : {}),
        prepare: this.#prepare,
        quantizeConstant: this.#quantizeConstant,
        nBitsOf: this.#bitsOf,
      },
      calibration,
    );
    return module;
  }

  /** Changes the float model where that makes it easier to quantize. */
  readonly #prepare = (graph: Graph, calibration: readonly Tensor[]): Graph => {
    const { equalization, biasCorrection } = this.#choices;
    const equalized = equalization ? equalize(graph) : graph;
    if (!biasCorrection) return equalized;
    const uses = constantUses(equalized, this.#bitsOf);
    const plain = { nBits: this.nBits.op_weights, axis: undefined };
    return correctBiases(equalized, calibration, (weights, name) =>
      this.#quantizeConstant(weights, uses.get(name) ?? plain),
    );
  };

  readonly #bitsOf = ({ name }: GraphNode): NBits => this.#nodeBits.get(name) ?? this.nBits;

  readonly #quantizeConstant = (values: Tensor, { nBits, axis }: ConstantUse): QuantizedArray =>
    this.#choices.perChannelWeights && axis !== undefined
      ? quantizePerChannel(nBits, values, axis)
      : quantizeConstant(nBits, values);
}

/** How post-training quantization quantizes, but for the choices that change the float model and its constants. */
export function postTrainingMethod(
  nBits: NBits,
  rounding: Rounding | null,
  { inputSignedness, calibration }: Required<QuantizationChoices>,
): ConversionMethod {
  return {
    nBits,
    rounding,
    copiesSums: false,
    quantizeConstant: (values, use) => quantizeConstant(use.nBits, values),
    inputOptions: (bits, data) =>
      quantizationOptions({ nBits: bits, isSigned: data.some(hasNegative) }),
    range: (values, bits) => rangeOf(values, calibration, bits),
    signsPerInput: inputSignedness === "perInput",
    passOn: roundToCodes,
  };
}

function hasNegative({ data }: Tensor): boolean {
  return data.some((value) => value < 0);
}

/** What the next node is calibrated on: the result after a round trip through its codes. */
function roundToCodes({ codes, floats, quantizer }: QuantizedValue<Tensor>): Tensor {
  return quantizer.dequant(codes ?? quantizer.quant(floats));
}
