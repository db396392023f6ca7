/**
 * `node bench/large.mjs`: times every stage of the compiler on a network of the size of ResNet-18 (random weights, 224 x 224
 * images), and on digits_cnn with 1,000 calibration rows, and prints the peak memory. Nothing is encrypted.
 */
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { buildQuantizedModule, compileModule } from "../dist/compile.js";
import { readTensors } from "../dist/cli/model.js";
import { sizeOf } from "../dist/tensor/tensor.js";
import { resnet18, uniform } from "./resnet18.mjs";

const { values: flags } = parseArgs({
  options: {
    model: { type: "string", default: "resnet18" },
    rows: { type: "string", default: "4" },
    size: { type: "string", default: "224" },
    bits: { type: "string", default: "4" },
  },
});
const fixtures = fileURLToPath(new URL("../test/fixtures", import.meta.url));

/** Runs one stage and prints its time and the largest resident set so far. */
async function stage(name, work) {
  const start = performance.now();
  const before = process.cpuUsage();
  const result = await work();
  const { user, system } = process.cpuUsage(before);
  const seconds = (ms) => `${(ms / 1000).toFixed(2)} s`.padStart(10);
  const peak = `${(process.resourceUsage().maxRSS / 1e6).toFixed(2)} GB`;
  const [wall, cpu] = [performance.now() - start, (user + system) / 1000].map(seconds);
  process.stdout.write(`${name.padEnd(28)} ${wall} wall ${cpu} cpu   peak ${peak}\n`);
  return result;
}

function randomImages(rows, size) {
  const random = uniform(7);
  const shape = [rows, 3, size, size];
  return { shape, data: Float32Array.from({ length: sizeOf(shape) }, () => 2 * random() - 1) };
}

async function large() {
  const size = Number(flags.size);
  const options = {
    nBits: Number(flags.bits),
    roundingThresholdBits: { nBits: 6, method: "approximate" },
  };
  const images = randomImages(Number(flags.rows), size);
  const bytes = await stage("build the model", () => resnet18(size));
  const module = await stage(`import and calibrate ${flags.rows} rows`, () =>
    buildQuantizedModule(bytes, { dtype: "float32", ...images }, options),
  );
  await stage("circuit", () => module.circuitFor("calibrated"));
  const compiled = await stage("parameters and program", () => compileModule(module, options));
  const { tableLookups, maxBitWidth } = compiled.circuit.statistics;
  process.stdout.write(`${tableLookups} lookups, integers of up to ${maxBitWidth} bits\n`);
  const image = { dtype: "float32", ...randomImages(1, size) };
  await stage("one image in the clear", () => compiled.forward(image));
  await stage("one image simulated", () => compiled.forward(image, { fhe: "simulate" }));
}

/** All 1,000 rows: the fixture's own, from the start again when they are used up. */
async function digits() {
  const [rows] = await readTensors([join(fixtures, "digits_cnn", "calibration.npy")]);
  const width = rows.data.length / rows.shape[0];
  const data = Float32Array.from(
    { length: 1000 * width },
    (_, i) => rows.data[i % rows.data.length],
  );
  const calibration = { dtype: "float32", shape: [1000, ...rows.shape.slice(1)], data };
  const options = { nBits: 6, roundingThresholdBits: { nBits: 6, method: "approximate" } };
  const model = join(fixtures, "digits_cnn", "model.onnx");
  await stage("digits_cnn, 1000 rows", async () =>
    compileModule(await buildQuantizedModule(model, calibration, options), options),
  );
}

await (flags.model === "digits_cnn" ? digits() : large());
