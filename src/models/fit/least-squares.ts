/**
 * Least squares with and without penalties, with scikit-learn's objectives. Intercepts bear no penalty.
 * @module
 */
import { CholeskyDecomposition, Matrix, solve } from "ml-matrix";
import type { Table } from "./table.ts";

/** A linear function: a weight per feature. */
export interface Line {
  readonly weights: readonly number[];
  readonly intercept: number;
}

/** Columns and targets around their means, and those means. */
interface Centred {
  readonly x: Matrix;
  readonly y: Matrix;
  readonly means: readonly number[];
  readonly mean: number;
}

function centre({ rows, features, data }: Table, y: Float64Array): Centred {
  const matrix = Matrix.from1DArray(rows, features, data);
  const means = matrix.mean("column");
  const mean = y.reduce((sum, value) => sum + value, 0) / rows;
  const targets = Matrix.columnVector([...y].map((value) => value - mean));
  return { x: matrix.center("column", { center: means }), y: targets, means, mean };
}

function lineOf(weights: readonly number[], { means, mean }: Centred): Line {
  return { weights, intercept: weights.reduce((sum, w, i) => sum - w * means[i], mean) };
}

/** The least squares solution, the shortest one where there are several. */
export function leastSquares(table: Table, y: Float64Array): Line {
  const centred = centre(table, y);
  return lineOf(solve(centred.x, centred.y, true).to1DArray(), centred);
}

/** Minimizes `|y - X w|^2 + alpha |w|^2`. */
export function ridge(table: Table, y: Float64Array, alpha: number): Line {
  if (alpha === 0) return leastSquares(table, y);
  const centred = centre(table, y);
  const transposed = centred.x.transpose();
  const gram = transposed.mmul(centred.x).add(Matrix.eye(table.features).mul(alpha));
  const weights = new CholeskyDecomposition(gram).solve(transposed.mmul(centred.y));
  return lineOf(weights.to1DArray(), centred);
}

const MOST_SWEEPS = 10_000;

/**
 * Minimizes `|y - X w|^2 / 2n + alpha (share |w|_1 + (1 - share) |w|^2 / 2)` by coordinate descent, until no weight changes a
 * prediction by more than 1e-9 of the targets' size.
 */
export function elasticNet(table: Table, y: Float64Array, alpha: number, share: number): Line {
  const centred = centre(table, y);
  const { rows, features } = table;
  const columns = Array.from({ length: features }, (_, j) => centred.x.getColumn(j));
  const norms = columns.map((column) => dot(column, column));
  const residual = centred.y.to1DArray();
  const size = Math.sqrt(dot(residual, residual)) || 1;
  const weights = columns.map(() => 0);
  for (let sweep = 0; sweep < MOST_SWEEPS; sweep++) {
    let change = 0;
    for (const [j, column] of columns.entries()) {
      if (norms[j] === 0) continue;
      const towards = dot(column, residual) + norms[j] * weights[j];
      const kept = Math.max(Math.abs(towards) - alpha * share * rows, 0);
      const weight = (Math.sign(towards) * kept) / (norms[j] + alpha * (1 - share) * rows);
      const step = weight - weights[j];
      if (step === 0) continue;
      for (let i = 0; i < rows; i++) residual[i] -= step * column[i];
      weights[j] = weight;
      change = Math.max(change, Math.abs(step) * Math.sqrt(norms[j]));
    }
    if (change < 1e-9 * size) break;
  }
  return lineOf(weights, centred);
}

function dot(a: readonly number[], b: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
