/**
 * Builds the client's half of the engine as WebAssembly, native/sotto.wasm. Takes rustup's standard library for wasm32,
 * else Debian's compiler, which builds that library itself. Without either it says so in one line and succeeds: only
 * browsers, and machines without the native engine, need the module.
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { installPackages } from "./system-packages.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const TARGET = "wasm32-unknown-unknown";
const DEBIAN_PACKAGES = ["rustc-web", "cargo-web", "rust-web-src", "lld-19"];

/** The functions of crates/web; what none of them reaches is left out of the module. */
const EXPORTS = [
  "argument",
  "decrypt",
  "drop_client_key",
  "encrypt",
  "evaluation_key_piece",
  "evaluation_key_pieces",
  "generate_client_key",
  "key_id",
  "key_to_bytes",
  "load_client_key",
  "result_count",
  "result_length",
  "result_pointer",
];

function main() {
  const toolchain = rustupToolchain() ?? debianToolchain();
  if (toolchain === undefined) {
    console.log(
      "sotto: no Rust toolchain for WebAssembly, so the browser client is not built (Node works). Run " +
        `\`rustup target add ${TARGET}\`, or on Debian \`apt-get install ${DEBIAN_PACKAGES.join(" ")}\`, and this again.`,
    );
    return 0;
  }
  const { cargo, options, environment, linker } = toolchain;
  const flags = "-C target-feature=+simd128"; // in every browser since 2023
  const built = run(
    cargo,
    ["build", "--profile", "web", "--locked", "--target", TARGET, "-p", "sotto-web", ...options],
    { ...process.env, ...environment, RUSTFLAGS: flags },
  );
  if (built !== 0 || link(linker) !== 0) {
    console.error("sotto: the WebAssembly module did not build; the messages are above.");
    return 1;
  }
  return 0;
}

/** rustup's compiler, with its library for wasm32, which is downloaded where it is missing. */
function rustupToolchain() {
  const installed = output("rustup", ["target", "list", "--installed"]);
  if (installed === undefined) return undefined;
  if (!installed.split("\n").includes(TARGET) && run("rustup", ["target", "add", TARGET]) !== 0) {
    return undefined;
  }
  const host = /^host: (.+)$/m.exec(output("rustc", ["-vV"]) ?? "")?.[1] ?? "";
  const sysroot = (output("rustc", ["--print", "sysroot"]) ?? "").trim();
  const suffix = process.platform === "win32" ? ".exe" : "";
  const linker = join(sysroot, "lib", "rustlib", host, "bin", `rust-lld${suffix}`);
  return { cargo: "cargo", options: [], environment: {}, linker: [linker, "-flavor", "wasm"] };
}

/** Debian's compiler for the web: `-Z build-std` is unstable, so the compiler is told that it may. */
function debianToolchain() {
  const hasAll = () =>
    existsSync("/usr/bin/wasm-ld-19") && existsSync("/usr/lib/rustlib/src/rust/library/Cargo.lock");
  if (!hasAll()) installPackages(DEBIAN_PACKAGES);
  if (!hasAll()) return undefined;
  return {
    cargo: existsSync("/usr/bin/cargo") ? "/usr/bin/cargo" : "cargo",
    options: ["-Zbuild-std=std,panic_abort"],
    environment: {
      RUSTC: "/usr/bin/rustc",
      RUSTC_BOOTSTRAP: "1",
      CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER: "/usr/bin/wasm-ld-19",
    },
    linker: ["/usr/bin/wasm-ld-19"],
  };
}

/** Links what rustc would, but for the exports; the flags for the stack are those that rustc passes. */
function link([command, ...first]) {
  const target = process.env.CARGO_TARGET_DIR ?? join(root, "target");
  const module = join(root, "native", "sotto.wasm");
  mkdirSync(dirname(module), { recursive: true });
  const status = run(command, [
    ...first,
    join(target, TARGET, "web", "libsotto_web.a"),
    "--no-entry",
    "--gc-sections",
    "--strip-all",
    "--stack-first",
    "-z",
    "stack-size=1048576",
    ...EXPORTS.map((name) => `--export=${name}`),
    "-o",
    `${module}.new`,
  ]);
  if (status !== 0) return status;
  renameSync(`${module}.new`, module); // in one step: a server that reads the old one gets all of it
  console.log(`sotto: native/sotto.wasm, ${Math.round(statSync(module).size / 1000)} kB`);
  return 0;
}

function run(command, args, env = process.env) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: "inherit", env });
  if (error !== undefined) console.error(`sotto: cannot run ${command}: ${error.message}`);
  return status ?? 1;
}

/** What a command prints, or undefined where it cannot be run or fails. */
function output(command, args) {
  const { status, stdout } = spawnSync(command, args, { cwd: root, encoding: "utf8" });
  return status === 0 ? stdout : undefined;
}

process.exitCode = main();
