/**
 * All tests: set-up, `cargo test` of the engine, then vitest. Ends with one line `N passed, N failed` over both.
 * Arguments go to vitest (`npm test -- unit`), and then vitest alone runs.
 * @module
 */
import { spawn } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ensureBrowser } from "./browser.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const cargoBin = join(process.env.CARGO_HOME ?? join(homedir(), ".cargo"), "bin");
const env = { ...process.env, PATH: [process.env.PATH ?? "", cargoBin].join(delimiter) };

async function main(vitestArguments) {
  const setup = await run(process.execPath, [join(root, "scripts", "setup.mjs")]);
  if (setup.status !== 0) return finish([{ passed: 0, failed: 1 }], setup.status);
  if (needsBrowser(vitestArguments)) ensureBrowser();
  const cargo = vitestArguments.length > 0 ? undefined : await cargoTest();
  const vitest = await vitestRun(vitestArguments);
  return finish([cargo ?? { passed: 0, failed: 0 }, vitest], 0);
}

/** Only where its tests may run: installing takes a minute. */
function needsBrowser(args) {
  return args.length === 0 || args.some((text) => text.includes("browser"));
}

function finish(totals, status) {
  const passed = totals.reduce((sum, total) => sum + total.passed, 0);
  const failed = totals.reduce((sum, total) => sum + total.failed, 0);
  console.log(`${passed} passed, ${failed} failed`);
  return status || (failed > 0 || passed === 0 ? 1 : 0);
}

async function cargoTest() {
  const args = ["test", "--release", "--workspace"];
  const { status, output, missing } = await run("cargo", args, { capture: true });
  if (missing) {
    console.log("sotto: cargo was not found, so the engine's own tests do not run");
    return undefined;
  }
  const total = { passed: 0, failed: 0 };
  for (const match of output.matchAll(/^test result: \w+\. (\d+) passed; (\d+) failed;/gm)) {
    total.passed += Number(match[1]);
    total.failed += Number(match[2]);
  }
  return atLeastOneFailure(total, status);
}

async function vitestRun(args) {
  const report = join(root, ".setup", "vitest.json");
  rmSync(report, { force: true });
  const { status } = await run(process.execPath, [
    join(root, "node_modules", "vitest", "vitest.mjs"),
    "run",
    "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${report}`,
    ...args,
  ]);
  return atLeastOneFailure(readReport(report), status);
}

/** Files that do not even load have no tests to count: each is one failure. */
function readReport(path) {
  try {
    const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(path, "utf8"));
    const broken = testResults.filter(
      (file) =>
        file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed"),
    );
    return { passed: numPassedTests, failed: numFailedTests + broken.length };
  } catch {
    return { passed: 0, failed: 0 };
  }
}

/** A command can fail with every test passing: it did not compile, or an error came from outside the tests. */
function atLeastOneFailure({ passed, failed }, status) {
  return { passed, failed: status === 0 ? failed : Math.max(1, failed) };
}

/** Runs a command with its output passed through; `capture` keeps what it writes to stdout as well. */
function run(command, args, { capture = false } = {}) {
  return new Promise((resolve) => {
    const stdio = ["ignore", capture ? "pipe" : "inherit", "inherit"];
    const child = spawn(command, args, { cwd: root, stdio, env });
    let output = "";
    child.stdout?.setEncoding("utf8").on("data", (text) => {
      output += text;
      process.stdout.write(text);
    });
    child.on("error", () => resolve({ status: 1, output, missing: true }));
    child.on("close", (status, signal) =>
      resolve({ status: status ?? (signal === "SIGINT" ? 130 : 1), output, missing: false }),
    );
  });
}

process.on("SIGINT", () => process.exit(130));
process.exitCode = await main(process.argv.slice(2));
