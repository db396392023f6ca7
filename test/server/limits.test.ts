/**
 * Limits: queues, rates, slow clients, options that make no sense, and requests that are none. The long form of the last
 * test is bench/malformed-requests.mjs.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, test } from "vitest";
import { expectMistake, sotto, temporaryFolder } from "../support/cli.ts";
import { rejectionOf } from "../support/errors.ts";
import {
  compileModels,
  LINEAR,
  makeClient,
  plain,
  remoteOf,
  startServer,
  type TestClient,
  WITH_LOOKUPS,
} from "../support/serving.ts";

const folder = temporaryFolder();
let models: string;
let lookups: TestClient;

beforeAll(async () => {
  models = await compileModels(folder);
  lookups = await makeClient(models, WITH_LOOKUPS);
});

test("a queue that is full says when to come again, and the client does", async () => {
  const server = await startServer(models, "--data", `${folder}/queue`, "--max-queued", "2");
  const remote = remoteOf(server);
  await remote.uploadKeys(lookups.evaluationKeys);
  const submit = () => remote.submit(WITH_LOOKUPS, lookups.inputs[0]);
  await submit();
  await submit();
  expect(await rejectionOf(submit)).toMatchObject({ code: "LIMIT_EXCEEDED" });
  const patient = remoteOf(server, { retries: 20 });
  const outputs = await patient.run(WITH_LOOKUPS, lookups.inputs[0]);
  expect(Buffer.from(outputs).equals(lookups.outputs[0])).toBe(true);
});

test("more requests than the rate allows are told to wait", async () => {
  const server = await startServer(models, "--data", `${folder}/rate`, "--rate", "3");
  const statuses: number[] = [];
  for (let i = 0; i < 5; i++) statuses.push((await plain(server, "/v1/models")).status);
  expect(statuses).toEqual([200, 200, 200, 429, 429]);
  const response = await fetch(`${server.url}/v1/jobs`);
  expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
  expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
});

test("a request that arrives too slowly is ended, and others are served meanwhile", async () => {
  const server = await startServer(models, "--data", `${folder}/slow`, "--request-timeout", "1");
  const { hostname, port } = new URL(server.url);
  const linear = (await remoteOf(server).models()).find(({ name }) => name === LINEAR);
  const socket = connect(Number(port), hostname);
  let answer = "";
  const closed = new Promise((resolve) => socket.on("close", resolve));
  socket.on("error", () => undefined).on("data", (chunk: Buffer) => (answer += chunk.toString()));
  const head = [
    `POST /v1/models/${LINEAR}/jobs HTTP/1.1`,
    "Host: localhost",
    "Content-Type: application/octet-stream",
    `Content-Length: ${linear?.inputBytes}`,
  ];
  socket.write(`${head.join("\r\n")}\r\n\r\nslow`);
  expect((await remoteOf(server).models()).length).toBe(2);
  await closed;
  expect(answer).toMatch(/^HTTP\/1.1 408 /);
  expect(answer).toContain('"code":"BAD_ARGUMENT"');
  expect(server.isAlive()).toBe(true);
});

test("a page is served with a policy that lets nothing in from elsewhere", async () => {
  const web = `${folder}/web`;
  mkdirSync(web);
  writeFileSync(`${web}/index.html`, "<!doctype html><title>t</title>");
  writeFileSync(`${web}/engine.wasm`, "wasm");
  const server = await startServer(models, "--data", `${folder}/page`, "--web", web);
  const page = await fetch(server.url);
  expect(page.headers.get("content-type")).toContain("text/html");
  const policy = page.headers.get("content-security-policy") ?? "";
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("script-src 'self' 'wasm-unsafe-eval'");
  expect(page.headers.get("cross-origin-embedder-policy")).toBe("require-corp");
  const wasm = await fetch(`${server.url}/engine.wasm`);
  expect(wasm.headers.get("content-type")).toBe("application/wasm");
  expect((await plain(server, "/../tokens.txt")).status).toBe(404);
});

test.each([
  [["--key-cache", "1MB"], "--key-cache"],
  [["--key-cache", "much"], "--key-cache"],
  [["--tokens", "/nowhere/tokens"], "/nowhere/tokens"],
  [["--web", "/nowhere"], "/nowhere"],
  [["--port", "-1"], "--port"],
])("serve with %j is refused", async (args, where) => {
  const result = await sotto("serve", models, "--data", `${folder}/refused`, ...args);
  const code = where.startsWith("/") ? "FILE_NOT_FOUND" : "BAD_ARGUMENT";
  expect(expectMistake(result, code)).toContain(where);
});

test("a folder without models is refused, and so are files of two models", async () => {
  const empty = `${folder}/empty`;
  mkdirSync(empty);
  expectMistake(await sotto("serve", empty), "BAD_ARGUMENT");
  expectMistake(await sotto("serve", `${folder}/none`), "FILE_NOT_FOUND");
});

const script = fileURLToPath(new URL("../../bench/malformed-requests.mjs", import.meta.url));

test("malformed requests get answers that the document states, and hear no secret", () => {
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [script, "--count", "1500", "--seed", "7"],
    {
      encoding: "utf8",
    },
  );
  expect(stderr).toBe("");
  const { statuses, problems } = JSON.parse(stdout) as {
    readonly statuses: Readonly<Record<string, number>>;
    readonly problems: readonly string[];
  };
  expect(problems).toEqual([]);
  // Neither is all refused, nor nothing.
  for (const status of ["200", "400", "401", "404", "422"]) {
    expect(statuses[status]).toBeGreaterThan(5);
  }
});
