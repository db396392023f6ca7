/**
 * What nearest neighbours are found with: distances between rows and the largest or smallest elements along an axis.
 * @module
 */
import { SottoError } from "../../errors.ts";
import { transpose } from "../../tensor/strided.ts";
import { allocate, sizeOf, tensor, type Shape, type Tensor } from "../../tensor/tensor.ts";
import { known, missing, numbersFrom, wrapAxis } from "./operands.ts";
import { defineOperator, int, string, type Operand, type Operator } from "./operator.ts";

const METRICS = ["sqeuclidean", "euclidean"];

/** The distance of each row of the first input to each row of the second: com.microsoft.CDist. */
export const CDist: Operator = defineOperator({
  minInputs: 2,
  maxInputs: 2,
  since: 1,
  attributes: { metric: string("sqeuclidean") },
  shape([a, b]: readonly [Operand, Operand], { metric }) {
    if (!METRICS.includes(metric)) {
      const message = `metric ${metric}; expected one of ${METRICS.join(", ")}`;
      throw new SottoError("UNSUPPORTED_OPERATOR", "CDist", message);
    }
    const isFit = a.shape.length === 2 && b.shape.length === 2 && a.shape[1] === b.shape[1];
    if (isFit) return [[a.shape[0], b.shape[0]]];
    const got = `[${a.shape.join(", ")}] and [${b.shape.join(", ")}]`;
    throw new SottoError("BAD_SHAPE", "CDist", `expected rows of one width, got ${got}`);
  },
  evaluate([a, b]: readonly [Tensor, Tensor], { metric }) {
    const [rows, width] = a.shape;
    const [columns] = b.shape;
    const dtype = a.dtype === "float64" || b.dtype === "float64" ? "float64" : "float32";
    const data = allocate(dtype, rows * columns);
    for (let place = 0; place < data.length; place++) {
      const [i, j] = [Math.floor(place / columns) * width, (place % columns) * width];
      let sum = 0;
      for (let k = 0; k < width; k++) sum += (a.data[i + k] - b.data[j + k]) ** 2;
      data[place] = metric === "euclidean" ? Math.sqrt(sum) : sum;
    }
    return [{ dtype, shape: [rows, columns], data }];
  },
});

/**
 * The `k` largest (or smallest) elements along an axis and their indices, the first of equal ones first. Always sorted, which
 * ONNX leaves open where `sorted` is 0.
 */
export const TopK: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 2,
  maxOutputs: 2,
  since: 1,
  attributes: { axis: int(-1), k: int(undefined), largest: int(1), sorted: int(1) },
  shape([x, k]: readonly [Operand, Operand?], attributes) {
    const { axis, count } = resolveTopK(x.shape, k, attributes);
    const shape = x.shape.with(axis, count);
    return [shape, shape];
  },
  evaluate([x, k]: readonly [Tensor, Tensor?], attributes) {
    const { axis, count } = resolveTopK(x.shape, k && known(k), attributes);
    const order = [...x.shape.keys()].filter((other) => other !== axis);
    const lanes = transpose(x, [...order, axis]);
    const length = x.shape[axis];
    const shape = [...order.map((other) => x.shape[other]), count];
    const values = allocate(x.dtype, sizeOf(shape));
    const indices = new Float64Array(values.length);
    const sign = attributes.largest ? -1 : 1;
    for (let start = 0, to = 0; to < values.length; start += length, to += count) {
      const lane = lanes.data.subarray(start, start + length);
      const sorted = [...lane.keys()].sort((i, j) => sign * (lane[i] - lane[j]) || i - j);
      for (const [place, index] of sorted.slice(0, count).entries()) {
        values[to + place] = lane[index];
        indices[to + place] = index;
      }
    }
    const back = inverse([...order, axis]);
    return [
      transpose(tensor(x.dtype, shape, values), back),
      transpose(tensor("int64", shape, indices), back),
    ];
  },
});

function inverse(permutation: readonly number[]): number[] {
  return permutation.map((_, axis) => permutation.indexOf(axis));
}

function resolveTopK(
  shape: Shape,
  k: Operand | undefined,
  attributes: { readonly axis: number; readonly k: number | undefined },
): { axis: number; count: number } {
  const axis = wrapAxis("TopK", attributes.axis, shape.length);
  const stated = attributes.k === undefined ? undefined : [attributes.k];
  const [count = -1] = numbersFrom("TopK", "k", k, stated) ?? missing("TopK", "k");
  if (Number.isInteger(count) && count >= 0 && count <= shape[axis]) return { axis, count };
  throw new SottoError("BAD_SHAPE", "TopK", `expected k of 0 to ${shape[axis]}, got ${count}`);
}
