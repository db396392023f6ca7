/**
 * Logistic regression with a penalty on squares of weights, by Newton's method: scikit-learn's objective
 * `|w|^2 / 2 + c * sum of -log p(class of row)`.
 * @module
 */
import { Matrix, solve } from "ml-matrix";
import type { Line } from "./least-squares.ts";
import type { Table } from "./table.ts";

const MOST_STEPS = 100;
const MOST_HALVINGS = 30;

/** Weights of one class after the other, an intercept behind those of each. */
type Weights = Float64Array;

/** What Newton's method needs to know at some weights. */
interface Expansion {
  readonly gradient: Float64Array;
  readonly curvature: Matrix;
}

/**
 * A line per class whose scores are log probabilities but for a common term; of two classes one line, whose score is the log
 * odds of the second one. `places` are the rows' classes.
 */
export function logisticRegression(
  table: Table,
  places: Int32Array,
  classes: number,
  c: number,
): Line[] {
  const lines = classes === 2 ? 1 : classes;
  const width = table.features + 1;
  let weights: Weights = new Float64Array(lines * width);
  let loss = lossAt(table, places, weights, lines, c);
  for (let step = 0; step < MOST_STEPS; step++) {
    const { gradient, curvature } = expand(table, places, weights, lines, c);
    const direction = solve(curvature, Matrix.columnVector(gradient)).to1DArray();
    const descent = direction.reduce((sum, d, i) => sum + d * gradient[i], 0);
    if (descent < 1e-14 * (1 + loss)) break;
    const [next, lower] = shorten((size) => {
      const moved = weights.map((w, i) => w - size * direction[i]);
      return [moved, lossAt(table, places, moved, lines, c)];
    }, loss);
    if (!(lower < loss)) break;
    weights = next;
    loss = lower;
  }
  return Array.from({ length: lines }, (_, k) => ({
    weights: [...weights.subarray(k * width, (k + 1) * width - 1)],
    intercept: weights[(k + 1) * width - 1],
  }));
}

/** The first of 1, 1/2, 1/4, ... whose step makes the loss smaller. */
function shorten(at: (size: number) => [Weights, number], loss: number): [Weights, number] {
  let found = at(1);
  for (let i = 1; i < MOST_HALVINGS && !(found[1] < loss); i++) found = at(2 ** -i);
  return found;
}

/** Probabilities of the classes that have a line, of one row. */
function probabilitiesOf(
  table: Table,
  row: number,
  weights: Weights,
  lines: number,
): { readonly p: number[]; readonly logSum: number; readonly scores: number[] } {
  const { features, data } = table;
  const scores = Array.from({ length: lines }, (_, k) => {
    let sum = weights[k * (features + 1) + features];
    for (let j = 0; j < features; j++) {
      sum += weights[k * (features + 1) + j] * data[row * features + j];
    }
    return sum;
  });
  // Of two classes the first one has score 0.
  const all = lines === 1 ? [0, ...scores] : scores;
  const most = Math.max(...all);
  const logSum = most + Math.log(all.reduce((sum, score) => sum + Math.exp(score - most), 0));
  return { p: scores.map((score) => Math.exp(score - logSum)), logSum, scores };
}

function lossAt(
  table: Table,
  places: Int32Array,
  weights: Weights,
  lines: number,
  c: number,
): number {
  const width = table.features + 1;
  let loss = 0;
  for (const [i, w] of weights.entries()) if (i % width !== table.features) loss += (w * w) / 2;
  for (let row = 0; row < table.rows; row++) {
    const { logSum, scores } = probabilitiesOf(table, row, weights, lines);
    const own = lines === 1 ? places[row] * scores[0] : scores[places[row]];
    loss += c * (logSum - own);
  }
  return loss;
}

function expand(
  table: Table,
  places: Int32Array,
  weights: Weights,
  lines: number,
  c: number,
): Expansion {
  const { rows, features, data } = table;
  const width = features + 1;
  const size = lines * width;
  const gradient = new Float64Array(size);
  const curvature = new Float64Array(size * size);
  const x = new Float64Array(width).fill(1);
  for (let row = 0; row < rows; row++) {
    x.set(data.subarray(row * features, (row + 1) * features));
    const { p } = probabilitiesOf(table, row, weights, lines);
    for (let k = 0; k < lines; k++) {
      const isOwn = lines === 1 ? places[row] === 1 : places[row] === k;
      const excess = c * (p[k] - Number(isOwn));
      for (let j = 0; j < width; j++) gradient[k * width + j] += excess * x[j];
      for (let l = 0; l < lines; l++) {
        const factor = c * p[k] * (Number(k === l) - p[l]);
        for (let i = 0; i < width; i++) {
          const at = (k * width + i) * size + l * width;
          for (let j = 0; j < width; j++) curvature[at + j] += factor * x[i] * x[j];
        }
      }
    }
  }
  for (let i = 0; i < size; i++) {
    const isIntercept = i % width === features;
    if (!isIntercept) gradient[i] += weights[i];
    // Adding one number to all intercepts changes nothing: a little weight keeps the equations solvable.
    curvature[i * size + i] += isIntercept ? 1e-9 * (1 + curvature[i * size + i]) : 1;
  }
  return { gradient, curvature: Matrix.from1DArray(size, size, curvature) };
}
