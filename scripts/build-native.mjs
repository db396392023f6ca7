/**
 * Builds the native engine with cargo and puts it where `src/native/load.ts` looks. Quick when nothing
 * changed: cargo decides. Without cargo it says so in one line and succeeds, since clear and simulated
 * execution need no engine.
 * @module
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, renameSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const libraryNames = { darwin: "libsotto_node.dylib", win32: "sotto_node.dll" };
const library = libraryNames[process.platform] ?? "libsotto_node.so";

function main() {
  const cargo = spawnSync("cargo", ["build", "--release", "--locked", "-p", "sotto-node"], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (cargo.error?.code === "ENOENT") {
    console.log(
      "sotto: cargo was not found, so encrypted execution is not built (clear and simulate work); " +
        "install Rust from https://rustup.rs and run this again.",
    );
    return 0;
  }
  if (cargo.status !== 0) {
    console.error("sotto: the native engine did not build; cargo's messages are above.");
    return cargo.status ?? 1;
  }
  install(join(process.env.CARGO_TARGET_DIR ?? join(root, "target"), "release", library));
  return 0;
}

/** Replaces the library in one step: a process that has the old one open keeps it. */
function install(built) {
  const target = join(root, "native", "sotto.node");
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(built, `${target}.new`);
  renameSync(`${target}.new`, target);
}

process.exitCode = main();
