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
import type { GraphNode } from "../graph.ts";
import {
  fail,
  linearClassifier,
  machine,
  requireLinear,
  svmClassifier,
  type LinearMap,
} from "./ml-linear-maps.ts";
import { decodeAttributes, defineOperator, int, optionalFloats, optionalInts } from "./operator.ts";
import { requiredFloats, string, stringCodes, type Operand, type Operator } from "./operator.ts";

const regressorAttributes = {
  coefficients: requiredFloats(),
  intercepts: optionalFloats(),
  post_transform: string("NONE"),
  targets: int(1),
};

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

const machineAttributes = {
  coefficients: requiredFloats(),
  kernel_params: optionalFloats(),
  kernel_type: string("LINEAR"),
  post_transform: string("NONE"),
  rho: requiredFloats(),
  support_vectors: optionalFloats(),
};

const svmRegressorAttributes = {
  ...machineAttributes,
  n_supports: int(0),
  one_class: int(0),
};

const svmClassifierAttributes = {
  ...machineAttributes,
  ...classifierLabels,
  prob_a: optionalFloats(),
  prob_b: optionalFloats(),
  vectors_per_class: optionalInts(),
};

/** What the node of a linear model states. */
export interface LinearModel {
  readonly map: LinearMap;
  readonly transform: PostTransform;
  /** How many classes it tells apart; 0 for a regression. */
  readonly classes: number;
  /** The score only says on which side of 0 a row is: 1 or -1. */
  readonly isOneClass: boolean;
  /** There is a score per pair of classes. */
  readonly isPairwise: boolean;
}

/** The linear model of a node, null if its operator is none. Throws BAD_MODEL. */
export function linearModelOf({ domain, opType, attributes, name }: GraphNode): LinearModel | null {
  if (domain !== "ai.onnx.ml") return null;
  const plain = { classes: 0, isOneClass: false, isPairwise: false };
  switch (opType) {
    case "LinearRegressor": {
      const decoded = decodeAttributes(regressorAttributes, attributes);
      const { targets: outputs, coefficients, intercepts } = decoded;
      const transform = postTransformOf(decoded.post_transform, name);
      return { ...plain, map: { outputs, coefficients, intercepts }, transform };
    }
    case "SVMRegressor": {
      const decoded = decodeAttributes(svmRegressorAttributes, attributes);
      const isOneClass = decoded.one_class !== 0;
      return { ...plain, map: machine(decoded), transform: "NONE", isOneClass };
    }
    case "LinearClassifier": {
      const decoded = decodeAttributes(classifierAttributes, attributes);
      const { map, labels, transform } = linearClassifier(decoded);
      return { ...plain, map, transform, classes: labels.length };
    }
    case "SVMClassifier": {
      const decoded = decodeAttributes(svmClassifierAttributes, attributes);
      const { map, labels, transform, isPairwise } = svmClassifier(decoded);
      return { ...plain, map, transform, classes: labels.length, isPairwise };
    }
    default:
      return null;
  }
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
  attributes: regressorAttributes,
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

/** One score per row. */
export const SVMRegressor: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 1,
  since: 1,
  attributes: svmRegressorAttributes,
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
