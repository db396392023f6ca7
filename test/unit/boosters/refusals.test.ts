/**
 * What the readers of XGBoost's and LightGBM's files refuse, and that damaged files give coded errors.
 */
import { describe, expect, test } from "vitest";
import { SottoError } from "../../../src/errors.ts";
import { parseUbjson } from "../../../src/boosters/ubjson.ts";
import { formatOf, importGraph } from "../../../src/import.ts";
import { evaluate } from "../../../src/onnx/evaluate.ts";
import { treeEnsembleOf } from "../../../src/onnx/ops/ml-trees.ts";
import { float32 } from "../../../src/tensor/tensor.ts";
import { errorOf } from "../../support/errors.ts";
import { readSklearnFile } from "../../support/sklearn-fixtures.ts";

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (name: string, file: string): string =>
  new TextDecoder().decode(readSklearnFile(name, file));

describe("XGBoost's JSON", () => {
  const json = textOf("xgboost", "model.json");
  const damaged: readonly (readonly [string, string, RegExp])[] = [
    ["binary:logistic", "survival:aft", /UNSUPPORTED_OPERATOR.*objective survival:aft/],
    ['"name":"gbtree"', '"name":"gblinear"', /UNSUPPORTED_OPERATOR.*booster gblinear/],
    ['"split_type":[0', '"split_type":[1', /UNSUPPORTED_OPERATOR.*categorical splits/],
    ['"size_leaf_vector":"1"', '"size_leaf_vector":"3"', /UNSUPPORTED_OPERATOR.*several outputs/],
    ['"left_children":[1,', '"left_children":[0,', /BAD_MODEL.*cycle/],
    ['"left_children":[1,', '"left_children":[99,', /BAD_MODEL.*no node 99/],
    ['"split_indices":[0,', '"split_indices":[', /BAD_MODEL.*differ in length/],
    ['"split_indices":[0,', '"split_indices":[9,', /BAD_SHAPE.*at least 10 features/],
    ['"tree_info":[0', '"tree_info":[1', /BAD_MODEL.*output 1/],
    ['"num_feature":"8","num_target"', '"num_feature":"0","num_target"', /BAD_MODEL.*features/],
    ['"num_class":"0"', '"num_class":"4"', /BAD_MODEL.*two classes/],
    ['"base_score":"6', '"base_score":"x', /BAD_MODEL.*base_score/],
    ['"base_score":"6.272989E-1"', '"base_score":"1"', /BAD_MODEL.*base_score 1 is outside/],
    ['"learner"', '"lerner"', /BAD_MODEL.*save_model/],
    ['"version":[2,1,4]}', '"version":[2,1,4]', /BAD_MODEL.*not JSON/],
  ];

  test.each(damaged)("%s made %s is refused", (from, to, message) => {
    expect(json).toContain(from);
    expect(errorOf(() => importGraph(bytesOf(json.replace(from, to)))).message).toMatch(message);
  });

  test("of XGBoost 3 has a list of base scores", () => {
    const list = json.replace('"base_score":"6.272989E-1"', '"base_score":"[6.272989E-1]"');
    expect(list).not.toBe(json);
    expect(importGraph(bytesOf(list)).nodes).toEqual(importGraph(bytesOf(json)).nodes);
  });
});

describe("UBJSON", () => {
  test("has every kind of value", () => {
    // {a: [null, true, false, -1, 255, 256, 65536, "x"], b: {c: 7}}, the last object of bytes and with its length
    const hex =
      "7b 6901 61 5b 5a 54 46 69ff 55ff 490100 6c00010000 4378 5d 6901 62 7b24552369 01 6901 63 07 7d";
    const digits = hex.replaceAll(" ", "").match(/../g) ?? [];
    const bytes = digits.map((digit) => Number.parseInt(digit, 16));
    const value = { a: [null, true, false, -1, 255, 256, 65536, "x"], b: { c: 7 } };
    expect(parseUbjson(Uint8Array.from(bytes))).toEqual(value);
  });

  test("cannot ask for more than the file holds", () => {
    const wrong: readonly (readonly [RegExp, readonly number[]])[] = [
      [/longer than the file/, [0x5b, 0x23, 0x6c, 0x7f, 0xff, 0xff, 0xff]],
      [/longer than the file/, [0x5b, 0x24, 0x5a, 0x23, 0x69, 0x01]],
      [/ends too early/, [0x5b, 0x24, 0x44, 0x23, 0x69, 0x03, 0, 0, 0, 0]],
      [/ends too early/, [0x53, 0x69, 0x09, 0x61]],
      [/a length of -1/, [0x53, 0x69, 0xff]],
      [/no length/, [0x5b, 0x24, 0x55, 0x01]],
      [/letter of a type, got "x"/, [0x78]],
      [/nested too deeply/, Array.from({ length: 1000 }, () => 0x5b)],
    ];
    for (const [message, bytes] of wrong) {
      const error = errorOf(() => parseUbjson(Uint8Array.from(bytes)));
      expect(error.code).toBe("BAD_MODEL");
      expect(error.message).toMatch(message);
    }
  });
});

describe("LightGBM's text", () => {
  const text = textOf("lightgbm", "model.txt");
  const damaged: readonly (readonly [string, string, RegExp])[] = [
    ["objective=binary", "objective=mine", /UNSUPPORTED_OPERATOR.*objective mine/],
    ["num_cat=0", "num_cat=1", /UNSUPPORTED_OPERATOR.*categorical splits/],
    ["is_linear=0", "is_linear=1", /UNSUPPORTED_OPERATOR.*linear trees/],
    ["left_child=1 2", "left_child=0 2", /BAD_MODEL.*tree 0.*cycle/],
    ["left_child=1 2", "left_child=77 2", /BAD_MODEL.*no node 77/],
    ["split_feature=0 6", "split_feature=6", /BAD_MODEL.*differ in length/],
    ["threshold=15.", "threshold=a15.", /BAD_MODEL.*threshold: expected numbers/],
    ["leaf_value=", "leaf_values=", /BAD_MODEL.*leaf_value= is missing/],
    ["max_feature_idx=7", "max_feature_idx=2", /BAD_SHAPE/],
    ["num_tree_per_iteration=1", "num_tree_per_iteration=2", /BAD_MODEL.*no iterations of 2/],
    ["end of trees", "", /BAD_MODEL.*ends before its trees/],
  ];

  test.each(damaged)("%s made %s is refused", (from, to, message) => {
    expect(text).toContain(from);
    expect(errorOf(() => importGraph(bytesOf(text.replace(from, to)))).message).toMatch(message);
  });

  test("sends zeros and NaN where a split says", () => {
    // decision_type: 4 zeros go right, 6 left, 2 nothing is missing and NaN is a zero, 8 NaN goes right, 10 left
    const leaf = (kind: number, threshold: number, x: number): number => {
      const tree = ["Tree=0", "num_leaves=2", "split_feature=0", `threshold=${threshold}`];
      const rest = [`decision_type=${kind}`, "left_child=-1", "right_child=-2", "leaf_value=1 2"];
      const header = ["tree", "num_tree_per_iteration=1", "max_feature_idx=0"];
      const lines = [...header, ...tree, ...rest, "end of trees"];
      const graph = importGraph(bytesOf(lines.join("\n")));
      return evaluate(graph, [float32([1, 1], [x])])[0].data[0];
    };
    const rows = [-2, -1, 0, 1e-36, 1, 2, NaN];
    const ways = (kind: number, threshold: number): string =>
      rows.map((x) => (leaf(kind, threshold, x) === 1 ? "l" : "r")).join("");
    expect(ways(4, 1)).toBe("llrrlrr");
    expect(ways(6, 1)).toBe("lllllrl");
    expect(ways(4, -1)).toBe("llrrrrr");
    expect(ways(6, -1)).toBe("llllrrl");
    expect(ways(2, 1)).toBe("lllllrl");
    expect(ways(0, -1)).toBe("llrrrrr");
    expect(ways(8, 1)).toBe("lllllrr");
    expect(ways(10, -1)).toBe("llrrrrl");
  });

  test("keeps which side of a threshold every float32 is on", () => {
    const graph = importGraph(readSklearnFile("lightgbm", "model.txt"));
    const [ensemble] = graph.nodes.flatMap((node) => treeEnsembleOf(node) ?? []);
    const [root] = ensemble.trees[0].nodes;
    expect(root).toMatchObject({ kind: "branch", comparison: "<=" });
    const threshold = root.kind === "branch" ? root.threshold : NaN;
    expect(Math.fround(threshold)).toBe(threshold);
    expect(threshold).toBeLessThanOrEqual(15.055000305175783);
    expect(threshold).toBeGreaterThan(15.055);
  });
});

test("formats are told by their first bytes", () => {
  const formats = [
    ["xgboost", "model.json", "xgboost"],
    ["xgboost", "model.ubj", "xgboost"],
    ["lightgbm", "model.txt", "lightgbm"],
    ["lightgbm", "model.onnx", "onnx"],
  ];
  for (const [name, file, format] of formats) {
    expect(formatOf(readSklearnFile(name, file))).toBe(format);
  }
});

test.each([
  ["xgboost", "model.json"],
  ["xgboost_multi", "model.ubj"],
  ["lightgbm_zeros", "model.txt"],
])("600 random changes of %s/%s give a graph or a coded error", (name, file) => {
  const original = readSklearnFile(name, file);
  let seed = 9;
  const below = (count: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
    return Math.floor((seed / 2 ** 31) * count);
  };
  const outcomes = new Set<string>();
  for (let i = 0; i < 600; i++) {
    const bytes = Uint8Array.from(original);
    // The first bytes say which format it is.
    for (let times = below(3); times >= 0; times--) bytes[8 + below(bytes.length - 8)] = below(256);
    const cut = below(4) === 0 ? bytes.subarray(0, below(bytes.length)) : bytes;
    try {
      importGraph(cut);
      outcomes.add("graph");
    } catch (error) {
      if (!(error instanceof SottoError)) throw error;
      outcomes.add(error.code);
    }
  }
  expect(outcomes).toContain("graph");
  expect(outcomes).toContain("BAD_MODEL");
});
