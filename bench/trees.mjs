/**
 * Trees, encrypted: lookups, keys and times of the recorded models of test/fixtures/sklearn and of 100 complete random
 * trees of depth 4, with the labels that the float model gives as well. Prints the table and, with --write, puts it into its
 * section of bench/RESULTS.md.
 * Usage: node bench/trees.mjs [--write] [--rows 5] [--bits 8] [--only NAME]
 */
import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { compileModuleAsync } from "../dist/compile.js";
import { evaluate } from "../dist/onnx/evaluate.js";
import { importOnnx } from "../dist/onnx/import.js";
import { attributesOf } from "../dist/onnx/trees/attributes.js";
import { ensembleOf } from "../dist/onnx/trees/ensemble.js";
import { PostTrainingAffineQuantization } from "../dist/quantization/post-training.js";
import { parseNpy } from "../dist/tensor/npy.js";
import { float32, int64 } from "../dist/tensor/tensor.js";
import { markdownTable, writeSection } from "./results.mjs";

const HEADING = "## Trees";
const { values: options } = parseArgs({
  options: {
    write: { type: "boolean", default: false },
    rows: { type: "string", default: "5" },
    bits: { type: "string", default: "8" },
    only: { type: "string" },
  },
});
const ROWS = Number(options.rows);
const BITS = Number(options.bits);
const MODELS = [
  ["sk_tree_cls", "decision tree, depth 5"],
  ["sk_xgb_cls", "XGBoost, 20 trees, depth 3"],
  ["sk_forest_cls_binary", "random forest, 20 trees, depth 4"],
  ["sk_forest_cls", "random forest, 20 trees, depth 4, 3 classes"],
  ["sk_xgb_cls_multi", "XGBoost, 3 classes"],
  ["sk_gboost_reg", "gradient boosting, regression"],
];

function recorded(name) {
  const file = (path) =>
    new Uint8Array(
      readFileSync(new URL(`../test/fixtures/sklearn/${name}/${path}`, import.meta.url)),
    );
  return { graph: importOnnx(file("model.onnx")), rows: parseNpy(file("inputs.npy"), name) };
}

/** 100 complete trees of depth 4 over 30 features, each with about 50 thresholds. */
function complete() {
  const features = 30;
  let state = 12345;
  const random = () => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) / 2 ** 32;
  const grow = () => {
    const nodes = [];
    const add = (depth) => {
      const place =
        nodes.push({ kind: "leaf", weights: [{ output: 0, weight: random() - 0.5 }] }) - 1;
      if (depth === 4) return place;
      const feature = Math.floor(random() * features);
      const threshold = Math.fround(random());
      const [whenTrue, whenFalse] = [add(depth + 1), add(depth + 1)];
      const question = { feature, threshold, comparison: "<=", missingIsTrue: false };
      nodes[place] = { kind: "branch", ...question, whenTrue, whenFalse };
      return place;
    };
    add(0);
    return { nodes };
  };
  const ensemble = ensembleOf(
    {
      trees: Array.from({ length: 100 }, grow),
      outputCount: 1,
      aggregate: "SUM",
      baseValues: [],
      postTransform: "NONE",
      classification: null,
    },
    "trees",
  );
  const [x, scores] = ["x", "scores"];
  const node = { name: "trees", opType: "TreeEnsembleRegressor", domain: "ai.onnx.ml" };
  const graph = {
    name: "trees",
    opset: new Map([["ai.onnx.ml", 3]]),
    inputs: [{ name: x, dtype: "float32", shape: [null, features] }],
    outputs: [{ name: scores, dtype: "float32", shape: [null, 1] }],
    nodes: [{ ...node, inputs: [x], outputs: [scores], attributes: attributesOf(ensemble) }],
    constants: new Map(),
    shapes: new Map([
      [x, [1, features]],
      [scores, [1, 1]],
    ]),
  };
  return { graph, rows: float32([200, features], Array.from({ length: 200 * features }, random)) };
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

/** Share of rows with the float model's label; empty for a regression. */
function agreement(graph, module, rows) {
  const floats = evaluate(graph, [rows]);
  const at = floats.findIndex(({ dtype }) => dtype === "int64");
  if (at < 0) return "";
  const labels = [module.forward(rows)].flat()[at];
  const same = labels.data.filter((label, i) => label === floats[at].data[i]).length;
  return `${((100 * same) / labels.data.length).toFixed(1)} %`;
}

async function measure(name, title, { graph, rows }) {
  const start = performance.now();
  const module = new PostTrainingAffineQuantization(BITS, graph).quantizeModule(rows);
  const { circuit } = await compileModuleAsync(module);
  const compileMs = performance.now() - start;
  const { tableLookups, evaluationKeyBytes } = circuit.statistics;
  const keysStart = performance.now();
  await circuit.keygenAsync();
  const keygenMs = performance.now() - keysStart;
  const codes = module.quantizeInput(rows);
  const width = codes.shape[1];
  const times = { encrypt: [], run: [], decrypt: [] };
  let inputBytes = 0;
  // The first row is left out: it warms the caches.
  for (let i = 0; i <= ROWS; i++) {
    const row = int64([1, width], codes.data.slice(i * width, (i + 1) * width));
    const marks = [performance.now()];
    const input = circuit.encrypt(row);
    marks.push(performance.now());
    const output = await circuit.runAsync(input);
    marks.push(performance.now());
    const answer = [circuit.decrypt(output)].flat()[0];
    marks.push(performance.now());
    const [expected] = [module.quantizedForward(row)].flat();
    if (answer.data.join() !== expected.data.join()) throw new Error(`${name}: row ${i} differs`);
    inputBytes = input.length;
    if (i > 0)
      Object.keys(times).forEach((key, step) => times[key].push(marks[step + 1] - marks[step]));
  }
  return [
    title,
    tableLookups,
    agreement(graph, module, rows),
    `${(compileMs / 1000).toFixed(2)} s`,
    `${(keygenMs / 1000).toFixed(1)} s`,
    `${(evaluationKeyBytes / 1e6).toFixed(1)} MB`,
    `${(inputBytes / 1e3).toFixed(1)} kB`,
    `${median(times.encrypt).toFixed(1)} ms`,
    `${median(times.run).toFixed(0)} ms`,
    `${median(times.decrypt).toFixed(1)} ms`,
  ];
}

const lines = [];
const models = [
  ...MODELS.map(([name, title]) => [name, title, () => recorded(name)]),
  ["complete", "100 complete random trees, depth 4", complete],
];
for (const [name, title, read] of models) {
  if (options.only && options.only !== name) continue;
  lines.push(await measure(name, title, read()));
  console.error(lines.at(-1).join("  "));
}
const heads = [
  "model",
  "lookups",
  "labels of the float model",
  "compile",
  "key generation",
  "evaluation keys",
  "input",
  "encrypt",
  "run",
  "decrypt",
];
const text = `${cpus()[0].model}, ${cpus().length} cores, Node ${process.version}; ${BITS} bits, failure probability 2^-40 per
lookup, median of ${ROWS} rows, all of which decrypted to the integers of the clear. Made by \`node bench/trees.mjs --write\`.

${markdownTable(heads, lines)}`;
console.log(text);
if (options.write) writeSection(HEADING, text);
