/**
 * Every model of test/fixtures, encrypted: with bits that keep its tables small, integers must equal the clear ones where
 * every table is exact, and classes must where tables round approximately. Models of more than 500 lookups, or of a
 * minute and more, are only simulated, without noise. Prints one line per model and way of rounding; slow (about an hour on two cores).
 * Usage: node bench/fixtures.mjs [--simulate] [--rows N] [--ways exact,fit] [--matching TEXT]
 */
import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { limitRows, readTensors } from "../dist/cli/model.js";
import { joinRows, splitRows } from "../dist/execute/circuit.js";
import { compileOnnxModel } from "../dist/index.js";

const MOST_LOOKUPS = 500;
const WAYS = {
  exact: [
    { nBits: 4 },
    { nBits: 3 },
    { nBits: 2 },
    { nBits: 4, roundingThresholdBits: 5 },
    { nBits: 3, roundingThresholdBits: 4 },
  ],
  approximate: [6, 5, 4].map((bits) => ({
    nBits: bits,
    roundingThresholdBits: { nBits: bits, method: "approximate" },
  })),
  fit: [{ nBits: 5, roundingThresholdBits: { nBits: 4, method: "fit" } }],
};
/** A model that would run longer than this on one core is tried with fewer bits first. */
const LONG_MS = 3_000;
/** A model that would run longer than this is only simulated. */
const MOST_MS = 60_000;

const folder = fileURLToPath(new URL("../test/fixtures/", import.meta.url));

async function readFixture(name) {
  const files = readdirSync(`${folder}${name}`);
  const tensors = (stem) => {
    const pattern = new RegExp(`^${stem}(_\\d+)?\\.npy$`);
    const found = files.filter((file) => pattern.test(file)).sort();
    return readTensors(found.map((file) => `${folder}${name}/${file}`));
  };
  return {
    name,
    model: `${folder}${name}/model.onnx`,
    calibration: await tensors("calibration"),
    inputs: await tensors("inputs"),
  };
}

function label({ nBits, roundingThresholdBits: rounding }) {
  if (rounding === undefined) return `${nBits} bits`;
  return typeof rounding === "number"
    ? `${nBits} bits, exact ${rounding}`
    : `${nBits} bits, ${rounding.method} ${rounding.nBits}`;
}

/** The first choice that is quick enough, or else the quickest one of at most 500 lookups, or the refusals. */
async function compileBest(fixture, choices) {
  const compiled = [];
  const refusals = [];
  for (const choice of choices) {
    const options = fixture.name.startsWith("qat_") ? { ...choice, importQat: true } : choice;
    try {
      const module = await compileOnnxModel(fixture.model, fixture.calibration, options);
      compiled.push({ module, choice });
      const { tableLookups, predictedMs } = module.circuit.statistics;
      if (tableLookups <= MOST_LOOKUPS && predictedMs < LONG_MS) break;
    } catch (error) {
      refusals.push(`${label(choice)}: ${error.code ?? error.stack}`);
    }
  }
  const small = compiled.filter((c) => c.module.circuit.statistics.tableLookups <= MOST_LOOKUPS);
  const ms = ({ module }) => module.circuit.statistics.predictedMs;
  const best = (small.length > 0 ? small : compiled).sort((a, b) => ms(a) - ms(b))[0];
  return { best, refusals };
}

function differences(a, b) {
  return a.reduce((sum, { data }, i) => sum + data.filter((x, j) => x !== b[i].data[j]).length, 0);
}

/** Classes (largest element of each row of each output) in which two answers differ. */
function otherClasses(a, b) {
  const classOf = ({ data }) => data.indexOf(Math.max(...data));
  return a.reduce((sum, output, i) => {
    const left = splitRows([output]).map(([row]) => classOf(row));
    const right = splitRows([b[i]]).map(([row]) => classOf(row));
    return sum + left.filter((x, j) => x !== right[j]).length;
  }, 0);
}

/** Largest distance of two answers, in units of the quantizer's range. */
function farthest(a, b, { circuit }) {
  return Math.max(
    ...a.map((output, i) => {
      const { lo, hi } = circuit.values[circuit.outputs[i]].bounds.calibrated;
      return Math.max(...output.data.map((x, j) => Math.abs(x - b[i].data[j]))) / (hi - lo + 1);
    }),
  );
}

function list(result) {
  return Array.isArray(result) ? result : [result];
}

async function check(fixture, way, { rows, isSimulated }) {
  const { best, refusals } = await compileBest(fixture, WAYS[way]);
  if (best === undefined) return `refused, ${refusals.join("; ")}`;
  const { module, choice } = best;
  const { statistics, parts } = module.circuit;
  const facts = `${label(choice)} | ${statistics.tableLookups} | ${(statistics.predictedMs / 1000).toFixed(2)} s`;
  const inputs = list(module.quantizeInput(limitRows(fixture.inputs, 40)));
  // Rows that leave the calibrated range wrap around, as they must; the comparison takes others.
  const inside = splitRows(inputs).filter((row) => {
    module.circuit.simulate(row, { noise: false });
    return module.circuit.overflows === 0;
  });
  if (inside.length === 0) return `${facts} | every row overflows`;
  const all = joinRows(inside);
  const clear = list(module.quantizedForward(all));
  const simulated = list(module.circuit.simulate(all, { noise: false }));
  const same = `simulated: ${inside.length} rows, ${differences(simulated, clear)} differ`;
  const isLarge = statistics.tableLookups > MOST_LOOKUPS || statistics.predictedMs > MOST_MS;
  if (isSimulated || isLarge) return `${facts} | ${same}`;
  const few = inside.slice(0, rows);
  const keyed = performance.now();
  module.circuit.keygen();
  const start = performance.now();
  const encrypted = list(module.circuit.encryptRunDecrypt(joinRows(few)));
  const seconds = ((performance.now() - start) / 1000 / few.length).toFixed(2);
  const expected = limitRows(clear, few.length);
  const verdict =
    `${differences(encrypted, expected)} integers and ${otherClasses(encrypted, expected)} classes differ, ` +
    `farthest ${(100 * farthest(encrypted, expected, parts)).toFixed(1)} %`;
  const keygen = ((start - keyed) / 1000).toFixed(1);
  return `${facts} | ${same} | encrypted: ${few.length} rows, ${verdict}, keys ${keygen} s, ${seconds} s each`;
}

async function main() {
  const { values } = parseArgs({
    options: {
      simulate: { type: "boolean", default: false },
      rows: { type: "string", default: "2" },
      ways: { type: "string", default: Object.keys(WAYS).join(",") },
      matching: { type: "string", default: "" },
    },
  });
  const names = readdirSync(folder).filter(
    (name) => existsSync(`${folder}${name}/model.onnx`) && new RegExp(values.matching).test(name),
  );
  for (const name of names) {
    const fixture = await readFixture(name);
    for (const way of values.ways.split(",")) {
      const line = await check(fixture, way, {
        rows: Number(values.rows),
        isSimulated: values.simulate,
      }).catch((error) => `FAILED ${error.stack}`);
      process.stdout.write(`${name} | ${way} | ${line}\n`);
    }
  }
}

await main();
