/**
 * Quantization tools: quantizers, quantized arrays and modules, post-training quantization.
 * @module
 */
export type { TensorOrList } from "../tensor/list.ts";
export { roundHalfEven } from "../tensor/codes.ts";
export { QuantizedArray, type QuantizedArrayInit } from "./array.ts";
export type { CalibrationRange, QuantizationChoices } from "./choices.ts";
export {
  type NBits,
  type NBitsOption,
  type QatNBitsOption,
  type Rounding,
  type RoundingMethod,
  type RoundingOption,
  getNBitsDict,
} from "./bits.ts";
export { QuantizedOperator, type QuantizedOperatorInit } from "./hand-built.ts";
export { type OperatorGraph, type OperatorStep, moduleFromOperators } from "./hand-built-module.ts";
export * from "./hand-built-operators.ts";
export type { DebugValues, OperatorIntegers } from "./debug.ts";
export { type DebugForward, QuantizedModule } from "./module.ts";
export { PostTrainingAffineQuantization, type QuantizationSettings } from "./post-training.ts";
export { PostTrainingQATImporter } from "./qat-import.ts";
export { hasAnyQnnLayers } from "./quant-node.ts";
export {
  type MinMaxStats,
  type QuantizationOptions,
  type QuantizationParameters,
  UniformQuantizer,
} from "./quantizer.ts";
