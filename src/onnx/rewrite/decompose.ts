/**
 * Compound operators as the simple ones that quantization knows. Each says the same in float; a reader of the result sees
 * the same name and shape.
 * @module
 */
import { SottoError } from "../../errors.ts";
import { type Tensor, float32, int64, reshape, tensor } from "../../tensor/tensor.ts";
import type { GraphNode } from "../graph.ts";
import { type Parts, Replacement, fixedNames } from "./builder.ts";
import { einsum } from "./einsum.ts";
import { gemm } from "./gemm.ts";

type Decomposition = (r: Replacement) => void;

/** Replaces every compound node; results that the client computes after decryption are left as they are. */
export function decompose(
  { nodes, constants, shapes }: Parts,
  keep: ReadonlySet<GraphNode>,
): Parts {
  const all = new Map(constants);
  const fixed = fixedNames(nodes, constants);
  const simple = nodes.flatMap((node) => {
    const decomposition =
      node.domain === "" && !keep.has(node) ? DECOMPOSITIONS[node.opType] : undefined;
    if (!decomposition) return [node];
    const replacement = new Replacement(node, { nodes, constants, shapes }, fixed);
    decomposition(replacement);
    for (const [name, value] of replacement.constants) all.set(name, value);
    return replacement.nodes.length > 0 ? replacement.nodes : [node];
  });
  return { nodes: simple, constants: all, shapes };
}

const DECOMPOSITIONS: Readonly<Record<string, Decomposition>> = {
  Dropout: dropout,
  Einsum: einsum,
  Gemm: gemm,
  GlobalAveragePool: (r) => overSpatial(r, "ReduceMean"),
  GlobalMaxPool: (r) => overSpatial(r, "ReduceMax"),
  GroupNormalization: groupNormalization,
  InstanceNormalization: instanceNormalization,
  LayerNormalization: layerNormalization,
  LogSoftmax: (r) => softmax(r, "LogSoftmax"),
  LpNormalization: lpNormalization,
  Max: (r) => chain(r, "Max"),
  Mean: mean,
  Min: (r) => chain(r, "Min"),
  ReduceL1: (r) => reduce(r, { before: "Abs" }),
  ReduceL2: (r) => reduce(r, { before: "Square", after: "Sqrt" }),
  ReduceLogSum: (r) => reduce(r, { after: "Log" }),
  ReduceLogSumExp: (r) => reduce(r, { before: "Exp", after: "Log" }),
  ReduceSumSquare: (r) => reduce(r, { before: "Square" }),
  Softmax: (r) => softmax(r, "Softmax"),
  Split: split,
  Sum: (r) => chain(r, "Add"),
  Upsample: upsample,
};

/** Nothing is dropped when a model is used: the mask is true everywhere. */
function dropout(r: Replacement): void {
  const [x] = r.node.inputs;
  const [, mask = ""] = r.node.outputs;
  r.result("Identity", [x]);
  if (mask !== "") r.result("Equal", [x, x], {}, mask);
}

/** Axes from `first` to the last. */
function axesFrom(first: number, rank: number): number[] {
  return Array.from({ length: rank - first }, (_, i) => first + i);
}

function number(node: GraphNode, name: string, fallback: number): number {
  const value = node.attributes[name];
  return typeof value === "number" ? value : fallback;
}

function overSpatial(r: Replacement, opType: string): void {
  r.result(opType, [r.node.inputs[0]], { axes: axesFrom(2, r.shape(0).length), keepdims: 1 });
}

/** An operator of any number of inputs as a chain of pairs; one of two inputs is left alone. */
function chain(r: Replacement, opType: string): void {
  const [first, ...others] = r.node.inputs;
  if (others.length === 1 && opType === r.node.opType) return;
  const last = others.pop();
  if (last === undefined) return r.result("Identity", [first]);
  const head = others.reduce((left, right) => r.add(opType, [left, right]), first);
  r.result(opType, [head, last]);
}

function mean(r: Replacement): void {
  const [first, ...others] = r.node.inputs;
  const sum = others.reduce((left, right) => r.add("Add", [left, right]), first);
  r.result("Mul", [sum, r.constant(float32([], [1 / r.node.inputs.length]))]);
}

/** A sum between two functions of single elements. */
function reduce(r: Replacement, { before, after }: { before?: string; after?: string }): void {
  const [x, ...axes] = r.node.inputs;
  const terms =
    before === undefined ? x : before === "Square" ? r.add("Mul", [x, x]) : r.add(before, [x]);
  if (after === undefined) return r.result("ReduceSum", [terms, ...axes], r.node.attributes);
  r.result(after, [r.add("ReduceSum", [terms, ...axes], r.node.attributes)]);
}

/** Exponentials times the reciprocal of their sum. */
function softmax(r: Replacement, kind: "Softmax" | "LogSoftmax"): void {
  const [x] = r.node.inputs;
  const rank = r.shape(0).length;
  const stated = number(r.node, "axis", -1);
  const axis = stated < 0 ? stated + rank : stated;
  if (axis === 0) {
    const message = `expected ${kind} along an axis after the batch, got axis 0, which mixes rows`;
    throw new SottoError("UNSUPPORTED_OPERATOR", r.node.name, message);
  }
  const axes = number(r.node, "flattened", 0) ? axesFrom(axis, rank) : [axis];
  const powers = r.add("Exp", [x]);
  const sum = r.add("ReduceSum", [powers], { axes, keepdims: 1 });
  if (kind === "Softmax") r.result("Mul", [powers, r.add("Reciprocal", [sum])]);
  else r.result("Sub", [x, r.add("Log", [sum])]);
}

/** `(x - mean) / sqrt(variance + epsilon)` over some axes. */
function normalized(r: Replacement, x: string, axes: readonly number[], epsilon: number): string {
  const centre = r.add("ReduceMean", [x], { axes, keepdims: 1 });
  const difference = r.add("Sub", [x, centre]);
  const square = r.add("Mul", [difference, difference]);
  const variance = r.add("ReduceMean", [square], { axes, keepdims: 1 });
  const shifted = r.add("Add", [variance, r.constant(float32([], [epsilon]))]);
  const deviation = r.add("Sqrt", [shifted]);
  return r.add("Mul", [difference, r.add("Reciprocal", [deviation])]);
}

/** Scales and shifts a normalized tensor by constants. */
function scaled(r: Replacement, x: string, scale: Tensor, bias: Tensor | undefined): void {
  if (!bias) return r.result("Mul", [x, r.constant(scale)]);
  r.result("Add", [r.add("Mul", [x, r.constant(scale)]), r.constant(bias)]);
}

function layerNormalization(r: Replacement): void {
  const rank = r.shape(0).length;
  const stated = number(r.node, "axis", -1);
  const axes = axesFrom(stated < 0 ? stated + rank : stated, rank);
  const normal = normalized(r, r.node.inputs[0], axes, number(r.node, "epsilon", 1e-5));
  if (r.node.outputs.length > 1) {
    const message =
      "expected LayerNormalization without its moments as outputs, got a model that reads them";
    throw new SottoError("UNSUPPORTED_OPERATOR", r.node.name, message);
  }
  scaled(r, normal, r.value(1), r.node.inputs[2] ? r.value(2) : undefined);
}

/** A number per channel, in a shape that broadcasts along axis 1. */
function perChannel(value: Tensor, rank: number): Tensor {
  return reshape(value, [1, value.data.length, ...Array.from({ length: rank - 2 }, () => 1)]);
}

function instanceNormalization(r: Replacement): void {
  const rank = r.shape(0).length;
  const epsilon = number(r.node, "epsilon", 1e-5);
  const normal = normalized(r, r.node.inputs[0], axesFrom(2, rank), epsilon);
  scaled(r, normal, perChannel(r.value(1), rank), perChannel(r.value(2), rank));
}

function groupNormalization(r: Replacement): void {
  const [, channels, ...spatial] = r.shape(0);
  const groups = number(r.node, "num_groups", 1);
  const lines = r.add("Reshape", [r.node.inputs[0], shapeConstant(r, [0, groups, -1])]);
  const normal = normalized(r, lines, [2], number(r.node, "epsilon", 1e-5));
  const back = r.add("Reshape", [normal, shapeConstant(r, [0, channels, ...spatial])]);
  const [scale, bias] = [1, 2].map((input) =>
    perChannel(eachChannel(r.value(input), channels), spatial.length + 2),
  );
  scaled(r, back, scale, bias);
}

/** Opset 18 states a number per group, later ones a number per channel. */
function eachChannel(value: Tensor, channels: number): Tensor {
  const size = channels / value.data.length;
  const data = Float64Array.from({ length: channels }, (_, c) => value.data[Math.floor(c / size)]);
  return tensor(value.dtype, [channels], data);
}

function shapeConstant(r: Replacement, shape: readonly number[]): string {
  return r.constant(int64([shape.length], shape));
}

function lpNormalization(r: Replacement): void {
  const [x] = r.node.inputs;
  const axes = [number(r.node, "axis", -1)];
  if (number(r.node, "p", 2) === 1) {
    const sum = r.add("ReduceSum", [r.add("Abs", [x])], { axes, keepdims: 1 });
    return r.result("Mul", [x, r.add("Reciprocal", [sum])]);
  }
  const sum = r.add("ReduceSum", [r.add("Mul", [x, x])], { axes, keepdims: 1 });
  r.result("Mul", [x, r.add("Reciprocal", [r.add("Sqrt", [sum])])]);
}

/** One Slice per output. */
function split(r: Replacement): void {
  const stated = number(r.node, "axis", 0);
  const axis = stated < 0 ? stated + r.shape(0).length : stated;
  let start = 0;
  for (const output of r.node.outputs) {
    const end = start + (output === "" ? 0 : r.shapeOf(output)[axis]);
    const bounds = [start, end, axis].map((value) => shapeConstant(r, [value]));
    if (output !== "") r.result("Slice", [r.node.inputs[0], ...bounds], {}, output);
    start = end;
  }
}

function upsample(r: Replacement): void {
  const [x, scales] = r.node.inputs;
  const stated = r.node.attributes["scales"];
  const factors =
    scales ??
    (Array.isArray(stated) ? r.constant(float32([stated.length], stated.map(Number))) : "");
  if (factors === "") {
    throw new SottoError("BAD_MODEL", r.node.name, "Upsample states no scales");
  }
  const mode = r.node.attributes["mode"] ?? "nearest";
  const attributes = {
    mode,
    coordinate_transformation_mode: "asymmetric",
    ...(mode === "nearest" ? { nearest_mode: "floor" } : {}),
  };
  r.result("Resize", [x, "", factors], attributes);
}

/** Names of the operators that are written as simpler ones. */
export const compoundOperators: readonly string[] = Object.keys(DECOMPOSITIONS);
