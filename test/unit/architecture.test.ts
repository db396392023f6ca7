/**
 * Who may import whom: every folder knows only those named here, so that the pipeline can be read from the folders.
 */
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { expect, test } from "vitest";

const SRC = join(import.meta.dirname, "..", "..", "src");

/** Folder -> folders it may import from, besides itself, errors.ts and steps.ts. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  tensor: [],
  files: [],
  onnx: ["tensor"],
  boosters: ["files", "onnx", "tensor"],
  torch: ["files", "onnx", "tensor"],
  circuit: ["onnx", "tensor"],
  passes: ["circuit", "tensor"],
  quantization: ["passes", "circuit", "onnx", "tensor"],
  parameters: ["passes", "circuit", "tensor"],
  lower: ["parameters", "passes", "circuit", "tensor"],
  format: ["onnx", "lower", "parameters", "passes", "quantization", "circuit", "tensor"],
  native: [],
  client: ["onnx", "format", "parameters", "quantization", "native", "tensor"],
  execute: [
    "client",
    "format",
    "lower",
    "parameters",
    "quantization",
    "circuit",
    "native",
    "tensor",
  ],
  models: ["compile.ts", "artifacts.ts", "import.ts", "options.ts", "execute", "onnx", "tensor"],
  tune: ["execute", "parameters", "quantization", "onnx", "tensor"],
  calibration: ["format", "lower", "native", "parameters"],
  server: ["client", "execute", "format", "native", "parameters"],
  report: ["tune", "execute", "lower", "parameters"],
};

function importsOf(file: string): string[] {
  const text = readFileSync(file, "utf8");
  return [...text.matchAll(/from "(\.[^"]+)"/g)].map(([, path]) =>
    relative(SRC, normalize(join(dirname(file), path))),
  );
}

test.each(Object.keys(ALLOWED))("%s imports only what it may", (folder) => {
  const files = readdirSync(join(SRC, folder), { recursive: true, encoding: "utf8" });
  const allowed = new Set([folder, "errors.ts", "steps.ts", ...(ALLOWED[folder] ?? [])]);
  const strangers = files
    .filter((file) => file.endsWith(".ts"))
    .flatMap((file) => importsOf(join(SRC, folder, file)).map((path) => ({ file, path })))
    .filter(({ path }) => !allowed.has(path.split("/")[0]));
  expect(strangers).toEqual([]);
});

test("the client's half never touches Node or the native library itself", () => {
  const seen = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const path of importsOf(join(SRC, file))) visit(path);
  };
  visit("client/index.ts");
  expect([...seen].filter((file) => file === "native/load.ts")).toEqual([]);
  const usesNode = [...seen].filter((file) =>
    readFileSync(join(SRC, file), "utf8").includes('from "node:'),
  );
  expect(usesNode).toEqual([]);
});

test("every folder of src is in the table", () => {
  const folders = readdirSync(SRC, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const known = new Set([...Object.keys(ALLOWED), "cli"]);
  expect(folders.map(({ name }) => name).filter((name) => !known.has(name))).toEqual([]);
});
