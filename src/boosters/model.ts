/**
 * Models of gradient boosting libraries as ONNX operators: one tree ensemble that gives the raw scores, and plain operators
 * that make of them what the library's predict gives.
 * @module
 */
import { SottoError } from "../errors.ts";
import type { GraphNode, GraphValue } from "../onnx/graph.ts";
import type { Model } from "../onnx/proto.ts";
import { attributesOf } from "../onnx/trees/attributes.ts";
import { ensembleOf, type Tree } from "../onnx/trees/ensemble.ts";
import { float32, type Tensor } from "../tensor/tensor.ts";

/**
 * What predict makes of raw scores. Classifications give `label` (the class's index) and `probabilities` (a column per class),
 * all others `variable` (a column per score).
 */
export type Link =
  | { readonly kind: "identity" | "exp" | "logistic" | "signedSquare" }
  | { readonly kind: "twoClasses"; readonly slope: number }
  | { readonly kind: "softmaxClasses" }
  | { readonly kind: "logisticClasses"; readonly slope: number };

/** Trees of a booster with everything that predict needs. */
export interface Booster {
  readonly trees: readonly Tree[];
  /** Columns that rows have. */
  readonly featureCount: number;
  /** Raw scores per row. */
  readonly outputCount: number;
  readonly baseValues: readonly number[];
  readonly link: Link;
}

const WHERE = "model";
// What all later stages take.
const OPSETS: ReadonlyMap<string, number> = new Map([
  ["", 17],
  ["ai.onnx.ml", 3],
]);

/** A booster as a model of ONNX operators with one input X of float32 rows. Throws BAD_MODEL. */
export function boosterModel(booster: Booster): Model {
  const { trees, featureCount, outputCount, baseValues, link } = booster;
  if (link.kind === "twoClasses" && outputCount !== 1) {
    fail(`expected one score for two classes, got ${outputCount}`);
  }
  if (!Number.isInteger(featureCount) || featureCount < 1) {
    fail(`expected a number of features, got ${featureCount}`);
  }
  const ensemble = ensembleOf(
    {
      trees,
      outputCount,
      aggregate: "SUM",
      baseValues,
      postTransform: "NONE",
      classification: null,
    },
    WHERE,
  );
  const graph = new Operators();
  graph.add("TreeEnsembleRegressor", ["X"], "scores", attributesOf(ensemble), "ai.onnx.ml");
  const outputs = finish(graph, link, outputCount);
  return {
    name: "booster",
    opset: OPSETS,
    inputs: [{ name: "X", dtype: "float32", shape: [null, featureCount] }],
    outputs,
    nodes: graph.nodes,
    initializers: graph.constants,
  };
}

function fail(message: string): never {
  throw new SottoError("BAD_MODEL", WHERE, message);
}

/** Nodes and constants that grow one by one. */
class Operators {
  readonly nodes: GraphNode[] = [];
  readonly constants = new Map<string, Tensor>();

  add(
    opType: string,
    inputs: readonly string[],
    output: string,
    attributes: GraphNode["attributes"] = {},
    domain = "",
  ): string {
    this.nodes.push({ name: output, opType, domain, inputs, outputs: [output], attributes });
    return output;
  }

  constant(name: string, value: Tensor): string {
    this.constants.set(name, value);
    return name;
  }
}

/** Adds what follows the raw scores, and gives the graph's outputs. */
function finish(graph: Operators, link: Link, outputCount: number): GraphValue[] {
  switch (link.kind) {
    case "identity":
      graph.add("Identity", ["scores"], "variable");
      return [variable(outputCount)];
    case "exp":
      graph.add("Exp", ["scores"], "variable");
      return [variable(outputCount)];
    case "logistic":
      graph.add("Sigmoid", ["scores"], "variable");
      return [variable(outputCount)];
    case "signedSquare":
      graph.add("Mul", ["scores", graph.add("Abs", ["scores"], "magnitude")], "variable");
      return [variable(outputCount)];
    case "twoClasses": {
      const second = graph.add("Sigmoid", [scaled(graph, link.slope)], "second");
      const first = graph.add("Sub", [graph.constant("one", float32([1], [1])), second], "first");
      graph.add("Concat", [first, second], "probabilities", { axis: 1 });
      break;
    }
    case "softmaxClasses":
      graph.add("Softmax", ["scores"], "probabilities", { axis: 1 });
      break;
    case "logisticClasses":
      graph.add("Sigmoid", [scaled(graph, link.slope)], "probabilities");
  }
  // Among several classes the largest score has the largest probability, and Softmax stays the last operator.
  const compared = link.kind === "softmaxClasses" ? "scores" : "probabilities";
  graph.add("ArgMax", [compared], "label", { axis: 1, keepdims: 0 });
  const classCount = link.kind === "twoClasses" ? 2 : outputCount;
  const classes = Array.from({ length: classCount }, (_, label) => label);
  return [
    { name: "label", dtype: "int64", shape: [null] },
    { name: "probabilities", dtype: "float32", shape: [null, classCount], classes },
  ];
}

function variable(outputCount: number): GraphValue {
  return { name: "variable", dtype: "float32", shape: [null, outputCount] };
}

function scaled(graph: Operators, slope: number): string {
  if (slope === 1) return "scores";
  const factor = graph.constant("slope", float32([1], [slope]));
  return graph.add("Mul", ["scores", factor], "scaled");
}
