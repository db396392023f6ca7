/**
 * What each choice of post-training quantization is worth: accuracy in the clear with it against none, at 3 to 5 bits.
 * Prints the table and, with --write, puts it into its section of bench/RESULTS.md.
 * Usage: node bench/quantization-options.mjs [--write]
 */
import { fileURLToPath } from "node:url";
import { readTensors } from "../dist/cli/model.js";
import { buildQuantizedModule } from "../dist/index.js";
import { markdownTable, writeSection } from "./results.mjs";

const MODELS = ["digits_mlp", "digits_cnn", "op_residual_conv", "op_maxpool"];
const BITS = [3, 4, 5];
const CHOICES = {
  none: {},
  "per-channel weights": { perChannelWeights: true },
  "calibration percentile": { calibration: "percentile" },
  "calibration mse": { calibration: "mse" },
  "calibration entropy": { calibration: "entropy" },
  "signs per input": { inputSignedness: "perInput" },
  equalization: { equalization: true },
  "bias correction": { biasCorrection: true },
  "per-channel weights, bias correction": { perChannelWeights: true, biasCorrection: true },
  "per-channel weights, mse, bias correction": {
    perChannelWeights: true,
    calibration: "mse",
    biasCorrection: true,
  },
};
const HEADING = "## What the choices of quantization are worth";

function file(model, name) {
  return fileURLToPath(new URL(`../test/fixtures/${model}/${name}`, import.meta.url));
}

async function accuracy({ model, calibration, inputs, labels }, nBits, quantization) {
  const module = await buildQuantizedModule(model, calibration, { nBits, quantization });
  const { data, shape } = module.forward(inputs);
  const classes = shape[1];
  const right = labels.data.filter((label, row) => {
    const scores = data.slice(row * classes, (row + 1) * classes);
    return scores.indexOf(Math.max(...scores)) === label;
  });
  return (100 * right.length) / labels.data.length;
}

async function main() {
  const columns = MODELS.flatMap((model) => BITS.map((bits) => ({ model, bits })));
  const loaded = new Map();
  for (const name of MODELS) {
    const [calibration] = await readTensors([file(name, "calibration.npy")]);
    const [inputs] = await readTensors([file(name, "inputs.npy")]);
    const [labels] = await readTensors([file(name, "labels.npy")]);
    loaded.set(name, { model: file(name, "model.onnx"), calibration, inputs, labels });
  }
  const heads = ["choice", ...columns.map(({ model, bits }) => `${model}, ${bits} bits`)];
  const rows = [];
  for (const [label, choices] of Object.entries(CHOICES)) {
    const cells = [];
    for (const { model, bits } of columns) {
      cells.push(`${(await accuracy(loaded.get(model), bits, choices)).toFixed(1)} %`);
    }
    rows.push([label, ...cells]);
    process.stderr.write(`${label}: ${cells.join(", ")}\n`);
  }
  const table = markdownTable(heads, rows);
  process.stdout.write(`${table}\n`);
  if (!process.argv.includes("--write")) return;
  const how =
    "Accuracy in the clear, without rounding. Made by `node bench/quantization-options.mjs --write`.";
  writeSection(HEADING, `${how}\n\n${table}`);
}

await main();
