/**
 * Fetches the ONNX project's own operator tests ("node tests"): models of one node each, with inputs and expected outputs.
 * They come inside the `onnx` Python packages; nothing of those packages is installed or run but pip itself. Several
 * releases are taken, since each holds its tests for the newest operator set of its time.
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Pinned releases; the first four are source archives, for which there are no newer wheels. */
export const releases = ["1.4.1", "1.5.0", "1.7.0", "1.8.1", "1.13.1", "1.15.0", "1.17.0"];

// Reads only the wanted folder of an archive, whatever its kind.
const extract = `
import sys, tarfile, zipfile
archive, target = sys.argv[1:]
wanted = "onnx/backend/test/data/node/"
def inside(name):
    return name[name.index(wanted) + len(wanted):] if wanted in name and ".." not in name else ""
if zipfile.is_zipfile(archive):
    members = zipfile.ZipFile(archive)
    files = ((m.filename, members.read(m)) for m in members.infolist() if not m.is_dir())
else:
    members = tarfile.open(archive)
    files = ((m.name, members.extractfile(m).read()) for m in members if m.isfile())
import os
for name, content in files:
    if inside(name):
        path = os.path.join(target, inside(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as out:
            out.write(content)
`;

/**
 * Folders of the node tests, by release; downloads what is not there yet. Throws an Error that says what is missing where
 * there is no Python, no pip or no network.
 */
export function nodeTestFolders() {
  return new Map(releases.map((release) => [release, folderOf(release)]));
}

function folderOf(release) {
  const folder = join(root, "build", "onnx-node-tests", release);
  const stamp = join(folder, "complete");
  if (existsSync(stamp)) return folder;
  rmSync(folder, { recursive: true, force: true });
  const archives = join(root, "build", "onnx-node-tests", "archives", release);
  rmSync(archives, { recursive: true, force: true });
  mkdirSync(archives, { recursive: true });
  const pip = [join(pythonEnvironment(), "bin", "python"), "-m", "pip"];
  run([...pip, "download", "--quiet", "--no-deps", "--dest", archives, `onnx==${release}`]);
  const [archive] = readdirSync(archives);
  run(["python3", "-c", extract, join(archives, archive), folder]);
  rmSync(archives, { recursive: true });
  writeFileSync(stamp, "");
  return folder;
}

/** A virtual environment, because Debian's own Python has no pip. */
function pythonEnvironment() {
  const folder = join(root, "build", "onnx-node-tests", "python");
  if (!existsSync(join(folder, "bin", "pip"))) run(["python3", "-m", "venv", folder]);
  return folder;
}

function run([command, ...args]) {
  const { status, error, stderr } = spawnSync(command, args, { encoding: "utf8" });
  if (error) throw new Error(`cannot run ${command}: ${error.message}`);
  if (status === 0) return;
  const lines = stderr.trim().split("\n");
  throw new Error(`${command} ${args[0]} ${args[1]}: ${lines.at(-1)}`);
}
