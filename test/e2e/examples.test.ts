/**
 * The examples: each runs as users run it, encryption included, and prints what its own comments say (`// > …`).
 */
import { execFile } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { PACKAGE_ROOT } from "../support/cli.ts";

const run = promisify(execFile);
const folder = join(PACKAGE_ROOT, "examples");
const runner = join(PACKAGE_ROOT, "scripts", "example.mjs");
const names = readdirSync(folder).map((file) => basename(file, ".ts"));

function promised(name: string): string[] {
  const source = readFileSync(join(folder, `${name}.ts`), "utf8");
  return [...source.matchAll(/^\s*\/\/ > (.*)$/gm)].map(([, line]) => line);
}

describe("the example", () => {
  test.each(names)("%s prints what it says", async (name) => {
    const { stdout, stderr } = await run(process.execPath, [runner, name]);
    expect(stdout.trimEnd().split("\n")).toEqual(promised(name));
    expect(stderr).toBe("");
  });

  test("is in the README, and so are all others", () => {
    const readme = readFileSync(join(PACKAGE_ROOT, "README.md"), "utf8");
    expect(names.filter((name) => !readme.includes(`(examples/${name}.ts)`))).toEqual([]);
    const listed = [...readme.matchAll(/\(examples\/([a-z-]+)\.ts\)/g)].map(([, name]) => name);
    expect(listed.filter((name) => !names.includes(name))).toEqual([]);
  });

  test("that does not exist is refused with the names of those that do", async () => {
    const failure: unknown = await run(process.execPath, [runner, "none"]).catch(
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("client-and-server") as string,
    });
  });
});
