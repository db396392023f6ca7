/**
 * Bundles the pages of web/ into dist/web, which `sotto serve` serves: a script for each page, one for workers, and the
 * WebAssembly module where it is built.
 * @module
 */
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const source = join(root, "web");
const target = join(root, "dist", "web");
const module = join(root, "native", "sotto.wasm");

rmSync(target, { recursive: true, force: true });
mkdirSync(target, { recursive: true });
const bundle = await rolldown({
  input: {
    digits: join(source, "src", "digits.ts"),
    form: join(source, "src", "form.ts"),
    worker: join(root, "src", "client", "worker.ts"),
  },
  platform: "browser",
});
await bundle.write({
  dir: target,
  format: "esm",
  entryFileNames: "[name].js",
  chunkFileNames: "[name]-[hash].js",
  minify: true,
  sourcemap: false,
});
await bundle.close();
for (const file of readdirSync(source)) {
  if (/\.(html|css|svg)$/.test(file)) copyFileSync(join(source, file), join(target, file));
}
cpSync(join(source, "models"), join(target, "models"), { recursive: true });
if (existsSync(module)) copyFileSync(module, join(target, "sotto.wasm"));
