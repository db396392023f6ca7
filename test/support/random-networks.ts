/**
 * Random small networks over all families of operators: layers, windows, products, moves, reductions, comparisons, with
 * one or two inputs and outputs. A network follows from its seed.
 * @module
 */
import { type Tensor, float32, sizeOf } from "../../src/tensor/tensor.ts";
import { buildModel, floats, longs, node, value } from "./onnx-builder.ts";
import { floatAttribute, intAttribute, intsAttribute } from "./onnx-builder.ts";
import { randomNumbers } from "./random-models.ts";

/** A tensor of the network; its shape leaves the batch out. */
export interface NetworkValue {
  readonly name: string;
  readonly shape: readonly number[];
}

type Attributes = Parameters<typeof node>[3];

/** A network under construction, with the source of its randomness. */
export class NetworkDrawing {
  readonly random: () => number;
  readonly values: NetworkValue[] = [];
  /** Operators in the order in which they were drawn. */
  readonly operators: string[] = [];
  readonly #nodes: ReturnType<typeof node>[] = [];
  readonly #constants: ReturnType<typeof floats>[] = [];
  #count = 0;

  constructor(random: () => number) {
    this.random = random;
  }

  /** An integer from `lo` to `hi`. */
  between(lo: number, hi: number): number {
    return lo + Math.floor(this.random() * (hi - lo + 1));
  }

  pick<T>(list: readonly T[]): T {
    return list[this.between(0, list.length - 1)];
  }

  /** Appends a node; `inputs` are values or names of constants, an empty name is an absent input. */
  emit(
    opType: string,
    inputs: readonly (NetworkValue | string)[],
    shape: readonly number[],
    attributes: Attributes = [],
  ): NetworkValue {
    const name = `${opType}_${this.#count++}`;
    const names = inputs.map((input) => (typeof input === "string" ? input : input.name));
    this.#nodes.push(node(opType, names, name, attributes));
    this.operators.push(opType);
    return { name, shape };
  }

  /** A constant of numbers from `lo` to `hi`. */
  weights(dims: readonly number[], lo = -1, hi = 1): string {
    const numbers = Array.from({ length: sizeOf(dims) }, () => lo + (hi - lo) * this.random());
    return this.#constant((name) => floats(name, dims, numbers));
  }

  /** A constant list of integers. */
  integers(list: readonly number[]): string {
    return this.#constant((name) => longs(name, [list.length], list));
  }

  #constant(make: (name: string) => ReturnType<typeof floats>): string {
    const name = `c${this.#constants.length}`;
    this.#constants.push(make(name));
    return name;
  }

  /** Another value of this shape, or null. */
  partner(x: NetworkValue): NetworkValue | null {
    const others = this.values.filter(
      ({ name, shape }) => name !== x.name && shape.join(",") === x.shape.join(","),
    );
    return others.length > 0 ? this.pick(others) : null;
  }

  finish(inputs: readonly NetworkValue[], outputs: readonly NetworkValue[]): Uint8Array {
    const port = ({ name, shape }: NetworkValue): ReturnType<typeof value> =>
      value(name, ["N", ...shape]);
    return buildModel({
      inputs: inputs.map(port),
      outputs: outputs.map(port),
      nodes: this.#nodes,
      initializers: this.#constants,
    });
  }
}

/** One way to go on from a value; null where the value's shape does not fit. */
type Step = (d: NetworkDrawing, x: NetworkValue) => NetworkValue | null;

const UNARY = "Abs Ceil Erf Exp Floor HardSwish Neg Relu Round Sigmoid Sign Softplus Softsign Tanh";

const unary: Step = (d, x) => d.emit(d.pick(UNARY.split(" ")), [x], x.shape);

const parametric: Step = (d, x) => {
  switch (d.between(0, 4)) {
    case 0:
      return d.emit("LeakyRelu", [x], x.shape, [floatAttribute("alpha", 0.2)]);
    case 1:
      return d.emit("Elu", [x], x.shape);
    case 2:
      return d.emit(
        "PRelu",
        [x, d.weights([x.shape[0], ...x.shape.slice(1).map(() => 1)])],
        x.shape,
      );
    case 3:
      return d.emit("Sqrt", [d.emit("Abs", [x], x.shape)], x.shape);
    default:
      return d.emit("Mul", [x, x], x.shape);
  }
};

const withConstant: Step = (d, x) => {
  const dims = d.random() < 0.5 ? [1] : [1, x.shape[0], ...x.shape.slice(1).map(() => 1)];
  return d.emit(d.pick(["Add", "Sub", "Mul", "Max", "Min"]), [x, d.weights(dims)], x.shape);
};

const linear: Step = (d, x) => {
  const columns = d.between(2, 4);
  const inner = x.shape[x.shape.length - 1];
  const shape = [...x.shape.slice(0, -1), columns];
  if (x.shape.length > 1) return d.emit("MatMul", [x, d.weights([inner, columns])], shape);
  const bias = d.random() < 0.5 ? [d.weights([columns])] : [];
  return d.emit("Gemm", [x, d.weights([inner, columns]), ...bias], shape);
};

const sumOfTwo: Step = (d, x) => {
  const y = d.partner(x);
  return y && d.emit(d.pick(["Add", "Sub"]), [x, y], x.shape);
};

const productOfTwo: Step = (d, x) => {
  const y = d.partner(x);
  return y && d.emit(d.pick(["Mul", "Max", "Min"]), [x, y], x.shape);
};

const quotient: Step = (d, x) => {
  const y = d.partner(x);
  if (y === null) return null;
  const positive = d.emit("Add", [d.emit("Sigmoid", [y], y.shape), d.weights([1], 1, 2)], y.shape);
  return d.emit("Div", [x, positive], x.shape);
};

const choice: Step = (d, x) => {
  const y = d.partner(x) ?? d.weights([1]);
  const test = d.emit(d.pick(["Greater", "Less", "GreaterOrEqual"]), [x, y], x.shape);
  const otherwise = d.random() < 0.5 ? d.weights([1]) : (d.partner(x) ?? d.weights([1]));
  return d.emit("Where", [test, x, otherwise], x.shape);
};

const concat: Step = (d, x) => {
  const y = d.partner(x);
  if (y === null || sizeOf(x.shape) > 12) return null;
  const axis = d.between(1, x.shape.length);
  const shape = x.shape.map((size, i) => (i === axis - 1 ? 2 * size : size));
  return d.emit("Concat", [x, y], shape, [intAttribute("axis", axis)]);
};

const slice: Step = (d, x) => {
  const axis = d.between(1, x.shape.length);
  const size = x.shape[axis - 1];
  if (size < 3) return null;
  const step = d.between(1, 2);
  const start = d.between(0, 1);
  const lists = [[start], [size], [axis], [step]].map((list) => d.integers(list));
  const left = Math.ceil((size - start) / step);
  const shape = x.shape.map((own, i) => (i === axis - 1 ? left : own));
  return d.emit("Slice", [x, ...lists], shape);
};

const transposed: Step = (d, x) => {
  if (x.shape.length < 2) return null;
  const perm = [0, ...x.shape.map((_, i) => x.shape.length - i)];
  return d.emit("Transpose", [x], x.shape.toReversed(), [intsAttribute("perm", perm)]);
};

const flattened: Step = (d, x) => {
  if (x.shape.length < 2) return null;
  return d.emit("Flatten", [x], [sizeOf(x.shape)], [intAttribute("axis", 1)]);
};

const reduction: Step = (d, x) => {
  const axis = d.between(1, x.shape.length);
  if (x.shape[axis - 1] > 6) return null;
  const shape = x.shape.map((size, i) => (i === axis - 1 ? 1 : size));
  const opType = d.pick(["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin"]);
  const axes = [intsAttribute("axes", [axis])];
  if (opType !== "ReduceSum") return d.emit(opType, [x], shape, axes);
  return d.emit(opType, [x, d.integers([axis])], shape);
};

const normalization: Step = (d, x) => {
  const [channels] = x.shape;
  const parameters = [d.weights([channels], 0.5, 2), d.weights([channels]), d.weights([channels])];
  return d.emit("BatchNormalization", [x, ...parameters, d.weights([channels], 0.5, 2)], x.shape);
};

const pairProduct: Step = (d, x) => {
  if (x.shape.length !== 2 || sizeOf(x.shape) > 9) return null;
  const [rows] = x.shape;
  const turned = d.emit("Transpose", [x], x.shape.toReversed(), [intsAttribute("perm", [0, 2, 1])]);
  return d.emit("MatMul", [x, turned], [rows, rows]);
};

/** Strides, pads and dilations of a window of `kernel`, and the size of what it leaves of `size`. */
function drawWindow(
  d: NetworkDrawing,
  spatial: readonly number[],
  kernel: readonly number[],
): { readonly attributes: NonNullable<Attributes>; readonly result: readonly number[] } | null {
  const strides = spatial.map(() => d.between(1, 2));
  const pads = [...spatial, ...spatial].map((_, i) => d.between(0, Math.min(1, kernel[i % 2] - 1)));
  const dilations = spatial.map(() => (d.random() < 0.2 ? 2 : 1));
  const result = spatial.map((size, i) => {
    const extent = (kernel[i] - 1) * dilations[i] + 1;
    return Math.floor((size + pads[i] + pads[i + 2] - extent) / strides[i]) + 1;
  });
  if (result.some((size) => size < 1)) return null;
  const lists = { kernel_shape: kernel, strides, pads, dilations };
  return {
    attributes: Object.entries(lists).map(([name, list]) => intsAttribute(name, list)),
    result,
  };
}

const convolution: Step = (d, x) => {
  const [channels, ...spatial] = x.shape;
  if (spatial.length !== 2) return null;
  const group = d.random() < 0.3 ? channels : 1;
  const filters = group * d.between(1, 2);
  const kernel = spatial.map(() => d.between(1, 3));
  const window = drawWindow(d, spatial, kernel);
  if (window === null) return null;
  const bias = d.random() < 0.5 ? [d.weights([filters])] : [];
  const attributes = [...window.attributes, intAttribute("group", group)];
  const weights = d.weights([filters, channels / group, ...kernel]);
  return d.emit("Conv", [x, weights, ...bias], [filters, ...window.result], attributes);
};

const pooling: Step = (d, x) => {
  const [channels, ...spatial] = x.shape;
  if (spatial.length !== 2) return null;
  const kernel = spatial.map(() => d.between(1, 2));
  const window = drawWindow(d, spatial, kernel);
  if (window === null) return null;
  const shape = [channels, ...window.result];
  if (d.random() < 0.4) return d.emit("MaxPool", [x], shape, window.attributes);
  // AveragePool has dilations only from opset 19 on.
  const attributes = window.attributes.filter(({ name }) => name !== "dilations");
  const extents = window.attributes.find(({ name }) => name === "dilations")?.ints ?? [];
  if (extents.some((dilation) => dilation !== 1n)) return null;
  const isPadded = intAttribute("count_include_pad", d.between(0, 1));
  return d.emit("AveragePool", [x], shape, [...attributes, isPadded]);
};

const globalPooling: Step = (d, x) => {
  const [channels, ...spatial] = x.shape;
  if (spatial.length !== 2 || sizeOf(spatial) > 16) return null;
  return d.emit("GlobalAveragePool", [x], [channels, 1, 1]);
};

const padding: Step = (d, x) => {
  const [channels, height, width] = x.shape;
  if (x.shape.length !== 3 || sizeOf(x.shape) > 24) return null;
  const pads = d.integers([0, 0, 1, 0, 0, 0, 0, 1]);
  return d.emit("Pad", [x, pads], [channels, height + 1, width + 1]);
};

/** Cheap steps more often than those that need wide tables. */
const STEPS: readonly Step[] = [
  [unary, unary, unary, parametric, withConstant, linear, linear, convolution, convolution],
  [sumOfTwo, sumOfTwo, productOfTwo, quotient, choice, concat, slice, transposed, flattened],
  [reduction, normalization, pairProduct, pooling, pooling, globalPooling, padding],
].flat();

/** A random network with calibration rows. */
export interface RandomNetwork {
  readonly bytes: Uint8Array;
  readonly calibration: readonly Tensor[];
  readonly operators: readonly string[];
  /** Goes on with the network's randomness. */
  readonly random: () => number;
}

const INPUT_SHAPES: readonly (readonly number[])[] = [
  [3],
  [4],
  [5],
  [2, 3],
  [3, 2],
  [1, 4, 3],
  [2, 3, 3],
];
const ROWS = 12;
/** Results of more elements than this are not built upon: they would take too many lookups. */
const MOST_ELEMENTS = 40;

/** The network of a seed. */
export function randomNetwork(seed: number): RandomNetwork {
  const d = new NetworkDrawing(randomNumbers(seed));
  const shape = d.pick(INPUT_SHAPES);
  const inputs = Array.from({ length: d.random() < 0.3 ? 2 : 1 }, (_, i) => ({
    name: `x${i}`,
    shape,
  }));
  d.values.push(...inputs);
  const steps = d.between(2, 5);
  for (let tries = 0; tries < 40 && d.values.length < inputs.length + steps; tries++) {
    // Most steps go on from the last value; some branch off an earlier one.
    const isChained = d.random() < 0.75;
    const x = isChained ? d.values[d.values.length - 1] : d.pick(d.values);
    const next = d.pick(STEPS)(d, x);
    if (next !== null && sizeOf(next.shape) <= MOST_ELEMENTS) d.values.push(next);
  }
  const computed = d.values.slice(inputs.length);
  const last = computed[computed.length - 1];
  const others = computed.slice(0, -1).filter(() => d.random() < 0.15);
  const range = d.pick([
    [-2, 2],
    [0, 1],
    [2, 3],
  ]);
  const calibration = inputs.map(() => {
    const full = [ROWS, ...shape];
    const draw = (): number => range[0] + (range[1] - range[0]) * d.random();
    return float32(full, Array.from({ length: sizeOf(full) }, draw));
  });
  const bytes = d.finish(inputs, [last, ...others.slice(0, 1)]);
  return { bytes, calibration, operators: d.operators, random: d.random };
}
