/**
 * What nBits "auto" finds: searches with calibration rows alone, without labels, then measures every point of the front on
 * labelled test rows that the search never saw. Simulated, with noise; the mean of three runs.
 * Prints the tables and, with --write, puts them into their section of bench/RESULTS.md.
 * Usage: node bench/tuning.mjs [--write]
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { readTensors } from "../dist/cli/model.js";
import { compileOnnxModel, tuneOnnxModel } from "../dist/index.js";
import { describeOptions } from "../dist/tune/space.js";

const MODELS = ["digits_mlp", "digits_cnn"];
const RUNS = 3;
const HEADING = "## What auto finds";

function file(model, name) {
  return fileURLToPath(new URL(`../test/fixtures/${model}/${name}`, import.meta.url));
}

function accuracy({ data, shape }, labels) {
  const classes = shape[1];
  const right = labels.data.filter((label, row) => {
    const scores = data.slice(row * classes, (row + 1) * classes);
    return scores.indexOf(Math.max(...scores)) === label;
  });
  return right.length / labels.data.length;
}

async function tableOf(name) {
  const [[calibration], [inputs], [labels]] = await Promise.all(
    ["calibration", "inputs", "labels"].map((stem) => readTensors([file(name, `${stem}.npy`)])),
  );
  const model = file(name, "model.onnx");
  const started = performance.now();
  const { front, chosen, tried } = await tuneOnnxModel(model, calibration);
  const seconds = (performance.now() - started) / 1000;
  const rows = [
    [
      "",
      "predicted, one core",
      "agreement with the float model",
      "accuracy on test rows",
      "settings",
    ],
    ["---", "---", "---", "---", "---"],
  ];
  for (const point of front) {
    const compiled = await compileOnnxModel(model, calibration, point.options);
    let sum = 0;
    for (let run = 0; run < RUNS; run++) {
      sum += accuracy(compiled.forward(inputs, { fhe: "simulate" }), labels);
    }
    rows.push([
      point === chosen ? "chosen" : "",
      `${(point.predictedMs / 1000).toFixed(2)} s`,
      `${(100 * point.score).toFixed(1)} ± ${(100 * point.standardError).toFixed(1)} %`,
      `${((100 * sum) / RUNS).toFixed(1)} %`,
      describeOptions(point.options),
    ]);
  }
  const table = rows.map((row) => `| ${row.join(" | ")} |`).join("\n");
  process.stderr.write(`${name}: ${tried} settings in ${seconds.toFixed(0)} s\n`);
  return `### ${name}\n\n${table}`;
}

async function main() {
  const tables = [];
  for (const name of MODELS) tables.push(await tableOf(name));
  const text = tables.join("\n\n");
  process.stdout.write(`${text}\n`);
  if (process.argv.includes("--write")) writeSection(text);
}

/** Replaces the section up to the next heading, or appends it. */
function writeSection(text) {
  const path = fileURLToPath(new URL("RESULTS.md", import.meta.url));
  const old = readFileSync(path, "utf8");
  const about =
    "The search saw calibration rows and no labels; test rows are simulated with noise. Made by `node bench/tuning.mjs --write`.";
  const body = `${HEADING}\n\n${about}\n\n${text}\n`;
  const start = old.indexOf(HEADING);
  if (start < 0) return writeFileSync(path, `${old.trimEnd()}\n\n${body}`);
  const end = old.indexOf("\n## ", start + 1);
  return writeFileSync(path, old.slice(0, start) + body + (end < 0 ? "" : old.slice(end)));
}

await main();
