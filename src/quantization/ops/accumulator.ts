/**
 * What all linear operators share: integer weights, and what turns an accumulator back into floats. The bias is added in
 * float, so that it costs nothing and is never rounded.
 * @module
 */
import type { Target } from "../../circuit/builder.ts";
import { SottoError } from "../../errors.ts";
import type { Attributes } from "../../onnx/graph.ts";
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
  const centred = new Float64Array(data.length);
  if (typeof zeroPoint === "number") {
    for (let i = 0; i < centred.length; i++) centred[i] = data[i] - zeroPoint;
  } else {
    const zero = expand(zeroPoint, shape).data;
    for (let i = 0; i < centred.length; i++) centred[i] = data[i] - zero[i];
  }
  return int64(shape, centred);
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
  /** The bias as quantized; where a Quant node gives it the accumulator's scale, its integers are added instead. */
  readonly quantizedBias?: QuantizedArray | null;
}

export function finish<V>(
  target: Target<V>,
  op: QuantizedOperation,
  { value, scale, zeroPoint, bias, quantizedBias }: Accumulator<V>,
): QuantizedValue<V> {
  if (op.isGraphOutput) {
    // The client divides the bias out: the raw accumulator is the answer.
    const shifted = bias === null ? zeroPoint : withBias(zeroPoint, bias, scale);
    if (!shifted.data.every(Number.isFinite)) {
      throw new SottoError(
        "BAD_VALUE",
        op.node.name,
        "expected a bias of the size of the results, got one that overflows float32 in steps of the accumulator; export the model again",
      );
    }
    return codeResult(
      target,
      op,
      value,
      accumulatorQuantizer(op, { scale, zeroPoint: shifted, offset: 0 }),
    );
  }
  const name = op.node.name;
  const by = bias && quantizedBias ? integerBias(op, quantizedBias, scale, bias.shape) : null;
  const sum = by === null ? value : target.emit({ kind: "shift", by }, [value], name);
  const rounded = roundAccumulator(target, op, sum);
  const floats = target.emit({ kind: "dequantize", scale, zeroPoint }, [rounded], name);
  if (bias === null || by !== null) return floatResult(op, floats);
  const add = { kind: "float", opType: "Add", attributes: {}, operands: [null, bias] } as const;
  return floatResult(op, target.emit(add, [floats], name));
}

/** Integers of a bias under a Quant node; null without one. Throws BAD_MODEL unless it has the accumulator's scale. */
function integerBias(
  op: QuantizedOperation,
  { qvalues, quantizer }: QuantizedArray,
  scale: PerChannel,
  shape: readonly number[],
): Tensor<"int64"> | null {
  if (!quantizer.options.isPrecomputedQat) return null;
  const [step, expected] = [quantizer.scale, scale].map((value) =>
    typeof value === "number" ? float64([], [value]) : float64([value.data.length], value.data),
  );
  const deviation = combine(step, expected, (a, b) => (isClose(a, b) ? 0 : 1));
  if (deviation.data.includes(1)) {
    throw new SottoError(
      "BAD_MODEL",
      op.node.name,
      `expected a bias whose scale is that of the inputs times that of the weights, ${expected.data[0]}, got ${step.data[0]}; quantize the bias with that scale, or leave it a float`,
    );
  }
  const { zeroPoint } = quantizer;
  const zero = typeof zeroPoint === "number" ? float64([], [zeroPoint]) : zeroPoint;
  return int64(shape, combine(toFloat64(qvalues), zero, (q, z) => q - z).data);
}

/** numpy's `isclose` with its default tolerances. */
function isClose(a: number, b: number): boolean {
  return Math.abs(a - b) <= 1e-8 + 1e-5 * Math.abs(b);
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

/** Operators that combine elements are never part of a table. */
export const unfused = { canFuse: (): boolean => false, usesModelOutputBits: false } as const;

/** Float64, but where there is padding the image is rounded to float32 first: Concrete ML pads in an array of that type. */
export function paddedInFloat32(
  [image, ...others]: readonly (Tensor | undefined)[],
  { pads }: Attributes,
): readonly (Tensor | undefined)[] {
  const isPadded = Array.isArray(pads) && pads.some((pad) => pad !== 0);
  const padded = image && isPadded ? cast(image, "float32") : image;
  return [padded, ...others].map((input) => input && cast(input, "float64"));
}
