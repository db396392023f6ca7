/**
 * A linear model from the command line: the server computes without any keys. One with lookups asks for them.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  expectMistake,
  fixturePath,
  modelAndCalibration,
  modelAndRows,
  predictJson,
  sotto,
  succeed,
  temporaryFolder,
} from "../support/cli.ts";

const folder = temporaryFolder();
const path = (...names: string[]): string => join(folder, ...names);

/** Compiles a fixture and encrypts its first row. */
async function prepare(name: string): Promise<{ client: string; server: string; inputs: string }> {
  const [client, server] = ["client", "server"].map((half) => path(name, `${half}.sotto`));
  const inputs = path(`${name}.inputs`);
  const input = fixturePath(name, "inputs.npy");
  await succeed("compile", ...modelAndCalibration(name), "--n-bits", "3", "-o", path(name));
  await succeed("keygen", client, "-o", path(`${name}.keys`));
  const keys = path(`${name}.keys`);
  await succeed("encrypt", client, "--keys", keys, "--input", input, "-o", inputs);
  return { client, server, inputs };
}

test("a linear model runs without evaluation keys and gives the clear integers", async () => {
  const name = "op_single_linear";
  const { client, server, inputs } = await prepare(name);
  const answer = path("answer.sotto");
  await succeed("run", server, inputs, "-o", answer);
  const keys = path(`${name}.keys`);
  const decrypted = await succeed("decrypt", client, answer, "--keys", keys, "--json", "-");
  const { quantizedOutputs } = JSON.parse(decrypted) as { quantizedOutputs: unknown };
  const clear = await predictJson(...modelAndRows(name), "--n-bits", "3", "--limit", "1");
  expect(quantizedOutputs).toEqual(clear.quantizedOutputs);
});

test("a model with lookups asks for evaluation keys", async () => {
  const { server, inputs } = await prepare("seed_logreg");
  const refused = path("refused.sotto");
  const line = expectMistake(await sotto("run", server, inputs, "-o", refused), "BAD_ARGUMENT");
  expect(line).toContain("--keys");
  expect(existsSync(refused)).toBe(false);
});
