/**
 * Random trees and forests encrypted: the integers of the clear. SOTTO_RANDOM_TREES sets how many. One decision fails with at
 * most 2^-40, any of 200 ensembles of at most 120 lookups with less than 2^-25.
 */
import { expect, test } from "vitest";
import { compileModule } from "../../src/compile.ts";
import { PostTrainingAffineQuantization } from "../../src/quantization/post-training.ts";
import { tensorsOf } from "../../src/tensor/list.ts";
import { type Tensor, int64 } from "../../src/tensor/tensor.ts";
import { randomNumbers } from "../support/random-models.ts";
import { type RandomRun, describeRun, underSharedParameters } from "../support/random-runs.ts";
import { graphOf, randomEnsemble, randomRows } from "../support/random-trees.ts";

const isLong = process.env["SOTTO_RANDOM_TREES"] !== undefined;
const COUNT = Number(process.env["SOTTO_RANDOM_TREES"] ?? 4);
/** Ensembles that share their keys. */
const BATCH = 20;
const MOST_LOOKUPS = 120;
const ROWS = 2;

/** An ensemble of any size that a few lookups decide, compiled at bits that follow from the seed too. */
function randomTrees(seed: number): RandomRun | null {
  const random = randomNumbers(seed);
  const between = (lo: number, hi: number): number => lo + Math.floor(random() * (hi - lo + 1));
  const choice = {
    seed,
    trees: between(1, 8),
    depth: between(1, 6),
    features: between(1, 12),
    outputs: between(1, 3),
    ends: between(0, 2) / 4,
    thresholds: between(2, 60),
    isShare: random() < 0.5,
  };
  const nBits = between(2, 8);
  const bounds = random() < 0.5 ? "calibrated" : "guaranteed";
  const graph = graphOf(randomEnsemble(choice), choice.features);
  const rows = randomRows(choice, 40);
  const module = new PostTrainingAffineQuantization(nBits, graph).quantizeModule(rows);
  const options = { nBits, bounds } as const;
  const compiled = compileModule(module, options);
  if (compiled.circuit.statistics.tableLookups > MOST_LOOKUPS) return null;
  const codes = module.quantizeInput(rows);
  const width = choice.features;
  const single = Array.from({ length: ROWS }, (_, row) => [
    int64([1, width], codes.data.slice(row * width, (row + 1) * width)),
  ]);
  return { seed, operators: [JSON.stringify(choice)], options, compiled, rows: single };
}

test(
  "random trees and forests give the clear integers when they run encrypted",
  { timeout: 60_000 * COUNT },
  async () => {
    let lookups = 0;
    for (let seed = 0, done = 0; done < COUNT;) {
      const runs: RandomRun[] = [];
      while (runs.length < Math.min(BATCH, COUNT - done)) {
        const run = randomTrees(seed++);
        if (run) runs.push(run);
      }
      const circuits = underSharedParameters(runs);
      const withKeys = circuits.findIndex(({ statistics }) => statistics.tableLookups > 0);
      const evaluationKeys = await circuits[Math.max(0, withKeys)].keygenAsync();
      const secretKey = circuits[Math.max(0, withKeys)].client.saveKey();
      for (const [i, circuit] of circuits.entries()) {
        if (i !== withKeys) {
          await circuit.loadKeys(secretKey, evaluationKeys ?? new Uint8Array());
        }
        for (const row of runs[i].rows) {
          const encrypted = tensorsOf(circuit.encryptRunDecrypt<Tensor[]>([...row]));
          expect(encrypted, describeRun(runs[i])).toEqual(circuit.evaluate([...row]));
        }
        lookups += circuit.statistics.tableLookups;
      }
      done += runs.length;
      if (isLong) console.log({ seed, done, lookups });
    }
  },
);
