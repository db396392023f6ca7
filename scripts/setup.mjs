/**
 * Sets everything up: dependencies, dist/, the native engine, the pages for browsers. Each step leaves a stamp in .setup/ once it is done, so a
 * run with nothing to do takes under a second, and one that is broken off starts its step again.
 * Needs nothing but Node: it runs before the dependencies are there.
 * @module
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const oldestNode = [20, 19];

function main() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major < oldestNode[0] || (major === oldestNode[0] && minor < oldestNode[1])) {
    console.error(
      `sotto: needs Node ${oldestNode.join(".")} or newer, this is ${process.versions.node}; ` +
        "see https://nodejs.org",
    );
    return 1;
  }
  mkdirSync(join(root, ".setup"), { recursive: true });
  return installDependencies() || buildTypeScript() || buildNative() || buildWeb() || buildPages();
}

function installDependencies() {
  const wanted = hashOf(["package.json", "package-lock.json"]);
  if (existsSync(join(root, "node_modules")) && isStamped("npm", wanted)) return 0;
  // No install scripts: none of the dependencies needs one.
  return step("npm", wanted, "installing dependencies", () =>
    run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"]),
  );
}

function buildTypeScript() {
  const sources = [
    ...filesUnder("src"),
    "tsconfig.json",
    "tsconfig.build.json",
    "package-lock.json",
  ];
  const wanted = hashOf(sources);
  const entry = join(root, "dist", "cli", "main.js");
  if (existsSync(entry) && isStamped("tsc", wanted)) return 0;
  return step("tsc", wanted, "compiling TypeScript", () => {
    rmSync(join(root, "dist"), { recursive: true, force: true });
    const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
    const status = run(process.execPath, [compiler, "-p", "tsconfig.build.json"]);
    if (existsSync(entry)) chmodSync(entry, 0o755);
    return status;
  });
}

/** Always asked: cargo knows best what changed, and needs a quarter of a second to say so. */
function buildNative() {
  const library = join(root, "native", "sotto.node");
  if (!existsSync(library)) console.log("sotto: building the native engine (a few minutes, once)");
  return run(process.execPath, [join(root, "scripts", "build-native.mjs")]);
}

/** Not left to cargo as the native engine is: finding out about toolchains takes longer than hashing. */
function buildWeb() {
  const module = join(root, "native", "sotto.wasm");
  const sources = ["Cargo.toml", "Cargo.lock", "scripts/build-web.mjs"];
  const wanted = hashOf([...sources, ...filesUnder("crates/engine"), ...filesUnder("crates/web")]);
  if (existsSync(module) && isStamped("web", wanted)) return 0;
  rmSync(module, { force: true });
  return step("web", wanted, "building the engine for browsers", () =>
    run(process.execPath, [join(root, "scripts", "build-web.mjs")]),
  );
}

function buildPages() {
  const module = join(root, "native", "sotto.wasm");
  const sources = ["package-lock.json", "scripts/build-pages.mjs"];
  if (existsSync(module)) sources.push(relative(root, module));
  const wanted = hashOf([...sources, ...filesUnder("src"), ...filesUnder("web")]);
  if (existsSync(join(root, "dist", "web", "index.html")) && isStamped("pages", wanted)) return 0;
  return step("pages", wanted, "bundling the web pages", () =>
    run(process.execPath, [join(root, "scripts", "build-pages.mjs")]),
  );
}

/** Runs one step and stamps it when it ends well. */
function step(name, hash, label, work) {
  console.log(`sotto: ${label}`);
  rmSync(stampPath(name), { force: true });
  const status = work();
  if (status === 0) writeFileSync(stampPath(name), hash);
  else console.error(`sotto: ${label} failed`);
  return status;
}

/** The exit status of a command; 130 when Ctrl-C ended it. */
function run(command, args) {
  const { status, signal, error } = spawnSync(command, args, {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, PATH: pathWithCargo() },
    shell: process.platform === "win32" && command === "npm",
  });
  if (error !== undefined) console.error(`sotto: cannot run ${command}: ${error.message}`);
  return status ?? (signal === "SIGINT" ? 130 : 1);
}

/** rustup puts cargo here; shells that were open before do not know it yet. */
function pathWithCargo() {
  const cargoHome = process.env.CARGO_HOME ?? join(homedir(), ".cargo");
  return [process.env.PATH ?? "", join(cargoHome, "bin")].join(delimiter);
}

function stampPath(name) {
  return join(root, ".setup", `${name}.stamp`);
}

function isStamped(name, hash) {
  return existsSync(stampPath(name)) && readFileSync(stampPath(name), "utf8") === hash;
}

function hashOf(paths) {
  const hash = createHash("sha256").update(process.versions.node);
  for (const path of paths) {
    const content = readFileSync(join(root, path));
    hash.update(`${path}\0${content.length}\0`).update(content);
  }
  return hash.digest("hex");
}

function filesUnder(folder) {
  const entries = readdirSync(join(root, folder), { withFileTypes: true, recursive: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .sort();
}

process.exitCode = main();
