/**
 * One lookup of 1 to 10 bits at four failure probabilities: the cheapest parameters, the size of the evaluation keys as
 * sent, predicted and measured time on one thread, in full batches. Prints the table and, with --write, puts it into its
 * section of bench/RESULTS.md.
 * Usage: node bench/lookups.mjs [--write] [--cost-model NAME]   NAME: machine (default), avx2, avx512
 *        node bench/lookups.mjs --fit CLASS                     measures this CPU as a shipped class, in src/parameters
 */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { costModelInSteps } from "../dist/calibration/machine.js";
import { calibrateInSteps } from "../dist/calibration/measure.js";
import { loadEngine } from "../dist/native/load.js";
import {
  batchSize,
  bootstrapBytesPerBit,
  KEYSWITCH_WORD_BYTES,
  keyswitchWords,
} from "../dist/parameters/cost.js";
import { COST_MODELS } from "../dist/parameters/cost-models.js";
import { encodeParameters } from "../dist/parameters/encoding.js";
import { chooseParameters } from "../dist/parameters/search.js";
import { finish } from "../dist/steps.js";
import { markdownTable, writeSection } from "./results.mjs";

const HEADING = "## One lookup, by bits and failure probability";
const BITS = Array.from({ length: 10 }, (_, i) => i + 1);
const LOG2_P = [-14, -40, -64, -128];
/** Sum of the squared coefficients over lookup results: 2-norm 16. */
const LOOKUP_NORM = 16 ** 2;
/** Not measured: lookups that take longer, and keys that are larger in memory. */
const LONGEST_NANOSECONDS = 3e9;
const LARGEST_KEYS = 2e9;
const PROGRESS_MS = 5000;

function watch() {
  let told = Date.now();
  const onProgress = (stage, done, total) => {
    if (Date.now() - told < PROGRESS_MS) return;
    told = Date.now();
    process.stderr.write(`${stage}: ${Math.floor((100 * done) / total)} %\n`);
  };
  return { onProgress };
}

/** The cheapest parameters of one table width, or null if there are none. */
function choose(bits, log2PError, costModel) {
  const lookup = {
    kind: "lookup",
    name: `${bits} bits`,
    inputNorm: 0,
    lookupNorm: LOOKUP_NORM,
    margin: 2 ** -(bits + 2),
    misalignment: 0,
  };
  const full = (count) => chooseParameters([{ ...lookup, count }], { log2PError }, { costModel });
  try {
    const choice = full(1000);
    const batch = batchSize(choice.parameters, choice.extensions[0]);
    const { predictedNanoseconds } = full(batch);
    return { ...choice, batch, nanoseconds: predictedNanoseconds / batch };
  } catch (error) {
    if (error.code === "NO_PARAMETERS") return null;
    throw error;
  }
}

/** Nanoseconds for each lookup of a full batch, the least of three batches; null where that takes too long. */
function measure({ parameters: p, extensions: [extension], batch, nanoseconds }) {
  const keys =
    p.lweDimension * bootstrapBytesPerBit(p, p.bootstrap.level) +
    KEYSWITCH_WORD_BYTES * keyswitchWords(p);
  if (nanoseconds > LONGEST_NANOSECONDS || keys > LARGEST_KEYS) return null;
  const block = encodeParameters(p);
  const [keyswitch, rotation] = loadEngine().timeLookups(block, Math.log2(extension), batch);
  return keyswitch + rotation;
}

function row(bits, log2P, costModel) {
  const choice = choose(bits, log2P, costModel);
  if (choice === null) return [bits, `2^${log2P}`, "none", "", "", "", "", "", "", ""].map(String);
  const { parameters: p, extensions } = choice;
  const measured = measure(choice);
  return [
    bits,
    `2^${log2P}`,
    `k ${p.glweDimension}, N ${p.polynomialSize}, n ${p.lweDimension}`,
    extensions[0],
    `${p.bootstrap.level} x ${p.bootstrap.baseLog}`,
    `${p.keyswitch.level} x ${p.keyswitch.baseLog}`,
    `${(choice.evaluationKeyBytes / 1e6).toFixed(1)} MB`,
    milliseconds(choice.nanoseconds),
    measured === null ? "" : milliseconds(measured),
    measured === null ? "" : (choice.nanoseconds / measured).toFixed(2),
  ].map(String);
}

const milliseconds = (nanoseconds) => `${Number((nanoseconds / 1e6).toPrecision(3))} ms`;

function writeTable(costModel, isWritten) {
  const heads = [
    "bits",
    "failure",
    "shape",
    "extension",
    "bootstrap",
    "keyswitch",
    "evaluation keys as sent",
    "predicted",
    "measured",
    "predicted / measured",
  ];
  const rows = BITS.flatMap((bits) =>
    LOG2_P.map((log2P) => {
      const cells = row(bits, log2P, costModel);
      process.stdout.write(`| ${cells.join(" | ")} |\n`);
      return cells;
    }),
  );
  if (!isWritten) return;
  const text = [
    "Tables with one padding bit whose input is a combination of lookup results with 2-norm 16. Time of one lookup with its",
    `keyswitch in a full batch, on one thread of ${cpus()[0]?.model ?? "an unknown processor"}; predicted by the cost model of`,
    `${costModel.name}. Made by \`node bench/lookups.mjs --write\`.`,
    "",
    markdownTable(heads, rows),
  ].join("\n");
  writeSection(HEADING, text);
}

/** Writes src/parameters/cost-models.ts with this CPU's times in one class. */
function fitClass(name) {
  const known = COST_MODELS[name];
  if (known === undefined) {
    process.stderr.write(`expected --fit ${Object.keys(COST_MODELS).join(" or ")}\n`);
    process.exit(1);
  }
  const models = {
    ...COST_MODELS,
    [name]: finish(calibrateInSteps(loadEngine(), known.name), watch()),
  };
  const path = fileURLToPath(new URL("../src/parameters/cost-models.ts", import.meta.url));
  const start = "export const COST_MODELS: Readonly<Record<CpuClass, CostModel>> = ";
  const text = readFileSync(path, "utf8");
  const from = text.indexOf(start) + start.length;
  const to = text.indexOf("\n};\n", from) + 2;
  writeFileSync(path, text.slice(0, from) + JSON.stringify(models) + text.slice(to));
  execFileSync("npx", ["prettier", "--write", path], { stdio: "ignore" });
  process.stdout.write(`${path}: ${known.name} fitted to ${cpus()[0]?.model}\n`);
}

const { values } = parseArgs({
  options: {
    write: { type: "boolean", default: false },
    fit: { type: "string" },
    "cost-model": { type: "string", default: "machine" },
  },
});
if (values.fit !== undefined) fitClass(values.fit);
else writeTable(finish(costModelInSteps(values["cost-model"]), watch()), values.write);
