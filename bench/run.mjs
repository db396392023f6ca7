/**
 * `npm run bench`: times the fixture models at the settings of the README's table, encrypted, and writes
 * bench/RESULTS.md with machine and commit. Every row also sets the run beside raw lookups of the same process.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readTensors } from "../dist/cli/model.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const ROWS = 5;

/** Choices that cost nothing but compile time. */
const TUNED = ["--quantization", JSON.stringify({ perChannelWeights: true, biasCorrection: true })];
const noisy = (share) => ["--interior-noise", String(share), ...TUNED];

const SETTINGS = [
  { model: "digits_mlp", nBits: 5, rounding: { nBits: 6, method: "fit" }, more: noisy(0.02) },
  { model: "digits_mlp", nBits: 5, rounding: { nBits: 5, method: "approximate" } },
  { model: "digits_mlp", nBits: 5, rounding: { nBits: 4, method: "fit" } },
  { model: "digits_mlp", nBits: 4, rounding: { nBits: 6, method: "exact" } },
  { model: "digits_cnn", nBits: 5, rounding: { nBits: 6, method: "fit" }, more: noisy(0.02) },
  { model: "digits_cnn", nBits: 6, rounding: { nBits: 6, method: "approximate" } },
  { model: "digits_cnn", nBits: 5, rounding: { nBits: 4, method: "fit" } },
  { model: "seed_logreg", nBits: 3, rounding: null },
];

/** One run of `sotto VERB` with JSON output. */
function sotto(verb, { model, nBits, rounding, more = [] }, extra) {
  const folder = join(root, "test", "fixtures", model);
  const scratch = mkdtempSync(join(tmpdir(), "sotto-bench-"));
  const json = join(scratch, "out.json");
  const args = [
    join(root, "dist", "cli", "main.js"),
    verb,
    join(folder, "model.onnx"),
    "--calibration",
    join(folder, "calibration.npy"),
    "--input",
    join(folder, "inputs.npy"),
    "--n-bits",
    String(nBits),
    "--json",
    json,
    ...(rounding ? ["--rounding-threshold-bits", JSON.stringify(rounding)] : []),
    ...more,
    ...extra,
  ];
  const { status } = spawnSync(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] });
  if (status !== 0) process.exit(status ?? 1);
  const result = JSON.parse(readFileSync(json, "utf8"));
  rmSync(scratch, { recursive: true });
  return result;
}

/** Share of the labels that simulated outputs get right, noise included; empty without labels. */
async function accuracy(setting) {
  if (!setting.model.startsWith("digits")) return "";
  const { outputs } = sotto("predict", setting, ["--mode", "simulate"]);
  const [labels] = await readTensors([join(root, "test", "fixtures", setting.model, "labels.npy")]);
  const right = outputs[0].filter(
    (row, i) => row.indexOf(Math.max(...row)) === labels.data[i],
  ).length;
  return `${((100 * right) / labels.data.length).toFixed(1)} %`;
}

const noiseOf = ({ more = [] }) => (more[0] === "--interior-noise" ? more[1] : "");
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const seconds = (ms) => `${(ms / 1000).toFixed(2)} s`;

async function row(setting) {
  const { model, nBits, rounding } = setting;
  const { timings, circuit, crypto, ratio, threads } = sotto("bench", setting, [
    "--limit",
    String(ROWS),
  ]);
  const cells = [
    model,
    String(nBits),
    rounding ? `${rounding.method} ${rounding.nBits}` : "none",
    noiseOf(setting),
    await accuracy(setting),
    String(circuit.tableLookups),
    seconds(timings.compileMs),
    seconds(timings.keygenMs),
    `${(crypto.evaluationKeyBytes / 1e6).toFixed(1)} MB`,
    seconds(median(timings.runMs)),
    ratio.toFixed(2),
    String(threads),
  ];
  const line = `| ${cells.join(" | ")} |`;
  process.stdout.write(`${line}\n`);
  return line;
}

const heads = [
  "model",
  "bits",
  "rounding",
  "interior noise",
  "accuracy, simulated",
  "lookups",
  "compile",
  "key generation",
  "evaluation keys",
  "one encrypted run",
  "run x threads / raw lookups",
  "threads",
];
const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], {
  cwd: root,
  encoding: "utf8",
}).trim();
const lines = [];
for (const setting of SETTINGS) lines.push(await row(setting));
const text = [
  "# Measured times",
  "",
  `${cpus()[0]?.model ?? "unknown processor"}, ${availableParallelism()} cores, Node ${process.version}, commit ${commit},`,
  `failure probability 2^-40 per lookup, median of ${ROWS} rows. Made by \`npm run bench\`.`,
  "",
  `| ${heads.join(" | ")} |`,
  `| ${heads.map(() => "---").join(" | ")} |`,
  ...lines,
  "",
].join("\n");
// Sections that other scripts measure stay.
const path = join(root, "bench", "RESULTS.md");
const known = readFileSync(path, "utf8");
const sections = known.indexOf("\n## ");
writeFileSync(path, sections < 0 ? text : text + known.slice(sections));
