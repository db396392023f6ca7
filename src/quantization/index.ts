/**
 * Quantization tools: quantizers, quantized arrays and modules, post-training quantization.
 * @module
 */
export { QuantizedArray, type QuantizedArrayInit } from "./array.ts";
export {
  type NBits,
  type NBitsOption,
  type Rounding,
  type RoundingMethod,
  type RoundingOption,
  getNBitsDict,
} from "./bits.ts";
export { QuantizedModule, type TensorOrList } from "./module.ts";
export { PostTrainingAffineQuantization } from "./post-training.ts";
export {
  type MinMaxStats,
  type QuantizationOptions,
  type QuantizationParameters,
  UniformQuantizer,
  roundHalfEven,
} from "./quantizer.ts";
