/**
 * The demo: classifies handwritten digits while they are encrypted, and prints what it cost.
 * Run it with `npm run demo`; the model and the images are in demo/model/, see demo/train/ for how the model was made.
 */
import { fileURLToPath } from "node:url";
import { SottoError, compileOnnxModel, loadEngine, toNested } from "../dist/index.js";
import { follow } from "../dist/cli/model.js";
import { median } from "../dist/cli/output.js";
import { runToExit } from "../dist/cli/process.js";
import { createProgress } from "../dist/cli/progress.js";
import { readArray } from "../dist/cli/read-array.js";
import {
  drawImage,
  formatBytes,
  formatDuration,
  formatPercent,
  formatProbability,
  table,
  wantsColor,
} from "../dist/cli/terminal.js";

/** Weights and activations of 5 bits, 16 steps into each lookup: 98.9 % on the test images. */
const OPTIONS = { nBits: 5, roundingThresholdBits: { nBits: 4, method: "fit" } };
const SIDE = 8;
/** In a terminal the bar shows at once; a log gets a line only for what takes long. */
const BAR = process.stderr.isTTY ? { silentMs: 0 } : {};

/** A file of the demo's model. */
const path = (name) => fileURLToPath(new URL(`model/${name}`, import.meta.url));

process.exitCode = await runToExit(demo);

async function demo(signal) {
  const images = await readArray(path("test-images.npy"));
  const { data: labels } = await readArray(path("test-labels.npy"));
  const calibration = await readArray(path("calibration.npy"));
  const times = { encrypt: [], run: [], decrypt: [] };
  const model = await timed(times, "compile", () =>
    compileOnnxModel(path("digits.onnx"), calibration, { ...OPTIONS, signal }),
  );
  const clear = argmaxRows(model.forward(images));
  const isNative = hasEngine();
  if (isNative) await makeKeys(model, times, signal);
  const rows = firstOfEachDigit(labels);
  const answers = [];
  for (const row of rows) {
    const image = rowOf(images, row);
    const predicted = isNative
      ? await predictEncrypted(model, image, times, signal)
      : argmaxRows(model.forward(image, { fhe: "simulate" }))[0];
    show(image, { isNative, predicted, clear: clear[row], label: labels[row] });
    answers.push({ predicted, clear: clear[row], label: labels[row] });
  }
  summarize(model, { answers, clear, labels, times, isNative });
}

/** Clear and simulated runs need no engine; the one line that says what is missing comes from setup. */
function hasEngine() {
  try {
    loadEngine();
    return true;
  } catch (error) {
    if (!(error instanceof SottoError) || error.code !== "NATIVE_MISSING") throw error;
    process.stdout.write("The digits below are simulated, not encrypted.\n");
    return false;
  }
}

async function makeKeys(model, times, signal) {
  const progress = createProgress(BAR);
  const onProgress = follow(progress, "generating keys");
  try {
    await timed(times, "keygen", () => model.circuit.keygenAsync({ signal, onProgress }));
  } finally {
    progress.stop();
  }
}

async function predictEncrypted(model, image, times, signal) {
  const { circuit } = model;
  const codes = model.quantizeInput(image);
  const inputs = await timed(times, "encrypt", () => circuit.encrypt(codes));
  const progress = createProgress(BAR);
  const onProgress = follow(progress, "encrypted inference");
  try {
    const outputs = await timed(times, "run", () =>
      circuit.runAsync(inputs, { signal, onProgress }),
    );
    const answer = await timed(times, "decrypt", () => circuit.decrypt(outputs));
    return argmaxRows(model.dequantizeOutput(answer))[0];
  } finally {
    progress.stop();
  }
}

/** Runs a step and keeps its time in milliseconds. */
async function timed(times, name, step) {
  const start = performance.now();
  const result = await step();
  const ms = performance.now() - start;
  if (Array.isArray(times[name])) times[name].push(ms);
  else times[name] = ms;
  return result;
}

function show(image, { isNative, predicted, clear, label }) {
  const picture = drawImage(
    { width: SIDE, height: SIDE, pixels: image.data },
    { color: wantsColor(process.stdout) },
  );
  const text = [
    "",
    `${isNative ? "encrypted" : "simulated"} prediction  ${predicted}`,
    `clear prediction      ${clear}`,
    `label                 ${label}`,
  ];
  const height = Math.max(picture.length, text.length);
  for (let i = 0; i < height; i++) {
    process.stdout.write(`  ${(picture[i] ?? "").padEnd(2 * SIDE)}   ${text[i] ?? ""}\n`);
  }
  process.stdout.write("\n");
}

function summarize(model, { answers, clear, labels, times, isNative }) {
  const { statistics } = model.circuit;
  const right = answers.filter(({ predicted, label }) => predicted === label).length;
  const agree = answers.filter(({ predicted, clear }) => predicted === clear).length;
  const accurate = clear.filter((digit, i) => digit === labels[i]).length;
  const how = isNative ? "encrypted" : "simulated";
  const rows = [
    [`right digits, ${how}`, `${right} of ${answers.length}`],
    [`same class as in the clear, ${how}`, `${agree} of ${answers.length}`],
    [`accuracy in the clear, ${clear.length} test images`, formatPercent(accurate, clear.length)],
    ["table lookups per inference", String(statistics.tableLookups)],
    ["compile", formatDuration(times.compile)],
    ...(isNative
      ? [
          ["key generation", formatDuration(times.keygen)],
          ["encrypt, median", formatDuration(median(times.encrypt))],
          ["run, median", formatDuration(median(times.run))],
          ["decrypt, median", formatDuration(median(times.decrypt))],
        ]
      : []),
    ["evaluation keys, as sent", formatBytes(statistics.evaluationKeyBytes)],
    ["encrypted image, as sent", formatBytes(statistics.inputBytes)],
    ["encrypted answer, as sent", formatBytes(statistics.outputBytes)],
    ["failure probability of a lookup, at most", formatProbability(statistics.log2PError)],
    ["failure probability of an inference", formatProbability(statistics.log2FailureProbability)],
    ["security", `${Math.floor(statistics.securityBits)} bits`],
  ];
  process.stdout.write(
    `${table([isNative ? "digits, read while encrypted" : "digits, simulated", ""], rows)}\n`,
  );
  if (right < answers.length - 1 || agree < answers.length) {
    throw new SottoError(
      "BAD_VALUE",
      "demo",
      `expected 9 right digits and ${answers.length} classes as in the clear`,
    );
  }
}

/** Index of the first test image of each digit, in the order of the digits. */
function firstOfEachDigit(labels) {
  return Array.from({ length: 10 }, (_, digit) => labels.indexOf(digit));
}

function rowOf({ shape, data }, row) {
  const size = SIDE * SIDE;
  return { shape: [1, ...shape.slice(1)], data: data.slice(row * size, (row + 1) * size) };
}

function argmaxRows(outputs) {
  return toNested(outputs).map((row) => row.indexOf(Math.max(...row)));
}
