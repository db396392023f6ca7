/**
 * Runs an example: `npm run example -- quantize-array`, or all of them without a name. Node 20 does not read TypeScript, so
 * the types are taken off first; the example then imports the built package by its name, as users do.
 * @module
 */
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import ts from "typescript";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const names = readdirSync(join(root, "examples"))
  .filter((file) => file.endsWith(".ts"))
  .map((file) => basename(file, ".ts"))
  .sort();

const [wanted] = process.argv.slice(2).map((name) => basename(name, ".ts"));
if (wanted !== undefined && !names.includes(wanted)) {
  console.error(`sotto: expected one of ${names.join(", ")}, got ${wanted}`);
  process.exitCode = 2;
} else {
  process.chdir(root); // examples name files from here
  for (const name of wanted === undefined ? names : [wanted]) {
    if (wanted === undefined) console.log(`\n${name}`);
    await import(pathToFileURL(withoutTypes(name)).href);
  }
}

/** Path of the example as JavaScript, inside the package so that it can import the package by name. */
function withoutTypes(name) {
  const source = readFileSync(join(root, "examples", `${name}.ts`), "utf8");
  const { outputText } = ts.transpileModule(source, {
    compilerOptions: { target: "es2023", module: "esnext" },
  });
  const folder = join(root, ".setup", "examples");
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${name}.mjs`);
  writeFileSync(path, outputText);
  return path;
}
