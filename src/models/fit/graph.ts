/**
 * Fitted lines as the graph that an exporter would have written.
 * @module
 */
import type { Graph, GraphNode, GraphValue } from "../../onnx/graph.ts";
import type { Label } from "../description.ts";
import type { Line } from "./least-squares.ts";

const INPUT = "x";

/** A regression. */
export function regressionGraph(line: Line): Graph {
  const output: GraphValue = { name: "variable", dtype: "float32", shape: [null, 1] };
  const attributes = { coefficients: line.weights, intercepts: [line.intercept], targets: 1 };
  return graphOf(line.weights.length, "LinearRegressor", attributes, [output]);
}

/** A classification; of two classes with one line, the log odds of the second one. */
export function classificationGraph(lines: readonly Line[], classes: readonly Label[]): Graph {
  const isText = typeof classes[0] === "string";
  const strings = classes.map(String);
  const [first] = lines;
  const both = lines.length === 1 ? [negated(first), first] : lines;
  const labels = classes.map((label, place) => (isText ? place : Number(label)));
  const attributes = {
    coefficients: both.flatMap(({ weights }) => weights),
    intercepts: both.map(({ intercept }) => intercept),
    [isText ? "classlabels_strings" : "classlabels_ints"]: labels,
    post_transform: lines.length === 1 ? "LOGISTIC" : "SOFTMAX",
  };
  const outputs: GraphValue[] = [
    { name: "label", dtype: "int64", shape: [null], ...(isText ? { strings } : {}) },
    { name: "probabilities", dtype: "float32", shape: [null, classes.length], classes },
  ];
  return graphOf(first.weights.length, "LinearClassifier", attributes, outputs);
}

function negated({ weights, intercept }: Line): Line {
  return { weights: weights.map((w) => -w), intercept: -intercept };
}

function graphOf(
  features: number,
  opType: string,
  attributes: GraphNode["attributes"],
  outputs: readonly GraphValue[],
): Graph {
  const names = outputs.map(({ name }) => name);
  const shapeOf = ({ shape }: GraphValue): number[] => [1, ...shape.slice(1).map(Number)];
  return {
    name: "fitted",
    opset: new Map([["ai.onnx.ml", 1]]),
    inputs: [{ name: INPUT, dtype: "float32", shape: [null, features] }],
    outputs,
    nodes: [
      { name: "model", opType, domain: "ai.onnx.ml", inputs: [INPUT], outputs: names, attributes },
    ],
    constants: new Map(),
    shapes: new Map([
      [INPUT, [1, features]],
      ...outputs.map((output): [string, number[]] => [output.name, shapeOf(output)]),
    ]),
  };
}
