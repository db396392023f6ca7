/**
 * TreeEnsemble of ai.onnx.ml 5: branches and leaves in lists of their own, roots stated, enumerations as numbers.
 * @module
 */
import { SottoError } from "../../errors.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { aggregates, branchOf, comparisons, listOf } from "./attributes.ts";
import { ensembleOf, treeOf, type Aggregate } from "./ensemble.ts";
import type { TreeEnsemble, TreeNode } from "./ensemble.ts";
import { postTransformOf } from "./scores.ts";

/** Attributes of TreeEnsemble. */
export interface EnsembleAttributes {
  readonly aggregate_function: number;
  readonly leaf_targetids: readonly number[] | undefined;
  readonly leaf_weights: Tensor | undefined;
  readonly membership_values: Tensor | undefined;
  readonly n_targets: number;
  readonly nodes_falseleafs: readonly number[] | undefined;
  readonly nodes_falsenodeids: readonly number[] | undefined;
  readonly nodes_featureids: readonly number[] | undefined;
  readonly nodes_missing_value_tracks_true: readonly number[] | undefined;
  readonly nodes_modes: Tensor | undefined;
  readonly nodes_splits: Tensor | undefined;
  readonly nodes_trueleafs: readonly number[] | undefined;
  readonly nodes_truenodeids: readonly number[] | undefined;
  readonly post_transform: number;
  readonly tree_roots: readonly number[] | undefined;
}

const WHERE = "TreeEnsemble";
const COMPARISONS = [...comparisons.values()];
const MEMBER = 6;
/** A key that no node has. */
const NOWHERE = -1;

/** The ensemble of a TreeEnsemble. Throws BAD_MODEL. */
export function treeEnsemble(stated: EnsembleAttributes): TreeEnsemble {
  const aggregate: Aggregate | undefined = aggregates[stated.aggregate_function];
  if (!aggregate) {
    const message = `aggregate_function ${stated.aggregate_function}; expected 0 to 3`;
    throw new SottoError("BAD_MODEL", WHERE, message);
  }
  const nodes = readNodes(stated);
  const branchCount = stated.nodes_featureids?.length ?? 0;
  return ensembleOf(
    {
      trees: (stated.tree_roots ?? []).map((root) =>
        treeOf(root < branchCount ? root : NOWHERE, nodes, WHERE),
      ),
      outputCount: stated.n_targets,
      aggregate,
      baseValues: [],
      postTransform: postTransformOf(stated.post_transform, WHERE),
      classification: null,
    },
    WHERE,
  );
}

/** All branches, then all leaves, then the further branches of sets, under one numbering. */
function readNodes(stated: EnsembleAttributes): ReadonlyMap<number, TreeNode> {
  const modes = listOf(undefined, stated.nodes_modes);
  const count = modes.length;
  const splits = listOf(undefined, stated.nodes_splits);
  const lists = {
    nodes_splits: splits,
    nodes_featureids: stated.nodes_featureids ?? [],
    nodes_truenodeids: stated.nodes_truenodeids ?? [],
    nodes_trueleafs: stated.nodes_trueleafs ?? [],
    nodes_falsenodeids: stated.nodes_falsenodeids ?? [],
    nodes_falseleafs: stated.nodes_falseleafs ?? [],
  };
  const wrong = Object.entries(lists).find(([, { length }]) => length !== count);
  if (wrong) {
    const message = `${wrong[0]}: expected ${count} entries, got ${wrong[1].length}`;
    throw new SottoError("BAD_MODEL", WHERE, message);
  }
  const nodes = readLeaves(stated, count);
  const sets = memberships(stated);
  for (const [i, mode] of modes.entries()) {
    const childOf = (ids: readonly number[], leafs: readonly number[]): number => {
      const isInside = ids[i] >= 0 && (leafs[i] !== 0 || ids[i] < count);
      return isInside ? ids[i] + (leafs[i] ? count : 0) : NOWHERE;
    };
    const branch = {
      feature: lists.nodes_featureids[i],
      threshold: splits[i],
      whenTrue: childOf(lists.nodes_truenodeids, lists.nodes_trueleafs),
      whenFalse: childOf(lists.nodes_falsenodeids, lists.nodes_falseleafs),
      tracksTrue: stated.nodes_missing_value_tracks_true?.[i] === 1,
    };
    if (mode === MEMBER) addMembership(nodes, i, branch, sets.next());
    else nodes.set(i, branchOf(branch, COMPARISONS[mode], WHERE));
  }
  return nodes;
}

function readLeaves(stated: EnsembleAttributes, first: number): Map<number, TreeNode> {
  const outputs = stated.leaf_targetids ?? [];
  const weights = listOf(undefined, stated.leaf_weights);
  if (outputs.length !== weights.length) {
    const message = `expected a target per leaf, got ${outputs.length} for ${weights.length}`;
    throw new SottoError("BAD_MODEL", WHERE, message);
  }
  return new Map(
    outputs.map((output, i): [number, TreeNode] => [
      first + i,
      { kind: "leaf", weights: [{ output, weight: weights[i] }] },
    ]),
  );
}

/** The sets of members in the order of the nodes that ask for them: NaN ends each. */
function memberships({ membership_values }: EnsembleAttributes): { next: () => readonly number[] } {
  const values = listOf(undefined, membership_values);
  let at = 0;
  return {
    next(): readonly number[] {
      const start = at;
      while (at < values.length && !Number.isNaN(values[at])) at++;
      return values.slice(start, at++);
    },
  };
}

type StatedBranch = Parameters<typeof branchOf>[0];

/** A question for one of several values as a row of branches, which lead to the same child when one is true. */
function addMembership(
  nodes: Map<number, TreeNode>,
  place: number,
  branch: StatedBranch,
  members: readonly number[],
): void {
  const set = members.length > 0 ? members : [NaN];
  let key = place;
  for (const [i, threshold] of set.entries()) {
    // Keys below zero are free: the file counts nodes from 0.
    const next = -2 - nodes.size;
    const whenFalse = i === set.length - 1 ? branch.whenFalse : next;
    nodes.set(key, branchOf({ ...branch, threshold, whenFalse }, "==", WHERE));
    key = next;
  }
}
