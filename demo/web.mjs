/**
 * The demo in a browser: compiles two small models, serves them with the pages, and prints the address.
 * Run it with `npm run demo:web`; `-- --port 9000` takes another port, 0 any that is free.
 */
import { spawn } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { compileOnnxModel, readArray } from "../dist/index.js";

/** Steps cost next to nothing where tables bear noise; 99.1 % of the test images. Both models take the same keys. */
const OPTIONS = {
  nBits: 5,
  roundingThresholdBits: { nBits: 6, method: "fit" },
  interiorNoise: 0.015,
};
const MODELS = {
  digits: { model: "digits.onnx", calibration: "calibration.npy" },
  screening: { model: "screening.onnx", calibration: "screening-calibration.npy" },
};
const root = fileURLToPath(new URL("..", import.meta.url));
const { values } = parseArgs({
  options: {
    port: { type: "string", default: "8080" },
    folder: { type: "string", default: join(root, "build", "demo-web") },
  },
});

for (const [name, { model, calibration }] of Object.entries(MODELS)) {
  const artifacts = join(values.folder, name);
  await mkdir(artifacts, { recursive: true });
  const path = (file) => join(root, "demo", "model", file);
  await compileOnnxModel(path(model), await readArray(path(calibration)), {
    ...OPTIONS,
    artifacts,
  });
}

const command = join(root, "dist", "cli", "main.js");
const args = [command, "serve", values.folder, "--port", values.port, "--log-level", "warn"];
const server = spawn(process.execPath, args, { stdio: ["ignore", "inherit", "pipe"] });
server.stderr.setEncoding("utf8").on("data", (text) => {
  process.stderr.write(text);
  const [url] = /http:\S+/.exec(text) ?? [];
  if (url !== undefined) process.stdout.write(`open ${url} in a browser; Ctrl-C ends it\n`);
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => server.kill("SIGTERM"));
server.on("exit", (code) => {
  process.exitCode = code ?? 0;
});
