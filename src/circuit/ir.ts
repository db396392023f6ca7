/**
 * Circuit: a straight list of values over integer tensors, the form on which passes, parameters and execution agree.
 * Every value names its operation and its inputs, which come before it. Axis 0 of every shape is the batch, of size 1.
 * Float operations exist only between building and fusion: afterwards each float region with one integer producer is
 * one table.
 * @module
 */
import type { CodeMap, PerChannel } from "../tensor/codes.ts";
import type { Interval } from "./interval.ts";
import type { Attributes } from "../onnx/graph.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** Index of a value in its circuit. */
export type ValueId = number & { readonly __unit: "value" };

/** The brand constructor of `ValueId`. */
export function valueId(index: number): ValueId {
  return index as ValueId;
}

/** Geometry of a convolution over any number of spatial axes; pads are begins, then ends. */
export interface ConvGeometry {
  readonly strides: readonly number[];
  readonly pads: readonly number[];
  readonly dilations: readonly number[];
  readonly group: number;
}

/** Rounds to multiples of 2^lsbs, half up: `floor((x + 2^(lsbs-1)) / 2^lsbs) * 2^lsbs`. */
export interface RoundOp {
  readonly kind: "round";
  readonly lsbs: number;
  readonly method: "exact" | "approximate";
}

/** Rounds to `steps` evenly spaced points from the interval's low end to its high end; null until it is measured. */
export interface FitOp {
  readonly kind: "fit";
  readonly steps: number;
  readonly interval: Interval | null;
}

/** `scale * (x - zeroPoint)` in float64; per-channel weights leave a scale per channel. */
export interface DequantizeOp {
  readonly kind: "dequantize";
  readonly scale: PerChannel;
  readonly zeroPoint: PerChannel;
}

/** An element-wise ONNX operator in float64; null operands are the value's inputs, in order, undefined ones absent. */
export interface FloatOp {
  readonly kind: "float";
  readonly opType: string;
  readonly attributes: Attributes;
  readonly operands: readonly (Tensor | null | undefined)[];
}

/** `clip(rint(x / scale + zeroPoint))`. */
export interface QuantizeOp {
  readonly kind: "quantize";
  readonly map: CodeMap;
}

/**
 * A function of integers written out: `results[x - first]`, and beyond either end the result there. Axis 0 of `results` counts
 * integers; the other axes broadcast against the tensor behind its batch axis.
 */
export interface ListOp {
  readonly kind: "list";
  readonly first: number;
  readonly results: Tensor<"int64">;
}

/** One step of a table's function; -1 is the table's input, j the result of step j. */
export interface TableStep {
  readonly op: DequantizeOp | FloatOp | QuantizeOp | ListOp;
  readonly inputs: readonly number[];
}

/** The same in a table; `shifts`, integers that broadcast against the input, are taken off before it is read. */
export interface FitEncoding extends FitOp {
  readonly shifts?: Tensor;
}

/**
 * How a table reads its input: integers one by one, in steps of 2^lsbs (rounded half up by the table itself, or
 * already exact multiples), or in `steps` steps that fill an interval, of every channel or one for each. Where the operator
 * knows which integers can arrive, it states them as `range`; otherwise calibration or interval arithmetic finds them.
 */
export type TableEncoding =
  | { readonly kind: "each"; readonly range?: Interval }
  | { readonly kind: "approximate"; readonly lsbs: number }
  | { readonly kind: "rounded"; readonly lsbs: number }
  | FitEncoding;

/** A univariate function of every element, with constants that may differ from channel to channel. */
export interface TableOp {
  readonly kind: "table";
  readonly encoding: TableEncoding;
  readonly steps: readonly TableStep[];
}

/** Bit `position` of a two's complement integer, with its weight: `((x >> position) & 1) << position`. */
export interface ExtractBitOp {
  readonly kind: "extractBit";
  readonly position: number;
}

/**
 * Moves elements: element i of each row of the result is element `indices[i]` of the same row of the operands laid end to
 * end, or `fill` where the index is -1. Every operator that only moves codes is one of these.
 */
export interface GatherOp {
  readonly kind: "gather";
  readonly shape: readonly number[];
  readonly indices: Int32Array;
  readonly fill: number;
}

/**
 * The codes of an input as unit vectors laid end to end: code c of feature f, from `lowest` to `lowest + sizes[f]` - 1, is
 * a 1 at place c - `lowest` of the `sizes[f]` coefficients of f; the result is [1, sum of sizes]. A feature of size 0 is not
 * read. Only a graph input can be read like this, since the client encrypts the unit vectors instead of the codes: any
 * function of one feature is then a weighted sum.
 */
export interface OneHotOp {
  readonly kind: "oneHot";
  readonly sizes: readonly number[];
  /** 0 unless given. */
  readonly lowest?: number;
}

/**
 * Functions of single features of a one-hot value: result r is the value that the code of feature `features[r]` has in block
 * r of `values`. Blocks lie end to end, each as long as its feature's size; the result is [1, number of features named].
 */
export interface SelectOp {
  readonly kind: "select";
  /** Those of the one-hot value. */
  readonly sizes: readonly number[];
  readonly features: Int32Array;
  readonly values: Int32Array;
}

export type CircuitOp =
  | { readonly kind: "input"; readonly index: number; readonly interval: Interval }
  | { readonly kind: "matmul"; readonly weights: Tensor<"int64"> }
  | {
      readonly kind: "conv";
      readonly weights: Tensor<"int64">;
      readonly geometry: ConvGeometry;
      /** Code that stands for zero in the padding. */
      readonly padValue: number;
    }
  | { readonly kind: "add" }
  | { readonly kind: "sub" }
  | { readonly kind: "shift"; readonly by: number | Tensor<"int64"> }
  | { readonly kind: "reshape"; readonly shape: readonly number[] }
  | GatherOp
  | OneHotOp
  | SelectOp
  | RoundOp
  | FitOp
  | DequantizeOp
  | FloatOp
  | QuantizeOp
  | ListOp
  | TableOp
  | ExtractBitOp;

/** Intervals of an integer value: measured on calibration rows, and proved by interval arithmetic. */
export interface Bounds {
  readonly calibrated: Interval;
  readonly guaranteed: Interval;
}

export interface CircuitValue {
  readonly op: CircuitOp;
  readonly inputs: readonly ValueId[];
  /** Axis 0 is the batch. */
  readonly shape: readonly number[];
  /** The ONNX node or tensor that it comes from. */
  readonly name: string;
  /** Known after bounds inference; null for float values. */
  readonly bounds: Bounds | null;
}

export interface Circuit {
  readonly values: readonly CircuitValue[];
  readonly outputs: readonly ValueId[];
}

/** Whether a value carries floats; no float value is left after fusion. */
export function isFloat(op: CircuitOp): boolean {
  return op.kind === "dequantize" || op.kind === "float";
}

/** Even grid on which a table reads: box i starts at `origin + i * step` and stands for `representative + i * step`. */
export interface Grid {
  readonly origin: number;
  readonly step: number;
  readonly representative: number;
}

/**
 * The grid of a table encoding. With `each` and `approximate`, box edges lie half an integer off every integer, so that no
 * integer is on an edge; with `rounded` only the middles of boxes occur; with `fit` an integer may be on an edge.
 */
export function gridOf(encoding: TableEncoding): Grid {
  switch (encoding.kind) {
    case "each":
      return { origin: -0.5, step: 1, representative: 0 };
    case "approximate": {
      const step = 2 ** encoding.lsbs;
      return { origin: -step / 2 - 0.5, step, representative: 0 };
    }
    case "rounded": {
      const step = 2 ** encoding.lsbs;
      return { origin: -step / 2, step, representative: 0 };
    }
    case "fit": {
      if (encoding.interval === null) throw new Error("internal: a fit table without interval");
      const { lo, hi } = encoding.interval;
      const step = hi > lo ? (hi - lo) / (encoding.steps - 1) : 1;
      return { origin: lo - step / 2, step, representative: lo };
    }
  }
}

/** Replaces values one for one and drops what the outputs do not need; the order stays. */
export function rebuild(
  circuit: Circuit,
  replace: (value: CircuitValue, id: ValueId) => CircuitValue,
): Circuit {
  return dropDead({
    ...circuit,
    values: circuit.values.map((value, i) => replace(value, valueId(i))),
  });
}

/** Removes values that no output depends on; inputs stay, they are the program's signature. */
export function dropDead(circuit: Circuit): Circuit {
  const live = new Set<ValueId>(circuit.outputs);
  for (let i = circuit.values.length - 1; i >= 0; i--) {
    if (circuit.values[i].op.kind === "input") live.add(valueId(i));
    if (live.has(valueId(i))) for (const input of circuit.values[i].inputs) live.add(input);
  }
  const renumbered = new Map<ValueId, ValueId>();
  const values: CircuitValue[] = [];
  const rename = (id: ValueId): ValueId => {
    const renamed = renumbered.get(id);
    if (renamed === undefined)
      throw new Error(`internal: value ${id} is used before it is defined`);
    return renamed;
  };
  circuit.values.forEach((value, i) => {
    if (!live.has(valueId(i))) return;
    renumbered.set(valueId(i), valueId(values.length));
    values.push({ ...value, inputs: value.inputs.map(rename) });
  });
  return { values, outputs: circuit.outputs.map(rename) };
}

/** How many values read each value; an output counts as a reader. */
export function countReaders(circuit: Circuit): number[] {
  const readers = circuit.values.map(() => 0);
  for (const value of circuit.values) for (const input of value.inputs) readers[input]++;
  for (const output of circuit.outputs) readers[output]++;
  return readers;
}

/** The circuit's input values, by input index. */
export function inputsOf(
  circuit: Circuit,
): { readonly id: ValueId; readonly interval: Interval }[] {
  const inputs: { id: ValueId; interval: Interval }[] = [];
  circuit.values.forEach(({ op }, i) => {
    if (op.kind === "input") inputs[op.index] = { id: valueId(i), interval: op.interval };
  });
  return inputs;
}

/** How an input is sent as unit vectors, and the value that reads it so; null for an input that is sent as it is. */
export function oneHotOf(
  { values }: Circuit,
  input: ValueId,
): { readonly id: ValueId; readonly lowest: number; readonly sizes: readonly number[] } | null {
  for (const [i, { op, inputs }] of values.entries()) {
    if (op.kind === "oneHot" && inputs[0] === input) {
      return { id: valueId(i), lowest: op.lowest ?? 0, sizes: op.sizes };
    }
  }
  return null;
}
