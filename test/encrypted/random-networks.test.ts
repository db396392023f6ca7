/**
 * Random networks of every family of operators, encrypted: the integers of the clear. SOTTO_RANDOM_NETWORKS sets how many,
 * SOTTO_FIRST_SEED where to begin. One decision fails with at most 2^-40, any of 500 networks of at most 200 lookups with
 * less than 2^-23.
 */
import { expect, test } from "vitest";
import { tensorsOf } from "../../src/tensor/list.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { type RandomRun, describeRun, randomRun } from "../support/random-runs.ts";
import { underSharedParameters } from "../support/random-runs.ts";

const isLong = process.env["SOTTO_RANDOM_NETWORKS"] !== undefined;
const COUNT = Number(process.env["SOTTO_RANDOM_NETWORKS"] ?? 12);
const FIRST_SEED = Number(process.env["SOTTO_FIRST_SEED"] ?? 0);
/** Networks that share their keys. */
const BATCH = 12;
const MOST_LOOKUPS = 200;
/** Networks that would take longer on one core, or whose keys would be larger, are passed over. */
const MOST_MS = 1000;
const MOST_KEY_BYTES = 40e6;

async function* runnable(): AsyncGenerator<RandomRun> {
  for (let seed = FIRST_SEED; ; seed++) {
    const run = await randomRun(seed, [null, "exact"]);
    if (typeof run === "string") continue;
    const { tableLookups, predictedMs, evaluationKeyBytes } = run.compiled.circuit.statistics;
    const isSmall = predictedMs <= MOST_MS && evaluationKeyBytes <= MOST_KEY_BYTES;
    if (tableLookups > 0 && tableLookups <= MOST_LOOKUPS && isSmall) yield run;
  }
}

/** Runs one row of each network; all have the keys of the first. */
async function checkBatch(runs: readonly RandomRun[]): Promise<void> {
  const circuits = underSharedParameters(runs);
  const evaluationKeys = await circuits[0].keygenAsync();
  const secretKey = circuits[0].client.saveKey();
  for (const [i, circuit] of circuits.entries()) {
    if (i > 0) await circuit.loadKeys(secretKey, evaluationKeys ?? new Uint8Array());
    const row = [...runs[i].rows[0]];
    const encrypted = tensorsOf(circuit.encryptRunDecrypt<Tensor[]>(row));
    expect(encrypted, describeRun(runs[i])).toEqual(circuit.evaluate(row));
  }
}

test(
  "random networks give the clear integers when they run encrypted",
  { timeout: 120_000 * COUNT },
  async () => {
    const networks = runnable();
    let lookups = 0;
    for (let done = 0; done < COUNT;) {
      const runs: RandomRun[] = [];
      while (runs.length < Math.min(BATCH, COUNT - done)) runs.push((await networks.next()).value);
      await checkBatch(runs);
      done += runs.length;
      for (const { compiled } of runs) lookups += compiled.circuit.statistics.tableLookups;
      if (isLong) console.log({ seed: runs[runs.length - 1].seed, done, lookups });
    }
  },
);
