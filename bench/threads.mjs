/**
 * How lookups per second grow with threads: encrypted runs of 64 images on one thread and on more, taking turns, eight
 * images at a time, so that a change of the machine's speed meets both. Prints a table and, with --write, puts it into
 * its section of bench/RESULTS.md.
 * Usage: node bench/threads.mjs [--write]
 */
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { readTensors } from "../dist/cli/model.js";
import { splitRows } from "../dist/execute/circuit.js";
import { compileOnnxModel } from "../dist/index.js";
import { markdownTable, writeSection } from "./results.mjs";

const HEADING = "## Threads";
const IMAGES = 64;
const TURN = 8;

const file = (name) =>
  fileURLToPath(new URL(`../test/fixtures/digits_mlp/${name}`, import.meta.url));
const [calibration] = await readTensors([file("calibration.npy")]);
const [images] = await readTensors([file("inputs.npy")]);
const model = await compileOnnxModel(file("model.onnx"), calibration, {
  nBits: 5,
  roundingThresholdBits: { nBits: 6, method: "fit" },
  interiorNoise: 0.02,
});
await model.circuit.keygenAsync();
const rows = splitRows([model.quantizeInput(images)]).slice(0, IMAGES);
const requests = rows.map((row) => model.circuit.encrypt(row));
const counts = [1, availableParallelism()];
const seconds = counts.map(() => 0);
counts.forEach((threads) => model.circuit.run(requests[0], threads)); // warms pools and pages
for (let first = 0; first < IMAGES; first += TURN) {
  for (const [index, threads] of counts.entries()) {
    const start = performance.now();
    for (const request of requests.slice(first, first + TURN)) model.circuit.run(request, threads);
    seconds[index] += (performance.now() - start) / 1000;
  }
  process.stderr.write(`${first + TURN} of ${IMAGES} images\n`);
}
const lookups = IMAGES * model.circuit.statistics.tableLookups;
const table = markdownTable(
  ["threads", "64 images", "lookups per second", "against one thread"],
  counts.map((threads, index) => [
    String(threads),
    `${seconds[index].toFixed(1)} s`,
    (lookups / seconds[index]).toFixed(0),
    (seconds[0] / seconds[index]).toFixed(2),
  ]),
);
process.stdout.write(`${table}\n`);
if (process.argv.includes("--write")) {
  const told =
    "digits_mlp, 5 bits, fit 6, interior noise 0.02: two layers of 32 lookups. Made by `node bench/threads.mjs --write`.";
  writeSection(HEADING, `${told}\n\n${table}`);
}
