/**
 * Matrix products in every form but the common one, encrypted rows times a constant matrix: both factors encrypted, the
 * constant on the left, or a stack of constant matrices.
 * @module
 */
import type { Target } from "../../circuit/builder.ts";
import { evaluateNode } from "../../onnx/evaluate.ts";
import { expand, transpose } from "../../tensor/strided.ts";
import {
  type Tensor,
  broadcastShapes,
  float64,
  int64,
  reshape,
  sizeOf,
} from "../../tensor/tensor.ts";
import {
  type QuantizedOperation,
  type QuantizedValue,
  floatResult,
  roundAccumulator,
} from "../operation.ts";
import {
  type Coded,
  centred,
  indexRange,
  quarterSquare,
  repeatTo,
  scalarZeroPoint,
  shiftBy,
} from "./integers.ts";
import { emitMove } from "./movement.ts";

/** Where the factors of each term of a product of stacks of matrices lie: shape [...stack, rows, columns, terms]. */
interface Terms {
  readonly shape: readonly number[];
  readonly left: Int32Array;
  readonly right: Int32Array;
}

function termsOf(a: readonly number[], b: readonly number[]): Terms {
  const [rows, terms] = a.slice(-2);
  const columns = b[b.length - 1];
  const stack = broadcastShapes(a.slice(0, -2), b.slice(0, -2));
  const shape = [...stack, rows, columns, terms];
  const place = (
    operand: readonly number[],
    order: readonly number[],
    unit: number,
  ): Int32Array => {
    const lead = operand.slice(0, -2);
    const numbers = float64(operand, indexRange(sizeOf(operand)));
    const swapped = transpose(numbers, [...lead.keys(), ...order.map((i) => i + lead.length)]);
    const spread = [...lead, ...swapped.shape.slice(-2)];
    spread.splice(unit, 0, 1);
    return Int32Array.from(expand(reshape(swapped, spread), shape).data);
  };
  return {
    shape,
    left: place(a, [0, 1], a.length - 1),
    right: place(b, [1, 0], b.length - 2),
  };
}

/**
 * Product of two encrypted stacks of matrices. Two tables per term give the products of codes; where sums and
 * differences are rounded first, as Concrete ML does, the zero points come in afterwards.
 */
export function lowerEncryptedProduct<V>(
  target: Target<V>,
  op: QuantizedOperation,
  [x, y]: readonly [Coded<V>, Coded<V>],
): QuantizedValue<V> {
  const { name } = op.node;
  const isRounded = op.rounding !== null && op.rounding.method !== "fit";
  const row = (value: V): number[] => [1, ...target.shapeOf(value).slice(1)];
  const terms = termsOf(row(x.codes), row(y.codes));
  const [a, b] = [x, y].map((factor) => (isRounded ? factor.codes : centred(target, op, factor)));
  const left = emitMove(target, name, [a], { shape: terms.shape, indices: terms.left });
  const right = emitMove(target, name, [b], { shape: terms.shape, indices: terms.right });
  const sums = target.emit({ kind: "add" }, [left, right], name);
  const differences = target.emit({ kind: "sub" }, [left, right], name);
  const squares = [
    isRounded ? roundAccumulator(target, op, sums, "sums") : sums,
    isRounded ? roundAccumulator(target, op, differences, "differences") : differences,
  ].map((value) => quarterSquare(target, name, value));
  const products = target.emit({ kind: "sub" }, squares, name);
  const total = addUp(target, name, products);
  const accumulator = isRounded ? withZeroPoints(target, name, total, [x, y]) : total;
  const rounded = roundAccumulator(target, op, accumulator);
  const scale = x.quantizer.tensorScale(name) * y.quantizer.tensorScale(name);
  return floatResult(op, target.emit({ kind: "dequantize", scale, zeroPoint: 0 }, [rounded], name));
}

/** Sums the last axis and drops it. */
function addUp<V>(target: Target<V>, name: string, terms: V): V {
  const shape = target.shapeOf(terms);
  const size = shape[shape.length - 1];
  const weights = int64([size, 1], new Float64Array(size).fill(1));
  const sums = target.emit({ kind: "matmul", weights }, [terms], name);
  return target.emit({ kind: "reshape", shape: shape.slice(0, -1) }, [sums], name);
}

/** Turns a product of codes into one of centred codes: subtracts z_y times the row sums of x, z_x times the column sums of y. */
function withZeroPoints<V>(
  target: Target<V>,
  name: string,
  product: V,
  [x, y]: readonly [Coded<V>, Coded<V>],
): V {
  const [zx, zy] = [x, y].map(({ quantizer }) => scalarZeroPoint(quantizer));
  const shape = target.shapeOf(product);
  const size = target.shapeOf(x.codes).at(-1) ?? 1;
  const weighted = (codes: V, by: number): V => {
    const weights = int64([size, 1], new Float64Array(size).fill(by));
    return target.emit({ kind: "matmul", weights }, [codes], name);
  };
  let result = product;
  if (zy !== 0) {
    const rows = repeatTo(target, name, weighted(x.codes, zy), shape);
    result = target.emit({ kind: "sub" }, [result, rows], name);
  }
  if (zx !== 0) {
    const own = [1, ...target.shapeOf(y.codes).slice(1)];
    const numbers = transpose(
      float64(own, indexRange(sizeOf(own))),
      [...own.keys()].map((i) => (i < own.length - 2 ? i : 2 * own.length - 3 - i)),
    );
    const turned = { shape: numbers.shape, indices: Int32Array.from(numbers.data) };
    const columns = weighted(emitMove(target, name, [y.codes], turned), zx);
    const lying = [...numbers.shape.slice(0, -2), 1, numbers.shape[numbers.shape.length - 2]];
    const flat = target.emit({ kind: "reshape", shape: lying }, [columns], name);
    result = target.emit({ kind: "sub" }, [result, repeatTo(target, name, flat, shape)], name);
  }
  return shiftBy(target, name, result, size * zx * zy);
}

/**
 * Accumulator of a product with a constant stack of matrices, or with the constant on the left, as a grouped convolution
 * over the rows: one group per matrix of the stack.
 */
export function stackedProduct<V>(
  target: Target<V>,
  name: string,
  codes: V,
  weights: Tensor<"int64">,
  isLeft: boolean,
): V {
  // A constant on the left is the constant on the right of the transposed product.
  const x = isLeft ? swapLastAxes(target, name, codes) : codes;
  const w = isLeft ? transpose(weights, swapped(weights.shape.length)) : weights;
  const own = [1, ...target.shapeOf(x).slice(1)];
  const [rows, terms] = own.slice(-2);
  const columns = w.shape[w.shape.length - 1];
  const stack = broadcastShapes(own.slice(0, -2), w.shape.slice(0, -2));
  const groups = sizeOf(stack);
  const spread = repeatTo(target, name, x, [...stack, rows, terms]);
  const turned = swapLastAxes(target, name, spread);
  const image = target.emit({ kind: "reshape", shape: [1, groups * terms, rows] }, [turned], name);
  const matrices = expand(w, [...stack, terms, columns]);
  const kernels = transpose(matrices, swapped(matrices.shape.length));
  const geometry = { strides: [1], pads: [0, 0], dilations: [1], group: groups };
  const kernel = int64([groups * columns, terms, 1], kernels.data);
  const result = target.emit(
    { kind: "conv", weights: kernel, geometry, padValue: 0 },
    [image],
    name,
  );
  const shaped = target.emit({ kind: "reshape", shape: [...stack, columns, rows] }, [result], name);
  return isLeft ? shaped : swapLastAxes(target, name, shaped);
}

function swapped(rank: number): number[] {
  return Array.from({ length: rank }, (_, i) => (i < rank - 2 ? i : 2 * rank - 3 - i));
}

function swapLastAxes<V>(target: Target<V>, name: string, codes: V): V {
  const shape = [1, ...target.shapeOf(codes).slice(1)];
  const turned = transpose(float64(shape, indexRange(sizeOf(shape))), swapped(shape.length));
  return emitMove(target, name, [codes], {
    shape: turned.shape,
    indices: Int32Array.from(turned.data),
  });
}

/**
 * The matrix of a linear operator over all axes but the first two, asked of the float operator on unit vectors: one row
 * each, in the first of as many channels as the tensor has.
 */
export function matrixOf(
  op: QuantizedOperation,
  [channels, ...spatial]: readonly number[],
  constants: readonly (Tensor | undefined)[],
): Tensor<"float64"> {
  const size = sizeOf(spatial);
  const rows = Array.from({ length: size }, (_, i) => {
    const unit = new Float64Array(channels * size);
    unit[i] = 1;
    const image = float64([1, channels, ...spatial], unit);
    const [{ data }] = evaluateNode(op.node, [image, ...constants]);
    return data.subarray(0, data.length / channels);
  });
  return float64([size, rows[0].length], Float64Array.from(rows.flatMap((row) => [...row])));
}
