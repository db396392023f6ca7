/**
 * Functions of one tensor: always float operations inside a table.
 * @module
 */
import type { Tensor } from "../../tensor/tensor.ts";
import { clamp } from "../../tensor/elementwise.ts";
import type { OperatorRule, QuantizedOperation } from "../operation.ts";
import { percentile } from "../percentile.ts";

function unfused(op: QuantizedOperation): never {
  throw new Error(`internal: ${op.node.opType} ${op.node.name} is always fused`);
}

/** A function of one tensor, with constants that may differ from channel to channel. */
export const univariate: OperatorRule = {
  canFuse: () => true,
  usesModelOutputBits: false,
  lower: (_target, op) => unfused(op),
};

/** Share of values, in percent, that a batch normalization's quantizer leaves out at either end. */
const TAIL = 0.1;

/** A quantizer of a quantization-aware model, in any of its dialects; its inputs count as results (model_outputs). */
export const Quant: OperatorRule = { ...univariate, usesModelOutputBits: true };

/**
 * A table per channel. Channels may differ widely in range while they share one quantizer, so that the extreme values
 * of a normalization by channel are left out of its range.
 */
export const BatchNormalization: OperatorRule = {
  ...univariate,
  trim(result: Tensor, [, scale, bias]: readonly (Tensor | undefined)[]): Tensor {
    const isPerChannel = (scale?.data.length ?? 1) > 1 || (bias?.data.length ?? 1) > 1;
    if (!isPerChannel) return result;
    return clamp(result, percentile(result, TAIL), percentile(result, 100 - TAIL));
  },
};
