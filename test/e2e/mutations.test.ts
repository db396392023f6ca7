/**
 * Damaged models, the short form of bench/mutations.mjs: a result or a coded error each, in time and within memory.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const script = fileURLToPath(new URL("../../bench/mutations.mjs", import.meta.url));

test("damaged models give a result or a coded error", () => {
  const { stdout } = spawnSync(process.execPath, [script, "--count", "400"], { encoding: "utf8" });
  const { count, outcomes, failures } = JSON.parse(stdout) as {
    readonly count: number;
    readonly outcomes: Readonly<Record<string, number>>;
    readonly failures: readonly unknown[];
  };
  expect(failures).toEqual([]);
  expect(Object.values(outcomes).reduce((sum, times) => sum + times, 0)).toBe(count);
  // Neither all of them are refused, nor none.
  expect(outcomes["ok"]).toBeGreaterThan(0.05 * count);
  expect(outcomes["BAD_MODEL"]).toBeGreaterThan(0.05 * count);
});
