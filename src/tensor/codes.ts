/**
 * Integer codes of floats and back: `rint(x / scale + zeroPoint)`, half to even, then clipped.
 * Float32 arrays are quantized in float32 and float64 arrays in float64, as numpy 1.26 does, because the last bit
 * decides on which side of a tie a value falls; de-quantization is always float64.
 * @module
 */
import { combine } from "./elementwise.ts";
import { expand } from "./strided.ts";
import type { Tensor } from "./tensor.ts";

/** One number for a whole tensor, or one per channel in a shape that broadcasts against it. */
export type PerChannel = number | Tensor<"float64">;

/** The part of a quantizer that makes codes. */
export interface CodeMap {
  readonly scale: PerChannel;
  readonly zeroPoint: PerChannel;
  readonly codeRange: readonly [number, number];
  readonly noClipping: boolean;
}

/** Rounds and clips; float32 input is divided and shifted in float32. */
export function quantizeTensor(values: Tensor, map: CodeMap): Tensor<"int64"> {
  const [lowest, highest] = map.noClipping ? [-Infinity, Infinity] : map.codeRange;
  const out = new Float64Array(values.data.length);
  shiftInto(out, values, map);
  for (let i = 0; i < out.length; i++) {
    const code = roundHalfEven(out[i]);
    out[i] = (code < lowest ? lowest : code > highest ? highest : code) + 0;
  }
  return { dtype: "int64", shape: values.shape, data: out };
}

/** `x / scale + zeroPoint` in the precision of the values. */
function shiftInto(out: Float64Array, { dtype, shape, data }: Tensor, map: CodeMap): void {
  const round = dtype === "float32" ? Math.fround : (x: number): number => x;
  const { scale, zeroPoint } = map;
  if (typeof scale === "number") {
    const by = round(scale);
    for (let i = 0; i < out.length; i++) out[i] = round(data[i] / by);
  } else {
    const by = expand(scale, shape).data;
    for (let i = 0; i < out.length; i++) out[i] = round(data[i] / round(by[i]));
  }
  if (typeof zeroPoint === "number") {
    const by = round(zeroPoint);
    for (let i = 0; i < out.length; i++) out[i] = round(out[i] + by);
  } else {
    const by = expand(zeroPoint, shape).data;
    for (let i = 0; i < out.length; i++) out[i] = round(out[i] + round(by[i]));
  }
}

/** `scale * (q - zeroPoint)` in float64; what is given per channel is broadcast. */
export function dequantizeTensor(
  codes: Tensor,
  scale: PerChannel,
  zeroPoint: PerChannel,
): Tensor<"float64"> {
  const { shape, data } =
    typeof zeroPoint === "number" ? codes : combine(codes, zeroPoint, (q, z) => q - z);
  const shift = typeof zeroPoint === "number" ? zeroPoint : 0;
  const out = new Float64Array(data.length);
  if (typeof scale !== "number") {
    for (let i = 0; i < out.length; i++) out[i] = data[i] - shift;
    const shifted: Tensor<"float64"> = { dtype: "float64", shape, data: out };
    return combine(shifted, scale, (x, s) => s * x) as Tensor<"float64">;
  }
  for (let i = 0; i < out.length; i++) out[i] = scale * (data[i] - shift);
  return { dtype: "float64", shape, data: out };
}

/** Doubles from here to 2^53 are the integers: a sum in this range is rounded to one, ties to even. */
const INTEGERS = 1.5 * 2 ** 52;

/** Nearest integer, ties to even, as numpy's `rint`. */
export function roundHalfEven(x: number): number {
  if (Math.abs(x) < 2 ** 51) return x + INTEGERS - INTEGERS;
  const floor = Math.floor(x);
  const diff = x - floor;
  if (diff < 0.5) return floor;
  if (diff > 0.5) return floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}
