/**
 * What all linear operators share: integer weights, and what turns an accumulator back into floats. The bias is added in
 * float, so that it costs nothing and is never rounded.
 * @module
 */
import type { Target } from "../../circuit/builder.ts";
import { SottoError } from "../../errors.ts";
import type { PerChannel } from "../../tensor/codes.ts";
import { combine } from "../../tensor/elementwise.ts";
import { expand } from "../../tensor/strided.ts";
import { type Tensor, cast, float64, int64 } from "../../tensor/tensor.ts";
import type { QuantizedArray } from "../array.ts";
import {
  type QuantizedOperation,
  type QuantizedValue,
  accumulatorQuantizer,
  codeResult,
  floatResult,
  roundAccumulator,
} from "../operation.ts";
import type { UniformQuantizer } from "../quantizer.ts";

/** Integer weights `w_q - z_w` of a linear operator. Throws BAD_ARGUMENT when the bits leave them no levels. */
export function centredWeights(op: QuantizedOperation, weights: QuantizedArray): Tensor<"int64"> {
  const { zeroPoint, scale } = weights.quantizer;
  const scales = typeof scale === "number" ? [scale] : [...scale.data];
  if (!scales.every(Number.isFinite)) {
    throw new SottoError(
      "BAD_ARGUMENT",
      op.node.name,
      "weights around zero have no levels but zero at 1 bit; expected nBits (op_weights) of at least 2",
    );
  }
  const { shape, data } = weights.qvalues;
  const zero = typeof zeroPoint === "number" ? null : expand(zeroPoint, shape).data;
  return int64(
    shape,
    Float64Array.from(data, (q, i) => q - (zero === null ? Number(zeroPoint) : zero[i])),
  );
}

/**
 * Scale of an accumulator: the input's times the weights', in `shape` where those have one per output channel (`axis` of
 * the weights). Throws UNSUPPORTED_OPERATOR for scales along any other axis, which no sum over it can share.
 */
export function accumulatorScale(
  op: QuantizedOperation,
  input: UniformQuantizer,
  weights: QuantizedArray,
  axis: number,
  shape: readonly number[],
): PerChannel {
  const step = input.tensorScale(op.node.name);
  const { scale } = weights.quantizer;
  if (typeof scale === "number") return step * scale;
  const { shape: dims } = weights.qvalues;
  const missing = dims.length - scale.shape.length;
  const isPerOutput = dims.every(
    (dim, i) => (i < missing ? 1 : scale.shape[i - missing]) === (i === axis ? dim : 1),
  );
  if (!isPerOutput) {
    throw new SottoError(
      "UNSUPPORTED_OPERATOR",
      op.node.name,
      `expected one scale per output channel of weights [${dims.join(", ")}], got scales of shape [${scale.shape.join(", ")}]`,
    );
  }
  return float64(
    shape,
    scale.data.map((s) => step * s),
  );
}

/** A linear operator's accumulator with what turns it back into floats. */
export interface Accumulator<V> {
  readonly value: V;
  readonly scale: PerChannel;
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
function withBias(
  zeroPoint: Tensor<"float64">,
  bias: Tensor,
  scale: PerChannel,
): Tensor<"float64"> {
  const divisor = typeof scale === "number" ? float64([], [scale]) : scale;
  const quotients = combine(bias, cast(divisor, bias.dtype), (x, step) => x / step);
  return toFloat64(combine(zeroPoint, quotients, (z, quotient) => z - quotient));
}

/** The same numbers as float64. */
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
