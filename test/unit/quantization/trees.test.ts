/**
 * Trees in integers: bins, leaves, and circuits whose answers are the sums of the leaves that a row reaches.
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { leafOf } from "../../../src/onnx/trees/evaluate.ts";
import type { TreeEnsemble } from "../../../src/onnx/trees/ensemble.ts";
import type { QuantizedModule } from "../../../src/quantization/module.ts";
import { PostTrainingAffineQuantization } from "../../../src/quantization/post-training.ts";
import { leafCodes } from "../../../src/quantization/trees/leaves.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import {
  type EnsembleChoice,
  graphOf,
  randomEnsemble,
  randomRows,
} from "../../support/random-trees.ts";

function moduleOf(ensemble: TreeEnsemble, rows: Tensor, nBits = 8): QuantizedModule {
  return new PostTrainingAffineQuantization(nBits, graphOf(ensemble, rows.shape[1])).quantizeModule(
    rows,
  );
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

describe("circuits of trees", () => {
  test("give the sums of the leaves that rows reach, whatever the trees", () => {
    fc.assert(
      fc.property(choices, fc.integer({ min: 7, max: 9 }), (choice, nBits) => {
        const ensemble = randomEnsemble(choice);
        const rows = randomRows(choice, 60);
        // The calibration rows are others, so that bounds must hold for rows that nobody has seen.
        const module = moduleOf(
          ensemble,
          randomRows({ ...choice, seed: choice.seed + 1 }, 5),
          nBits,
        );
        const codes = module.quantizedForward(module.quantizeInput(rows));
        expect([...codes.data]).toEqual(leafSums(ensemble, rows, nBits));
      }),
      { numRuns: Number(process.env["SOTTO_RANDOM_TREES"] ?? 60) },
    );
  });
});
