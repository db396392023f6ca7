/**
 * XGBoost's own model files, JSON or UBJSON, of versions 1.0 to 3: `save_model`. All trees of the file count, as in
 * `Booster.predict`; the classes of XGBoost predict with the best iteration only, where training stopped early.
 * @module
 */
import { SottoError } from "../errors.ts";
import { Json } from "../files/json.ts";
import type { Model } from "../onnx/proto.ts";
import { treeOf, type Tree, type TreeNode } from "../onnx/trees/ensemble.ts";
import { boosterModel, type Link } from "./model.ts";
import { parseUbjson } from "./ubjson.ts";

const WHERE = "model";
const OPENING_BRACE = 0x7b;

/** How an objective's raw scores are read, and what its base score is before it is one of them. */
interface Objective {
  readonly link: Link;
  readonly toMargin: (baseScore: number) => number;
}

const identity = (x: number): number => x;
const logit = (p: number): number => -Math.log(1 / p - 1);
const regression: Objective = { link: { kind: "identity" }, toMargin: identity };
const logarithmic: Objective = { link: { kind: "exp" }, toMargin: Math.log };
const classes: Objective = { link: { kind: "softmaxClasses" }, toMargin: identity };

const OBJECTIVES: ReadonlyMap<string, Objective> = new Map([
  ["binary:logistic", { link: { kind: "twoClasses", slope: 1 }, toMargin: logit }],
  ["binary:logitraw", { link: { kind: "identity" }, toMargin: logit }],
  ["count:poisson", logarithmic],
  ["multi:softmax", classes],
  ["multi:softprob", classes],
  ["rank:map", regression],
  ["rank:ndcg", regression],
  ["rank:pairwise", regression],
  ["reg:absoluteerror", regression],
  ["reg:gamma", logarithmic],
  ["reg:linear", regression],
  ["reg:logistic", { link: { kind: "logistic" }, toMargin: logit }],
  ["reg:pseudohubererror", regression],
  ["reg:quantileerror", regression],
  ["reg:squarederror", regression],
  ["reg:squaredlogerror", regression],
  ["reg:tweedie", logarithmic],
]);

/** True for bytes that begin like a JSON or UBJSON object, which no other model file does. */
export function isXgboost(bytes: Uint8Array): boolean {
  return bytes[0] === OPENING_BRACE;
}

/**
 * Reads a file of `save_model` as a model of ONNX operators. Throws BAD_MODEL, and UNSUPPORTED_OPERATOR for linear boosters,
 * categorical splits, trees of several outputs and objectives that are not in the list.
 */
export function readXgboost(bytes: Uint8Array): Model {
  const learner = parse(bytes).get("learner");
  if (learner.isAbsent) {
    const message = "this JSON is no model of XGBoost; save it with Booster.save_model";
    throw new SottoError("BAD_MODEL", WHERE, message);
  }
  const objective = objectiveOf(learner);
  const parameters = learner.get("learner_model_param");
  const count = (name: string): number => numberOf(parameters.get(name), 0);
  const outputCount = Math.max(count("num_class"), count("num_target"), 1);
  const trees = readTrees(learner.get("gradient_booster"), outputCount);
  return boosterModel({
    trees,
    featureCount: count("num_feature"),
    outputCount,
    baseValues: baseScores(parameters, outputCount).map((base) => marginOf(base, objective)),
    link: objective.link,
  });
}

/** A probability of 0 or a mean below 0 has no margin. */
function marginOf(base: number, { toMargin }: Objective): number {
  const margin = Math.fround(toMargin(base));
  if (Number.isFinite(margin)) return margin;
  const message = `base_score ${base} is outside what the objective allows; train the model again`;
  throw new SottoError("BAD_MODEL", WHERE, message);
}

function parse(bytes: Uint8Array): Json {
  // After the brace JSON has a key or space; UBJSON has the letter of a length or of a type.
  const next = bytes.subarray(1, 64).find((byte) => byte > 0x20);
  const isText = next === 0x22 || next === 0x7d;
  if (!isText) return new Json(parseUbjson(bytes), WHERE);
  return Json.parse(new TextDecoder().decode(bytes), WHERE);
}

function objectiveOf(learner: Json): Objective {
  const name = learner.get("objective").get("name").string();
  const objective = OBJECTIVES.get(name);
  if (objective) return objective;
  const message = `objective ${name} of XGBoost; expected one of ${[...OBJECTIVES.keys()].join(", ")}`;
  throw new SottoError("UNSUPPORTED_OPERATOR", WHERE, message);
}

/** XGBoost writes its parameters as texts. */
function numberOf(value: Json, otherwise: number): number {
  if (value.isAbsent) return otherwise;
  const number = typeof value.value === "string" ? Number(value.value) : value.number();
  if (Number.isFinite(number)) return number;
  throw new SottoError("BAD_MODEL", value.where, `expected a number, got ${String(value.value)}`);
}

/** One number for all outputs or, since XGBoost 3, one for each as a list within a text. */
function baseScores(parameters: Json, outputCount: number): readonly number[] {
  const stated = parameters.get("base_score");
  const text = stated.isAbsent ? "0.5" : stated.string();
  const list = text.startsWith("[")
    ? Json.parse(text, stated.where).list()
    : [new Json(text, stated.where)];
  const scores = list.map((item) => numberOf(item, 0));
  if (scores.length !== 1) return scores;
  return Array.from({ length: Math.min(outputCount, MOST_OUTPUTS) }, () => scores[0]);
}

// Far above any model that can run encrypted; keeps a damaged file from asking for all the memory.
const MOST_OUTPUTS = 2 ** 20;

function readTrees(booster: Json, outputCount: number): Tree[] {
  const name = booster.get("name").string();
  if (name !== "gbtree" && name !== "dart") {
    const message = `booster ${name} of XGBoost; expected gbtree or dart`;
    throw new SottoError("UNSUPPORTED_OPERATOR", WHERE, message);
  }
  const model = (name === "dart" ? booster.get("gbtree") : booster).get("model");
  const outputs = model.get("tree_info").list();
  const factors = name === "dart" ? booster.get("weight_drop").list() : [];
  return model
    .get("trees")
    .list()
    .map((tree, i) => {
      const output = outputs[i]?.integer() ?? outputCount;
      return readTree(tree, output, factors[i]?.number() ?? 1);
    });
}

/** Rows below a threshold go left; where a feature is missing, the way is stated. */
function readTree(tree: Json, output: number, factor: number): Tree {
  const numbers = (name: string): readonly number[] =>
    tree
      .get(name)
      .list()
      .map((item) => (typeof item.value === "boolean" ? Number(item.value) : item.number()));
  const outputs = tree.get("tree_param").get("size_leaf_vector");
  const kinds = tree.get("split_type").isAbsent ? [] : numbers("split_type");
  if (numberOf(outputs, 0) > 1) refuse("trees of several outputs", tree.where);
  if (kinds.some((kind) => kind !== 0)) refuse("categorical splits", tree.where);
  const [left, right] = [numbers("left_children"), numbers("right_children")];
  const [features, values] = [numbers("split_indices"), numbers("split_conditions")];
  const defaultLeft = numbers("default_left");
  const lists = [right, features, values, defaultLeft];
  if (lists.some(({ length }) => length !== left.length)) {
    throw new SottoError("BAD_MODEL", tree.where, "lists of nodes differ in length");
  }
  const nodes = left.map((child, i): [number, TreeNode] => {
    const value = Math.fround(values[i]);
    if (child === -1) {
      return [i, { kind: "leaf", weights: [{ output, weight: Math.fround(value * factor) }] }];
    }
    return [
      i,
      {
        kind: "branch",
        feature: features[i],
        threshold: value,
        comparison: "<",
        whenTrue: child,
        whenFalse: right[i],
        missingIsTrue: defaultLeft[i] === 1,
      },
    ];
  });
  return treeOf(0, new Map(nodes), tree.where);
}

function refuse(what: string, where: string): never {
  const message = `${what} of XGBoost; train with numbers only and one output per tree`;
  throw new SottoError("UNSUPPORTED_OPERATOR", where, message);
}
