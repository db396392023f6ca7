/**
 * Float evaluation of a tree ensemble: float32 rows add up in float32, tree by tree, as onnxruntime and XGBoost do.
 * @module
 */
import { SottoError } from "../../errors.ts";
import { allocate, int64, type Tensor } from "../../tensor/tensor.ts";
import type { Branch, Leaf, Tree, TreeEnsemble } from "./ensemble.ts";
import { firstLargest, logistic, mapRows, transformScores } from "./scores.ts";

type Numbers = Float32Array | Float64Array;

/** The leaf that a row of features reaches. */
export function leafOf({ nodes }: Tree, row: ArrayLike<number>): Leaf {
  let node = nodes[0];
  while (node.kind === "branch") {
    node = nodes[isTrue(node, row[node.feature]) ? node.whenTrue : node.whenFalse];
  }
  return node;
}

function isTrue({ comparison, threshold, missingIsTrue }: Branch, value: number): boolean {
  if (Number.isNaN(value)) return missingIsTrue;
  switch (comparison) {
    case "<=":
      return value <= threshold;
    case "<":
      return value < threshold;
    case ">=":
      return value >= threshold;
    case ">":
      return value > threshold;
    case "==":
      return value === threshold;
    case "!=":
      return value !== threshold;
    default:
      throw new Error("internal: a comparison that does not exist");
  }
}

/** The aggregate of all trees with the base values, before any post transform: a row per row of x, a column per output. */
export function rawScores(ensemble: TreeEnsemble, x: Tensor): Tensor {
  const { trees, featureCount, outputCount, aggregate, baseValues } = ensemble;
  const [rows, features] = x.shape;
  if (x.shape.length !== 2 || features < featureCount) {
    const expected = `expected rows of at least ${featureCount} features`;
    const got = `got shape [${x.shape.join(", ")}]`;
    throw new SottoError("BAD_SHAPE", "TreeEnsemble", `${expected}, ${got}`);
  }
  const dtype = x.dtype === "float64" ? "float64" : "float32";
  const data = allocate(dtype, rows * outputCount);
  const isSum = aggregate === "SUM" || aggregate === "AVERAGE";
  for (let row = 0; row < rows; row++) {
    const values = x.data.subarray(row * features, (row + 1) * features);
    const scores = data.subarray(row * outputCount, (row + 1) * outputCount);
    if (isSum) addLeaves(trees, values, scores);
    else takeExtremes(trees, values, scores, aggregate);
    const divisor = aggregate === "AVERAGE" ? trees.length : 1;
    for (const [i, score] of scores.entries()) scores[i] = score / divisor;
    for (const [i, base] of baseValues.entries()) scores[i] += base;
  }
  return { dtype, shape: [rows, outputCount], data };
}

function addLeaves(trees: readonly Tree[], values: Numbers, scores: Numbers): void {
  for (const tree of trees) {
    for (const { output, weight } of leafOf(tree, values).weights) scores[output] += weight;
  }
}

/** The least or largest weight of each output; 0 where no leaf names it. */
function takeExtremes(
  trees: readonly Tree[],
  values: Numbers,
  scores: Numbers,
  aggregate: "MIN" | "MAX",
): void {
  const found = new Set<number>();
  for (const tree of trees) {
    for (const { output, weight } of leafOf(tree, values).weights) {
      const isBetter = aggregate === "MIN" ? weight < scores[output] : weight > scores[output];
      if (isBetter || !found.has(output)) scores[output] = weight;
      found.add(output);
    }
  }
}

/** The scores that the model gives out: raw scores after the post transform; a column per target or class. */
export function evaluateEnsemble(ensemble: TreeEnsemble, x: Tensor): Tensor {
  return finishScores(ensemble, rawScores(ensemble, x));
}

/** The same from raw scores. */
export function finishScores(ensemble: TreeEnsemble, raw: Tensor): Tensor {
  const { postTransform, classification, outputCount } = ensemble;
  const round = raw.dtype === "float32" ? Math.fround : (x: number) => x;
  if (classification?.oneScore === "probability") {
    return mapRows(raw, 2, ([p], to) => to.set([1 - p, p]));
  }
  if (classification?.oneScore === "margin") {
    const finish = postTransform === "LOGISTIC" ? logistic : (x: number) => x;
    return mapRows(raw, 2, ([m], to) => to.set([finish(-m, round), finish(m, round)]));
  }
  return mapRows(raw, outputCount, (from, to) => {
    to.set(from);
    // A single score is only ever transformed by PROBIT.
    if (outputCount > 1 || postTransform === "PROBIT") transformScores(to, postTransform);
  });
}

/** The label of the class that wins in each row, from raw scores. Codes stand for strings. */
export function labelsFrom({ classification }: TreeEnsemble, raw: Tensor): Tensor<"int64"> {
  if (!classification) throw new Error("internal: a regression has no labels");
  const { labels, oneScore } = classification;
  const [rows, columns] = raw.shape;
  const winners = Float64Array.from({ length: rows }, (_, row) => {
    const scores = raw.data.subarray(row * columns, (row + 1) * columns);
    if (oneScore === null) return labels[firstLargest(scores)];
    return labels[scores[0] > (oneScore === "margin" ? 0 : 0.5) ? 1 : 0];
  });
  return int64([rows], winners);
}
