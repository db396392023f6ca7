/**
 * How the command behaves as a process: Ctrl-C, closed pipes, a full disk, and a package without its engine.
 */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import {
  expectMistake,
  modelAndRows,
  PACKAGE_ROOT,
  type PredictionJson,
  predictJson,
  sotto,
  startSotto,
  temporaryFolder,
} from "../support/cli.ts";
import { flat } from "../support/golden.ts";

const INTERRUPTED = 130;
/** A batch of lookups takes a fraction of this. */
const LONGEST_STOP_MS = 3000;

const folder = temporaryFolder();
const logreg = [...modelAndRows("seed_logreg"), "--n-bits", "3", "--limit", "5"];

describe("Ctrl-C", () => {
  const keys = join(folder, "keys");
  const fit = ["--n-bits", "5", "--rounding-threshold-bits", '{"nBits": 4, "method": "fit"}'];
  const digits = [...modelAndRows("digits_mlp"), ...fit];
  const encrypted = ["--mode", "encrypted", "--keys", keys];

  test("stops an encrypted run with one line, and its keys can be used again", async () => {
    const running = startSotto(["predict", ...digits, ...encrypted]);
    await running.stderrMatches(/encrypted runs: \d+ % /);
    const start = performance.now();
    running.child.kill("SIGINT");
    const { code, stdout, stderr } = await running.ended;
    expect(performance.now() - start).toBeLessThan(LONGEST_STOP_MS);
    expect({ code, stdout }).toEqual({ code: INTERRUPTED, stdout: "" });
    const progress = /^(?:key generation|450 encrypted runs): /;
    const lines = stderr.split("\n").filter((line) => !progress.test(line));
    expect(lines).toEqual(["stopped", ""]);

    const got = await predictJson(...digits, ...encrypted, "--limit", "1");
    expect(got.timings.keygenMs).toBeNull();
    const clear = await predictJson(...digits, "--limit", "1");
    const argmax = (numbers: number[]) => numbers.indexOf(Math.max(...numbers));
    expect(flat(got.outputs)).toHaveLength(10);
    expect(argmax(flat(got.outputs))).toBe(argmax(flat(clear.outputs)));
  });
});

describe("output that cannot be written", () => {
  test("a closed pipe is quiet, and files are written all the same", async () => {
    const json = join(folder, "prediction.json");
    const running = startSotto(["predict", ...logreg, "--json", json]);
    running.child.stdout?.destroy();
    const { code, stderr } = await running.ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(readFileSync(json, "utf8"))).toHaveProperty("mode", "clear");
  });

  test("a closed pipe is quiet where JSON goes there, and with --help", async () => {
    for (const args of [
      ["predict", ...logreg, "--json", "-"],
      ["predict", "--help"],
    ]) {
      const running = startSotto(args);
      running.child.stdout?.destroy();
      const { code, stderr } = await running.ended;
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    }
  });

  test("a closed stderr does not end the work", async () => {
    const wide = [...modelAndRows("digits_mlp"), "--n-bits", "8", "--limit", "1"];
    const running = startSotto(["predict", ...wide, "--json", "-"]);
    running.child.stderr?.destroy();
    const { code, stdout } = await running.ended;
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toHaveProperty("crypto", null);
  });

  test.runIf(existsSync("/dev/full"))("a full disk is told in one line", () => {
    const entry = join(PACKAGE_ROOT, "dist", "cli", "main.js");
    const args = ["-c", '"$0" "$@" > /dev/full', process.execPath, entry, "predict", ...logreg];
    const { status, stderr } = spawnSync("sh", args, { encoding: "utf8" });
    expectMistake({ code: status, stdout: "", stderr }, "BAD_ARGUMENT");
    expect(stderr).toContain("no space left");
  });
});

describe("without the engine", () => {
  const root = join(folder, "package");
  const client = join(folder, "model", "client.sotto");
  beforeAll(async () => {
    mkdirSync(root);
    for (const name of ["dist", "package.json"]) {
      cpSync(join(PACKAGE_ROOT, name), join(root, name), { recursive: true });
    }
    symlinkSync(join(PACKAGE_ROOT, "node_modules"), join(root, "node_modules"));
    const { code } = await startSotto(
      ["compile", ...logregModel(), "-o", join(folder, "model")],
      root,
    ).ended;
    expect(code).toBe(0);
  });
  const logregModel = () => [...modelAndRows("seed_logreg").slice(0, 3), "--n-bits", "3"];

  test.each(["clear", "simulate"])("%s works", async (mode) => {
    const args = ["predict", ...logreg, "--mode", mode, "--json", "-"];
    const { code, stdout, stderr } = await startSotto(args, root).ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const got = JSON.parse(stdout) as PredictionJson;
    const whole = await predictJson(...logreg);
    expect(got.mode).toBe(mode);
    expect(got.quantizedOutputs).toEqual(whole.quantizedOutputs);
    expect(flat(got.quantizedOutputs)).toHaveLength(5);
  });

  test("compile writes the bytes that it writes with the engine", async () => {
    const { code } = await sotto("compile", ...logregModel(), "-o", join(folder, "with"));
    expect(code).toBe(0);
    for (const name of ["server.sotto", "client.sotto"]) {
      const [without, withEngine] = ["model", "with"].map((at) =>
        readFileSync(join(folder, at, name)),
      );
      expect(without.equals(withEngine), name).toBe(true);
    }
  });

  test("encrypted and keygen say what to do", async () => {
    const keys = join(folder, "no-keys");
    const commands = [
      ["predict", ...logreg, "--mode", "encrypted"],
      ["keygen", client, "-o", keys],
    ];
    for (const args of commands) {
      const line = expectMistake(await startSotto(args, root).ended, "NATIVE_MISSING");
      expect(line).toContain("https://rustup.rs");
      expect(line).toContain("npm run setup");
    }
    expect(existsSync(keys)).toBe(false);
  });
});
