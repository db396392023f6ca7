/**
 * Tree ensembles of ai.onnx.ml. `treeEnsembleOf` gives a node's trees as a value; the operators themselves are thin.
 * @module
 */
import { SottoError } from "../../errors.ts";
import type { GraphNode } from "../graph.ts";
import { classifierEnsemble, regressorEnsemble } from "../trees/attributes.ts";
import { treeEnsemble } from "../trees/attributes-v5.ts";
import type { TreeEnsemble as Ensemble } from "../trees/ensemble.ts";
import { finishScores, labelsFrom, rawScores } from "../trees/evaluate.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import {
  decodeAttributes,
  defineOperator,
  int,
  optionalFloats,
  optionalInts,
  optionalStrings,
  optionalTensor,
  string,
  own,
  stringCodes,
} from "./operator.ts";
import type { AttributesOf, AttributeSpec, Operand, Operator } from "./operator.ts";

/** 1: only raw scores are asked for; the client makes of them what the operator gives. */
const raw = { raw_scores: own(int(0)) };

const nodeAttributes = {
  ...raw,
  base_values: optionalFloats(),
  base_values_as_tensor: optionalTensor(),
  nodes_falsenodeids: optionalInts(),
  nodes_featureids: optionalInts(),
  nodes_hitrates: optionalFloats(),
  nodes_hitrates_as_tensor: optionalTensor(),
  nodes_missing_value_tracks_true: optionalInts(),
  nodes_modes: optionalStrings(),
  nodes_nodeids: optionalInts(),
  nodes_treeids: optionalInts(),
  nodes_truenodeids: optionalInts(),
  nodes_values: optionalFloats(),
  nodes_values_as_tensor: optionalTensor(),
  post_transform: string("NONE"),
};

const classifierAttributes = {
  ...nodeAttributes,
  class_ids: optionalInts(),
  class_nodeids: optionalInts(),
  class_treeids: optionalInts(),
  class_weights: optionalFloats(),
  class_weights_as_tensor: optionalTensor(),
  classlabels_int64s: optionalInts(),
  classlabels_strings: stringCodes(),
};

const regressorAttributes = {
  ...nodeAttributes,
  aggregate_function: string("SUM"),
  n_targets: int(1),
  target_ids: optionalInts(),
  target_nodeids: optionalInts(),
  target_treeids: optionalInts(),
  target_weights: optionalFloats(),
  target_weights_as_tensor: optionalTensor(),
};

const treeEnsembleAttributes = {
  ...raw,
  aggregate_function: int(1),
  leaf_targetids: optionalInts(),
  leaf_weights: optionalTensor(),
  membership_values: optionalTensor(),
  n_targets: int(1),
  nodes_falseleafs: optionalInts(),
  nodes_falsenodeids: optionalInts(),
  nodes_featureids: optionalInts(),
  nodes_hitrates: optionalTensor(),
  nodes_missing_value_tracks_true: optionalInts(),
  nodes_modes: optionalTensor(),
  nodes_splits: optionalTensor(),
  nodes_trueleafs: optionalInts(),
  nodes_truenodeids: optionalInts(),
  post_transform: int(0),
  tree_roots: optionalInts(),
};

const ensembles = new WeakMap<object, Ensemble>();

/** What `read` makes of attributes, made once. */
function once<A extends object>(attributes: A, read: (attributes: A) => Ensemble): Ensemble {
  const ensemble = ensembles.get(attributes) ?? read(attributes);
  ensembles.set(attributes, ensemble);
  return ensemble;
}

/** The trees of a node, null if its operator is no tree ensemble. Throws BAD_MODEL. */
export function treeEnsembleOf({ domain, opType, attributes }: GraphNode): Ensemble | null {
  if (domain !== "ai.onnx.ml") return null;
  switch (opType) {
    case "TreeEnsembleClassifier":
      return once(decodeAttributes(classifierAttributes, attributes), classifierEnsemble);
    case "TreeEnsembleRegressor":
      return once(decodeAttributes(regressorAttributes, attributes), regressorEnsemble);
    case "TreeEnsemble":
      return once(decodeAttributes(treeEnsembleAttributes, attributes), treeEnsemble);
    default:
      return null;
  }
}

/** Checks that an ensemble's features are columns of its input. */
function requireColumns({ featureCount }: Ensemble, { shape }: Operand): void {
  if (shape.length === 2 && shape[1] >= featureCount) return;
  const expected = `expected rows of at least ${featureCount} features`;
  throw new SottoError("BAD_SHAPE", "trees", `${expected}, got shape [${shape.join(", ")}]`);
}

/** Label and score per class of each row. */
export const TreeEnsembleClassifier: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 1,
  maxOutputs: 2,
  since: 1,
  attributes: classifierAttributes,
  shape([x]: readonly [Operand], attributes) {
    const ensemble = once(attributes, classifierEnsemble);
    requireColumns(ensemble, x);
    if (attributes.raw_scores) return [[x.shape[0], ensemble.outputCount]];
    return [[x.shape[0]], [x.shape[0], ensemble.classification?.labels.length ?? 0]];
  },
  evaluate([x]: readonly [Tensor], attributes) {
    const ensemble = once(attributes, classifierEnsemble);
    const scores = rawScores(ensemble, x);
    if (attributes.raw_scores) return [scores];
    return [labelsFrom(ensemble, scores), finishScores(ensemble, scores)];
  },
});

/** An operator that gives a score per target of each row. */
function regression<A extends typeof raw & Readonly<Record<string, AttributeSpec<unknown>>>>(
  attributes: A,
  read: (attributes: AttributesOf<A>) => Ensemble,
  since: number,
): Operator {
  return defineOperator({
    minInputs: 1,
    maxInputs: 1,
    since,
    attributes,
    shape([x]: readonly [Operand], stated) {
      const ensemble = once(stated, read);
      requireColumns(ensemble, x);
      return [[x.shape[0], ensemble.outputCount]];
    },
    evaluate([x]: readonly [Tensor], stated) {
      const ensemble = once(stated, read);
      const scores = rawScores(ensemble, x);
      return [stated.raw_scores ? scores : finishScores(ensemble, scores)];
    },
  });
}

export const TreeEnsembleRegressor: Operator = regression(
  regressorAttributes,
  regressorEnsemble,
  1,
);

/** The one operator of ai.onnx.ml 5 for both. */
export const TreeEnsemble: Operator = regression(treeEnsembleAttributes, treeEnsemble, 5);
