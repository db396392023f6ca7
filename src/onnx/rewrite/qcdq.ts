/**
 * QuantizeLinear, maybe Clip for fewer bits, and DequantizeLinear become one Quant node: the three say in pieces what a
 * quantizer of a trained model is. Integer constants under DequantizeLinear become the floats that they stand for under
 * a Quant node that gives the same integers back.
 * @module
 */
import { SottoError } from "../../errors.ts";
import { type Shape, type Tensor, cast, scalar, tensor } from "../../tensor/tensor.ts";
import { evaluateNode } from "../evaluate.ts";
import type { GraphNode } from "../graph.ts";
import { type CodeRange, alongAxis, codeRangeOf, saturationOf } from "../ops/quantization.ts";
import type { Parts } from "./builder.ts";

/** Codes above this do not survive a division by their scale in float32. */
const MOST_IN_FLOAT32 = 2 ** 20;

/** Rewrites every DequantizeLinear behind a QuantizeLinear or on a constant; nodes that nobody reads then are left. */
export function joinQuantizeDequantize({ nodes, constants, shapes }: Parts): Parts {
  if (!nodes.some(({ opType, domain }) => opType === "DequantizeLinear" && domain === "")) {
    return { nodes, constants, shapes };
  }
  const known = { constants: new Map(constants), shapes: new Map(shapes) };
  const producers = new Map(nodes.flatMap((node) => node.outputs.map((name) => [name, node])));
  const joined = nodes.flatMap((node) => {
    if (node.opType !== "DequantizeLinear" || node.domain !== "") return [node];
    const codes = known.constants.get(node.inputs[0]);
    if (codes) return [onConstant(node, codes, known)];
    return behindQuantize(node, producers, known) ?? [node];
  });
  return { nodes: joined, ...known };
}

interface Known {
  readonly constants: Map<string, Tensor>;
  readonly shapes: Map<string, Shape>;
}

/** The Quant node for a DequantizeLinear of an integer constant. */
function onConstant(node: GraphNode, codes: Tensor, known: Known): GraphNode {
  const [scale, zero] = node.inputs.slice(1).map((name) => known.constants.get(name));
  if (!scale) return node;
  const range = rangeOf(codes);
  const largest = Math.max(-range.lo, range.hi);
  const exact = largest > MOST_IN_FLOAT32 ? cast(scale, "float64") : scale;
  const [floats] = evaluateNode(node, [codes, exact, zero]);
  const input = define(known, `${node.outputs[0]}/floats`, floats);
  return quantNode(node, input, codes.shape, range, known);
}

/** From the lowest code to the highest, with 0 between them. */
function rangeOf({ data }: Tensor): CodeRange {
  let lo = 0;
  let hi = 0;
  for (const code of data) {
    lo = Math.min(lo, code);
    hi = Math.max(hi, code);
  }
  return { lo, hi };
}

/**
 * The Quant node for QuantizeLinear, Clip and DequantizeLinear in a row; null when there is no such row. A range of codes
 * that no integer type has is kept by a Clip of the floats before it.
 */
function behindQuantize(
  node: GraphNode,
  producers: ReadonlyMap<string, GraphNode>,
  known: Known,
): readonly GraphNode[] | null {
  const before = producers.get(node.inputs[0]);
  const clip = before?.opType === "Clip" ? before : undefined;
  const quantize = clip ? producers.get(clip.inputs[0]) : before;
  if (quantize?.opType !== "QuantizeLinear" || quantize.domain !== "") return null;
  requireSameParameters(quantize, node, known);
  const saturation = saturationOf(quantize.attributes["output_dtype"]);
  const limits = clip ? clipRange(clip, known) : saturation;
  const range = {
    lo: Math.max(saturation.lo, limits.lo),
    hi: Math.min(saturation.hi, limits.hi),
  };
  const [input] = quantize.inputs;
  const shape = known.shapes.get(input) ?? [];
  const { bits, signed, narrow } = smallestType(node, range);
  const type = codeRangeOf(bits, signed, narrow);
  if (type.lo === range.lo && type.hi === range.hi) {
    return [quantNode(node, input, shape, range, known)];
  }
  const clipped = clipFloats(node, input, range, known);
  return [clipped, quantNode(node, clipped.outputs[0], shape, range, known)];
}

/** A Clip of floats to what a range of codes stands for. */
function clipFloats(node: GraphNode, input: string, range: CodeRange, known: Known): GraphNode {
  const [scale, zero] = [1, 2].map((i) => known.constants.get(node.inputs.at(i) ?? "")?.data);
  if (scale?.length !== 1 || (zero?.length ?? 1) !== 1) {
    throw new SottoError(
      "UNSUPPORTED_OPERATOR",
      node.name,
      `expected the codes of an integer type where scales are per axis, got [${range.lo}, ${range.hi}]`,
    );
  }
  const [output] = node.outputs;
  const bound = (name: string, code: number): string =>
    define(known, `${output}/${name}`, scalar("float32", (code - (zero?.[0] ?? 0)) * scale[0]));
  const clipped = `${output}/clipped`;
  known.shapes.set(clipped, known.shapes.get(input) ?? []);
  return {
    name: clipped,
    opType: "Clip",
    domain: "",
    inputs: [input, bound("lowest", range.lo), bound("highest", range.hi)],
    outputs: [clipped],
    attributes: {},
  };
}

/** Both halves must have one scale and one zero point: anything else is arithmetic, not a quantizer. */
function requireSameParameters(quantize: GraphNode, dequantize: GraphNode, known: Known): void {
  for (const i of [1, 2]) {
    const [a, b] = [quantize, dequantize].map(({ inputs }) => {
      const name = inputs.at(i) ?? "";
      return name === "" ? scalar("int64", 0) : known.constants.get(name);
    });
    const isSame =
      a !== undefined &&
      b !== undefined &&
      a.data.length === b.data.length &&
      a.data.every((value, k) => value === b.data[k]);
    if (isSame) continue;
    throw new SottoError(
      "UNSUPPORTED_OPERATOR",
      dequantize.name,
      `expected the constant ${i === 1 ? "scale" : "zero point"} of ${quantize.name}, got another one or one that the model computes`,
    );
  }
}

/** Bounds of a Clip, in inputs or in attributes (before opset 11). */
function clipRange({ inputs, attributes }: GraphNode, { constants }: Known): CodeRange {
  const bound = (index: number, name: string, fallback: number): number => {
    const stated = constants.get(inputs.at(index) ?? "")?.data[0] ?? attributes[name];
    return typeof stated === "number" ? stated : fallback;
  };
  return { lo: bound(1, "min", -Infinity), hi: bound(2, "max", Infinity) };
}

/** A Quant node in QONNX's dialect with the scale and zero point of a DequantizeLinear. */
function quantNode(
  node: GraphNode,
  input: string,
  shape: Shape,
  range: CodeRange,
  known: Known,
): GraphNode {
  const [output] = node.outputs;
  const axis = Number(node.attributes["axis"] ?? 1);
  const parameter = (index: number, fallback: Tensor): Tensor => {
    const value = known.constants.get(node.inputs.at(index) ?? "") ?? fallback;
    return alongAxis(value, shape, axis);
  };
  const scale = known.constants.get(node.inputs[1]);
  if (!scale) throw new SottoError("UNSUPPORTED_OPERATOR", node.name, "expected a constant scale");
  const zero = parameter(2, scalar("int64", 0));
  const { bits, signed, narrow } = smallestType(node, range);
  return {
    name: node.name,
    opType: "Quant",
    domain: "qonnx.custom_op.general",
    inputs: [
      input,
      define(known, `${output}/scale`, alongAxis(scale, shape, axis)),
      define(known, `${output}/zero_point`, tensor(scale.dtype, zero.shape, zero.data)),
      define(known, `${output}/bits`, scalar(scale.dtype, bits)),
    ],
    outputs: node.outputs,
    attributes: { signed: Number(signed), narrow: Number(narrow), rounding_mode: "ROUND" },
  };
}

/** Bits and sign of the smallest integer type with these codes. Throws UNSUPPORTED_OPERATOR where none fits a clipping. */
function smallestType(
  node: GraphNode,
  { lo, hi }: CodeRange,
): { readonly bits: number; readonly signed: boolean; readonly narrow: boolean } {
  const signed = lo < 0;
  for (let bits = 1; bits <= 32; bits++) {
    const full = codeRangeOf(bits, signed, false);
    if (lo < full.lo || hi > full.hi) continue;
    const short = codeRangeOf(bits, signed, true);
    return { bits, signed, narrow: lo >= short.lo && hi <= short.hi };
  }
  throw new SottoError(
    "UNSUPPORTED_OPERATOR",
    node.name,
    `expected codes of at most 32 bits, got [${lo}, ${hi}]`,
  );
}

function define({ constants, shapes }: Known, name: string, value: Tensor): string {
  constants.set(name, value);
  shapes.set(name, value.shape);
  return name;
}
