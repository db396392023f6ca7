/**
 * LightGBM's own model files, the text of `save_model`: lines of `name=value`, a block per tree. Thresholds and leaves are
 * float64 there and float32 here: a threshold becomes the largest float32 below it, which no float32 feature can tell from it.
 * @module
 */
import { SottoError } from "../errors.ts";
import type { Model } from "../onnx/proto.ts";
import { treeOf, type Tree, type TreeNode } from "../onnx/trees/ensemble.ts";
import { boosterModel, type Link } from "./model.ts";

const WHERE = "model";
const FIRST_LINE = "tree";

/** Magnitude up to which LightGBM calls a number zero. */
const ZERO = Math.fround(1e-35);

type Fields = ReadonlyMap<string, string>;

/** True for bytes that begin with the line that every text model of LightGBM begins with. */
export function isLightgbm(bytes: Uint8Array): boolean {
  return /^tree\r?\n/.test(new TextDecoder().decode(bytes.subarray(0, FIRST_LINE.length + 2)));
}

/**
 * Reads a file of `save_model` as a model of ONNX operators. Throws BAD_MODEL, and UNSUPPORTED_OPERATOR for categorical
 * splits, linear trees and objectives that it does not know.
 */
export function readLightgbm(bytes: Uint8Array): Model {
  const [header, ...blocks] = blocksOf(new TextDecoder().decode(bytes));
  const outputCount = integerOf(header, "num_tree_per_iteration");
  if (outputCount < 1 || blocks.length % outputCount !== 0) {
    const message = `${blocks.length} trees are no iterations of ${outputCount}`;
    throw new SottoError("BAD_MODEL", WHERE, message);
  }
  // A random forest gives the average of its iterations.
  const share = header.has("average_output") ? outputCount / blocks.length : 1;
  return boosterModel({
    trees: blocks.map((block, i) => readTree(block, i % outputCount, share, `tree ${i}`)),
    featureCount: integerOf(header, "max_feature_idx") + 1,
    outputCount,
    baseValues: [],
    link: linkOf(header.get("objective") ?? "regression"),
  });
}

/** The fields before the first tree, and those of each tree. */
function blocksOf(text: string): Map<string, string>[] {
  const blocks = [new Map<string, string>()];
  for (const line of text.split(/\r?\n/)) {
    if (line === "end of trees") return blocks;
    const [name, ...value] = line.split("=");
    if (name === "Tree") blocks.push(new Map());
    else if (name !== "") blocks[blocks.length - 1].set(name, value.join("="));
  }
  const message = "the file ends before its trees do; save the model again";
  throw new SottoError("BAD_MODEL", WHERE, message);
}

function fieldOf(fields: Fields, name: string): string {
  const value = fields.get(name);
  if (value !== undefined) return value;
  throw new SottoError("BAD_MODEL", WHERE, `the line ${name}= is missing`);
}

function integerOf(fields: Fields, name: string): number {
  const [number] = numbersOf(fields, name);
  if (Number.isInteger(number)) return number;
  throw new SottoError("BAD_MODEL", WHERE, `${name}: expected a whole number, got ${number}`);
}

function numbersOf(fields: Fields, name: string): number[] {
  const items = fieldOf(fields, name)
    .split(" ")
    .filter((item) => item !== "");
  const numbers = items.map((item) => Number(item.replace(/inf$/, "Infinity")));
  const wrong = numbers.findIndex((number) => Number.isNaN(number));
  if (wrong < 0) return numbers;
  throw new SottoError("BAD_MODEL", WHERE, `${name}: expected numbers, got ${items[wrong]}`);
}

/** What predict does with raw scores. The line is the objective's name and its parameters, `name:value`. */
function linkOf(objective: string): Link {
  const [name, ...parameters] = objective.split(" ");
  const sigmoid = parameters.find((parameter) => parameter.startsWith("sigmoid:"));
  const slope = sigmoid ? Number(sigmoid.slice("sigmoid:".length)) : 1;
  switch (name) {
    case "binary":
      return { kind: "twoClasses", slope };
    case "multiclass":
      return { kind: "softmaxClasses" };
    case "multiclassova":
      return { kind: "logisticClasses", slope };
    case "poisson":
    case "gamma":
    case "tweedie":
      return { kind: "exp" };
    case "cross_entropy":
      return { kind: "logistic" };
    case "regression":
      return { kind: parameters.includes("sqrt") ? "signedSquare" : "identity" };
    case "regression_l1":
    case "huber":
    case "fair":
    case "quantile":
    case "mape":
    case "lambdarank":
    case "rank_xendcg":
      return { kind: "identity" };
    default:
      throw new SottoError("UNSUPPORTED_OPERATOR", WHERE, `objective ${name} of LightGBM`);
  }
}

/** Branches have keys from 0 on, leaf i the key ~i as in the file, and what a branch needs further keys beyond the rest. */
function readTree(fields: Fields, output: number, share: number, where: string): Tree {
  if (Number(fields.get("num_cat") ?? 0) > 0) refuse("categorical splits", where);
  if (Number(fields.get("is_linear") ?? 0) > 0) refuse("linear trees", where);
  const nodes = new Map<number, TreeNode>();
  for (const [i, value] of numbersOf(fields, "leaf_value").entries()) {
    nodes.set(~i, { kind: "leaf", weights: [{ output, weight: Math.fround(value * share) }] });
  }
  if (integerOf(fields, "num_leaves") === 1) return treeOf(~0, nodes, where);
  const features = numbersOf(fields, "split_feature");
  const thresholds = numbersOf(fields, "threshold");
  const kinds = numbersOf(fields, "decision_type");
  const lefts = numbersOf(fields, "left_child");
  const rights = numbersOf(fields, "right_child");
  const count = features.length;
  if ([thresholds, kinds, lefts, rights].some(({ length }) => length !== count)) {
    throw new SottoError("BAD_MODEL", where, "lists of branches differ in length");
  }
  for (const [i, feature] of features.entries()) {
    const split = {
      feature,
      threshold: downToFloat32(thresholds[i]),
      kind: kinds[i],
      left: lefts[i],
      right: rights[i],
    };
    addSplit(nodes, i, split, count + 2 * i);
  }
  return treeOf(0, nodes, where);
}

function refuse(what: string, where: string): never {
  const message = `${what} of LightGBM; train with plain numeric splits`;
  throw new SottoError("UNSUPPORTED_OPERATOR", where, message);
}

/** A split as in the file; `kind` has a bit for categories, one for the default side and two for what is missing. */
interface Split {
  readonly feature: number;
  readonly threshold: number;
  readonly kind: number;
  readonly left: number;
  readonly right: number;
}

/**
 * A row goes left up to the threshold. What is missing goes to the default side: nothing, zeros (then NaN is a zero) or NaN.
 * Zeros that the threshold would send elsewhere take two more branches, whose keys are `spare` and the next.
 */
function addSplit(nodes: Map<number, TreeNode>, key: number, split: Split, spare: number): void {
  const { feature, threshold, kind, left, right } = split;
  const isDefaultLeft = (kind & 2) !== 0;
  const missing = (kind >> 2) & 3;
  const zeroGoesLeft = threshold >= 0;
  const missingIsTrue = missing === 0 ? zeroGoesLeft : isDefaultLeft;
  const branch = { kind: "branch", feature, missingIsTrue } as const;
  const compare = { ...branch, threshold, comparison: "<=" } as const;
  const hasOwnWay = isDefaultLeft ? threshold < ZERO : threshold >= -ZERO;
  if (missing !== 1 || !hasOwnWay) {
    nodes.set(key, { ...compare, whenTrue: left, whenFalse: right });
    return;
  }
  const [first, usual] = isDefaultLeft ? [left, right] : [right, left];
  nodes.set(key, {
    ...compare,
    whenTrue: isDefaultLeft ? left : spare,
    whenFalse: isDefaultLeft ? spare : right,
  });
  const inside = { ...branch, threshold: ZERO, comparison: "<=" } as const;
  nodes.set(spare, { ...inside, whenTrue: spare + 1, whenFalse: usual });
  const above = { ...branch, threshold: -ZERO, comparison: ">=" } as const;
  nodes.set(spare + 1, { ...above, whenTrue: first, whenFalse: usual });
}

/** The largest float32 that is not above a number. */
function downToFloat32(value: number): number {
  const nearest = Math.fround(value);
  if (!(nearest > value)) return nearest;
  const cells = new Float32Array([nearest]);
  const bits = new Int32Array(cells.buffer);
  // The next pattern towards zero is the next smaller magnitude; below zero magnitudes grow.
  if (nearest === 0) bits[0] = -0x7fffffff;
  else bits[0] += nearest > 0 ? -1 : 1;
  return cells[0];
}
