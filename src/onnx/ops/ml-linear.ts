/**
 * Linear models and support vector machines of ai.onnx.ml. Where their definition is silent (labels, the second column of two
 * classes) they do what onnxruntime does.
 * @module
 */
import { SottoError } from "../../errors.ts";
import { add } from "../../tensor/elementwise.ts";
import { matmul } from "../../tensor/matmul.ts";
import { transpose } from "../../tensor/strided.ts";
import { cast, float32, int64, reshape, type Shape, type Tensor } from "../../tensor/tensor.ts";
import { firstLargest, mapRows, postTransformOf, transformScores } from "../trees/scores.ts";
import type { PostTransform } from "../trees/scores.ts";
import { defineOperator, int, optionalFloats, optionalInts, requiredFloats } from "./operator.ts";
import { string, stringCodes, type Operand, type Operator } from "./operator.ts";

/** `x W' + b` with W stored row by row, one row per output. */
interface LinearMap {
  readonly outputs: number;
  readonly coefficients: readonly number[];
  readonly intercepts: readonly number[] | undefined;
}

function fail(where: string, message: string): never {
  throw new SottoError("BAD_MODEL", where, message);
}

/** Shape of the rows that a map takes; a vector is one row. */
function rowsOf(
  shape: Shape,
  { outputs, coefficients, intercepts }: LinearMap,
  where: string,
): Shape {
  const [rows, features] = shape.length === 1 ? [1, shape[0]] : shape;
  if (
    shape.length < 1 ||
    shape.length > 2 ||
    outputs < 1 ||
    features * outputs !== coefficients.length
  ) {
    const expected = `expected ${coefficients.length / outputs} features for ${outputs} outputs`;
    throw new SottoError("BAD_SHAPE", where, `${expected}, got shape [${shape.join(", ")}]`);
  }
  if (intercepts && intercepts.length !== outputs) {
    fail(where, `expected ${outputs} intercepts, got ${intercepts.length}`);
  }
  return [rows, features];
}

function applyLinear(input: Tensor, map: LinearMap, where: string): Tensor {
  const x = input.dtype === "float64" ? input : cast(input, "float32");
  const rows = rowsOf(x.shape, map, where);
  const weights = float32([map.outputs, rows[1]], map.coefficients);
  const product = matmul(reshape(x, rows), transpose(weights));
  return map.intercepts ? add(product, float32([map.outputs], map.intercepts)) : product;
}

/** Labels of classes; codes stand for strings. */
function labelsOf(
  where: string,
  strings: readonly number[] | undefined,
  integers: readonly number[] | undefined,
): readonly number[] {
  return (strings?.length ? strings : integers) ?? fail(where, "it has no class labels");
}

/** Scores of several outputs after the post transform; a single one is only ever transformed by PROBIT. */
function finish(scores: Tensor, transform: PostTransform): Tensor {
  const [, width] = scores.shape;
  if (transform === "NONE" || (width === 1 && transform !== "PROBIT")) return scores;
  return mapRows(scores, width, (from, to) => {
    to.set(from);
    transformScores(to, transform);
  });
}

function winners(scores: Tensor, labelOf: (row: Float32Array | Float64Array) => number): Tensor {
  const [rows, width] = scores.shape;
  const labels = Float64Array.from({ length: rows }, (_, row) =>
    labelOf(scores.data.subarray(row * width, (row + 1) * width)),
  );
  return int64([rows], labels);
}

function refuseProbit(where: string, transform: PostTransform): void {
  if (transform !== "PROBIT") return;
  const message = "PROBIT of one score for two classes, which onnxruntime leaves undefined";
  throw new SottoError("UNSUPPORTED_OPERATOR", where, message);
}

/** A score per target. */
export const LinearRegressor: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 1,
  since: 1,
  attributes: {
    coefficients: requiredFloats(),
    intercepts: optionalFloats(),
    post_transform: string("NONE"),
    targets: int(1),
  },
  shape([x]: readonly [Operand], { targets, coefficients, intercepts, post_transform }) {
    postTransformOf(post_transform, "LinearRegressor");
    const map = { outputs: targets, coefficients, intercepts };
    return [[rowsOf(x.shape, map, "LinearRegressor")[0], targets]];
  },
  evaluate([x]: readonly [Tensor], { targets, coefficients, intercepts, post_transform }) {
    const map = { outputs: targets, coefficients, intercepts };
    const scores = applyLinear(x, map, "LinearRegressor");
    return [finish(scores, postTransformOf(post_transform, "LinearRegressor"))];
  },
});

const classifierLabels = {
  classlabels_ints: optionalInts(),
  classlabels_strings: stringCodes(),
};

const classifierAttributes = {
  ...classifierLabels,
  coefficients: requiredFloats(),
  intercepts: optionalFloats(),
  multi_class: int(0),
  post_transform: string("NONE"),
};

/** Label and score per class. One row of coefficients for two classes is the second one's score s, and [1 - s, s] are given. */
export const LinearClassifier: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 1,
  maxOutputs: 2,
  since: 1,
  attributes: classifierAttributes,
  shape([x]: readonly [Operand], attributes) {
    const { map, labels, transform } = linearClassifier(attributes);
    if (map.outputs === 1) refuseProbit("LinearClassifier", transform);
    const [rows] = rowsOf(x.shape, map, "LinearClassifier");
    return [[rows], [rows, labels.length]];
  },
  evaluate([x]: readonly [Tensor], attributes) {
    const { map, labels, transform } = linearClassifier(attributes);
    const scores = applyLinear(x, map, "LinearClassifier");
    if (map.outputs > 1) {
      return [winners(scores, (row) => labels[firstLargest(row)]), finish(scores, transform)];
    }
    const columns = mapRows(scores, 2, ([s], to) => to.set([1 - s, s]));
    return [winners(scores, ([s]) => labels[s > 0 ? 1 : 0]), columns];
  },
});

function linearClassifier(attributes: {
  readonly classlabels_ints: readonly number[] | undefined;
  readonly classlabels_strings: readonly number[] | undefined;
  readonly coefficients: readonly number[];
  readonly intercepts: readonly number[] | undefined;
  readonly post_transform: string;
}): { map: LinearMap; labels: readonly number[]; transform: PostTransform } {
  const where = "LinearClassifier";
  const { classlabels_strings: strings, classlabels_ints: integers } = attributes;
  const { coefficients, intercepts, post_transform } = attributes;
  const labels = labelsOf(where, strings, integers);
  const outputs = intercepts?.length ?? labels.length;
  if (outputs !== labels.length && !(outputs === 1 && labels.length === 2)) {
    fail(where, `expected an intercept per class, got ${outputs} for ${labels.length} labels`);
  }
  const transform = postTransformOf(post_transform, where);
  return { map: { outputs, coefficients, intercepts }, labels, transform };
}

const machineAttributes = {
  coefficients: requiredFloats(),
  kernel_params: optionalFloats(),
  kernel_type: string("LINEAR"),
  post_transform: string("NONE"),
  rho: requiredFloats(),
  support_vectors: optionalFloats(),
};

/** Refuses every kernel but the linear one. */
function requireLinear(where: string, kernel: string): void {
  if (kernel === "LINEAR") return;
  const message = `kernel ${kernel}; expected LINEAR: train with kernel="linear"`;
  throw new SottoError("UNSUPPORTED_OPERATOR", where, message);
}

/** Linear kernels: a support machine's function is itself linear, its coefficients are sums over support vectors. */
function weightsOf(
  where: string,
  supportVectors: readonly number[],
  factors: readonly number[],
): number[] {
  const features = supportVectors.length / factors.length;
  if (!Number.isInteger(features)) {
    fail(where, `${supportVectors.length} numbers are no ${factors.length} support vectors`);
  }
  const weights = new Float64Array(features);
  for (const [vector, factor] of factors.entries()) {
    for (let i = 0; i < features; i++) weights[i] += factor * supportVectors[vector * features + i];
  }
  return [...weights];
}

/** One score per row. */
export const SVMRegressor: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 1,
  since: 1,
  attributes: { ...machineAttributes, n_supports: int(0), one_class: int(0) },
  shape([x]: readonly [Operand], attributes) {
    requireLinear("SVMRegressor", attributes.kernel_type);
    return [[rowsOf(x.shape, machine(attributes), "SVMRegressor")[0], 1]];
  },
  evaluate([x]: readonly [Tensor], attributes) {
    const scores = applyLinear(x, machine(attributes), "SVMRegressor");
    if (!attributes.one_class) return [scores];
    return [mapRows(scores, 1, ([score], to) => to.set([score > 0 ? 1 : -1]))];
  },
});

function machine(attributes: {
  readonly coefficients: readonly number[];
  readonly n_supports: number;
  readonly rho: readonly number[];
  readonly support_vectors: readonly number[] | undefined;
}): LinearMap {
  const { coefficients, n_supports, rho, support_vectors = [] } = attributes;
  if (n_supports > 0 && coefficients.length !== n_supports) {
    fail("SVMRegressor", `expected ${n_supports} coefficients, got ${coefficients.length}`);
  }
  const weights =
    n_supports > 0 ? weightsOf("SVMRegressor", support_vectors, coefficients) : coefficients;
  return { outputs: 1, coefficients: weights, intercepts: rho.slice(0, 1) };
}

const svmClassifierAttributes = {
  ...machineAttributes,
  ...classifierLabels,
  prob_a: optionalFloats(),
  prob_b: optionalFloats(),
  vectors_per_class: optionalInts(),
};

/**
 * Label and scores. With support vectors there is a score per pair of classes (two columns for one pair), and the class that
 * wins most pairs wins; without them there is a score per class.
 */
export const SVMClassifier: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 1,
  maxOutputs: 2,
  since: 1,
  attributes: svmClassifierAttributes,
  shape([x]: readonly [Operand], attributes) {
    const { map, labels, isPairwise, transform } = svmClassifier(attributes);
    const [rows] = rowsOf(x.shape, map, "SVMClassifier");
    if (isPairwise && labels.length === 2) refuseProbit("SVMClassifier", transform);
    return [[rows], [rows, isPairwise ? Math.max(map.outputs, 2) : labels.length]];
  },
  evaluate([x]: readonly [Tensor], attributes) {
    const { map, labels, isPairwise, transform } = svmClassifier(attributes);
    const scores = applyLinear(x, map, "SVMClassifier");
    if (!isPairwise) {
      const labelOf = (row: Float32Array | Float64Array): number =>
        labels[perClassWinner(row, map.coefficients)];
      return [winners(scores, labelOf), finish(scores, transform)];
    }
    const label = winners(scores, (row) => labels[mostVotes(row, labels.length)]);
    if (map.outputs > 1) return [label, finish(scores, transform)];
    const first = transform === "NONE" ? 0 : 1;
    return [label, mapRows(scores, 2, ([s], to) => to.set([first - s, s]))];
  },
});

/** With two classes, onnxruntime lets the second one win whenever a score is large, whichever it is. */
function perClassWinner(
  scores: Float32Array | Float64Array,
  coefficients: readonly number[],
): number {
  const best = firstLargest(scores);
  const threshold = coefficients.every((coefficient) => coefficient >= 0) ? 0.5 : 0;
  const isLarge = threshold === 0 ? scores[best] > 0 : scores[best] >= threshold;
  return scores.length === 2 && isLarge ? 1 : best;
}

/** The class that wins most pairs, the first of several. Pairs are (0, 1), (0, 2), ..., (1, 2), ... */
function mostVotes(scores: Float32Array | Float64Array, classes: number): number {
  const votes = new Float64Array(classes);
  let pair = 0;
  for (let i = 0; i < classes; i++) {
    for (let j = i + 1; j < classes; j++) votes[scores[pair++] > 0 ? i : j]++;
  }
  return firstLargest(votes);
}

function svmClassifier(attributes: {
  readonly classlabels_ints: readonly number[] | undefined;
  readonly classlabels_strings: readonly number[] | undefined;
  readonly coefficients: readonly number[];
  readonly kernel_type: string;
  readonly post_transform: string;
  readonly prob_a: readonly number[] | undefined;
  readonly rho: readonly number[];
  readonly support_vectors: readonly number[] | undefined;
  readonly vectors_per_class: readonly number[] | undefined;
}): { map: LinearMap; labels: readonly number[]; isPairwise: boolean; transform: PostTransform } {
  const where = "SVMClassifier";
  requireLinear(where, attributes.kernel_type);
  if (attributes.prob_a?.length) {
    const message = "probabilities (prob_a); train with probability=False";
    throw new SottoError("UNSUPPORTED_OPERATOR", where, message);
  }
  const { classlabels_strings: strings, classlabels_ints: integers } = attributes;
  const labels = labelsOf(where, strings, integers);
  const transform = postTransformOf(attributes.post_transform, where);
  const { coefficients, rho, support_vectors = [], vectors_per_class: counts = [] } = attributes;
  if (counts.every((count) => count === 0)) {
    const intercepts = labels.map(() => rho[0] ?? fail(where, "rho is empty"));
    const map = { outputs: labels.length, coefficients, intercepts };
    return { map, labels, isPairwise: false, transform };
  }
  const vectors = counts.reduce((sum, count) => sum + count, 0);
  const pairs = (labels.length * (labels.length - 1)) / 2;
  const isWhole = counts.every((count) => count >= 0) && counts.length === labels.length;
  const isComplete = coefficients.length === (labels.length - 1) * vectors && rho.length === pairs;
  if (!isWhole || !isComplete || pairs === 0) {
    const sizes = `${coefficients.length} coefficients and ${rho.length} rho`;
    fail(where, `${sizes} do not fit ${labels.length} classes with [${counts.join(", ")}] vectors`);
  }
  const rows = pairFactors(counts, vectors, coefficients).map((factors) =>
    weightsOf(where, support_vectors, factors),
  );
  const map = { outputs: pairs, coefficients: rows.flat(), intercepts: rho };
  return { map, labels, isPairwise: true, transform };
}

/**
 * What each support vector contributes to each pair of classes. A vector of class c has a coefficient against every other
 * class: row k of the coefficients holds those against class k, or k + 1 from k = c on.
 */
function pairFactors(
  counts: readonly number[],
  vectors: number,
  coefficients: readonly number[],
): number[][] {
  const starts = counts.map((_, c) => counts.slice(0, c).reduce((sum, count) => sum + count, 0));
  return counts.flatMap((_, i) =>
    counts.slice(i + 1).map((_, offset) => {
      const j = i + 1 + offset;
      const factors = Array.from({ length: vectors }, () => 0);
      for (let v = starts[i]; v < starts[i] + counts[i]; v++) {
        factors[v] = coefficients[(j - 1) * vectors + v];
      }
      for (let v = starts[j]; v < starts[j] + counts[j]; v++) {
        factors[v] = coefficients[i * vectors + v];
      }
      return factors;
    }),
  );
}
