/**
 * What all linear operators share: integer weights, and what turns an accumulator back into floats. The bias is added in
 * float, so that it costs nothing and is never rounded.
 * @module
 */
import type { Target } from "../../circuit/builder.ts";
import { SottoError } from "../../errors.ts";
import { combine, mapElements } from "../../tensor/elementwise.ts";
import { type Tensor, float64, int64 } from "../../tensor/tensor.ts";
import type { QuantizedArray } from "../array.ts";
import {
  type QuantizedOperation,
  type QuantizedValue,
  accumulatorQuantizer,
  codeResult,
  floatResult,
  roundAccumulator,
} from "../operation.ts";

/** Integer weights `w_q - z_w` of a linear operator. Throws BAD_ARGUMENT when the bits leave them no levels. */
export function centredWeights(op: QuantizedOperation, weights: QuantizedArray): Tensor<"int64"> {
  const { zeroPoint, scale } = weights.quantizer;
  if (!Number.isFinite(scale)) {
    throw new SottoError(
      "BAD_ARGUMENT",
      op.node.name,
      "weights around zero have no levels but zero at 1 bit; expected nBits (op_weights) of at least 2",
    );
  }
  if (typeof zeroPoint !== "number")
    throw new Error("internal: weights with a zero point per output");
  return int64(
    weights.qvalues.shape,
    Float64Array.from(weights.qvalues.data, (q) => q - zeroPoint),
  );
}

/** A linear operator's accumulator with what turns it back into floats. */
export interface Accumulator<V> {
  readonly value: V;
  readonly scale: number;
  /** Zero point per output channel, in a shape that broadcasts against the accumulator. */
  readonly zeroPoint: Tensor<"float64">;
  /** Raw float bias in the same shape; null without bias. */
  readonly bias: Tensor | null;
}

export function finish<V>(
  target: Target<V>,
  op: QuantizedOperation,
  { value, scale, zeroPoint, bias }: Accumulator<V>,
): QuantizedValue<V> {
  if (op.isGraphOutput) {
    // The client divides the bias out: the raw accumulator is the answer.
    const shifted = bias === null ? zeroPoint : withBias(zeroPoint, bias, scale);
    return codeResult(
      target,
      op,
      value,
      accumulatorQuantizer(op, { scale, zeroPoint: shifted, offset: 0 }),
    );
  }
  const rounded = roundAccumulator(target, op, value);
  const name = op.node.name;
  const floats = target.emit({ kind: "dequantize", scale, zeroPoint }, [rounded], name);
  if (bias === null) return floatResult(op, floats);
  const add = { kind: "float", opType: "Add", attributes: {}, operands: [null, bias] } as const;
  return floatResult(op, target.emit(add, [floats], name));
}

/** `zeroPoint - bias / scale`; a float32 bias is divided in float32. */
function withBias(zeroPoint: Tensor<"float64">, bias: Tensor, scale: number): Tensor<"float64"> {
  const isFloat32 = bias.dtype === "float32";
  const divisor = isFloat32 ? Math.fround(scale) : scale;
  const quotients = mapElements(bias, (x) => x / divisor);
  return toFloat64(combine(zeroPoint, quotients, (z, quotient) => z - quotient));
}

export function toFloat64(x: Tensor): Tensor<"float64"> {
  return float64(x.shape, Float64Array.from(x.data));
}

/** Sum of the integer weights of each output channel, times the zero point of the input. */
export function zeroPointOf(
  weights: Tensor<"int64">,
  channelOf: (index: number) => number,
  channels: number,
  inputZeroPoint: number | Tensor<"float64">,
  shape: readonly number[],
): Tensor<"float64"> {
  if (typeof inputZeroPoint !== "number") {
    throw new Error("internal: a linear operator reads codes with a zero point per output");
  }
  const sums = new Float64Array(channels);
  weights.data.forEach((w, i) => {
    sums[channelOf(i)] += w;
  });
  return float64(
    shape,
    sums.map((sum) => inputZeroPoint * sum + 0),
  );
}

/** Linear operators are never part of a table. */
export const linear = { canFuse: (): boolean => false, usesModelOutputBits: false } as const;
