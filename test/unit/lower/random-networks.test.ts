/**
 * Programs give the clear integers: random networks of every family of operators, simulated without noise.
 * SOTTO_RANDOM_NETWORKS sets how many.
 */
import { expect, test } from "vitest";
import { evaluate } from "../../../src/circuit/evaluate.ts";
import { buildCircuit } from "../../../src/quantization/build-circuit.ts";
import { tensorsOf } from "../../../src/tensor/list.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { describeRun, isClearOfEdges, isExact, randomRun } from "../../support/random-runs.ts";

const isLong = process.env["SOTTO_RANDOM_NETWORKS"] !== undefined;
const COUNT = Number(process.env["SOTTO_RANDOM_NETWORKS"] ?? 200);
const OUT_OF_REACH: ReadonlySet<string> = new Set(["NO_PARAMETERS", "TABLE_TOO_WIDE"]);

test(
  "random networks give the clear integers when they are simulated without noise",
  { timeout: 1_000 * COUNT },
  async () => {
    const refusals = new Map<string, number>();
    const operators = new Map<string, number>();
    let compared = 0;
    for (let seed = 0; seed < COUNT; seed++) {
      const run = await randomRun(seed, [null, "exact", "approximate", "fit"]);
      if (typeof run === "string") {
        refusals.set(run, (refusals.get(run) ?? 0) + 1);
        continue;
      }
      for (const name of new Set(run.operators))
        operators.set(name, (operators.get(name) ?? 0) + 1);
      const { circuit } = run.compiled;
      const rows = run.rows.filter(
        (row) => isExact(run.compiled) || isClearOfEdges(run.compiled, row),
      );
      // What the passes made of the circuit means what was built; open intervals of fit roundings are theirs to fill in.
      const built = buildCircuit(run.compiled.module);
      const isOpen = built.values.some(({ op }) => op.kind === "fit");
      for (const row of rows) {
        if (!isOpen)
          expect(evaluate(built, row), describeRun(run)).toEqual(circuit.evaluate([...row]));
        const simulated = tensorsOf(circuit.simulate<Tensor[]>([...row], { noise: false }));
        expect(simulated, describeRun(run)).toEqual(circuit.evaluate([...row]));
        expect(circuit.overflows, describeRun(run)).toBe(0);
        compared++;
      }
    }
    const refused = [...refusals.values()].reduce((sum, count) => sum + count, 0);
    if (isLong) console.log({ networks: COUNT - refused, rows: compared, refusals, operators });
    // Few are out of reach, and none for another reason.
    expect([...refusals.keys()].filter((code) => !OUT_OF_REACH.has(code))).toEqual([]);
    expect(refused).toBeLessThan(0.1 * COUNT + 1);
    expect(compared).toBeGreaterThan(COUNT);
  },
);
