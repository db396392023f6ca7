/**
 * `node bench/large.mjs > bench/LARGE.md`: times every stage of the compiler on a network of the size of ResNet-18 (random
 * weights, 224 x 224 images), and on digits_cnn with 1,000 calibration rows, and prints the peak memory. Nothing is
 * encrypted. Needs `dist/`, which `npm run setup` builds.
 */
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { buildQuantizedModule, compileModule } from "../dist/compile.js";
import { readTensors } from "../dist/cli/model.js";
import { sizeOf } from "../dist/tensor/tensor.js";
import { resnet18, uniform } from "./resnet18.mjs";

const { values: flags } = parseArgs({
  options: {
    rows: { type: "string", default: "4" },
    size: { type: "string", default: "224" },
    bits: { type: "string", default: "4" },
  },
});
const fixtures = fileURLToPath(new URL("../test/fixtures", import.meta.url));
const rounding = { nBits: 6, method: "approximate" };

const line = (text) => process.stdout.write(`${text}\n`);

/** Runs one stage and prints its times and the largest resident set so far. */
async function stage(name, work) {
  const start = performance.now();
  const before = process.cpuUsage();
  const result = await work();
  const { user, system } = process.cpuUsage(before);
  const times = [performance.now() - start, (user + system) / 1000];
  const [wall, cpu] = times.map((ms) => `${(ms / 1000).toFixed(2)} s`.padStart(8));
  const peak = `${(process.resourceUsage().maxRSS / 1e6).toFixed(2)} GB`;
  line(`| ${name.padEnd(52)} | ${wall} | ${cpu} | ${peak.padStart(11)} |`);
  return result;
}

function randomImages(rows, size) {
  const random = uniform(7);
  const shape = [rows, 3, size, size];
  const data = Float32Array.from({ length: sizeOf(shape) }, () => 2 * random() - 1);
  return { dtype: "float32", shape, data };
}

async function large() {
  const size = Number(flags.size);
  const options = { nBits: Number(flags.bits), roundingThresholdBits: rounding };
  const images = randomImages(Number(flags.rows), size);
  const bytes = resnet18(size);
  const module = await stage(`ResNet-18: import, calibrate on ${flags.rows} rows`, () =>
    buildQuantizedModule(bytes, images, options),
  );
  await stage("ResNet-18: circuit, bounds", () => module.circuitFor("calibrated"));
  const compiled = await stage("ResNet-18: parameters, program", () =>
    compileModule(module, options),
  );
  const image = randomImages(1, size);
  await stage("ResNet-18: one image in the clear", () => compiled.forward(image));
  await stage("ResNet-18: one image simulated", () => compiled.forward(image, { fhe: "simulate" }));
  return compiled.circuit.statistics;
}

async function digits() {
  const [{ shape, data }] = await readTensors([join(fixtures, "digits_cnn", "calibration.npy")]);
  const width = data.length / shape[0];
  const rows = {
    dtype: "float32",
    shape: [1000, ...shape.slice(1)],
    data: data.slice(0, 1000 * width),
  };
  const options = { nBits: 6, roundingThresholdBits: rounding };
  const model = join(fixtures, "digits_cnn", "model.onnx");
  await stage("digits_cnn: import, calibrate on 1000 rows, compile", async () =>
    compileModule(await buildQuantizedModule(model, rows, options), options),
  );
}

line("# Time and memory of the compiler on large models\n");
line(
  `${cpus()[0].model}, ${cpus().length} cores, Node ${process.version}, one process, nothing encrypted.`,
);
line(
  `ResNet-18 has random weights, ${flags.size} x ${flags.size} images and ${flags.bits} bits. Made by \`node bench/large.mjs\`.\n`,
);
line(`| ${"stage".padEnd(52)} | ${"time".padEnd(8)} | ${"CPU time".padEnd(8)} | peak so far |`);
line(`| ${"-".repeat(52)} | -------: | -------: | ----------: |`);
await digits();
const { tableLookups, maxBitWidth } = await large();
line(`\nResNet-18 has ${tableLookups} lookups here, on integers of up to ${maxBitWidth} bits.`);
