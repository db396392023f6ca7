/**
 * Damaged models: mutated copies of every model of test/fixtures are imported and, where that works, quantized with a few
 * rows. Each must give a result or a coded error, in time and within memory. A child process does the work, so that the
 * parent can stop one that hangs; both count the same mutations, so that `--only I` repeats the I-th one.
 * Usage: node bench/mutations.mjs [--count N] [--first I] [--only I] [--matching TEXT]
 * Prints a JSON object; its exit status is 1 when a mutation did something else.
 */
import { fork } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { ModelProtoSchema } from "onnx-buf";
import { limitRows, readTensors } from "../dist/cli/model.js";
import { buildQuantizedModule, SottoError } from "../dist/index.js";
import { supportedOperators } from "../dist/onnx/ops/index.js";

const MOST_MS = 5000;
const MOST_BYTES = 2 ** 30;
const CALIBRATION_ROWS = 4;

const folder = fileURLToPath(new URL("../test/fixtures/", import.meta.url));

/** Uniform numbers in [0, 1) that follow from a seed (mulberry32). */
function randomNumbers(seed) {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Sizes at which programs go wrong. */
const SIZES = [
  0,
  1,
  2,
  3,
  5,
  7,
  16,
  255,
  1000,
  65_536,
  100_000,
  1_000_003,
  2 ** 24,
  2 ** 31,
  2 ** 53,
];
const INTEGERS = [...SIZES.map(BigInt), 2n ** 31n - 1n, 2n ** 63n - 1n].flatMap((n) => [n, -n]);
const FLOATS = [0, -0, 1, -1, NaN, Infinity, -Infinity, 1e-45, 1e38, -1e38, 0.5, 1e9];

/** A mutation as a function of a source of randomness. */
class Mutator {
  constructor(random, models) {
    this.random = random;
    this.models = models;
  }

  below(count) {
    return Math.floor(this.random() * count);
  }

  pick(list) {
    return list[this.below(list.length)];
  }

  mutate(bytes) {
    return this.random() < 0.4 ? this.damageBytes(bytes) : this.damageFields(bytes);
  }

  damageBytes(original) {
    const bytes = Uint8Array.from(original);
    const at = this.below(bytes.length);
    switch (this.below(5)) {
      case 0:
        for (let i = this.below(8); i >= 0; i--)
          bytes[this.below(bytes.length)] ^= 1 << this.below(8);
        return bytes;
      case 1:
        for (let i = this.below(4); i >= 0; i--) bytes[this.below(bytes.length)] = this.below(256);
        return bytes;
      case 2:
        return bytes.slice(0, at);
      case 3: {
        const end = at + this.below(64);
        return Uint8Array.from([...bytes.slice(0, at), ...bytes.slice(end)]);
      }
      default: {
        const part = bytes.slice(at, at + 1 + this.below(64));
        const to = this.below(bytes.length);
        return Uint8Array.from([...bytes.slice(0, to), ...part, ...bytes.slice(to)]);
      }
    }
  }

  damageFields(bytes) {
    const model = fromBinary(ModelProtoSchema, bytes);
    for (let i = this.below(3); i >= 0; i--) this.damageField(model);
    return toBinary(ModelProtoSchema, model);
  }

  damageField(model) {
    const { graph } = model;
    const node = this.pick(graph.node);
    const constant = graph.initializer.length > 0 ? this.pick(graph.initializer) : null;
    const attribute = this.pick(graph.node.flatMap((n) => n.attribute)) ?? null;
    switch (this.below(12)) {
      case 0:
        return void (model.opsetImport[0].version = BigInt(this.below(26)));
      case 1:
        return void (node.opType = this.pick(supportedOperators));
      case 2:
        return void (node.input[this.below(node.input.length + 1)] = this.pick(this.names(graph)));
      case 3:
        return void node.input.splice(this.below(node.input.length), 1);
      case 4:
        return void graph.node.splice(this.below(graph.node.length), 1, this.pick(graph.node));
      case 5:
        return void node.attribute.push(this.pick(this.pick(this.models).attributes));
      case 6:
      case 7:
      case 8:
        return attribute && this.damageAttribute(attribute);
      case 9:
        return this.damageValue(this.pick([...graph.input, ...graph.output, ...graph.valueInfo]));
      default:
        return constant && this.damageTensor(constant);
    }
  }

  names(graph) {
    return ["", ...graph.input, ...graph.initializer, ...graph.node.flatMap((n) => n.output)].map(
      (named) => named.name ?? named,
    );
  }

  damageAttribute(attribute) {
    if (attribute.t && this.random() < 0.8) return this.damageTensor(attribute.t);
    if (attribute.ints.length > 0) {
      const at = this.below(attribute.ints.length + 1);
      attribute.ints.splice(at, this.below(2), this.pick(INTEGERS));
      return;
    }
    switch (this.below(4)) {
      case 0:
        attribute.f = this.pick(FLOATS);
        return;
      case 1:
        attribute.type = this.below(12);
        return;
      case 2:
        attribute.name = this.pick(this.pick(this.models).attributes).name;
        return;
      default:
        attribute.i = this.pick(INTEGERS);
    }
  }

  damageTensor(tensor) {
    const at = this.below(tensor.dims.length + 1);
    const data = tensor.rawData;
    switch (this.below(5)) {
      case 0:
        return void tensor.dims.splice(at, this.below(2), this.pick(INTEGERS));
      case 1:
        return void (tensor.dataType = this.below(24));
      case 2:
        return void (tensor.rawData = data.slice(0, this.below(data.length + 1)));
      default:
        return this.damageNumber(tensor);
    }
  }

  damageNumber(tensor) {
    const { int64Data, floatData, rawData } = tensor;
    if (int64Data.length > 0) int64Data[this.below(int64Data.length)] = this.pick(INTEGERS);
    if (floatData.length > 0) floatData[this.below(floatData.length)] = this.pick(FLOATS);
    if (rawData.length < 8) return;
    const copy = Uint8Array.from(rawData);
    const view = new DataView(copy.buffer);
    if (tensor.dataType === 7) {
      view.setBigInt64(8 * this.below(Math.floor(copy.length / 8)), this.pick(INTEGERS), true);
    } else {
      view.setFloat32(4 * this.below(Math.floor(copy.length / 4)), this.pick(FLOATS), true);
    }
    tensor.rawData = copy;
  }

  damageValue(value) {
    const tensor = value?.type?.value.value;
    if (!tensor?.shape) return;
    if (this.random() < 0.2) tensor.elemType = this.below(24);
    const dimension = { value: { case: "dimValue", value: this.pick(INTEGERS) } };
    const { dim } = tensor.shape;
    if (this.random() < 0.3) dim.push(dim[0]);
    else if (dim.length > 0) Object.assign(dim[this.below(dim.length)], dimension);
  }
}

async function readModels(matching) {
  const names = readdirSync(folder).filter(
    (name) => existsSync(`${folder}${name}/model.onnx`) && new RegExp(matching).test(name),
  );
  const models = names.map(async (name) => {
    const files = readdirSync(`${folder}${name}`).filter((file) => /^calibration.*npy$/.test(file));
    const calibration = await readTensors(files.sort().map((file) => `${folder}${name}/${file}`));
    const bytes = new Uint8Array(readFileSync(`${folder}${name}/model.onnx`));
    const { graph } = fromBinary(ModelProtoSchema, bytes);
    const attributes = graph.node.flatMap((node) => node.attribute);
    return { name, bytes, attributes, calibration: limitRows(calibration, CALIBRATION_ROWS) };
  });
  return (await Promise.all(models)).filter(({ attributes }) => attributes.length > 0);
}

/** What the mutation with this number does: "ok", an error's code, or what must not happen. */
async function tryMutation(models, index) {
  const mutator = new Mutator(randomNumbers(0x50770 + index), models);
  const model = models[index % models.length];
  const bytes = mutator.mutate(model.bytes);
  const start = performance.now();
  let outcome = "ok";
  try {
    const importQat = model.name.startsWith("qat_");
    await buildQuantizedModule(bytes, model.calibration, { nBits: 4, importQat });
  } catch (error) {
    outcome = error instanceof SottoError ? error.code : `crash: ${error?.stack ?? error}`;
  }
  const ms = performance.now() - start;
  return { index, name: model.name, outcome, ms, bytes: process.resourceUsage().maxRSS * 1024 };
}

async function work({ first, count, matching }) {
  const models = await readModels(matching);
  for (let index = first; index < first + count; index++) {
    process.send({ starts: index, name: models[index % models.length].name });
    process.send(await tryMutation(models, index));
  }
  process.disconnect();
}

/** Runs mutations in children until all are done; a child that hangs, dies or grows is replaced. */
async function supervise({ first, count, matching }, onResult) {
  let next = first;
  while (next < first + count) {
    next = await runChild({ first: next, count: first + count - next, matching }, onResult);
  }
}

function runChild(range, onResult) {
  const child = fork(fileURLToPath(import.meta.url), ["--worker", JSON.stringify(range)], {
    execArgv: ["--max-old-space-size=1024"],
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let errors = "";
  child.stderr.on("data", (text) => (errors += text));
  let next = range.first;
  let current = null;
  let timer = null;
  return new Promise((resolve) => {
    child.on("message", (message) => {
      clearTimeout(timer);
      if (message.starts === undefined) {
        current = null;
        next = message.index + 1;
        onResult(message);
        // The peak is of the whole process: a new one finds out about the next mutation.
        if (message.bytes > MOST_BYTES) child.kill("SIGKILL");
        return;
      }
      current = message;
      timer = setTimeout(() => child.kill("SIGKILL"), 4 * MOST_MS);
    });
    child.on("exit", (code, signal) => {
      clearTimeout(timer);
      if (current !== null) {
        const outcome = `crash: the process ended with ${signal ?? code} ${errors.slice(-500)}`;
        onResult({ index: current.starts, name: current.name, outcome, ms: Infinity, bytes: 0 });
        next = current.starts + 1;
      }
      resolve(next);
    });
  });
}

async function main() {
  const { values } = parseArgs({
    options: {
      count: { type: "string", default: "20000" },
      first: { type: "string", default: "0" },
      only: { type: "string" },
      matching: { type: "string", default: "" },
      worker: { type: "string" },
    },
  });
  if (values.worker !== undefined) return work(JSON.parse(values.worker));
  const first = Number(values.only ?? values.first);
  const count = values.only === undefined ? Number(values.count) : 1;
  const outcomes = {};
  const failures = [];
  let slowestMs = 0;
  let mostBytes = 0;
  await supervise({ first, count, matching: values.matching }, (result) => {
    const { outcome, ms, bytes } = result;
    const kind = outcome.split(":")[0];
    outcomes[kind] = (outcomes[kind] ?? 0) + 1;
    slowestMs = Math.max(slowestMs, ms);
    mostBytes = Math.max(mostBytes, bytes);
    if (kind !== "crash" && ms <= MOST_MS && bytes <= MOST_BYTES) return;
    failures.push(result);
    process.stderr.write(`${JSON.stringify(result)}\n`);
  });
  process.stdout.write(`${JSON.stringify({ count, outcomes, slowestMs, mostBytes, failures })}\n`);
  process.exitCode = failures.length > 0 ? 1 : 0;
}

await main();
