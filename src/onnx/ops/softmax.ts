/**
 * Softmax and its relatives. Before opset 13 they treat the input as a matrix whose rows are all axes from `axis` on;
 * `resolve` says so by the attribute `flattened`, which is ours.
 * @module
 */
import { mapLanes } from "../../tensor/lanes.ts";
import { reshape, sizeOf, type Tensor } from "../../tensor/tensor.ts";
import { wrapAxis } from "./operands.ts";
import { defineOperator, int, own, type Operand, type Operator } from "./operator.ts";

function alongAxis(name: string, replace: (lane: Float64Array) => Float64Array): Operator {
  return defineOperator({
    minInputs: 1,
    maxInputs: 1,
    since: 1,
    attributes: { axis: int(undefined), flattened: own(int(0)) },
    shape([x]: readonly [Operand], { axis = -1 }) {
      wrapAxis(name, axis, x.shape.length);
      return [x.shape];
    },
    evaluate([x]: readonly [Tensor], { axis: stated = -1, flattened }) {
      const axis = wrapAxis(name, stated, x.shape.length);
      if (!flattened) return [mapLanes(x, axis, replace)];
      const matrix = [sizeOf(x.shape.slice(0, axis)), sizeOf(x.shape.slice(axis))];
      return [reshape(mapLanes(reshape(x, matrix), 1, replace), x.shape)];
    },
    resolve([x]: readonly [Operand], { axis, flattened }, { opset }) {
      const isOld = opset < 13 || flattened === 1;
      const stated = axis ?? (isOld ? 1 : -1);
      // All axes from the last one on are the last one.
      const isLast = wrapAxis(name, stated, x.shape.length) === x.shape.length - 1;
      return isOld && !isLast ? { axis: stated, flattened: 1 } : { axis: stated };
    },
  });
}

/** Exponentials of the differences to the largest element, which cannot overflow. */
function exponentials(lane: Float64Array): { shifted: Float64Array; total: number } {
  const most = lane.reduce((a, b) => Math.max(a, b), -Infinity);
  const shifted = lane.map((x) => x - most);
  return { shifted, total: shifted.reduce((sum, x) => sum + Math.exp(x), 0) };
}

/** Exponentials divided by their sum. */
export const Softmax: Operator = alongAxis("Softmax", (lane) => {
  const { shifted, total } = exponentials(lane);
  return shifted.map((x) => Math.exp(x) / total);
});

/** Logarithm of Softmax. */
export const LogSoftmax: Operator = alongAxis("LogSoftmax", (lane) => {
  const { shifted, total } = exponentials(lane);
  const shift = Math.log(total);
  return shifted.map((x) => x - shift);
});

/** 1 at the first largest element, 0 elsewhere. */
export const Hardmax: Operator = alongAxis("Hardmax", (lane) => {
  const best = lane.reduce((found, x, i) => (x > lane[found] ? i : found), 0);
  return lane.map((_, i) => (i === best ? 1 : 0));
});
