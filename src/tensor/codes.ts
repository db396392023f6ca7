/**
 * Integer codes of floats and back: `rint(x / scale + zeroPoint)`, half to even, then clipped.
 * Float32 arrays are quantized in float32 and float64 arrays in float64, as numpy 1.26 does, because the last bit
 * decides on which side of a tie a value falls; de-quantization is always float64.
 * @module
 */
import { combine } from "./elementwise.ts";
import type { Tensor } from "./tensor.ts";

/** The part of a quantizer that makes codes. */
export interface CodeMap {
  readonly scale: number;
  readonly zeroPoint: number | Tensor<"float64">;
  readonly codeRange: readonly [number, number];
  readonly noClipping: boolean;
}

/** Rounds and clips; float32 input is divided and shifted in float32. */
export function quantizeTensor(values: Tensor, map: CodeMap): Tensor<"int64"> {
  if (typeof map.zeroPoint !== "number") {
    throw new Error("internal: a quantizer with a zero point per output only de-quantizes");
  }
  const [lowest, highest] = map.noClipping ? [-Infinity, Infinity] : map.codeRange;
  const out = new Float64Array(values.data.length);
  const isFloat32 = values.dtype === "float32";
  const scale = isFloat32 ? Math.fround(map.scale) : map.scale;
  const zeroPoint = isFloat32 ? Math.fround(map.zeroPoint) : map.zeroPoint;
  for (let i = 0; i < out.length; i++) {
    const shifted = isFloat32
      ? Math.fround(Math.fround(values.data[i] / scale) + zeroPoint)
      : values.data[i] / scale + zeroPoint;
    const code = roundHalfEven(shifted);
    out[i] = (code < lowest ? lowest : code > highest ? highest : code) + 0;
  }
  return { dtype: "int64", shape: values.shape, data: out };
}

/** `scale * (q - zeroPoint)` in float64; a zero point per output is broadcast. */
export function dequantizeTensor(
  codes: Tensor,
  scale: number,
  zeroPoint: number | Tensor<"float64">,
): Tensor<"float64"> {
  const { shape, data } =
    typeof zeroPoint === "number" ? codes : combine(codes, zeroPoint, (q, z) => q - z);
  const shift = typeof zeroPoint === "number" ? zeroPoint : 0;
  const out = new Float64Array(data.length);
  for (let i = 0; i < out.length; i++) out[i] = scale * (data[i] - shift);
  return { dtype: "float64", shape, data: out };
}

/** Nearest integer, ties to even, as numpy's `rint`. */
export function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const diff = x - floor;
  if (diff < 0.5) return floor;
  if (diff > 0.5) return floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}
