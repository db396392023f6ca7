/**
 * Element-wise operators: float functions inside a table, and the encrypted sum of two tensors.
 * @module
 */
import type { Target } from "../../circuit/builder.ts";
import { UniformQuantizer } from "../quantizer.ts";
import {
  type Operand,
  type OperatorRule,
  type QuantizedOperation,
  type QuantizedValue,
  accumulatorQuantizer,
  codeMapOf,
  codeResult,
  floatResult,
  prepareInput,
  requireVariable,
} from "../operation.ts";

function unfused(op: QuantizedOperation): never {
  throw new Error(`internal: ${op.node.opType} ${op.node.name} is always fused`);
}

/** A function of one tensor: always inside a table. */
const univariate: OperatorRule = {
  canFuse: () => true,
  usesModelOutputBits: false,
  lower: (_target, op) => unfused(op),
};

export const Relu: OperatorRule = univariate;
export const Sigmoid: OperatorRule = univariate;
export const Identity: OperatorRule = univariate;

/** A quantizer of a quantization-aware model, in any of its dialects; its inputs count as results (model_outputs). */
export const Quant: OperatorRule = { ...univariate, usesModelOutputBits: true };

/**
 * With one integer producer (or a constant) part of a table; otherwise both operands are brought to one scale by a
 * table each and their codes are added.
 */
export const Add: OperatorRule = {
  canFuse: (integerProducers) => integerProducers === 1,
  usesModelOutputBits: false,
  lower<V>(
    target: Target<V>,
    op: QuantizedOperation,
    operands: readonly Operand<V>[],
  ): QuantizedValue<V> {
    const inputs = [0, 1].map((i) =>
      prepareInput(target, op, requireVariable(op, operands[i], "each operand")),
    );
    const scale = op.isGraphOutput
      ? Math.min(...inputs.map(({ quantizer }) => quantizer.tensorScale(op.node.name)))
      : op.calibrated.outputQuantizer.tensorScale(op.node.name);
    const common = new UniformQuantizer({
      nBits: op.inputOptions.nBits,
      scale,
      zeroPoint: 0,
      offset: 0,
      noClipping: true,
    });
    const name = op.node.name;
    const terms = inputs.map(({ codes, quantizer }) => {
      const { scale, zeroPoint } = quantizer;
      const floats = target.emit({ kind: "dequantize", scale, zeroPoint }, [codes], name);
      return target.emit({ kind: "quantize", map: codeMapOf(common) }, [floats], name);
    });
    const sum = target.emit({ kind: "add" }, terms, name);
    const quantizer = accumulatorQuantizer(op, { scale, zeroPoint: 0, offset: 0 });
    if (op.isGraphOutput) return codeResult(target, op, sum, quantizer);
    const floats = target.emit({ kind: "dequantize", scale, zeroPoint: 0 }, [sum], name);
    return floatResult(op, floats);
  },
};
