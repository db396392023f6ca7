/**
 * Random tree ensembles with rows of data, and the graph of an ensemble.
 * @module
 */
import type { Graph } from "../../src/onnx/graph.ts";
import { attributesOf } from "../../src/onnx/trees/attributes.ts";
import {
  type Aggregate,
  type Comparison,
  type Tree,
  type TreeEnsemble,
  type TreeNode,
  ensembleOf,
} from "../../src/onnx/trees/ensemble.ts";
import { type Tensor, float32 } from "../../src/tensor/tensor.ts";
import { randomNumbers } from "./random-models.ts";

/** Everything that decides a random ensemble. */
export interface EnsembleChoice {
  readonly seed: number;
  readonly trees: number;
  readonly depth: number;
  readonly features: number;
  readonly outputs: number;
  /** Probability that a node above the last level is an end; 0 gives complete trees. */
  readonly ends: number;
  /** Thresholds are drawn from so many numbers. */
  readonly thresholds: number;
  /** Leaves are shares of the outputs that add up to 1. */
  readonly isShare?: boolean;
}

const COMPARISONS: readonly Comparison[] = ["<=", "<", ">=", ">", "==", "!="];

/** An ensemble that follows from a choice. */
export function randomEnsemble(choice: EnsembleChoice): TreeEnsemble {
  const random = randomNumbers(choice.seed);
  const below = (n: number): number => Math.floor(random() * n);
  const treeOf = (): Tree => {
    const nodes: TreeNode[] = [];
    const add = (depth: number): number => {
      const place = nodes.length;
      if (depth === choice.depth || (depth > 0 && random() < choice.ends)) {
        nodes.push({ kind: "leaf", weights: weights() });
        return place;
      }
      nodes.push({ kind: "leaf", weights: [] });
      const comparison = random() < 0.8 ? "<=" : COMPARISONS[below(COMPARISONS.length)];
      const branch = {
        feature: below(choice.features),
        threshold: Math.fround(below(choice.thresholds) / 8 - choice.thresholds / 16),
        comparison,
        missingIsTrue: comparison === "!=" || random() < 0.3,
      };
      const whenTrue = add(depth + 1);
      nodes[place] = { kind: "branch", ...branch, whenTrue, whenFalse: add(depth + 1) };
      return place;
    };
    add(0);
    return { nodes };
  };
  const weights = (): { output: number; weight: number }[] => {
    const all = Array.from({ length: choice.outputs }, () => random() - (choice.isShare ? 0 : 0.5));
    const total = choice.isShare ? all.reduce((a, b) => a + b, 0) : 1;
    return all.map((weight, output) => ({ output, weight: Math.fround(weight / total) }));
  };
  const aggregate: Aggregate = random() < 0.5 ? "SUM" : "AVERAGE";
  return ensembleOf(
    {
      trees: Array.from({ length: choice.trees }, treeOf),
      outputCount: choice.outputs,
      aggregate,
      baseValues: random() < 0.5 ? [] : Array.from({ length: choice.outputs }, () => random()),
      postTransform: "NONE",
      classification: null,
    },
    "random",
  );
}

/** Rows on and around the thresholds of a random ensemble. */
export function randomRows({ seed, features, thresholds }: EnsembleChoice, rows: number): Tensor {
  const random = randomNumbers(seed ^ 0x5eed);
  return float32(
    [rows, features],
    Array.from(
      { length: rows * features },
      () => Math.floor(random() * (2 * thresholds + 4)) / 16 - thresholds / 16 - 1 / 8,
    ),
  );
}

/** A graph of one TreeEnsembleRegressor. */
export function graphOf(ensemble: TreeEnsemble, features: number): Graph {
  const { outputCount } = ensemble;
  return {
    name: "trees",
    opset: new Map([
      ["", 15],
      ["ai.onnx.ml", 3],
    ]),
    inputs: [{ name: "x", dtype: "float32", shape: [null, features] }],
    outputs: [{ name: "scores", dtype: "float32", shape: [null, outputCount] }],
    nodes: [
      {
        name: "trees",
        opType: "TreeEnsembleRegressor",
        domain: "ai.onnx.ml",
        inputs: ["x"],
        outputs: ["scores"],
        attributes: attributesOf(ensemble),
      },
    ],
    constants: new Map(),
    shapes: new Map([
      ["x", [1, features]],
      ["scores", [1, outputCount]],
    ]),
  };
}
