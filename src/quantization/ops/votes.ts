/**
 * Nearest neighbours on encrypted rows. Distances are sums over features of any function of one feature, so that with one-hot
 * codes they take no lookup, in the steps that are needed: up to the radius within which every point finds its neighbours.
 * The distance of the k-th neighbour is then found by bisection: a comparison per point and a count per bit. All points
 * as near as that vote, so that ties have a voice each.
 * @module
 */
import type { Target } from "../../circuit/builder.ts";
import { SottoError } from "../../errors.ts";
import { roundHalfEven } from "../../tensor/codes.ts";
import { type Tensor, int64 } from "../../tensor/tensor.ts";
import {
  type OperatorRule,
  type QuantizedOperation,
  accumulatorQuantizer,
  codeResult,
  prepareInput,
  requireVariable,
} from "../operation.ts";
import type { UniformQuantizer } from "../quantizer.ts";
import { unfused } from "./accumulator.ts";
import { repeatTo } from "./integers.ts";

/** Steps of distances, by the bits of weights: 8 for up to 3 bits, 16 for more. More of them change no prediction. */
const levelsOf = ({ weightBits }: QuantizedOperation): number => (weightBits <= 3 ? 8 : 16);

/** Sums that count are read by tables of about so many boxes. */
const MOST_COUNTED = 31;

/** Integers with the least and largest that can arrive. */
interface Ranged<V> {
  readonly value: V;
  readonly lo: number;
  readonly hi: number;
}

export const NeighbourVotes: OperatorRule = {
  ...unfused,
  hasSignedInputs: true,
  lower(target, op, operands) {
    const { name } = op.node;
    const input = prepareInput(target, op, requireVariable(op, operands[0], "the rows"));
    const [points, classOf, neighbours] = [1, 2, 3].map((i) =>
      constantOf(op, operands[i]?.constant?.values),
    );
    const k = neighbours.data[0];
    const levels = levelsOf(op);
    const distances = measureDistances(input.quantizer, points, k, levels);
    const { sizes, lowest, weights, farthest } = distances;
    const oneHot = target.emit({ kind: "oneHot", sizes, lowest }, [input.codes], name);
    const sums = target.emit({ kind: "matmul", weights }, [oneHot], name);
    const level =
      farthest < levels
        ? { value: sums, lo: 0, hi: farthest }
        : listed(target, name, { value: sums, lo: 0, hi: farthest }, (x) =>
            Math.min(x, levels - 1),
          );
    const threshold = bisect(target, name, level, { levels, k });
    const near = listed(target, name, less(target, name, level, threshold), (x) => Number(x <= 0));
    const classes = Number(op.node.attributes["classes"]);
    const [count] = points.shape;
    const votes = new Float64Array(count * classes);
    for (let i = 0; i < count; i++) votes[i * classes + classOf.data[i]] = 1;
    const codes = target.emit(
      { kind: "matmul", weights: int64([count, classes], votes) },
      [near.value],
      name,
    );
    const parameters = { scale: 1, zeroPoint: 0, offset: 0 };
    return codeResult(target, op, codes, accumulatorQuantizer(op, parameters));
  },
};

function constantOf({ node }: QuantizedOperation, values: Tensor | undefined): Tensor {
  if (values) return values;
  throw new SottoError("UNSUPPORTED_OPERATOR", node.name, "expected points that are constants");
}

/** The smallest level that k points reach, by its bits from the highest on. */
function bisect<V>(
  target: Target<V>,
  name: string,
  level: Ranged<V>,
  { levels, k }: { readonly levels: number; readonly k: number },
): Ranged<V> {
  let threshold: Ranged<V> | null = null;
  for (let half = levels / 2; half >= 1; half /= 2) {
    const rest: Ranged<V> = threshold ? less(target, name, level, threshold) : level;
    const below = listed(target, name, rest, (x) => Number(x < half));
    const bit = isFewer(target, name, below.value, { k, weight: half });
    threshold = threshold
      ? {
          ...bit,
          value: target.emit({ kind: "add" }, [threshold.value, bit.value], name),
          hi: threshold.hi + half,
        }
      : bit;
  }
  if (threshold === null) throw new Error("internal: distances have at least two levels");
  return threshold;
}

/** Every element less one other integer. */
function less<V>(target: Target<V>, name: string, x: Ranged<V>, y: Ranged<V>): Ranged<V> {
  const all = repeatTo(target, name, y.value, target.shapeOf(x.value));
  const value = target.emit({ kind: "sub" }, [x.value, all], name);
  return { value, lo: x.lo - y.hi, hi: x.hi - y.lo };
}

/** A function of integers, one lookup each. */
function listed<V>(
  target: Target<V>,
  name: string,
  { value, lo, hi }: Ranged<V>,
  f: (x: number) => number,
): Ranged<V> {
  const results = Array.from({ length: hi - lo + 1 }, (_, i) => f(lo + i));
  const step = {
    op: { kind: "list", first: lo, results: int64([results.length], results) },
    inputs: [-1],
  } as const;
  const encoding = { kind: "each", range: { lo, hi } } as const;
  const table = target.emit({ kind: "table", encoding, steps: [step] }, [value], name);
  return { value: table, lo: Math.min(...results), hi: Math.max(...results) };
}

/** `weight` where fewer than k of the answers are 1, else 0. Groups are counted up to k first, so that all tables stay small. */
function isFewer<V>(
  target: Target<V>,
  name: string,
  answers: V,
  { k, weight }: { readonly k: number; readonly weight: number },
): Ranged<V> {
  let counts: Ranged<V> = { value: answers, lo: 0, hi: 1 };
  for (;;) {
    const length = target.shapeOf(counts.value)[1];
    const size = Math.min(length, Math.max(2, Math.floor(MOST_COUNTED / counts.hi)));
    const groups = Math.ceil(length / size);
    const weights = new Float64Array(length * groups);
    for (let i = 0; i < length; i++) weights[i * groups + Math.floor(i / size)] = 1;
    const matrix = int64([length, groups], weights);
    const value = target.emit({ kind: "matmul", weights: matrix }, [counts.value], name);
    const sums = { value, lo: 0, hi: size * counts.hi };
    if (groups === 1) return listed(target, name, sums, (x) => (x < k ? weight : 0));
    counts = sums.hi <= k ? sums : listed(target, name, sums, (x) => Math.min(x, k));
  }
}

/** Distances of codes to points as sums over one-hot codes. */
interface Distances {
  readonly sizes: readonly number[];
  readonly lowest: number;
  /** [all codes of all features, points]. */
  readonly weights: Tensor<"int64">;
  readonly farthest: number;
}

/**
 * Squares of differences in steps of which `levels` - 1 reach the radius, that of the k nearest other points of any point. What
 * one feature adds ends there too: a point that is farther in a single feature is out of reach whatever the others say.
 */
function measureDistances(
  quantizer: UniformQuantizer,
  points: Tensor,
  k: number,
  levels: number,
): Distances {
  const { data } = quantizer.quant(points);
  const [count, features] = points.shape;
  const [lowest, highest] = quantizer.codeRange;
  const size = highest - lowest + 1;
  const radius = Math.max(radiusOf(data, count, features, k), 1);
  const step = radius / (levels - 1);
  const weights = new Float64Array(features * size * count);
  const farthest = new Float64Array(count);
  for (let feature = 0; feature < features; feature++) {
    for (let i = 0; i < count; i++) {
      let most = 0;
      for (let code = 0; code < size; code++) {
        const square = (lowest + code - data[i * features + feature]) ** 2;
        const steps = roundHalfEven(Math.min(square, radius) / step);
        weights[(feature * size + code) * count + i] = steps;
        most = Math.max(most, steps);
      }
      farthest[i] += most;
    }
  }
  return {
    sizes: Array.from({ length: features }, () => size),
    lowest,
    weights: int64([features * size, count], weights),
    farthest: Math.max(...farthest),
  };
}

/** The largest squared distance from a point to the k-th nearest other point. */
function radiusOf(codes: Float64Array, count: number, features: number, k: number): number {
  let radius = 0;
  for (let i = 0; i < count; i++) {
    const squares = new Float64Array(count);
    for (let j = 0; j < count; j++) {
      for (let f = 0; f < features; f++) {
        squares[j] += (codes[i * features + f] - codes[j * features + f]) ** 2;
      }
    }
    squares.sort();
    radius = Math.max(radius, squares[Math.min(k, count - 1)]);
  }
  return radius;
}
