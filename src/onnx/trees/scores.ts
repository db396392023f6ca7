/**
 * What ai.onnx.ml operators make of raw scores: post transforms, the second column of two classes, and labels. float32 scores
 * are computed in float32 with onnxruntime's formulas, since some of them lose digits that a better one would keep.
 * @module
 */
import { SottoError } from "../../errors.ts";
import { allocate, type Tensor } from "../../tensor/tensor.ts";

const postTransforms = ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"] as const;

/** A function of the scores of a row. */
export type PostTransform = (typeof postTransforms)[number];

type Scores = Float32Array | Float64Array;
type Round = (x: number) => number;

/** A post transform by its name, or by its number in TreeEnsemble. Throws BAD_MODEL. */
export function postTransformOf(stated: string | number, where: string): PostTransform {
  const found = postTransforms.find((name, i) => name === stated || i === stated);
  if (found) return found;
  const message = `post_transform ${stated}; expected one of ${postTransforms.join(", ")}`;
  throw new SottoError("BAD_MODEL", where, message);
}

function rounding(scores: Scores): Round {
  return scores instanceof Float32Array ? Math.fround : (x) => x;
}

/** 1 / (1 + exp(-x)), by the exponential of a negative number. */
export function logistic(x: number, round: Round): number {
  const high = round(1 / round(1 + round(Math.exp(-Math.abs(x)))));
  return x < 0 ? round(1 - high) : high;
}

/** The quantile function of the normal distribution, by Winitzki's approximation of the inverse error function. */
function probit(p: number, round: Round): number {
  const x = round(round(2 * p) - 1);
  const a = Math.fround(0.147);
  const log = round(Math.log(round(round(1 - x) * round(1 + x))));
  const first = round(round(2 / Math.fround(Math.PI * a)) + round(0.5 * log));
  const second = round(round(1 / a) * log);
  const root = round(
    Math.sqrt(round(-first + round(Math.sqrt(round(round(first * first) - second))))),
  );
  return round(Math.SQRT2 * (x < 0 ? -root : root));
}

/** Exponentials over their sum; with `keepsZeros`, scores of 0 stay next to 0. */
function softmax(scores: Scores, keepsZeros: boolean): void {
  const most = Math.max(...scores);
  let total = 0;
  const round = rounding(scores);
  for (const [i, score] of scores.entries()) {
    const isZero = keepsZeros && Math.abs(score) <= 1e-7;
    scores[i] = isZero ? score * Math.exp(-most) : Math.exp(round(score - most));
    if (!isZero) total = round(total + scores[i]);
  }
  for (const [i, score] of scores.entries()) scores[i] = score / total;
}

/** Applies a post transform to the scores of one row, in place. */
export function transformScores(scores: Scores, transform: PostTransform): void {
  const round = rounding(scores);
  switch (transform) {
    case "NONE":
      return;
    case "SOFTMAX":
    case "SOFTMAX_ZERO":
      softmax(scores, transform === "SOFTMAX_ZERO");
      return;
    case "LOGISTIC":
      for (const [i, score] of scores.entries()) scores[i] = logistic(score, round);
      return;
    case "PROBIT":
      for (const [i, score] of scores.entries()) scores[i] = probit(score, round);
  }
}

/** Calls a function with each row of a matrix of scores, as a view. */
export function mapRows(
  { dtype, shape: [rows, columns], data }: Tensor,
  width: number,
  replace: (from: Scores, to: Scores, row: number) => void,
): Tensor {
  const result = allocate(dtype, rows * width);
  for (let row = 0; row < rows; row++) {
    const from = data.subarray(row * columns, (row + 1) * columns);
    replace(from, result.subarray(row * width, (row + 1) * width), row);
  }
  return { dtype, shape: [rows, width], data: result };
}

/** The place of the first largest element. */
export function firstLargest(scores: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < scores.length; i++) if (scores[i] > scores[best]) best = i;
  return best;
}
