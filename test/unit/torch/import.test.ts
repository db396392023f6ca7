/**
 * PyTorch programs of every archive layout against what PyTorch computed, and against their ONNX exports.
 */
import { describe, expect, test } from "vitest";
import { evaluate } from "../../../src/onnx/evaluate.ts";
import { importTorch } from "../../../src/torch/import.ts";
import {
  archivesOf,
  readTorchArrays,
  readTorchFile,
  torchFixtures,
} from "../../support/torch-fixtures.ts";

const archives = torchFixtures.flatMap((name) => archivesOf(name).map((file) => ({ name, file })));

/** Resampling weights in single precision differ in their last digits from implementation to implementation. */
const tolerances: ReadonlyMap<string, number> = new Map([["operators_layers", 2e-5]]);

describe("float outputs equal PyTorch's", () => {
  test.each(archives)("$name/$file", ({ name, file }) => {
    const graph = importTorch(readTorchFile(name, file));
    const outputs = evaluate(graph, readTorchArrays(name, "inputs"));
    const expected = readTorchArrays(name, "float_outputs");
    expect(outputs.map(({ shape }) => shape)).toEqual(expected.map(({ shape }) => shape));
    for (const [i, { data }] of expected.entries()) {
      let worst = 0;
      for (const [k, value] of data.entries()) {
        worst = Math.max(worst, Math.abs(value - outputs[i].data[k]) / (1 + Math.abs(value)));
      }
      expect(worst).toBeLessThan(tolerances.get(name) ?? 2e-6);
    }
  });
});
