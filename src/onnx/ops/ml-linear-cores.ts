/**
 * Linear models in two: the linear map, which is computed encrypted, and what the client makes of its scores, which is the
 * same operator with a map that changes nothing.
 * @module
 */
import type { Core, GraphNode } from "../graph.ts";
import { linearModelOf } from "./ml-linear.ts";
import type { LinearMap } from "./ml-linear-maps.ts";

/** The two parts of a linear model's node, null for any other node. Throws BAD_MODEL. */
export function linearCore(node: GraphNode): Core | null {
  const model = linearModelOf(node);
  if (!model) return null;
  const { map, transform, classes, isOneClass, isPairwise } = model;
  const { attributes } = node;
  if (isOneClass) {
    return coreOf(node, map, { kernel_type: "LINEAR", one_class: 1, coefficients: [1], rho: [0] });
  }
  if (classes === 0) {
    return regressionCore(node, transform, (raw) => scoresOf(node, map, raw), map.outputs);
  }
  if (isPairwise) return coreOf(node, map, { ...attributes, ...eachPair(classes) });
  // Which class wins then depends on the signs of the coefficients, which the client does not have.
  if (node.opType === "SVMClassifier") return null;
  if (!isMirrored(map)) return coreOf(node, map, { ...attributes, ...unchanged(map.outputs) });
  const { coefficients, intercepts } = map;
  const features = coefficients.length / 2;
  const second = {
    outputs: 1,
    coefficients: coefficients.slice(features),
    intercepts: intercepts?.slice(1),
  };
  return coreOf(node, second, { ...attributes, coefficients: [-1, 1], intercepts: [0, 0] });
}

/** Two classes whose scores are each other's negatives need one score only. */
function isMirrored({ outputs, coefficients, intercepts = [0, 0] }: LinearMap): boolean {
  if (outputs !== 2 || coefficients.length % 2 !== 0) return false;
  const features = coefficients.length / 2;
  const mirrored = coefficients
    .slice(0, features)
    .every((c, i) => c === -coefficients[features + i]);
  return mirrored && intercepts[0] === -intercepts[1];
}

/** A node whose scores are what it gives. */
function whole(scores: GraphNode): Core {
  return { scores, width: null, finish: null };
}

function coreOf(node: GraphNode, map: LinearMap, attributes: GraphNode["attributes"]): Core {
  const raw = rawName(node);
  return {
    scores: scoresOf(node, map, raw),
    width: map.outputs,
    finish: { ...node, inputs: [raw], attributes },
  };
}

/** Name of the raw scores of a node. */
export function rawName({ outputs }: GraphNode): string {
  return `${outputs.find((name) => name !== "")}/scores`;
}

/** The linear map of a node as a regression of its scores. */
export function scoresOf(
  { name, inputs }: GraphNode,
  { outputs, coefficients, intercepts }: LinearMap,
  output: string,
): GraphNode {
  return {
    name,
    opType: "LinearRegressor",
    domain: "ai.onnx.ml",
    inputs: [inputs[0]],
    outputs: [output],
    attributes: {
      coefficients,
      intercepts: intercepts ?? Array.from({ length: outputs }, () => 0),
      targets: outputs,
    },
  };
}

/** Coefficients and intercepts that give scores as they are. */
function unchanged(outputs: number): { coefficients: number[]; intercepts: number[] } {
  const places = Array.from({ length: outputs }, (_, i) => i);
  return {
    coefficients: places.flatMap((i) => places.map((j) => (i === j ? 1 : 0))),
    intercepts: places.map(() => 0),
  };
}

/** A regression whose post transform the client computes from raw scores that `scores` makes under a name. */
export function regressionCore(
  node: GraphNode,
  transform: string,
  scores: (output: string) => GraphNode,
  outputs: number,
): Core {
  // Of a single score only PROBIT makes another.
  if (transform === "NONE" || (outputs === 1 && transform !== "PROBIT")) {
    return whole(scores(node.outputs[0]));
  }
  const raw = rawName(node);
  const attributes = { ...unchanged(outputs), targets: outputs, post_transform: transform };
  return {
    scores: scores(raw),
    width: outputs,
    finish: { ...node, opType: "LinearRegressor", inputs: [raw], attributes },
  };
}

/** What makes label and scores per class of raw scores: columns are sums of `coefficients` times them and `intercepts`. */
export function classesOf(
  node: GraphNode,
  labels: readonly number[],
  transform: string,
  columns: { readonly coefficients: readonly number[]; readonly intercepts: readonly number[] },
): GraphNode {
  const attributes = { ...columns, classlabels_ints: labels, post_transform: transform };
  return { ...node, opType: "LinearClassifier", inputs: [rawName(node)], attributes };
}

/** The same for a score per class. */
export function classPerScore(
  node: GraphNode,
  labels: readonly number[],
  transform: string,
): GraphNode {
  return classesOf(node, labels, transform, unchanged(labels.length));
}

/**
 * Support vectors that give the scores of all pairs of classes as they are: a unit vector per pair, of the pair's first
 * class, which counts against the second one only.
 */
function eachPair(classes: number): GraphNode["attributes"] {
  const pairs = Array.from({ length: classes }, (_, i) =>
    Array.from({ length: classes - 1 - i }, (__, offset) => i + 1 + offset),
  );
  const seconds = pairs.flat();
  const rows = Array.from({ length: classes - 1 }, (_, k) =>
    seconds.map((second) => (second - 1 === k ? 1 : 0)),
  );
  return {
    coefficients: rows.flat(),
    rho: seconds.map(() => 0),
    support_vectors: unchanged(seconds.length).coefficients,
    vectors_per_class: pairs.map((others) => others.length),
  };
}
