/**
 * Throughput of `sotto serve`: so many clients at once, each with keys of its own, against the same runs one after the
 * other in this process. Prints how evenly the clients were served, and the server's memory.
 * Usage: node bench/serve.mjs [--clients N] [--jobs N] [--model digits_mlp|act_relu] [--key-cache BYTES]
 * Prints a JSON object; its exit status is 1 when the throughput is below 90 % or an answer is wrong.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { loadEngine, Server } from "../dist/index.js";
import {
  compileFixture,
  FIVE_BITS,
  FOUR_BITS,
  localOutputs,
  makeClient,
  remote,
  startServer,
  temporaryFolder,
} from "./serving.mjs";

const { values } = parseArgs({
  options: {
    clients: { type: "string", default: "8" },
    jobs: { type: "string", default: "4" },
    model: { type: "string", default: "digits_mlp" },
    "key-cache": { type: "string", default: "2GB" },
  },
});
const jobs = Number(values.jobs);
const folder = temporaryFolder();
const models = join(folder, "models");
const bits = values.model === "digits_mlp" ? FIVE_BITS : FOUR_BITS;
await compileFixture(values.model, models, bits);
const clients = [];
for (let i = 0; i < Number(values.clients); i++) {
  const client = await makeClient(models, values.model, 1);
  clients.push({ ...client, expected: (await localOutputs(models, client))[0] });
}

/** Milliseconds of one run, as often as all clients will ask together, one after the other. */
async function timeBackToBack() {
  const server = new Server(readFileSync(join(models, values.model, "server.sotto")), loadEngine());
  const [{ evaluationKeys, inputs }] = clients;
  await server.loadKeys(evaluationKeys);
  await server.run(inputs[0]);
  const start = performance.now();
  for (let i = 0; i < clients.length * jobs; i++) await server.run(inputs[0]);
  return (performance.now() - start) / (clients.length * jobs);
}

/** Every client asks again as soon as it has its answer. */
async function timeServer(url) {
  const one = async ({ inputs, expected }) => {
    const server = remote(url);
    for (let i = 0; i < jobs; i++) {
      const outputs = Buffer.from(await server.run(values.model, inputs[0]));
      if (!outputs.equals(expected)) throw new Error("a wrong answer");
    }
    return performance.now();
  };
  const start = performance.now();
  const ends = await Promise.all(clients.map(one));
  return { ms: performance.now() - start, ends: ends.map((end) => end - start) };
}

function memoryOf(pid, name) {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) * 1024;
}

const before = await timeBackToBack();
const server = await startServer(models, {
  data: join(folder, "data"),
  args: ["--key-cache", values["key-cache"], "--log-level", "warn"],
});
for (const { evaluationKeys, inputs } of clients) {
  await remote(server.url).uploadKeys(evaluationKeys);
  await remote(server.url).run(values.model, inputs[0]); // expands the keys
}
const idleBytes = memoryOf(server.pid, "VmRSS");
const { ms, ends } = await timeServer(server.url);
const peakBytes = memoryOf(server.pid, "VmHWM");
const metrics = await (await fetch(`${server.url}/metrics`)).text();
const number = (name) => Number(new RegExp(`^${name} (\\S+)`, "m").exec(metrics)?.[1]);
await server.stop();
const after = await timeBackToBack();
const single = (before + after) / 2;
const each = ms / (clients.length * jobs);
const report = {
  model: values.model,
  clients: clients.length,
  jobs: clients.length * jobs,
  backToBackMs: Math.round(single),
  servedMs: Math.round(each),
  throughput: Number((single / each).toFixed(3)),
  firstClientDoneMs: Math.round(Math.min(...ends)),
  lastClientDoneMs: Math.round(Math.max(...ends)),
  keyCacheMB: Math.round(number("sotto_key_cache_bytes") / 1e6),
  keyCacheMisses: number("sotto_key_cache_misses"),
  residentMB: Math.round(idleBytes / 1e6),
  peakMB: Math.round(peakBytes / 1e6),
};
console.log(JSON.stringify(report, null, 2));
process.exitCode = report.throughput < 0.9 ? 1 : 0;
