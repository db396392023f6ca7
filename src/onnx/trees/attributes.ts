/**
 * Tree ensembles as the attributes of the three ONNX operators: parallel lists, one entry per node and one per weight.
 * @module
 */
import { SottoError } from "../../errors.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { ensembleOf, treeOf, type Aggregate, type Classification } from "./ensemble.ts";
import type { Comparison, LeafWeight, TreeEnsemble, TreeNode } from "./ensemble.ts";
import { postTransformOf } from "./scores.ts";

/** Lists with an entry per node, as the operators up to ai.onnx.ml 4 state them. */
export interface NodeAttributes {
  readonly base_values: readonly number[] | undefined;
  readonly base_values_as_tensor: Tensor | undefined;
  readonly nodes_falsenodeids: readonly number[] | undefined;
  readonly nodes_featureids: readonly number[] | undefined;
  readonly nodes_missing_value_tracks_true: readonly number[] | undefined;
  readonly nodes_modes: readonly string[] | undefined;
  readonly nodes_nodeids: readonly number[] | undefined;
  readonly nodes_treeids: readonly number[] | undefined;
  readonly nodes_truenodeids: readonly number[] | undefined;
  readonly nodes_values: readonly number[] | undefined;
  readonly nodes_values_as_tensor: Tensor | undefined;
  readonly post_transform: string;
}

/** Attributes of TreeEnsembleClassifier. */
export interface ClassifierAttributes extends NodeAttributes {
  readonly class_ids: readonly number[] | undefined;
  readonly class_nodeids: readonly number[] | undefined;
  readonly class_treeids: readonly number[] | undefined;
  readonly class_weights: readonly number[] | undefined;
  readonly class_weights_as_tensor: Tensor | undefined;
  readonly classlabels_int64s: readonly number[] | undefined;
  readonly classlabels_strings: readonly number[] | undefined;
}

/** Attributes of TreeEnsembleRegressor. */
export interface RegressorAttributes extends NodeAttributes {
  readonly aggregate_function: string;
  readonly n_targets: number;
  readonly target_ids: readonly number[] | undefined;
  readonly target_nodeids: readonly number[] | undefined;
  readonly target_treeids: readonly number[] | undefined;
  readonly target_weights: readonly number[] | undefined;
  readonly target_weights_as_tensor: Tensor | undefined;
}

/** Comparisons by the names of branches. */
export const comparisons: ReadonlyMap<string, Comparison> = new Map([
  ["BRANCH_LEQ", "<="],
  ["BRANCH_LT", "<"],
  ["BRANCH_GTE", ">="],
  ["BRANCH_GT", ">"],
  ["BRANCH_EQ", "=="],
  ["BRANCH_NEQ", "!="],
]);

/** Aggregates in the order of their numbers in TreeEnsemble. */
export const aggregates: readonly Aggregate[] = ["AVERAGE", "SUM", "MIN", "MAX"];

/** The weights of leaves: four lists of one length. */
interface WeightLists {
  readonly treeIds: readonly number[];
  readonly nodeIds: readonly number[];
  readonly outputs: readonly number[];
  readonly weights: readonly number[];
}

/** A list that is an attribute of its own or, for double precision, a tensor. */
export function listOf(
  list: readonly number[] | undefined,
  asTensor: Tensor | undefined,
): readonly number[] {
  return list ?? (asTensor ? [...asTensor.data] : []);
}

/** The lists, if all have one length. */
function sameLength<T extends Readonly<Record<string, readonly unknown[]>>>(
  lists: T,
  where: string,
): T {
  const lengths = new Set(Object.values(lists).map(({ length }) => length));
  if (lengths.size === 1) return lists;
  const got = Object.entries(lists).map(([name, { length }]) => `${name} ${length}`);
  throw new SottoError("BAD_MODEL", where, `lists differ in length: ${got.join(", ")}`);
}

/** The ensemble of a TreeEnsembleRegressor. Throws BAD_MODEL. */
export function regressorEnsemble(attributes: RegressorAttributes): TreeEnsemble {
  const where = "TreeEnsembleRegressor";
  const { n_targets: outputCount, aggregate_function: stated } = attributes;
  const aggregate = aggregates.find((name) => name === stated);
  if (!aggregate) {
    const message = `aggregate_function ${stated}; expected one of ${aggregates.join(", ")}`;
    throw new SottoError("BAD_MODEL", where, message);
  }
  const weights = {
    treeIds: attributes.target_treeids ?? [],
    nodeIds: attributes.target_nodeids ?? [],
    outputs: attributes.target_ids ?? [],
    weights: listOf(attributes.target_weights, attributes.target_weights_as_tensor),
  };
  return ensembleOf(
    {
      trees: readTrees(attributes, sameLength(weights, where), where),
      outputCount,
      aggregate,
      baseValues: listOf(attributes.base_values, attributes.base_values_as_tensor),
      postTransform: postTransformOf(attributes.post_transform, where),
      classification: null,
    },
    where,
  );
}

/**
 * The ensemble of a TreeEnsembleClassifier. Throws BAD_MODEL.
 *
 * Two classes whose weights all name the first one have one score, which is of the second one: a probability if no weight is
 * negative, otherwise a margin. That is not in ONNX's definition, but what onnxruntime does and converters rely on.
 */
export function classifierEnsemble(attributes: ClassifierAttributes): TreeEnsemble {
  const where = "TreeEnsembleClassifier";
  const { classlabels_strings: strings, classlabels_int64s: integers } = attributes;
  const labels = (strings?.length ? strings : integers) ?? [];
  const weights = sameLength(
    {
      treeIds: attributes.class_treeids ?? [],
      nodeIds: attributes.class_nodeids ?? [],
      outputs: attributes.class_ids ?? [],
      weights: listOf(attributes.class_weights, attributes.class_weights_as_tensor),
    },
    where,
  );
  const bases = listOf(attributes.base_values, attributes.base_values_as_tensor);
  const hasOne =
    labels.length === 2 && bases.length < 2 && weights.outputs.every((output) => output === 0);
  const isProbability = weights.weights.every((weight) => weight >= 0);
  const oneScore = hasOne ? (isProbability ? "probability" : "margin") : null;
  const postTransform = postTransformOf(attributes.post_transform, where);
  if (hasOne && postTransform === "PROBIT") {
    const message = "PROBIT of one score for two classes, which onnxruntime leaves undefined";
    throw new SottoError("UNSUPPORTED_OPERATOR", where, message);
  }
  const outputCount = hasOne ? 1 : labels.length;
  const classification: Classification = { labels, oneScore };
  return ensembleOf(
    {
      trees: readTrees(attributes, weights, where),
      outputCount,
      aggregate: "SUM",
      baseValues: bases,
      postTransform,
      classification,
    },
    where,
  );
}

function readTrees(
  attributes: NodeAttributes,
  weights: WeightLists,
  where: string,
): TreeEnsemble["trees"] {
  const lists = sameLength(
    {
      nodes_treeids: attributes.nodes_treeids ?? [],
      nodes_nodeids: attributes.nodes_nodeids ?? [],
      nodes_featureids: attributes.nodes_featureids ?? [],
      nodes_modes: attributes.nodes_modes ?? [],
      nodes_values: listOf(attributes.nodes_values, attributes.nodes_values_as_tensor),
      nodes_truenodeids: attributes.nodes_truenodeids ?? [],
      nodes_falsenodeids: attributes.nodes_falsenodeids ?? [],
    },
    where,
  );
  const missing = attributes.nodes_missing_value_tracks_true ?? [];
  const leaves = readLeaves(weights);
  const nodeIds = new Set<string>();
  // The first node of a tree in the list is its root.
  const trees = new Map<number, { root: number; nodes: Map<number, TreeNode> }>();
  for (const [i, treeId] of lists.nodes_treeids.entries()) {
    const nodeId = lists.nodes_nodeids[i];
    const key = `${treeId}/${nodeId}`;
    if (nodeIds.has(key)) {
      throw new SottoError("BAD_MODEL", where, `tree ${treeId} has node ${nodeId} twice`);
    }
    nodeIds.add(key);
    const tree = trees.get(treeId) ?? { root: nodeId, nodes: new Map<number, TreeNode>() };
    trees.set(treeId, tree);
    const branch = {
      feature: lists.nodes_featureids[i],
      threshold: lists.nodes_values[i],
      whenTrue: lists.nodes_truenodeids[i],
      whenFalse: lists.nodes_falsenodeids[i],
      tracksTrue: missing[i] === 1,
    };
    const leaf: TreeNode = { kind: "leaf", weights: leaves.get(key) ?? [] };
    const mode = lists.nodes_modes[i];
    tree.nodes.set(nodeId, mode === "LEAF" ? leaf : branchOf(branch, comparisons.get(mode), where));
  }
  const astray = [...leaves.keys()].find((key) => !nodeIds.has(key));
  if (astray !== undefined) {
    throw new SottoError(
      "BAD_MODEL",
      where,
      `a weight names tree/node ${astray}, which is not there`,
    );
  }
  return [...trees.values()].map(({ root, nodes }) => treeOf(root, nodes, where));
}

/** Weights by "tree/node". */
function readLeaves({
  treeIds,
  nodeIds,
  outputs,
  weights,
}: WeightLists): Map<string, LeafWeight[]> {
  const leaves = new Map<string, LeafWeight[]>();
  for (const [i, output] of outputs.entries()) {
    const key = `${treeIds[i]}/${nodeIds[i]}`;
    const list = leaves.get(key) ?? [];
    list.push({ output, weight: weights[i] });
    leaves.set(key, list);
  }
  return leaves;
}

/** A branch as ONNX states it, by keys of its children. */
export function branchOf(
  stated: {
    readonly feature: number;
    readonly threshold: number;
    readonly whenTrue: number;
    readonly whenFalse: number;
    readonly tracksTrue: boolean;
  },
  comparison: Comparison | undefined,
  where: string,
): TreeNode {
  if (!comparison) {
    const message = `nodes_modes: expected LEAF or one of ${[...comparisons.keys()].join(", ")}`;
    throw new SottoError("BAD_MODEL", where, message);
  }
  const { tracksTrue, ...branch } = stated;
  // NaN differs from every number, so that "!=" is true without being told.
  const missingIsTrue = tracksTrue || comparison === "!=";
  return { kind: "branch", ...branch, comparison, missingIsTrue };
}

const NAMES = new Map([...comparisons].map(([name, comparison]) => [comparison, name]));

/** The attributes of a TreeEnsembleRegressor that computes an ensemble's scores, without its classification. */
export function attributesOf(
  ensemble: TreeEnsemble,
): Readonly<Record<string, string | number | readonly number[] | readonly string[]>> {
  const nodes = ensemble.trees.flatMap(({ nodes }, tree) =>
    nodes.map((node, place) => ({ tree, place, node })),
  );
  const branch = <T>(read: (node: Extract<TreeNode, { kind: "branch" }>) => T, otherwise: T): T[] =>
    nodes.map(({ node }) => (node.kind === "branch" ? read(node) : otherwise));
  const weights = nodes.flatMap(({ tree, place, node }) =>
    node.kind === "leaf" ? node.weights.map((leaf) => ({ tree, place, ...leaf })) : [],
  );
  return {
    aggregate_function: ensemble.aggregate,
    base_values: ensemble.baseValues,
    n_targets: ensemble.outputCount,
    nodes_falsenodeids: branch(({ whenFalse }) => whenFalse, 0),
    nodes_featureids: branch(({ feature }) => feature, 0),
    nodes_missing_value_tracks_true: branch(({ missingIsTrue }) => Number(missingIsTrue), 0),
    nodes_modes: branch(({ comparison }) => NAMES.get(comparison) ?? "LEAF", "LEAF"),
    nodes_nodeids: nodes.map(({ place }) => place),
    nodes_treeids: nodes.map(({ tree }) => tree),
    nodes_truenodeids: branch(({ whenTrue }) => whenTrue, 0),
    nodes_values: branch(({ threshold }) => threshold, 0),
    post_transform: ensemble.postTransform,
    target_ids: weights.map(({ output }) => output),
    target_nodeids: weights.map(({ place }) => place),
    target_treeids: weights.map(({ tree }) => tree),
    target_weights: weights.map(({ weight }) => weight),
  };
}
