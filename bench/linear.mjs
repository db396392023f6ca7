/**
 * Linear models encrypted: medians of quantizing and encrypting a row, of the run, and of decrypting and de-quantizing the
 * answer, on one thread, each with its bytes. Weights and rows are random; 8 bits. Prints a table and, with --write, puts
 * it into its section of bench/RESULTS.md. Usage: node bench/linear.mjs [--write]
 */
import { compileOnnxModel } from "../dist/index.js";
import { OnnxBuilder, uniform } from "./resnet18.mjs";
import { markdownTable, writeSection } from "./results.mjs";

const HEADING = "## Linear models";
const RUNS = 201;
const SIZES = [
  [30, 1],
  [1000, 10],
];

/** Bytes of a Gemm: the client makes probabilities of scores itself. */
function linearModel(features, classes) {
  const model = new OnnxBuilder();
  const weights = model.normal([classes, features], features);
  const scores = model.node("Gemm", ["x", weights, model.filled([classes], 0)], { transB: 1 });
  return model.finish({ name: "x", shape: [1, features] }, { name: scores, shape: [1, classes] });
}

function rows(count, features) {
  const random = uniform(3);
  const data = Float32Array.from({ length: count * features }, () => 2 * random() - 1);
  return { dtype: "float32", shape: [count, features], data };
}

const median = (times) => times.sort((a, b) => a - b)[times.length >> 1];

async function measure([features, classes]) {
  const model = await compileOnnxModel(linearModel(features, classes), rows(100, features), {
    nBits: 8,
  });
  const { circuit } = model;
  const start = performance.now();
  circuit.keygen();
  const keygen = performance.now() - start;
  const row = rows(1, features);
  const times = [[], [], []];
  let sizes = [];
  for (let i = 0; i < RUNS; i++) {
    const begun = performance.now();
    const request = circuit.encrypt(model.quantizeInput(row));
    const encrypted = performance.now();
    const answer = circuit.run(request, 1);
    const computed = performance.now();
    model.dequantizeOutput(circuit.decrypt(answer));
    const done = performance.now();
    [encrypted - begun, computed - encrypted, done - computed].forEach((t, s) => times[s].push(t));
    sizes = [request.length, answer.length];
  }
  const [encrypt, run, decrypt] = times.map(median);
  const { glweDimension, polynomialSize } = circuit.statistics.parameters;
  const ms = (time) => `${time.toFixed(2)} ms`;
  return [
    `${features} x ${classes}`,
    `k ${glweDimension}, N ${polynomialSize}`,
    ms(keygen),
    ms(encrypt),
    ms(run),
    ms(decrypt),
    ms(encrypt + run + decrypt),
    ...sizes.map((size) => `${(size / 1000).toFixed(1)} kB`),
  ];
}

const lines = [];
for (const size of SIZES) lines.push(await measure(size));
const heads = [
  "features x classes",
  "parameters",
  "keys",
  "encrypt",
  "run",
  "decrypt",
  "all",
  "up",
  "down",
];
const table = markdownTable(heads, lines);
process.stdout.write(`${table}\n`);
if (process.argv.includes("--write")) {
  const told =
    "8 bits, p 2^-40, one thread, medians; quantizing and de-quantizing included. Keys are the secret key alone. " +
    "Made by `node bench/linear.mjs --write`.";
  writeSection(HEADING, `${told}\n\n${table}`);
}
