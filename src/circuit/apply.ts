/**
 * The meaning of every circuit operation on tensors: the reference that simulation and encrypted runs are held against.
 * Integers live in float64 and must stay below 2^53.
 * @module
 */
import { dequantizeTensor, quantizeTensor } from "../tensor/codes.ts";
import { SottoError, unreachable } from "../errors.ts";
import { evaluateNode } from "../onnx/evaluate.ts";
import { conv } from "../tensor/conv.ts";
import { combine } from "../tensor/elementwise.ts";
import { matmul } from "../tensor/matmul.ts";
import { type Tensor, cast, int64, reshape, sizeOf } from "../tensor/tensor.ts";
import {
  type CircuitOp,
  type FloatOp,
  type GatherOp,
  type ListOp,
  type OneHotOp,
  type SelectOp,
  type Grid,
  type TableEncoding,
  type TableOp,
  gridOf,
} from "./ir.ts";
import { blocksOf } from "./select.ts";

/** Applies one operation to a batch; axis 0 of every tensor is the batch. */
export function applyOp(op: CircuitOp, inputs: readonly Tensor[]): Tensor {
  const [x] = inputs;
  switch (op.kind) {
    case "input":
      throw new Error("internal: an input is given, not computed");
    case "matmul":
      return matmul(x, op.weights);
    case "conv":
      return applyConv(op, x);
    case "add":
      return requireInt(combine(x, inputs[1], (a, b) => a + b));
    case "sub":
      return requireInt(combine(x, inputs[1], (a, b) => a - b));
    case "shift": {
      const { by } = op;
      if (typeof by === "number") return mapInt(x, (value) => value + by);
      return requireInt(combine(x, by, (a, b) => a + b));
    }
    case "reshape":
      return reshape(x, [x.shape[0], ...op.shape.slice(1)]);
    case "gather":
      return applyGather(op, inputs);
    case "oneHot":
      return applyOneHot(op, x);
    case "select":
      return applySelect(op, x);
    case "round":
      return mapInt(x, snapTo(gridOf({ kind: "approximate", lsbs: op.lsbs })));
    case "fit":
      return mapFloat(x, snapTo(gridOf(op)));
    case "dequantize":
      return dequantizeTensor(x, op.scale, op.zeroPoint);
    case "float":
      return applyFloat(op, inputs);
    case "quantize":
      return quantizeTensor(x, op.map);
    case "list":
      return applyList(op, x);
    case "table":
      return applyTable(op, readBoxes(op.encoding, x));
    case "extractBit": {
      const weight = 2 ** op.position;
      return mapInt(x, (value) => (Math.abs(Math.floor(value / weight)) % 2) * weight);
    }
    default:
      return unreachable(op);
  }
}

/** The table's function at given points, without reading them through its grid. */
export function applyTable(op: TableOp, points: Tensor): Tensor {
  const results: Tensor[] = [];
  for (const step of op.steps) {
    results.push(
      applyOp(
        step.op,
        step.inputs.map((j) => (j === -1 ? points : results[j])),
      ),
    );
  }
  return results[results.length - 1];
}

function applyGather({ shape, indices, fill }: GatherOp, inputs: readonly Tensor[]): Tensor {
  const [rows] = inputs[0].shape;
  const sizes = inputs.map(({ data }) => data.length / rows);
  const out = new Float64Array(rows * indices.length);
  for (let row = 0, at = 0; row < rows; row++) {
    for (const index of indices) {
      let operand = 0;
      let element = index;
      while (element >= sizes[operand]) element -= sizes[operand++];
      out[at++] = index < 0 ? fill : inputs[operand].data[row * sizes[operand] + element];
    }
  }
  return { dtype: "int64", shape: [rows, ...shape.slice(1)], data: out };
}

/** Throws BAD_VALUE for codes that their feature does not have. */
function applyOneHot({ sizes, lowest = 0 }: OneHotOp, codes: Tensor): Tensor<"int64"> {
  const [rows] = codes.shape;
  const features = sizes.length;
  const starts: number[] = [];
  const width = sizes.reduce((sum, size) => (starts.push(sum), sum + size), 0);
  const out = new Float64Array(rows * width);
  codes.data.forEach((code, i) => {
    const feature = i % features;
    const size = sizes[feature];
    if (size === 0) return;
    const place = code - lowest;
    if (!(place >= 0 && place < size)) {
      const range = `${lowest} to ${lowest + size - 1}`;
      const message = `expected codes of feature ${feature} from ${range}, got ${code}`;
      throw new SottoError("BAD_VALUE", "oneHot", message);
    }
    out[Math.floor(i / features) * width + starts[feature] + place] = 1;
  });
  return int64([rows, width], out);
}

function applyList({ first, results }: ListOp, x: Tensor): Tensor<"int64"> {
  const [count, ...constants] = results.shape;
  const places = sizeOf(constants);
  const elements = int64(
    [1, ...constants],
    Float64Array.from({ length: places }, (_, i) => i),
  );
  const { shape, data } = combine(x, elements, (value, element) => {
    const index = Math.min(Math.max(value - first, 0), count - 1);
    return results.data[index * places + element];
  });
  return { dtype: "int64", shape, data: Float64Array.from(data) };
}

function applySelect(op: SelectOp, x: Tensor): Tensor<"int64"> {
  const [rows, width] = x.shape;
  const blocks = blocksOf(op);
  const out = new Float64Array(rows * blocks.length);
  for (let row = 0, at = 0; row < rows; row++) {
    for (const { start, values } of blocks) {
      const first = row * width + start;
      let sum = 0;
      for (let j = 0; j < values.length; j++) sum += values[j] * x.data[first + j];
      out[at++] = sum;
    }
  }
  return int64([rows, blocks.length], out);
}

/** Moves every number to what its box stands for. */
function readBoxes(encoding: TableEncoding, x: Tensor): Tensor {
  if (encoding.kind === "each") return x;
  const snap = snapTo(gridOf(encoding));
  const shifts = encoding.kind === "fit" ? encoding.shifts : undefined;
  if (shifts === undefined) return mapFloat(x, snap);
  return cast(
    combine(x, shifts, (value, shift) => snap(value - shift) + shift),
    "float64",
  );
}

/** Moves a number to the representative of its box. */
function snapTo(grid: Grid): (x: number) => number {
  const { origin, step, representative } = grid;
  return (x) => representative + Math.floor((x - origin) / step) * step;
}

function applyConv(op: CircuitOp & { kind: "conv" }, x: Tensor): Tensor {
  const { padValue, geometry, weights } = op;
  const window = { ...geometry, kernel: weights.shape.slice(2) };
  if (padValue === 0) return conv(x, weights, window);
  // Shifting the codes makes the padding zero; the shift comes back as a constant per output channel.
  const shifted = conv(
    mapInt(x, (value) => value - padValue),
    weights,
    window,
  );
  const [channels] = weights.shape;
  const terms = weights.data.length / channels;
  const shift = new Float64Array(channels);
  weights.data.forEach((w, i) => (shift[Math.floor(i / terms)] += padValue * w));
  const spatial = shifted.data.length / (shifted.shape[0] * channels);
  return int64(
    shifted.shape,
    shifted.data.map((x, i) => x + shift[Math.floor(i / spatial) % channels]),
  );
}

function applyFloat(op: FloatOp, inputs: readonly Tensor[]): Tensor {
  let next = 0;
  const operands = op.operands.map((constant) => (constant === null ? inputs[next++] : constant));
  const [result] = evaluateNode({ opType: op.opType, attributes: op.attributes }, operands);
  // Truth values count as floats, and a table is in float64 from one end to the other.
  return cast(result, "float64");
}

function mapInt(x: Tensor, f: (value: number) => number): Tensor<"int64"> {
  return { dtype: "int64", shape: x.shape, data: mapData(x, f) };
}

function mapFloat(x: Tensor, f: (value: number) => number): Tensor<"float64"> {
  return { dtype: "float64", shape: x.shape, data: mapData(x, f) };
}

function mapData({ data }: Tensor, f: (value: number) => number): Float64Array {
  const out = new Float64Array(data.length);
  for (let i = 0; i < out.length; i++) out[i] = f(data[i]);
  return out;
}

function requireInt(x: Tensor): Tensor<"int64"> {
  if (x.dtype !== "int64") {
    throw new SottoError("BAD_DTYPE", "circuit", `expected integers, got ${x.dtype}`);
  }
  return x as Tensor<"int64">;
}
