/**
 * Trees in integers: bins, leaves, and circuits whose answers are the sums of the leaves that a row reaches.
 * SOTTO_RANDOM_TREES sets how many random ensembles are tried.
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compileModule } from "../../../src/compile.ts";
import { circuitStatistics } from "../../../src/execute/statistics.ts";
import { decodeQuantizedModule, encodeQuantizedModule } from "../../../src/format/module.ts";
import { evaluate } from "../../../src/onnx/evaluate.ts";
import { importOnnx } from "../../../src/onnx/import.ts";
import { treeEnsembleOf } from "../../../src/onnx/ops/ml-trees.ts";
import type { Tree, TreeEnsemble } from "../../../src/onnx/trees/ensemble.ts";
import { leafOf } from "../../../src/onnx/trees/evaluate.ts";
import { BinQuantizer } from "../../../src/quantization/bin-quantizer.ts";
import type { QuantizedModule } from "../../../src/quantization/module.ts";
import { PostTrainingAffineQuantization } from "../../../src/quantization/post-training.ts";
import { binsOf } from "../../../src/quantization/trees/bins.ts";
import { leafCodes } from "../../../src/quantization/trees/leaves.ts";
import { tensorsOf } from "../../../src/tensor/list.ts";
import { type Tensor, float32, float64, int64 } from "../../../src/tensor/tensor.ts";
import { errorOf } from "../../support/errors.ts";
import {
  type EnsembleChoice,
  graphOf,
  randomEnsemble,
  randomRows,
} from "../../support/random-trees.ts";
import {
  type RecordedCase,
  inputTensors,
  readRecorded,
  readSklearnFile,
  sklearnFixtures,
} from "../../support/sklearn-fixtures.ts";

function moduleOf(ensemble: TreeEnsemble, rows: Tensor, nBits = 8): QuantizedModule {
  const graph = graphOf(ensemble, rows.shape[1]);
  return new PostTrainingAffineQuantization(nBits, graph).quantizeModule(rows);
}

function lookupsOf(module: QuantizedModule): number {
  return circuitStatistics(module.circuitFor("calibrated")).tableLookups;
}

/** The integers of the leaves that every row reaches, added up: [rows, outputs]. */
function leafSums(ensemble: TreeEnsemble, rows: Tensor, nBits: number): number[] {
  const { of, total } = leafCodes(ensemble, nBits, "test");
  const [count, features] = rows.shape;
  return Array.from({ length: count }, (_, row) => {
    const values = rows.data.subarray(row * features, (row + 1) * features);
    const sums = Array.from({ length: ensemble.outputCount }, () => 0);
    for (const tree of ensemble.trees) {
      of(leafOf(tree, values)).forEach((value, output) => (sums[output] += value));
    }
    const others = sums.slice(0, -1).reduce((a, b) => a + b, 0);
    return total === null ? sums : [...sums.slice(0, -1), total - others];
  }).flat();
}

const choices: fc.Arbitrary<EnsembleChoice> = fc.record({
  seed: fc.integer(),
  trees: fc.integer({ min: 1, max: 6 }),
  depth: fc.integer({ min: 0, max: 7 }),
  features: fc.integer({ min: 1, max: 8 }),
  outputs: fc.integer({ min: 1, max: 3 }),
  ends: fc.constantFrom(0, 0.3, 0.6),
  thresholds: fc.constantFrom(2, 8, 40),
  isShare: fc.boolean(),
});

const COUNT = Number(process.env["SOTTO_RANDOM_TREES"] ?? 40);

/** One tree that asks for a different feature at every split. */
function completeTree(depth: number): TreeEnsemble {
  const nodes: Tree["nodes"][number][] = [];
  const add = (level: number): number => {
    const place = nodes.length;
    const leaf = { kind: "leaf", weights: [{ output: 0, weight: place }] } as const;
    nodes.push(leaf);
    if (level === depth) return place;
    const whenTrue = add(level + 1);
    const whenFalse = add(level + 1);
    const question = { feature: place, threshold: 0, comparison: "<=" } as const;
    nodes[place] = { kind: "branch", ...question, whenTrue, whenFalse, missingIsTrue: false };
    return place;
  };
  add(0);
  return { ...randomEnsemble(small), trees: [{ nodes }], featureCount: nodes.length };
}

const small: EnsembleChoice = {
  seed: 1,
  trees: 1,
  depth: 1,
  features: 2,
  outputs: 1,
  ends: 0,
  thresholds: 8,
};

describe("circuits of trees", () => {
  test(
    "give the sums of the leaves that rows reach, whatever the trees",
    { timeout: 2000 * COUNT },
    () => {
      fc.assert(
        fc.property(choices, fc.integer({ min: 7, max: 9 }), (choice, nBits) => {
          const ensemble = randomEnsemble(choice);
          const rows = randomRows(choice, 60);
          // Bounds must hold for rows that calibration has not seen.
          const calibration = randomRows({ ...choice, seed: choice.seed + 1 }, 5);
          const module = moduleOf(ensemble, calibration, nBits);
          const codes = module.quantizedForward(module.quantizeInput(rows));
          expect([...codes.data]).toEqual(leafSums(ensemble, rows, nBits));
        }),
        { numRuns: COUNT },
      );
    },
  );

  test("give the same when they are lowered to programs", { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(choices, (choice) => {
        const rows = randomRows(choice, 12);
        const compiled = compileModule(moduleOf(randomEnsemble(choice), rows, 7));
        const codes = compiled.quantizeInput(rows);
        expect(compiled.circuit.simulate(codes, { noise: false })).toEqual(
          compiled.quantizedForward(codes),
        );
      }),
      { numRuns: 12 },
    );
  });

  test.each([
    [1, 0],
    [2, 1],
    [3, 2],
    [4, 4],
    [5, 8],
  ])("take for a complete tree of depth %d %d lookups", (depth, lookups) => {
    const ensemble = completeTree(depth);
    expect(lookupsOf(moduleOf(ensemble, randomRows({ ...small, features: 70 }, 20)))).toBe(lookups);
  });

  test("take no lookup for trees of one feature, or of one split", () => {
    const rows = randomRows(small, 20);
    const alone = randomEnsemble({ ...small, trees: 3, depth: 6, features: 1, ends: 0.2 });
    expect(lookupsOf(moduleOf(alone, randomRows({ ...small, features: 1 }, 20)))).toBe(0);
    expect(lookupsOf(moduleOf(randomEnsemble({ ...small, trees: 9 }), rows))).toBe(0);
  });

  test("share lookups between trees that ask the same", () => {
    const one = randomEnsemble({ ...small, depth: 4, features: 6 });
    const rows = randomRows({ ...small, features: 6 }, 20);
    const twice = { ...one, trees: [...one.trees, ...one.trees] };
    expect(lookupsOf(moduleOf(one, rows))).toBeGreaterThan(0);
    expect(lookupsOf(moduleOf(twice, rows))).toBe(lookupsOf(moduleOf(one, rows)));
  });

  test("look nothing up for the last of outputs that add up to one", () => {
    const choice = { ...small, depth: 2, features: 3, outputs: 2, seed: 4 };
    const rows = randomRows(choice, 20);
    const apart = lookupsOf(moduleOf(randomEnsemble(choice), rows));
    const shares = lookupsOf(moduleOf(randomEnsemble({ ...choice, isShare: true }), rows));
    expect([apart, shares]).toEqual([2, 1]);
  });

  test("know what to do with missing values", () => {
    const choice = { ...small, trees: 5, depth: 5, features: 3, seed: 9 };
    const ensemble = randomEnsemble(choice);
    const rows = randomRows(choice, 100);
    const missing = float32(
      rows.shape,
      rows.data.map((x, i) => (i % 7 === 0 ? NaN : x)),
    );
    const module = moduleOf(ensemble, missing);
    const codes = module.quantizedForward(module.quantizeInput(missing));
    expect([...codes.data]).toEqual(leafSums(ensemble, missing, 8));
  });

  test("are refused for extremes of several trees", () => {
    const ensemble = { ...randomEnsemble({ ...small, trees: 2 }), aggregate: "MAX" } as const;
    const error = errorOf(() => moduleOf(ensemble, randomRows(small, 5)));
    expect(error.code).toBe("UNSUPPORTED_OPERATOR");
    expect(error.message).toMatch(/MAX of 2 trees/);
  });
});

describe("bins", () => {
  const branch = {
    kind: "branch",
    feature: 0,
    whenTrue: 1,
    whenFalse: 2,
    missingIsTrue: true,
  } as const;
  const leaf = { kind: "leaf", weights: [] } as const;
  const asking = (thresholds: readonly number[]): TreeEnsemble => ({
    ...randomEnsemble({ ...small, features: 1 }),
    trees: thresholds.map((threshold) => ({
      nodes: [{ ...branch, comparison: "<=", threshold }, leaf, leaf],
    })),
  });

  test("begin right above thresholds, and give missing values the bin where they belong", () => {
    const bins = binsOf([asking([1, 3])], float32([1, 1], [0]), 8);
    const x = float64([6, 1], [1, 1 + 2 ** -52, 3, 3.5, -9, NaN]);
    expect([...bins.quant(x).data]).toEqual([0, 1, 1, 2, 0, 0]);
    expect(bins.sizes).toEqual([3]);
  });

  test("give missing values a code of their own where no bin goes their ways", () => {
    const [first, second] = asking([1, 3]).trees;
    const [{ nodes }] = asking([3]).trees;
    const other = nodes.map((node) => ({ ...node, missingIsTrue: false }));
    const trees = [first, second, { nodes: other }];
    const bins = binsOf([{ ...asking([]), trees }], float32([1, 1], [0]), 8);
    expect([...bins.quant(float32([2, 1], [9, NaN])).data]).toEqual([2, 3]);
    expect(bins.sizes).toEqual([4]);
  });

  test("become one where few rows lie when thresholds are more than codes", () => {
    const rows = float32([6, 1], [0.5, 1.5, 1.6, 2.5, 3.5, 3.6]);
    const bins = binsOf([asking([1, 2, 3, 4])], rows, 2);
    expect(bins.columns[0].edges.length).toBe(3);
    expect([...bins.quant(rows).data]).toEqual([0, 1, 1, 2, 3, 3]);
  });

  test("are saved with the module", () => {
    const choice = { ...small, trees: 3, depth: 4, features: 4 };
    const rows = randomRows(choice, 30);
    const module = moduleOf(randomEnsemble(choice), rows);
    const loaded = decodeQuantizedModule(encodeQuantizedModule(module));
    expect(loaded.inputs[0].quantizer).toBeInstanceOf(BinQuantizer);
    expect(loaded.forward(rows)).toEqual(module.forward(rows));
    expect(encodeQuantizedModule(loaded)).toEqual(encodeQuantizedModule(module));
  });

  test("refuse rows of another width", () => {
    const bins = binsOf([asking([1])], float32([1, 1], [0]), 8);
    expect(errorOf(() => bins.quant(float32([1, 2], [0, 0]))).code).toBe("BAD_SHAPE");
    expect(errorOf(() => bins.quant(int64([1, 1], [0]))).code).toBe("BAD_DTYPE");
  });
});

/** Recorded models that trees alone decide. */
const recorded = sklearnFixtures("case.json").filter((name) =>
  importOnnx(readSklearnFile(name, "model.onnx")).nodes.some((node) => treeEnsembleOf(node)),
);

describe.each(recorded)("the recorded model %s", (name) => {
  test("gives the labels of the float model, and scores near its own", () => {
    const graph = importOnnx(readSklearnFile(name, "model.onnx"));
    const inputs = inputTensors(graph, readRecorded<RecordedCase>(name, "case.json"));
    const module = new PostTrainingAffineQuantization(8, graph).quantizeModule(...inputs);
    const expected = evaluate(graph, inputs);
    tensorsOf(module.forward<Tensor[]>(inputs)).forEach(({ dtype, data }, i) => {
      const { data: floats } = expected[i];
      const wrong = [...data].filter((label, j) => label !== floats[j]).length;
      if (dtype === "int64") return expect(wrong / data.length).toBeLessThan(0.03);
      const span = Math.max(...floats) - Math.min(...floats);
      const errors = [...data].map((score, j) => Math.abs(score - floats[j]));
      return expect(Math.max(...errors)).toBeLessThanOrEqual(0.03 * span);
    });
  });
});
