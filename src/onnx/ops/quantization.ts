/**
 * Operators of quantization-aware models. `Quant` rounds floats to the multiples of a scale; QuantizeLinear and
 * DequantizeLinear are its two halves and are joined into one when a model is imported.
 * @module
 */
import { SottoError } from "../../errors.ts";
import { roundHalfEven } from "../../tensor/codes.ts";
import { combine, mapElements } from "../../tensor/elementwise.ts";
import { broadcastShapes, cast, reshape, type Shape, type Tensor } from "../../tensor/tensor.ts";
import { defineOperator, int, string, type Operand, type Operator } from "./operator.ts";

/** Lowest and highest code of an integer type. */
export interface CodeRange {
  readonly lo: number;
  readonly hi: number;
}

/**
 * Codes of `bits` bits: -2^(b-1) to 2^(b-1)-1 if signed, else 0 to 2^b-1. Narrow leaves out the lowest signed code, or the
 * highest unsigned one, as QONNX defines it.
 */
export function codeRangeOf(bits: number, signed: boolean, narrow: boolean): CodeRange {
  if (!signed) return { lo: 0, hi: 2 ** bits - (narrow ? 2 : 1) };
  return { lo: -(2 ** (bits - 1)) + (narrow ? 1 : 0), hi: 2 ** (bits - 1) - 1 };
}

const roundings: Readonly<Record<string, (x: number) => number>> = {
  ROUND: roundHalfEven,
  HALF_EVEN: roundHalfEven,
  FLOOR: Math.floor,
  CEIL: Math.ceil,
  ROUND_TO_ZERO: Math.trunc,
  DOWN: Math.trunc,
  UP: (x) => Math.sign(x) * Math.ceil(Math.abs(x)),
  HALF_UP: (x) => Math.sign(x) * Math.floor(Math.abs(x) + 0.5),
  HALF_DOWN: (x) => Math.sign(x) * Math.ceil(Math.abs(x) - 0.5),
};

/** Whether a rounding mode is numpy's `rint`, the one of a uniform quantizer. */
export function isHalfEven(mode: string): boolean {
  return roundings[mode.toUpperCase()] === roundHalfEven;
}

function roundingOf(mode: string): (x: number) => number {
  const known = Object.keys(roundings);
  if (known.includes(mode.toUpperCase())) return roundings[mode.toUpperCase()];
  const message = `rounding_mode ${mode} is not supported; expected one of ${known.join(", ")}`;
  throw new SottoError("UNSUPPORTED_OPERATOR", "Quant", message);
}

/** `clip(round(x / scale + zero_point))`, and back to floats: `(code - zero_point) * scale`. Bits are one number. */
function quantOperator(fixesExport: boolean): Operator {
  return defineOperator({
    minInputs: 4,
    maxInputs: 4,
    since: 0,
    attributes: { rounding_mode: string("ROUND"), signed: int(1), narrow: int(0) },
    elementwise: true,
    isQuantizer: true,
    shape: ([x, scale, zero]: readonly [Operand, Operand, Operand, Operand]) => [
      sameAs(x.shape, scale.shape, zero.shape),
    ],
    evaluate([x, scale, zero, bits]: readonly [Tensor, Tensor, Tensor, Tensor], attributes) {
      const { signed, narrow } = fixesExport ? fixSign(attributes) : attributes;
      const { lo, hi } = codeRangeOf(bits.data[0], signed !== 0, narrow !== 0);
      const round = roundingOf(attributes.rounding_mode);
      const shifted = combine(
        combine(x, scale, (a, b) => a / b),
        zero,
        (a, b) => a + b,
      );
      const codes = mapElements(shifted, (y) => round(Math.min(Math.max(y, lo), hi)));
      const centred = combine(codes, zero, (a, b) => a - b);
      return [combine(centred, scale, (a, b) => a * b)];
    },
  });
}

/** Brevitas writes signed codes that are not narrow as unsigned narrow ones; nothing else is ever written so. */
export function fixSign<T extends { readonly signed: number; readonly narrow: number }>(
  attributes: T,
): T {
  const { signed, narrow } = attributes;
  return signed === 0 && narrow === 1 ? { ...attributes, signed: 1, narrow: 0 } : attributes;
}

/** Brevitas' own export. */
export const BrevitasQuant: Operator = quantOperator(true);

/** QONNX's. */
export const QonnxQuant: Operator = quantOperator(false);

/** `scale` where x is at least 0, else `-scale`: codes are 1 and -1. */
export const BipolarQuant: Operator = defineOperator({
  minInputs: 2,
  maxInputs: 2,
  since: 0,
  attributes: {},
  elementwise: true,
  isQuantizer: true,
  shape: ([x, scale]: readonly [Operand, Operand]) => [sameAs(x.shape, scale.shape)],
  evaluate: ([x, scale]: readonly [Tensor, Tensor]) => [
    combine(x, scale, (a, s) => (a >= 0 ? s : -s)),
  ],
});

/** Constants of an element-wise quantizer must not enlarge its input. */
function sameAs(x: Shape, ...others: readonly Shape[]): Shape {
  const shape = others.reduce((all: Shape, other) => broadcastShapes(all, other), x);
  if (shape.length === x.length && shape.every((dim, axis) => dim === x[axis])) return x;
  const message = `expected scale and zero point that fit [${x.join(", ")}], got [${others.map((other) => other.join(", ")).join("] and [")}]`;
  throw new SottoError("BAD_SHAPE", "Quant", message);
}

/** ONNX's numbers for the integer types of codes, with the codes that each can hold. */
const codeTypes: ReadonlyMap<number, CodeRange> = new Map([
  [2, codeRangeOf(8, false, false)],
  [3, codeRangeOf(8, true, false)],
  [4, codeRangeOf(16, false, false)],
  [5, codeRangeOf(16, true, false)],
  [6, codeRangeOf(32, true, false)],
  [21, codeRangeOf(4, false, false)],
  [22, codeRangeOf(4, true, false)],
  [25, codeRangeOf(2, false, false)],
  [26, codeRangeOf(2, true, false)],
]);
const UINT8 = 2;

/** Codes that a QuantizeLinear can give; its element type is in `output_dtype` once the model is read. */
export function saturationOf(outputDtype: unknown): CodeRange {
  const type = outputDtype === undefined || outputDtype === 0 ? UINT8 : Number(outputDtype);
  const range = codeTypes.get(type);
  if (range) return range;
  const message = `expected integer codes of at most 32 bits, got element type ${type}; give the zero point as an initializer or a Constant`;
  throw new SottoError("UNSUPPORTED_OPERATOR", "QuantizeLinear", message);
}

/** A scale or zero point per channel in a shape that broadcasts against x; one number stays one number. */
export function alongAxis(parameter: Tensor, x: Shape, axis: number): Tensor {
  if (parameter.data.length === 1) return reshape(parameter, []);
  const at = axis < 0 ? axis + x.length : axis;
  if (parameter.shape.length === 1 && parameter.data.length === x[at]) {
    return reshape(
      parameter,
      x.map((dim, i) => (i === at ? dim : 1)),
    );
  }
  const message = `expected one scale, or one per index of axis ${axis} of [${x.join(", ")}], got shape [${parameter.shape.join(", ")}]`;
  throw new SottoError("UNSUPPORTED_OPERATOR", "QuantizeLinear", message);
}

const linearAttributes = { axis: int(1), block_size: int(0), output_dtype: int(0) } as const;

function requireNoBlocks(blockSize: number): void {
  if (blockSize === 0) return;
  const message = `expected scales per tensor or per axis, got blocks of ${blockSize}`;
  throw new SottoError("UNSUPPORTED_OPERATOR", "QuantizeLinear", message);
}

/** `saturate(round(x / scale) + zero_point)`, half to even. */
export const QuantizeLinear: Operator = defineOperator({
  minInputs: 2,
  maxInputs: 3,
  since: 10,
  attributes: { ...linearAttributes, saturate: int(1), precision: int(0) },
  elementwise: true,
  isQuantizer: true,
  shape: ([x]: readonly [Operand, Operand, Operand?]) => [x.shape],
  evaluate([x, scale, zero]: readonly [Tensor, Tensor, Tensor?], attributes) {
    requireNoBlocks(attributes.block_size);
    const { lo, hi } = saturationOf(attributes.output_dtype);
    const rounded = mapElements(
      combine(x, alongAxis(scale, x.shape, attributes.axis), (a, b) => a / b),
      roundHalfEven,
    );
    const codes = cast(rounded, "int64");
    const shifted = zero
      ? combine(codes, alongAxis(zero, x.shape, attributes.axis), (a, b) => a + b)
      : codes;
    return [mapElements(shifted, (q) => Math.min(Math.max(q, lo), hi))];
  },
});

/** `(x - zero_point) * scale`, in the scale's precision. */
export const DequantizeLinear: Operator = defineOperator({
  minInputs: 2,
  maxInputs: 3,
  since: 10,
  attributes: linearAttributes,
  elementwise: true,
  isQuantizer: true,
  shape: ([x]: readonly [Operand, Operand, Operand?]) => [x.shape],
  evaluate([x, scale, zero]: readonly [Tensor, Tensor, Tensor?], attributes) {
    requireNoBlocks(attributes.block_size);
    const codes = zero ? combine(x, alongAxis(zero, x.shape, attributes.axis), (a, b) => a - b) : x;
    return [
      combine(
        cast(codes, scale.dtype),
        alongAxis(scale, x.shape, attributes.axis),
        (a, b) => a * b,
      ),
    ];
  },
});
