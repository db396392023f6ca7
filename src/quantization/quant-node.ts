/**
 * Quant nodes of quantization-aware models: what scale, zero point and bits they state, and the constants that they
 * quantize. These parameters are used as they are, never computed again.
 * @module
 */
import { SottoError } from "../errors.ts";
import { evaluateNode } from "../onnx/evaluate.ts";
import type { Graph, GraphNode } from "../onnx/graph.ts";
import { isQuantizer, operatorName } from "../onnx/ops/index.ts";
import { fixSign, isHalfEven } from "../onnx/ops/quantization.ts";
import type { PerChannel } from "../tensor/codes.ts";
import { type Tensor, cast } from "../tensor/tensor.ts";
import { QuantizedArray } from "./array.ts";
import { type MinMaxStats, UniformQuantizer } from "./quantizer.ts";

/** Whether a node is a quantizer of any dialect. */
export function isQuantNode(node: GraphNode): boolean {
  return isQuantizer(operatorName(node));
}

/** Whether the model was trained with quantization: whether it has quantization nodes. */
export function hasAnyQnnLayers({ nodes }: Graph): boolean {
  return nodes.some(isQuantNode);
}

/**
 * Whether the codes of the node are those of its quantizer on the same floats: not so for signs, other roundings, and
 * unsigned codes without the highest one.
 */
export function isUniform(node: GraphNode): boolean {
  const { rounding_mode: mode = "ROUND" } = node.attributes;
  const { signed, narrow } = signOf(node);
  const isPlain = signed || !narrow;
  return node.opType !== "BipolarQuant" && isPlain && typeof mode === "string" && isHalfEven(mode);
}

function signOf({ domain, attributes }: GraphNode): {
  readonly signed: boolean;
  readonly narrow: boolean;
} {
  const stated = {
    signed: Number(attributes["signed"] ?? 1),
    narrow: Number(attributes["narrow"] ?? 0),
  };
  const { signed, narrow } = domain === "onnx.brevitas" ? fixSign(stated) : stated;
  return { signed: signed !== 0, narrow: narrow !== 0 };
}

/** Looks a name up among the constants; undefined if it is none. */
export type ConstantLookup = (name: string) => Tensor | undefined;

/** The quantizer that a Quant node states for its result. Throws UNSUPPORTED_OPERATOR or BAD_MODEL. */
export function quantizerOf(
  node: GraphNode,
  constantOf: ConstantLookup,
  stats: MinMaxStats,
): UniformQuantizer {
  const [, scale, zeroPoint, bits] = node.inputs.map((name, i) =>
    i === 0 ? undefined : requireParameter(node, constantOf(name), i),
  );
  if (!scale) throw new Error(`internal: ${node.name} has no scale`);
  const { nBits, signed, narrow } = codesOf(node, bits);
  return new UniformQuantizer(
    {
      nBits,
      isSigned: signed,
      isNarrow: narrow,
      isQat: true,
      isPrecomputedQat: true,
      scale: parameterOf(scale),
      zeroPoint: zeroPoint ? requireIntegers(node, parameterOf(zeroPoint)) : 0,
      offset: signed ? 2 ** (nBits - 1) : 0,
    },
    stats,
  );
}

/** Bits and range of the codes. The signs of a BipolarQuant are two of the three codes -1, 0, 1. */
function codesOf(
  node: GraphNode,
  bits: Tensor | undefined,
): { readonly nBits: number; readonly signed: boolean; readonly narrow: boolean } {
  if (node.opType === "BipolarQuant") return { nBits: 2, signed: true, narrow: true };
  if (node.opType === "QuantizeLinear" || node.opType === "DequantizeLinear") {
    throw new SottoError(
      "UNSUPPORTED_OPERATOR",
      node.name,
      `expected QuantizeLinear and DequantizeLinear in pairs with one scale and zero point, got a ${node.opType} alone`,
    );
  }
  const nBits = bits?.data[0] ?? 0;
  if (bits?.data.length !== 1 || !Number.isInteger(nBits) || nBits < 1 || nBits > 32) {
    throw new SottoError(
      "UNSUPPORTED_OPERATOR",
      node.name,
      `expected one bit width from 1 to 32, got ${bits ? [...bits.data].join(", ") : "none"}`,
    );
  }
  const { signed, narrow } = signOf(node);
  // An unsigned narrow range ends one below the highest code: its floats are clipped there by the node itself.
  return { nBits, signed, narrow: signed && narrow };
}

function requireParameter(node: GraphNode, value: Tensor | undefined, index: number): Tensor {
  const what = ["input", "scale", "zero point", "bit width"][index];
  if (!value) {
    throw new SottoError(
      "UNSUPPORTED_OPERATOR",
      node.name,
      `expected a constant ${what}, got one that the model computes`,
    );
  }
  return value;
}

/** One number where all elements share it. */
function parameterOf(value: Tensor): PerChannel {
  return value.data.length === 1 ? value.data[0] : cast(value, "float64");
}

function requireIntegers(node: GraphNode, zeroPoint: PerChannel): PerChannel {
  const all = typeof zeroPoint === "number" ? [zeroPoint] : [...zeroPoint.data];
  const fraction = all.find((z) => !Number.isInteger(z));
  if (fraction === undefined) return zeroPoint;
  throw new SottoError(
    "UNSUPPORTED_OPERATOR",
    node.name,
    `expected an integer zero point, got ${fraction}`,
  );
}

/** A constant under a Quant node: the floats that the model computes with, and their codes. */
export function quantizeByNode(
  node: GraphNode,
  values: Tensor,
  constantOf: ConstantLookup,
): QuantizedArray {
  const parameters = node.inputs.slice(1).map((name) => constantOf(name));
  const [floats] = evaluateNode(node, [values, ...parameters]);
  const { options, scale, zeroPoint, offset } = quantizerOf(node, constantOf, {
    rmin: 0,
    rmax: 0,
    isFloat32: false,
  });
  return new QuantizedArray(options.nBits, floats, { ...options, scale, zeroPoint, offset });
}

/** Whether both quantizers give the same codes for everything. */
export function sameQuantizer(a: UniformQuantizer, b: UniformQuantizer): boolean {
  return (
    a.options.isQat === b.options.isQat &&
    a.options.isSigned === b.options.isSigned &&
    a.options.isNarrow === b.options.isNarrow &&
    a.options.isSymmetric === b.options.isSymmetric &&
    a.options.nBits === b.options.nBits &&
    a.scale === b.scale &&
    a.zeroPoint === b.zeroPoint
  );
}
