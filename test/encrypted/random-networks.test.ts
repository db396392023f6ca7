/**
 * Random networks of every family of operators, encrypted: the integers of the clear. SOTTO_RANDOM_NETWORKS sets how many.
 * One decision fails with at most 2^-40, a run of 500 networks of at most 200 lookups with less than 2^-23.
 */
import { expect, test } from "vitest";
import { tensorsOf } from "../../src/tensor/list.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { describeRun, randomRun } from "../support/random-runs.ts";

const isLong = process.env["SOTTO_RANDOM_NETWORKS"] !== undefined;
const COUNT = Number(process.env["SOTTO_RANDOM_NETWORKS"] ?? 6);
const FIRST_SEED = Number(process.env["SOTTO_FIRST_SEED"] ?? 0);
const MOST_LOOKUPS = 200;
/** Networks that would take longer on one core are passed over. */
const MOST_MS = 1000;

test(
  "random networks give the clear integers when they run encrypted",
  { timeout: 120_000 * COUNT },
  async () => {
    let [seed, done, lookups, refused, passedOver] = [FIRST_SEED, 0, 0, 0, 0];
    for (; done < COUNT; seed++) {
      const run = await randomRun(seed, [null, "exact"]);
      if (typeof run === "string") {
        refused++;
        continue;
      }
      const { circuit } = run.compiled;
      const { tableLookups, predictedMs } = circuit.statistics;
      if (tableLookups === 0 || tableLookups > MOST_LOOKUPS || predictedMs > MOST_MS) {
        passedOver++;
        continue;
      }
      const row = [...run.rows[0]];
      const encrypted = tensorsOf(circuit.encryptRunDecrypt<Tensor[]>(row));
      expect(encrypted, describeRun(run)).toEqual(circuit.evaluate(row));
      done++;
      lookups += tableLookups;
      if (isLong) console.log({ seed, done, lookups, refused, passedOver });
    }
  },
);
