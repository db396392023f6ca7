/**
 * Reductions along axes, and running sums.
 * @module
 */
import { dropAxes, mapLanes, reducedShape, reduceLanes } from "../../tensor/lanes.ts";
import type { DType, Tensor } from "../../tensor/tensor.ts";
import { known, numbersFrom, numbersOf, wrapAxes, wrapAxis } from "./operands.ts";
import { defineOperator, int, optionalInts, type Operand, type Operator } from "./operator.ts";

type Reduce = (lane: Float64Array) => number;

interface ReduceAttributes {
  readonly axes: readonly number[] | undefined;
  readonly noop_with_empty_axes: number;
}

/** A reduction over `axes` (an input, or an attribute of older opsets), over all of them by default. */
function reduction(name: string, reduce: Reduce): Operator {
  return defineOperator({
    minInputs: 1,
    maxInputs: 2,
    since: 1,
    attributes: { axes: optionalInts(), keepdims: int(1), noop_with_empty_axes: int(0) },
    shape([x, axes]: readonly [Operand, Operand?], attributes) {
      const reduced = reducedAxes(name, x, axes, attributes);
      return [
        attributes.keepdims
          ? reducedShape(x.shape, reduced)
          : x.shape.filter((_, axis) => !reduced.includes(axis)),
      ];
    },
    evaluate([x, axes]: readonly [Tensor, Tensor?], attributes) {
      const reduced = reducedAxes(name, known(x), axes && known(axes), attributes);
      const { noop_with_empty_axes: isNoop, keepdims } = attributes;
      // with no axes to reduce, the function still applies to each element, unless there is nothing to fold
      if (reduced.length === 0 && isNoop && isIdentityOnOne(name)) return [x];
      const result = reduceLanes(x, reduced, x.dtype, reduce);
      return [keepdims ? result : dropAxes(result, reduced)];
    },
  });
}

function isIdentityOnOne(name: string): boolean {
  return ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd"].includes(name);
}

function reducedAxes(
  name: string,
  x: Operand,
  operand: Operand | undefined,
  { axes, noop_with_empty_axes }: ReduceAttributes,
): readonly number[] {
  const rank = x.shape.length;
  const stated = numbersFrom(name, "axes", operand, axes) ?? [];
  if (stated.length > 0) return wrapAxes(name, stated, rank);
  return noop_with_empty_axes ? [] : x.shape.map((_, axis) => axis);
}

function fold(start: number, step: (total: number, element: number) => number): Reduce {
  return (lane) => lane.reduce(step, start);
}

const sum = fold(0, (total, x) => total + x);
const sumOfSquares = fold(0, (total, x) => total + x * x);

export const ReduceSum: Operator = reduction("ReduceSum", sum);
export const ReduceMean: Operator = reduction("ReduceMean", (lane) => sum(lane) / lane.length);
export const ReduceMax: Operator = reduction(
  "ReduceMax",
  fold(-Infinity, (most, x) => Math.max(most, x)),
);
export const ReduceMin: Operator = reduction(
  "ReduceMin",
  fold(Infinity, (least, x) => Math.min(least, x)),
);
export const ReduceProd: Operator = reduction(
  "ReduceProd",
  fold(1, (total, x) => total * x),
);
/** Sum of absolute values. */
export const ReduceL1: Operator = reduction(
  "ReduceL1",
  fold(0, (total, x) => total + Math.abs(x)),
);
/** Square root of the sum of squares. */
export const ReduceL2: Operator = reduction("ReduceL2", (lane) => Math.sqrt(sumOfSquares(lane)));
export const ReduceSumSquare: Operator = reduction("ReduceSumSquare", sumOfSquares);
export const ReduceLogSum: Operator = reduction("ReduceLogSum", (lane) => Math.log(sum(lane)));
/** Logarithm of the sum of exponentials, without overflow. */
export const ReduceLogSumExp: Operator = reduction("ReduceLogSumExp", (lane) => {
  const most = lane.reduce((a, b) => Math.max(a, b), -Infinity);
  if (Math.abs(most) === Infinity) return most;
  return most + Math.log(sum(lane.map((x) => Math.exp(x - most))));
});

/** Index of the first element along an axis that no other one beats; the last such one if `select_last_index`. */
function argument(name: string, beats: (x: number, best: number) => boolean): Operator {
  return defineOperator({
    minInputs: 1,
    maxInputs: 1,
    since: 1,
    attributes: { axis: int(0), keepdims: int(1), select_last_index: int(0) },
    shape([x]: readonly [Operand], attributes) {
      const axis = wrapAxis(name, attributes.axis, x.shape.length);
      const kept = reducedShape(x.shape, [axis]);
      return [attributes.keepdims ? kept : kept.filter((_, i) => i !== axis)];
    },
    evaluate([x]: readonly [Tensor], { axis: stated, keepdims, select_last_index }) {
      const axis = wrapAxis(name, stated, x.shape.length);
      const result = reduceLanes<DType>(x, [axis], "int64", (lane) => {
        let best = 0;
        for (let i = 1; i < lane.length; i++) {
          const isTie = select_last_index !== 0 && lane[i] === lane[best];
          if (beats(lane[i], lane[best]) || isTie) best = i;
        }
        return best;
      });
      return [keepdims ? result : dropAxes(result, [axis])];
    },
  });
}

export const ArgMax: Operator = argument("ArgMax", (x, best) => x > best);
export const ArgMin: Operator = argument("ArgMin", (x, best) => x < best);

/** Running sums along an axis: of everything before and, unless `exclusive`, the element itself. */
export const CumSum: Operator = defineOperator({
  minInputs: 2,
  maxInputs: 2,
  since: 11,
  attributes: { exclusive: int(0), reverse: int(0) },
  shape: ([x, axis]: readonly [Operand, Operand]) => {
    cumulatedAxis(x, axis);
    return [x.shape];
  },
  evaluate([x, axis]: readonly [Tensor, Tensor], { exclusive, reverse }) {
    const running = (lane: Float64Array): Float64Array => {
      let total = 0;
      const sums = lane.map((_, i) => {
        const element = lane[reverse ? lane.length - 1 - i : i];
        const before = total;
        total += element;
        return exclusive ? before : total;
      });
      return reverse ? sums.toReversed() : sums;
    };
    return [mapLanes(x, cumulatedAxis(known(x), known(axis)), running)];
  },
});

function cumulatedAxis(x: Operand, axis: Operand): number {
  const [stated = 0] = numbersOf("CumSum", "axis", axis);
  return wrapAxis("CumSum", stated, x.shape.length);
}
