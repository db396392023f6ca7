/**
 * Fetches the ONNX project's own operator tests ("node tests"): models of one node each, with inputs and expected outputs.
 * They lie in the wheels of the `onnx` Python package; the wheels are only unpacked, so that old ones serve on any machine.
 * Several releases are taken, since each holds its tests for the newest operator set of its time.
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const home = join(root, "build", "onnx-node-tests");

/** Pinned releases, of operator sets 7, 8, 9, 10, 12, 13, 18, 20 and 22, and the Python and platform of a wheel of each. */
const wheels = [
  { release: "1.2.3", python: "3.6", abi: "cp36m", platform: "manylinux1_x86_64" },
  { release: "1.3.0", python: "3.6", abi: "cp36m", platform: "manylinux1_x86_64" },
  { release: "1.4.1", python: "3.6", abi: "cp36m", platform: "manylinux1_x86_64" },
  { release: "1.5.0", python: "3.7", abi: "cp37m", platform: "manylinux1_x86_64" },
  { release: "1.7.0", python: "3.8", abi: "cp38", platform: "manylinux1_x86_64" },
  { release: "1.8.1", python: "3.8", abi: "cp38", platform: "manylinux2010_x86_64" },
  { release: "1.13.1", python: "3.11", abi: "cp311", platform: "manylinux2014_x86_64" },
  { release: "1.15.0", python: "3.11", abi: "cp311", platform: "manylinux2014_x86_64" },
  { release: "1.17.0", python: "3.11", abi: "cp311", platform: "manylinux2014_x86_64" },
];

// Unpacks one folder of a wheel.
const unpack = `
import os, sys, zipfile
wheel, target = sys.argv[1:]
folder = "onnx/backend/test/data/node/"
with zipfile.ZipFile(wheel) as archive:
    for member in archive.infolist():
        if member.filename.startswith(folder) and not member.is_dir():
            content = archive.read(member)
            member.filename = member.filename[len(folder):]
            path = os.path.join(target, member.filename)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as out:
                out.write(content)
`;

/**
 * Folders of the node tests, by release; downloads what is not there yet. Throws an Error that says what is missing where
 * there is no Python, no pip or no network.
 */
export function nodeTestFolders() {
  return new Map(wheels.map((wheel) => [wheel.release, folderOf(wheel)]));
}

function folderOf({ release, python, abi, platform }) {
  const folder = join(home, release);
  const stamp = join(folder, "complete");
  if (existsSync(stamp)) return folder;
  const download = join(home, "wheel");
  for (const path of [folder, download]) {
    rmSync(path, { recursive: true, force: true });
    mkdirSync(path, { recursive: true });
  }
  const tags = ["--python-version", python, "--abi", abi, "--platform", platform];
  const options = [
    "--quiet",
    "--no-deps",
    "--only-binary=:all:",
    "--implementation",
    "cp",
    ...tags,
  ];
  run(pythonWithPip(), [
    "-m",
    "pip",
    "download",
    ...options,
    "--dest",
    download,
    `onnx==${release}`,
  ]);
  const [wheel] = readdirSync(download);
  run("python3", ["-c", unpack, join(download, wheel), folder]);
  rmSync(download, { recursive: true });
  writeFileSync(stamp, "");
  return folder;
}

/** The Python of a virtual environment, because Debian's own has no pip. */
function pythonWithPip() {
  const folder = join(home, "python");
  const python = join(folder, "bin", "python");
  if (!existsSync(join(folder, "bin", "pip"))) run("python3", ["-m", "venv", folder]);
  return python;
}

function run(command, args) {
  const { status, error, stdout, stderr } = spawnSync(command, args, { encoding: "utf8" });
  if (error) throw new Error(`cannot run ${command}: ${error.message}`);
  if (status === 0) return;
  const [, last] = /([^\n]*)\n*$/.exec(`${stdout}${stderr}`.trim()) ?? [];
  throw new Error(`${command} ${args[0]} ${args[1]}: ${last}`);
}
