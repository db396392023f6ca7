/**
 * Functions of one tensor: float operations inside a table.
 * @module
 */
import { SottoError } from "../../errors.ts";
import { clamp } from "../../tensor/elementwise.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { OperatorRule } from "../operation.ts";
import { percentile } from "../percentile.ts";

/** A function of one encrypted tensor; its other operands are constants, which may differ from channel to channel. */
export const elementwise: OperatorRule = {
  canFuse: (integerProducers) => integerProducers === 1,
  usesModelOutputBits: false,
  lower(_target, op) {
    throw new SottoError(
      "UNSUPPORTED_OPERATOR",
      op.node.name,
      `expected ${op.node.opType} with operands that are constant or come from one tensor, got tensors computed from several; write it with Where, Min, Max or Mul`,
    );
  },
};

/** Share of values, in percent, that a batch normalization's quantizer leaves out at either end. */
const TAIL = 0.1;

/** A quantizer of a quantization-aware model, in any of its dialects; its inputs count as results (model_outputs). */
export const Quant: OperatorRule = { ...elementwise, usesModelOutputBits: true };

/**
 * A table per channel. Channels may differ widely in range while they share one quantizer, so that the extreme values
 * of a normalization by channel are left out of its range.
 */
export const BatchNormalization: OperatorRule = {
  ...elementwise,
  trim(result: Tensor, [, scale, bias]: readonly (Tensor | undefined)[]): Tensor {
    const isPerChannel = (scale?.data.length ?? 1) > 1 || (bias?.data.length ?? 1) > 1;
    if (!isPerChannel) return result;
    return clamp(result, percentile(result, TAIL), percentile(result, 100 - TAIL));
  },
};
