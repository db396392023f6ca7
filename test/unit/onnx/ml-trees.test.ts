/**
 * Tree ensembles as values: what the attributes of the three operators become, and what damaged ones give.
 */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { ModelProtoSchema, type AttributeProto } from "onnx-buf";
import { describe, expect, test } from "vitest";
import { SottoError } from "../../../src/errors.ts";
import { evaluate, evaluateNode } from "../../../src/onnx/evaluate.ts";
import type { Attributes } from "../../../src/onnx/graph.ts";
import { importOnnx } from "../../../src/onnx/import.ts";
import { treeEnsembleOf } from "../../../src/onnx/ops/ml-trees.ts";
import { attributesOf } from "../../../src/onnx/trees/attributes.ts";
import { treeOf, type TreeEnsemble, type TreeNode } from "../../../src/onnx/trees/ensemble.ts";
import { evaluateEnsemble, rawScores } from "../../../src/onnx/trees/evaluate.ts";
import { float32, float64, int64, tensor } from "../../../src/tensor/tensor.ts";
import { errorOf } from "../../support/errors.ts";
import { inputTensors, readRandomNodes } from "../../support/sklearn-fixtures.ts";

function ensembleOf(opType: string, attributes: Attributes): TreeEnsemble {
  const node = { name: "trees", opType, domain: "ai.onnx.ml", inputs: [], outputs: [], attributes };
  const ensemble = treeEnsembleOf(node);
  if (!ensemble) throw new Error(`no ensemble: ${opType}`);
  return ensemble;
}

/** x0 <= 0.5 ? 0.25 : (x1 < 2 ? 0.5 : 1) under shuffled ids. */
const regressor: Attributes = {
  n_targets: 1,
  nodes_treeids: [4, 4, 4, 4, 4],
  nodes_nodeids: [7, 3, 9, 1, 5],
  nodes_featureids: [0, 0, 1, 0, 0],
  nodes_modes: ["BRANCH_LEQ", "LEAF", "BRANCH_LT", "LEAF", "LEAF"],
  nodes_values: [0.5, 0, 2, 0, 0],
  nodes_truenodeids: [3, 0, 5, 0, 0],
  nodes_falsenodeids: [9, 0, 1, 0, 0],
  nodes_missing_value_tracks_true: [0, 0, 1, 0, 0],
  target_treeids: [4, 4, 4],
  target_nodeids: [3, 5, 1],
  target_ids: [0, 0, 0],
  target_weights: [0.25, 0.5, 1],
};

describe("a TreeEnsembleRegressor", () => {
  test("becomes nodes in an order where children come after their parents", () => {
    const leaf = (weight: number): TreeNode => ({ kind: "leaf", weights: [{ output: 0, weight }] });
    const nodes: readonly TreeNode[] = [
      {
        kind: "branch",
        feature: 0,
        threshold: 0.5,
        comparison: "<=",
        whenTrue: 1,
        whenFalse: 2,
        missingIsTrue: false,
      },
      leaf(0.25),
      {
        kind: "branch",
        feature: 1,
        threshold: 2,
        comparison: "<",
        whenTrue: 3,
        whenFalse: 4,
        missingIsTrue: true,
      },
      leaf(0.5),
      leaf(1),
    ];
    expect(ensembleOf("TreeEnsembleRegressor", regressor)).toEqual({
      trees: [{ nodes }],
      featureCount: 2,
      outputCount: 1,
      aggregate: "SUM",
      baseValues: [],
      postTransform: "NONE",
      classification: null,
    });
  });

  test("is written back as attributes that mean the same", () => {
    const ensemble = ensembleOf("TreeEnsembleRegressor", regressor);
    expect(ensembleOf("TreeEnsembleRegressor", attributesOf(ensemble))).toEqual(ensemble);
  });

  test("is read once per node", () => {
    const first = ensembleOf("TreeEnsembleRegressor", regressor);
    expect(ensembleOf("TreeEnsembleRegressor", regressor)).toBe(first);
    expect(ensembleOf("TreeEnsembleRegressor", { ...regressor })).not.toBe(first);
  });

  test("adds up in the precision of its rows", () => {
    const attributes = { ...regressor, target_weights: [0.1, 0.2, 0.3], base_values: [0.7] };
    const ensemble = ensembleOf("TreeEnsembleRegressor", attributes);
    expect(rawScores(ensemble, float64([1, 2], [0, 0])).data[0]).toBe(0.1 + 0.7);
    expect(rawScores(ensemble, float32([1, 2], [0, 0])).data[0]).toBe(
      Math.fround(Math.fround(0.1) + 0.7),
    );
  });

  test("sends missing features where the node says", () => {
    const ensemble = ensembleOf("TreeEnsembleRegressor", regressor);
    const x = float32([3, 2], [NaN, 5, 1, NaN, NaN, NaN]);
    expect([...evaluateEnsemble(ensemble, x).data]).toEqual([1, 0.5, 0.5]);
  });

  test("refuses rows with too few features", () => {
    const use = { opType: "TreeEnsembleRegressor", domain: "ai.onnx.ml", attributes: regressor };
    expect(() => evaluateNode(use, [float32([2, 1], [0, 0])])).toThrow(/BAD_SHAPE.*at least 2/);
  });
});

describe("a TreeEnsembleClassifier", () => {
  const { n_targets, target_ids, target_nodeids, target_treeids, target_weights, ...nodes } =
    regressor;
  const lists = { class_treeids: target_treeids, class_nodeids: target_nodeids };
  const attributes: Attributes = {
    ...nodes,
    ...lists,
    class_ids: target_ids,
    class_weights: target_weights,
    classlabels_int64s: [10, 20],
  };

  test("of two classes and one score says whether that is a probability or a margin", () => {
    const { classification, outputCount } = ensembleOf("TreeEnsembleClassifier", attributes);
    expect(classification).toEqual({ labels: [10, 20], oneScore: "probability" });
    expect(outputCount).toBe(1);
    const signed = { ...attributes, class_weights: [0.25, -0.5, 1] };
    const margin = ensembleOf("TreeEnsembleClassifier", signed).classification;
    expect(margin?.oneScore).toBe("margin");
    expect(n_targets).toBe(1);
  });

  test("of two classes whose weights name both has a score per class, of which the largest wins", () => {
    const both = { ...attributes, class_ids: [0, 1, 0], class_weights: [0.7, 0.3, 0.1] };
    expect(ensembleOf("TreeEnsembleClassifier", both).classification?.oneScore).toBe(null);
    const use = { opType: "TreeEnsembleClassifier", domain: "ai.onnx.ml", attributes: both };
    const [labels, scores] = evaluateNode(use, [float32([2, 2], [0, 0, 1, 0])]);
    expect(labels).toEqual(int64([2], [10, 20]));
    expect(scores).toEqual(float32([2, 2], [0.7, 0, 0, 0.3]));
  });

  test("refuses PROBIT of one score", () => {
    expect(() =>
      ensembleOf("TreeEnsembleClassifier", { ...attributes, post_transform: "PROBIT" }),
    ).toThrow(/UNSUPPORTED_OPERATOR.*PROBIT/);
  });
});

describe("a TreeEnsemble", () => {
  /** x0 in {1, 4} ? 10 : (x1 in {} ? 20 : 30) */
  const sets: Attributes = {
    n_targets: 1,
    tree_roots: [0],
    nodes_featureids: [0, 1],
    nodes_modes: tensor("int64", [2], [6, 6]),
    nodes_splits: float32([2], [0, 0]),
    nodes_truenodeids: [0, 1],
    nodes_trueleafs: [1, 1],
    nodes_falsenodeids: [1, 2],
    nodes_falseleafs: [0, 1],
    membership_values: float32([4], [1, 4, NaN, NaN]),
    leaf_targetids: [0, 0, 0],
    leaf_weights: float32([3], [10, 20, 30]),
  };

  test("asks for members of a set by branches that share a child", () => {
    const ensemble = ensembleOf("TreeEnsemble", sets);
    const x = float32([5, 2], [1, 0, 4, 0, 2, 0, 0, 1, NaN, NaN]);
    expect([...evaluateEnsemble(ensemble, x).data]).toEqual([10, 10, 30, 30, 30]);
    expect(ensemble.trees[0].nodes.filter(({ kind }) => kind === "leaf").length).toBe(3);
  });

  test("sends missing members where the node says", () => {
    const ensemble = ensembleOf("TreeEnsemble", {
      ...sets,
      nodes_missing_value_tracks_true: [0, 1],
    });
    expect([...evaluateEnsemble(ensemble, float32([1, 2], [2, NaN])).data]).toEqual([20]);
  });

  test("refuses children outside its lists", () => {
    const wrong: readonly Attributes[] = [
      { ...sets, nodes_falsenodeids: [2, 2] },
      { ...sets, nodes_falsenodeids: [-3, 2] },
      { ...sets, nodes_truenodeids: [3, 1] },
      { ...sets, nodes_truenodeids: [-1, 1] },
      { ...sets, tree_roots: [2] },
      { ...sets, tree_roots: [] },
      { ...sets, nodes_falsenodeids: [0, 2] },
      { ...sets, nodes_trueleafs: [1] },
      { ...sets, leaf_weights: float32([2], [1, 2]) },
      { ...sets, nodes_modes: tensor("int64", [2], [6, 7]) },
      { ...sets, aggregate_function: 4 },
      { ...sets, post_transform: 5 },
      { ...sets, n_targets: 2 ** 40 },
    ];
    for (const attributes of wrong) {
      expect(errorOf(() => ensembleOf("TreeEnsemble", attributes)).code).toBe("BAD_MODEL");
    }
  });
});

describe("damaged trees", () => {
  const damaged: readonly [RegExp, Attributes][] = [
    [/cycle through node 7/, { nodes_truenodeids: [3, 0, 7, 0, 0] }],
    [/cycle through node 9/, { nodes_truenodeids: [3, 0, 9, 0, 0] }],
    [/no node 8/, { nodes_truenodeids: [8, 0, 5, 0, 0] }],
    [/differ in length: .*nodes_values 4/, { nodes_values: [0, 0, 0, 0] }],
    [/differ in length: treeIds 3, nodeIds 3, outputs 3, weights 2/, { target_weights: [1, 2] }],
    [/tree 4 has node 7 twice/, { nodes_nodeids: [7, 3, 9, 1, 7] }],
    [/names tree\/node 4\/6/, { target_nodeids: [3, 5, 6] }],
    [/names output 1, expected 0 to 0/, { target_ids: [0, 0, 1] }],
    [/names output -1/, { target_ids: [0, 0, -1] }],
    [/feature's index, got -1/, { nodes_featureids: [-1, 0, 1, 0, 0] }],
    [/expected LEAF or one of BRANCH_LEQ/, { nodes_modes: ["A", "LEAF", "LEAF", "LEAF", "LEAF"] }],
    [/expected 1 base values, got 2/, { base_values: [1, 2] }],
    [/expected 1 to 1048576 outputs, got 0/, { n_targets: 0 }],
    [/outputs, got 1125899906842624/, { n_targets: 2 ** 50 }],
    [/aggregate_function MEDIAN/, { aggregate_function: "MEDIAN" }],
    [/post_transform LOGIT/, { post_transform: "LOGIT" }],
    [
      /at least one tree/,
      Object.fromEntries(Object.entries(regressor).map(([k, v]) => [k, Array.isArray(v) ? [] : v])),
    ],
  ];

  test.each(damaged)("%s", (message, changes) => {
    const error = errorOf(() => ensembleOf("TreeEnsembleRegressor", { ...regressor, ...changes }));
    expect(error.code).toBe("BAD_MODEL");
    expect(error.message).toMatch(message);
  });

  test("a path of 100,000 branches is followed", () => {
    const count = 100_000;
    const nodes = Array.from({ length: count }, (_, i): [number, TreeNode] => [
      i,
      {
        kind: "branch",
        feature: 0,
        threshold: 0,
        comparison: "<=",
        whenTrue: i + 1,
        whenFalse: count,
        missingIsTrue: false,
      },
    ]);
    const leaf: [number, TreeNode] = [count, { kind: "leaf", weights: [] }];
    expect(treeOf(0, new Map([...nodes, leaf]), "tree").nodes.length).toBe(count + 1);
  });
});

/** Uniform numbers in [0, 1) that follow from a seed (mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe("random alterations", () => {
  const random = randomNumbers(5);
  const below = (count: number): number => Math.floor(random() * count);
  const pick = <T>(list: readonly T[]): T => list[below(list.length)];
  const trees = readRandomNodes().filter(({ name }) =>
    /regressor (?:[A-Z]|one|three)|ensemble|classifier/.test(name),
  );
  const integers = [
    0n,
    1n,
    -1n,
    2n,
    3n,
    7n,
    64n,
    2n ** 31n,
    2n ** 53n,
    2n ** 63n - 1n,
    -(2n ** 63n),
  ];
  const reals = [0, -0, 1, -1, NaN, Infinity, -Infinity, 1e-45, 3e38];
  const words = ["LEAF", "BRANCH_LEQ", "BRANCH_NEQ", "SOFTMAX", "PROBIT", "MIN", "", "x"];

  /** Replaces an entry, drops some, repeats some, or empties the list. */
  function alterList<T>(list: T[], values: readonly T[]): void {
    const at = below(list.length + 1);
    const count = 1 + below(3);
    const changes = [
      () => list.splice(at, 1, pick(values)),
      () => list.splice(at, count),
      () => list.splice(at, 0, ...list.slice(0, count)),
      () => list.splice(0, list.length),
      () => list.splice(at, 1, ...list.slice(0, 1)),
    ];
    pick(changes)();
  }

  function alter(attributes: AttributeProto[]): void {
    const attribute = pick(attributes);
    if (random() < 0.05) attributes.splice(attributes.indexOf(attribute), 1);
    if (attribute.ints.length > 0) alterList(attribute.ints, integers);
    else if (attribute.floats.length > 0) alterList(attribute.floats, reals);
    else if (attribute.strings.length > 0) {
      alterList(
        attribute.strings,
        words.map((word) => new TextEncoder().encode(word)),
      );
    } else if (attribute.t) {
      attribute.t.rawData = attribute.t.rawData.map((byte) => (random() < 0.1 ? below(256) : byte));
    } else {
      attribute.i = pick(integers);
      attribute.s = new TextEncoder().encode(pick(words));
    }
  }

  test("2,000 of them give a graph that can be evaluated or a coded error", () => {
    const outcomes = new Map<string, number>();
    for (let i = 0; i < 2000; i++) {
      const recorded = pick(trees);
      const model = fromBinary(ModelProtoSchema, Buffer.from(recorded.model, "base64"));
      for (let times = 1 + below(2); times > 0; times--)
        alter(model.graph?.node[0].attribute ?? []);
      let outcome = "graph";
      try {
        const graph = importOnnx(toBinary(ModelProtoSchema, model));
        evaluate(graph, inputTensors(graph, recorded));
      } catch (error) {
        if (!(error instanceof SottoError)) throw error;
        outcome = error.code;
      }
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    expect([...outcomes.keys()].sort()).toEqual([
      "BAD_MODEL",
      "BAD_SHAPE",
      "UNSUPPORTED_OPERATOR",
      "graph",
    ]);
    expect(outcomes.get("graph")).toBeGreaterThan(100);
    expect(outcomes.get("BAD_MODEL")).toBeGreaterThan(500);
  });
});
