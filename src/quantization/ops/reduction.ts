/**
 * Reductions along axes: sums are matrix products with ones, maxima are rounds of pairwise maxima.
 * @module
 */
import type { Target } from "../../circuit/builder.ts";
import { SottoError } from "../../errors.ts";
import { evaluateNode } from "../../onnx/evaluate.ts";
import { float64, int64, sizeOf } from "../../tensor/tensor.ts";
import { transpose } from "../../tensor/strided.ts";
import {
  type Operand,
  type OperatorRule,
  type QuantizedOperation,
  type QuantizedValue,
  accumulatorQuantizer,
  codeResult,
  floatResult,
  prepareInput,
  requireVariable,
  roundAccumulator,
} from "../operation.ts";
import {
  type Coded,
  centred,
  constant,
  floatOp,
  indexRange,
  integerTable,
  larger,
  scalarZeroPoint,
  shiftBy,
  smaller,
} from "./integers.ts";
import { unfused } from "./accumulator.ts";
import { emitMove } from "./movement.ts";
import { tournament } from "./pooling.ts";

type Operands<V> = readonly (Operand<V> | undefined)[];

/** A prepared input with its reduced axes moved last and merged: [1, results, terms]. */
interface Lines<V> extends Coded<V> {
  readonly terms: number;
  /** Shape of the node's result. */
  readonly shape: readonly number[];
}

function reducedAxes<V>(
  { node }: QuantizedOperation,
  axes: Operand<V> | undefined,
  rank: number,
): number[] {
  const stated = node.attributes["axes"] ?? node.attributes["axis"];
  const listed = axes?.constant
    ? [...axes.constant.values.data]
    : [stated ?? []].flat().map(Number);
  if (listed.length === 0) {
    if (node.attributes["noop_with_empty_axes"] === 1) return [];
    return Array.from({ length: rank }, (_, axis) => axis);
  }
  return listed.map((axis) => (axis < 0 ? axis + rank : axis));
}

/** Throws UNSUPPORTED_OPERATOR for a reduction over the rows of a batch. */
function refuseBatch({ node }: QuantizedOperation, axes: readonly number[]): void {
  if (!axes.includes(0)) return;
  throw new SottoError(
    "UNSUPPORTED_OPERATOR",
    node.name,
    `expected ${node.opType} along axes from 1 on, got axis 0, which keeps the rows of a batch apart`,
  );
}

/** Lays the terms of each result side by side. */
function gatherLines<V>(
  target: Target<V>,
  op: QuantizedOperation,
  operands: Operands<V>,
): Lines<V> {
  const input = prepareInput(target, op, requireVariable(op, operands[0], "the data"));
  const shape = [1, ...target.shapeOf(input.codes).slice(1)];
  const axes = reducedAxes(op, operands[1], shape.length);
  refuseBatch(op, axes);
  const kept = shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const moved = transpose(float64(shape, indexRange(sizeOf(shape))), [...kept, ...axes]);
  const terms = sizeOf(axes.map((axis) => shape[axis]));
  const indices = Int32Array.from(moved.data);
  const lines = { shape: [1, indices.length / terms, terms], indices };
  const codes = emitMove(target, op.node.name, [input.codes], lines);
  const constants = operands.map((operand, i) =>
    i === 0 ? float64(shape, new Float64Array(sizeOf(shape))) : operand?.constant?.values,
  );
  const [result] = evaluateNode(op.node, constants);
  return { codes, quantizer: input.quantizer, terms, shape: result.shape };
}

function reshapeTo<V>(target: Target<V>, name: string, codes: V, shape: readonly number[]): V {
  return target.emit({ kind: "reshape", shape }, [codes], name);
}

/** Codes that a linear reduction gives, read with scale and zero point; raw at a graph output. */
function linearResult<V>(
  target: Target<V>,
  op: QuantizedOperation,
  codes: V,
  { scale, zeroPoint }: { readonly scale: number; readonly zeroPoint: number },
): QuantizedValue<V> {
  if (op.isGraphOutput) {
    return codeResult(target, op, codes, accumulatorQuantizer(op, { scale, zeroPoint, offset: 0 }));
  }
  const centredCodes = shiftBy(target, op.node.name, codes, op.rounding === null ? 0 : -zeroPoint);
  const rounded = roundAccumulator(target, op, centredCodes);
  const read = {
    kind: "dequantize",
    scale,
    zeroPoint: op.rounding === null ? zeroPoint : 0,
  } as const;
  return floatResult(op, target.emit(read, [rounded], op.node.name));
}

/** Sum of the codes of each line, divided by `divisor(terms)` through the scale. */
function sumOver(divisor: (terms: number) => number): OperatorRule {
  return {
    ...unfused,
    lower(target, op, operands) {
      const { codes: lines, quantizer, terms, shape } = gatherLines(target, op, operands);
      const codes = op.copiesSums ? integerTable(target, op.node.name, lines, []) : lines;
      const weights = int64([terms, 1], new Float64Array(terms).fill(1));
      const sums = target.emit({ kind: "matmul", weights }, [codes], op.node.name);
      return linearResult(target, op, reshapeTo(target, op.node.name, sums, shape), {
        scale: quantizer.tensorScale(op.node.name) / divisor(terms),
        zeroPoint: terms * scalarZeroPoint(quantizer),
      });
    },
  };
}

export const ReduceSum: OperatorRule = sumOver(() => 1);
export const ReduceMean: OperatorRule = sumOver((terms) => terms);

/** The terms of all lines, one tensor per place in the line: [1, results]. */
function columnsOf<V>(target: Target<V>, name: string, { codes, terms }: Lines<V>): V[] {
  const results = target.shapeOf(codes)[1];
  return Array.from({ length: terms }, (_, term) => {
    const indices = Int32Array.from({ length: results }, (__, i) => i * terms + term);
    return emitMove(target, name, [codes], { shape: [1, results], indices });
  });
}

type Extreme = <V>(target: Target<V>, name: string, a: V, b: V) => V;

function extremeOf<V>(target: Target<V>, name: string, columns: readonly V[], choose: Extreme): V {
  return tournament(columns, (a, b) => choose(target, name, a, b));
}

function extreme(choose: Extreme): OperatorRule {
  return {
    ...unfused,
    lower(target, op, operands) {
      const { name } = op.node;
      const lines = gatherLines(target, op, operands);
      const best = extremeOf(target, name, columnsOf(target, name, lines), choose);
      const codes = reshapeTo(target, name, best, lines.shape);
      return codeResult(target, op, codes, lines.quantizer);
    },
  };
}

export const ReduceMax: OperatorRule = extreme(larger);
export const ReduceMin: OperatorRule = extreme(smaller);

/**
 * Index of the first extreme term: how many leading terms lie before it. Each term is compared with the extreme; a prefix
 * without a hit so far counts one. 3 n - 1 tables for n terms, and the winner of equal codes is the first.
 */
function indexOfExtreme(choose: Extreme): OperatorRule {
  return {
    ...unfused,
    lower(target, op, operands) {
      if (op.node.attributes["select_last_index"] === 1) {
        throw new SottoError(
          "UNSUPPORTED_OPERATOR",
          op.node.name,
          `expected select_last_index = 0 of ${op.node.opType} on encrypted values, got 1`,
        );
      }
      const { name } = op.node;
      const lines = gatherLines(target, op, operands);
      const columns = columnsOf(target, name, lines);
      const best = extremeOf(target, name, columns, choose);
      const isZero = [floatOp("Equal", [null, constant(0)])];
      const hits = columns.map((column) =>
        integerTable(target, name, target.emit({ kind: "sub" }, [column, best], name), isZero),
      );
      let seen = hits[0];
      const misses = hits.slice(0, -1).map((hit, i) => {
        if (i > 0) seen = target.emit({ kind: "add" }, [seen, hit], name);
        return integerTable(target, name, seen, isZero);
      });
      const [first = target.emit({ kind: "sub" }, [best, best], name), ...others] = misses;
      const index = others.reduce((a, b) => target.emit({ kind: "add" }, [a, b], name), first);
      const codes = reshapeTo(target, name, index, lines.shape);
      const quantizer = accumulatorQuantizer(op, { scale: 1, zeroPoint: 0, offset: 0 });
      return codeResult(target, op, codes, quantizer);
    },
  };
}

export const ArgMax: OperatorRule = indexOfExtreme(larger);
export const ArgMin: OperatorRule = indexOfExtreme(smaller);

/** Running sums along an axis: a matrix product with a triangle of ones. */
export const CumSum: OperatorRule = {
  ...unfused,
  lower(target, op, operands) {
    const { name } = op.node;
    const input = prepareInput(target, op, requireVariable(op, operands[0], "the data"));
    const shape = [1, ...target.shapeOf(input.codes).slice(1)];
    const stated = operands[1]?.constant?.values.data[0] ?? 0;
    const axis = stated < 0 ? stated + shape.length : stated;
    refuseBatch(op, [axis]);
    const size = shape[axis];
    const [triangle] = evaluateNode(op.node, [identityMatrix(size), int64([], [1])]);
    const order = [...shape.keys()].filter((i) => i !== axis).concat(axis);
    const numbers = transpose(float64(shape, indexRange(sizeOf(shape))), order);
    const lines = {
      shape: [1, sizeOf(shape) / size, size],
      indices: Int32Array.from(numbers.data),
    };
    const back = new Int32Array(numbers.data.length);
    numbers.data.forEach((element, i) => (back[element] = i));
    const moved = emitMove(target, name, [centred(target, op, input)], lines);
    const weights = int64([size, size], triangle.data);
    const sums = target.emit({ kind: "matmul", weights }, [moved], name);
    const codes = emitMove(target, name, [sums], { shape, indices: back });
    return linearResult(target, op, codes, {
      scale: input.quantizer.tensorScale(name),
      zeroPoint: 0,
    });
  },
};

function identityMatrix(size: number): ReturnType<typeof float64> {
  const data = new Float64Array(size * size);
  for (let i = 0; i < size; i++) data[i * size + i] = 1;
  return float64([size, size], data);
}
