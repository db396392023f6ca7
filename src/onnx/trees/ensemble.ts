/**
 * TreeEnsemble: decision trees as an immutable value, whatever file they came from. Every stage reads trees in this form.
 * The nodes of a tree are in an order in which children come after their parents, so that following them always ends;
 * two branches may share a child.
 * @module
 */
import { SottoError } from "../../errors.ts";
import type { PostTransform } from "./scores.ts";

/** How a branch compares a feature with its threshold. */
export type Comparison = "<=" | "<" | ">=" | ">" | "==" | "!=";

/** A question to a row: is `row[feature] comparison threshold` true? */
export interface Branch {
  readonly kind: "branch";
  readonly feature: number;
  readonly threshold: number;
  readonly comparison: Comparison;
  /** Place in the tree of the node to go to when it is true. */
  readonly whenTrue: number;
  readonly whenFalse: number;
  /** Where a row goes whose feature is NaN. */
  readonly missingIsTrue: boolean;
}

/** What a leaf adds to one output. */
export interface LeafWeight {
  readonly output: number;
  readonly weight: number;
}

/** The end of a path. Outputs that it does not name get nothing from it. */
export interface Leaf {
  readonly kind: "leaf";
  readonly weights: readonly LeafWeight[];
}

export type TreeNode = Branch | Leaf;

/** A tree; its root is the first node. */
export interface Tree {
  readonly nodes: readonly TreeNode[];
}

/** How the weights of all trees become one score per output. */
export type Aggregate = "SUM" | "AVERAGE" | "MIN" | "MAX";

/** What turns scores into a class. */
export interface Classification {
  /** A label per class, in the order of the scores; codes of `Graph.strings` where the model's labels are strings. */
  readonly labels: readonly number[];
  /**
   * For two classes and one output, what that output is of the second class: its probability p, where the scores are
   * [1 - p, p] and it wins above 0.5, or a margin m, where they are [-m, m], the logistic of both if the post transform
   * says so, and it wins above 0. null where there is an output per class, of which the first largest wins.
   */
  readonly oneScore: "probability" | "margin" | null;
}

/** Trees whose leaves are added up, or taken the least or largest of. */
export interface TreeEnsemble {
  readonly trees: readonly Tree[];
  /** Number of features that a row must have at least. */
  readonly featureCount: number;
  /** Outputs of the leaves: targets of a regression; classes, or 1 for two classes, of a classification. */
  readonly outputCount: number;
  readonly aggregate: Aggregate;
  /** Added to the outputs after the aggregate: one number per output, or none at all. */
  readonly baseValues: readonly number[];
  readonly postTransform: PostTransform;
  /** null for a regression. */
  readonly classification: Classification | null;
}

/**
 * A tree from nodes under any keys, where children are keys too. Throws BAD_MODEL for a child that is not there and for a
 * cycle; nodes that nothing leads to are left out.
 */
export function treeOf(root: number, nodes: ReadonlyMap<number, TreeNode>, where: string): Tree {
  const order = finishingOrder(root, nodes, where).toReversed();
  const places = new Map(order.map((key, place) => [key, place]));
  const placeOf = (key: number): number => places.get(key) ?? 0;
  return {
    nodes: order.map((key) => {
      const node = nodeAt(key, nodes, where);
      if (node.kind === "leaf") return node;
      const { whenTrue, whenFalse } = node;
      return { ...node, whenTrue: placeOf(whenTrue), whenFalse: placeOf(whenFalse) };
    }),
  };
}

/** Keys in the order in which a depth-first walk leaves them. */
function finishingOrder(
  root: number,
  nodes: ReadonlyMap<number, TreeNode>,
  where: string,
): number[] {
  const finished: number[] = [];
  // A key is open from when its children are looked at until all of them are finished.
  const states = new Map<number, "open" | "finished">();
  const stack = [root];
  for (let key = stack.at(-1); key !== undefined; key = stack.at(-1)) {
    if (states.get(key) === undefined) {
      states.set(key, "open");
      const node = nodeAt(key, nodes, where);
      const children = node.kind === "leaf" ? [] : [node.whenTrue, node.whenFalse];
      for (const child of children) {
        if (states.get(child) === "open") {
          throw new SottoError("BAD_MODEL", where, `the tree has a cycle through node ${child}`);
        }
        if (states.get(child) === undefined) stack.push(child);
      }
    } else {
      stack.pop();
      if (states.get(key) === "open") finished.push(key);
      states.set(key, "finished");
    }
  }
  return finished;
}

function nodeAt(key: number, nodes: ReadonlyMap<number, TreeNode>, where: string): TreeNode {
  const node = nodes.get(key);
  if (!node) throw new SottoError("BAD_MODEL", where, `the tree has no node ${key}`);
  return node;
}

// Far above any model that can run encrypted; keeps a damaged file from asking for all the memory.
const mostOutputs = 2 ** 20;

/**
 * Completes an ensemble and checks it: features and outputs are places, leaves name existing outputs, base values and labels
 * fit. Throws BAD_MODEL.
 */
export function ensembleOf(parts: Omit<TreeEnsemble, "featureCount">, where: string): TreeEnsemble {
  const { trees, outputCount, baseValues, classification } = parts;
  const fail = (message: string): never => {
    throw new SottoError("BAD_MODEL", where, message);
  };
  const isPlace = (index: number): boolean => Number.isInteger(index) && index >= 0;
  if (!isPlace(outputCount) || outputCount === 0 || outputCount > mostOutputs) {
    fail(`expected 1 to ${mostOutputs} outputs, got ${outputCount}`);
  }
  if (trees.length === 0) fail("expected at least one tree, got none");
  let featureCount = 0;
  for (const node of trees.flatMap(({ nodes }) => nodes)) {
    if (node.kind === "branch") {
      if (!isPlace(node.feature)) fail(`expected a feature's index, got ${node.feature}`);
      featureCount = Math.max(featureCount, node.feature + 1);
    } else {
      const wrong = node.weights.find(({ output }) => !isPlace(output) || output >= outputCount);
      if (wrong) fail(`a leaf names output ${wrong.output}, expected 0 to ${outputCount - 1}`);
    }
  }
  if (baseValues.length > 0 && baseValues.length !== outputCount) {
    fail(`expected ${outputCount} base values, got ${baseValues.length}`);
  }
  const scores = classification?.oneScore ? 2 : outputCount;
  if (classification && classification.labels.length !== scores) {
    fail(`expected ${scores} class labels, got ${classification.labels.length}`);
  }
  return { ...parts, featureCount };
}
