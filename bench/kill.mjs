/**
 * Kills a server (SIGKILL) at random moments under load and starts it again: no accepted job may be lost, none may be
 * answered wrongly or in two ways. Clients hand in jobs all the time and repeat what was not answered under the same
 * idempotency key, as their users would.
 * Usage: node bench/kill.mjs [--kills N] [--most-ms MS]
 * Prints a JSON object; its exit status is 1 when something of this does not hold.
 */
import { parseArgs } from "node:util";
import { randomUUID } from "node:crypto";
import {
  compileFixture,
  FOUR_BITS,
  localOutputs,
  makeClient,
  remote,
  startServer,
  temporaryFolder,
  wait,
} from "./serving.mjs";

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "50" },
    "most-ms": { type: "string", default: "2500" },
  },
});
const kills = Number(values.kills);
const mostMs = Number(values["most-ms"]);
const CLIENTS = 3;
const ROWS = 4;

const folder = temporaryFolder();
const models = `${folder}/models`;
const data = `${folder}/data`;
await compileFixture("act_relu", models, FOUR_BITS);
await compileFixture("op_single_linear", models, ["--n-bits", "4"]);
const clients = [];
for (let i = 0; i < CLIENTS; i++) {
  const client = await makeClient(models, i === 0 ? "op_single_linear" : "act_relu", ROWS);
  clients.push({ ...client, expected: await localOutputs(models, client) });
}

const port = 20_000 + Math.floor(Math.random() * 20_000);
let server = await startServer(models, { data, port });
/** Every job that the server acknowledged: id -> what it must give. */
const accepted = new Map();
const problems = [];
const load = { isOver: false };
let answered = 0;
let repeated = 0;

/** Repeats a call for as long as no server answers, as often as it takes. */
async function stubbornly(call) {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (error.code !== "UNAVAILABLE") throw error;
      await wait(50);
    }
  }
}

/** Hands in one row and reads what it gives, through any number of restarts. */
async function once(server, { name, inputs, expected }, row) {
  const idempotencyKey = randomUUID();
  const submit = () => stubbornly(() => server.submit(name, inputs[row], { idempotencyKey }));
  const job = await submit();
  if (accepted.has(job.id)) problems.push(`job ${job.id} was made twice`);
  accepted.set(job.id, expected[row]);
  if (Math.random() < 0.3) {
    const again = await submit();
    repeated++;
    if (again.id !== job.id) problems.push(`one idempotency key gave ${job.id} and ${again.id}`);
  }
  const { state, error } = await stubbornly(() => server.follow(job.id));
  if (state !== "done") problems.push(`job ${job.id} ended as ${state}: ${JSON.stringify(error)}`);
  const first = Buffer.from(await stubbornly(() => server.result(job.id)));
  if (!first.equals(expected[row]))
    problems.push(`job ${job.id} gave other bytes than a local run`);
  answered++;
}

async function keepAsking(client) {
  const server = remote(`http://127.0.0.1:${port}`, { retries: 0 });
  const upload = () => server.uploadKeys(client.evaluationKeys, { pieceBytes: 1 << 20 });
  await stubbornly(upload);
  for (let row = 0; !load.isOver; row = (row + 1) % ROWS) await once(server, client, row);
}

const loads = clients.map((client) =>
  keepAsking(client).catch((error) => problems.push(`a client failed: ${error.stack}`)),
);
const restarts = [];
for (let kill = 0; kill < kills; kill++) {
  await wait(Math.random() * mostMs);
  await server.stop("SIGKILL");
  const start = performance.now();
  server = await startServer(models, { data, port });
  restarts.push(performance.now() - start);
}
load.isOver = true;
await Promise.all(loads);

// Once more, all of them, from a server that has never run them.
await server.stop("SIGKILL");
server = await startServer(models, { data, port });
const end = remote(server.url);
for (const [id, expected] of accepted) {
  const job = await end.job(id).catch((error) => ({ state: error.message }));
  if (job.state !== "done") problems.push(`accepted job ${id} is ${job.state}`);
  else if (!Buffer.from(await end.result(id)).equals(expected))
    problems.push(`job ${id} gives other bytes after a restart`);
}
const known = (await end.jobs()).length;
if (known !== accepted.size)
  problems.push(`${accepted.size} jobs were accepted, ${known} are known`);
const code = await server.stop("SIGTERM");
if (code !== 0) problems.push(`SIGTERM ended the server with ${code}`);

restarts.sort((a, b) => a - b);
const report = {
  kills,
  accepted: accepted.size,
  answered,
  repeated,
  medianRestartMs: Math.round(restarts[restarts.length >> 1] ?? 0),
  problems,
};
console.log(JSON.stringify(report, null, 2));
process.exitCode = problems.length > 0 ? 1 : 0;
