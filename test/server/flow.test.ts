/**
 * The whole way through a real server process: spec, keys, inputs, progress, result; and what two tenants see of each other.
 */
import { connect } from "node:net";
import { beforeAll, describe, expect, test } from "vitest";
import type { JobInfo } from "../../src/client/remote-types.ts";
import { toHex } from "../../src/format/blob.ts";
import { decodeClientSpec } from "../../src/format/client-spec.ts";
import { sotto, temporaryFolder } from "../support/cli.ts";
import { rejectionOf } from "../support/errors.ts";
import {
  compileModels,
  LINEAR,
  makeClient,
  plain,
  remoteOf,
  startServer,
  type TestClient,
  type TestServer,
  WITH_LOOKUPS,
} from "../support/serving.ts";

const folder = temporaryFolder();
let models: string;
let lookups: TestClient;
let linear: TestClient;

beforeAll(async () => {
  models = await compileModels(folder);
  lookups = await makeClient(models, WITH_LOOKUPS);
  linear = await makeClient(models, LINEAR, 2);
});

/** The first line of the answer to a request that is written by hand. */
async function answerToLine(url: string, line: string): Promise<string> {
  const { port } = new URL(url);
  const socket = connect(Number(port), "127.0.0.1");
  socket.end(`${line}\r\nhost: localhost\r\nconnection: close\r\n\r\n`);
  let text = "";
  for await (const part of socket) text += String(part);
  return text.split("\r\n")[0];
}

describe("one client", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer(models, "--data", `${folder}/flow`);
  });

  test("finds models and fetches what it needs of one", async () => {
    const found = await remoteOf(server).models();
    expect(found.map(({ name }) => name)).toEqual([WITH_LOOKUPS, LINEAR]);
    expect(found[0]).toMatchObject({
      lookups: 16,
      inputBytes: lookups.inputs[0]?.length,
      evaluationKeyBytes: lookups.evaluationKeys.length,
    });
    const spec = decodeClientSpec(await remoteOf(server).clientSpec(WITH_LOOKUPS));
    expect(toHex(spec.modelId)).toBe(found[0].modelId);
  });

  test("sends inputs, hears of progress and gets the bytes that a local run gives", async () => {
    const remote = remoteOf(server);
    const sent: number[] = [];
    const key = await remote.uploadKeys(lookups.evaluationKeys, {
      pieceBytes: 5_000_000,
      onProgress: (bytes) => sent.push(bytes),
    });
    expect(sent).toEqual([0, 5_000_000, 10_000_000, lookups.evaluationKeys.length]);
    expect(key).toMatchObject({ keyId: lookups.keyId, complete: true });

    const news: JobInfo[] = [];
    const outputs = await remote.run(WITH_LOOKUPS, lookups.inputs[0], {
      onProgress: (job) => news.push(job),
    });
    expect(Buffer.from(outputs).equals(lookups.outputs[0])).toBe(true);
    expect(lookups.client.decrypt(outputs)).toEqual(lookups.client.decrypt(lookups.outputs[0]));
    expect(news.at(-1)).toMatchObject({ state: "done", done: 16, total: 16, error: null });
    expect(news.some(({ state }) => state === "running")).toBe(true);
    const again = await remote.result(news.at(-1)?.id ?? "");
    expect(Buffer.from(again).equals(outputs)).toBe(true);
  });

  test("need not send keys that are there", async () => {
    const sent: number[] = [];
    await remoteOf(server).uploadKeys(lookups.evaluationKeys, {
      onProgress: (bytes) => sent.push(bytes),
    });
    expect(sent).toEqual([lookups.evaluationKeys.length]);
  });

  test("gets one job for one idempotency key, and CONFLICT for other inputs under it", async () => {
    const remote = remoteOf(server);
    await remote.uploadKeys(linear.evaluationKeys);
    const idempotencyKey = "row 0";
    const submit = (row: number) => remote.submit(LINEAR, linear.inputs[row], { idempotencyKey });
    const jobs = await Promise.all([submit(0), submit(0), submit(0)]);
    expect(new Set(jobs.map(({ id }) => id)).size).toBe(1);
    await remote.follow(jobs[0].id);
    expect((await submit(0)).id).toBe(jobs[0].id);
    expect(await rejectionOf(() => submit(1))).toMatchObject({ code: "CONFLICT" });
  });

  test("deletes jobs and keys", async () => {
    const remote = remoteOf(server);
    const { id } = await remote.submit(LINEAR, linear.inputs[0]);
    await remote.follow(id);
    await remote.deleteJob(id);
    const gone = { code: "NOT_FOUND" };
    expect(await rejectionOf(() => remote.job(id))).toMatchObject(gone);
    expect(await rejectionOf(() => remote.result(id))).toMatchObject(gone);
    await remote.deleteKeys(linear.keyId);
    expect(await remote.key(linear.keyId)).toBeNull();
    const refused = await rejectionOf(() => remote.submit(LINEAR, linear.inputs[0]));
    expect(refused).toMatchObject({ code: "NOT_FOUND", where: "keys" });
  });

  test("does not delete keys that a job needs, and stops a job by deleting it", async () => {
    const remote = remoteOf(server);
    await remote.uploadKeys(lookups.evaluationKeys);
    const jobs: JobInfo[] = [];
    for (let i = 0; i < 4; i++) jobs.push(await remote.submit(WITH_LOOKUPS, lookups.inputs[0]));
    const refused = await rejectionOf(() => remote.deleteKeys(lookups.keyId));
    expect(refused).toMatchObject({ code: "CONFLICT" });
    for (const { id } of jobs) await remote.deleteJob(id);
    await remote.deleteKeys(lookups.keyId);
    expect(await remote.keys()).toEqual([]);
  });

  test("is told what is wrong with bytes, and the server goes on", async () => {
    const remote = remoteOf(server);
    await remote.uploadKeys(linear.evaluationKeys);
    const [good] = linear.inputs;
    const flipped = Uint8Array.from(good);
    flipped[100] ^= 1;
    const submit = (model: string, bytes: Uint8Array) =>
      rejectionOf(() => remote.submit(model, bytes));
    expect(await submit(LINEAR, flipped)).toMatchObject({ code: "BAD_BYTES" });
    expect(await submit(LINEAR, good.subarray(1))).toMatchObject({ code: "BAD_BYTES" });
    expect(await submit("none", good)).toMatchObject({ code: "NOT_FOUND" });
    const stranger = await makeClient(models, LINEAR);
    expect(await submit(LINEAR, stranger.inputs[0])).toMatchObject({
      code: "NOT_FOUND",
      where: "keys",
    });
    const long = { method: "POST", headers: { "content-type": "application/octet-stream" } };
    const path = `/v1/models/${LINEAR}/jobs`;
    const answer = await plain(server, path, { ...long, body: new Uint8Array(good.length + 1) });
    expect(answer).toMatchObject({ status: 413, body: { code: "BAD_BYTES" } });
    const outputs = await remote.run(LINEAR, good);
    expect(Buffer.from(outputs).equals(linear.outputs[0])).toBe(true);
  });

  test("another name for this machine is refused, so that no web page elsewhere reaches in", async () => {
    const { port } = new URL(server.url);
    const init = { headers: { host: `rebound.example:${port}` } };
    // fetch sets Host itself, so this goes through the plain module.
    const { request } = await import("node:http");
    const status = await new Promise((resolve) =>
      request(`${server.url}/v1/models`, init, (response) => {
        response.resume();
        resolve(response.statusCode);
      }).end(),
    );
    expect(status).toBe(400);
  });

  test("metrics count jobs and name nobody", async () => {
    const text = await (await fetch(`${server.url}/metrics`)).text();
    expect(text).toMatch(/sotto_jobs_finished_total\{model="act_relu",outcome="done"\} [1-9]/);
    expect(text).toMatch(/^sotto_key_cache_bytes [1-9]/m);
    expect(text).not.toContain(lookups.keyId);
    for (const path of ["/healthz", "/readyz"]) {
      expect((await fetch(server.url + path)).status).toBe(200);
    }
  });
});

describe("two tenants", () => {
  const tokensFile = `${folder}/tokens.txt`;
  const tokenOf = async (name: string): Promise<string> =>
    (await sotto("token", name, "--tokens", tokensFile)).stdout.trim();
  let server: TestServer;
  let alice: string;
  let bob: string;

  beforeAll(async () => {
    alice = await tokenOf("alice");
    bob = await tokenOf("bob");
    server = await startServer(models, "--data", `${folder}/two`, "--tokens", tokensFile);
  });

  test("cannot reach each other's keys, jobs and results", async () => {
    const mine = remoteOf(server, { token: alice });
    const theirs = remoteOf(server, { token: bob });
    await mine.uploadKeys(linear.evaluationKeys);
    const { id } = await mine.submit(LINEAR, linear.inputs[0], { idempotencyKey: "first" });
    await mine.follow(id);
    const refusals = [
      () => theirs.job(id),
      () => theirs.follow(id),
      () => theirs.result(id),
      () => theirs.deleteJob(id),
      () => theirs.deleteKeys(linear.keyId),
      () => theirs.submit(LINEAR, linear.inputs[0]),
    ];
    for (const refusal of refusals) {
      expect(await rejectionOf(refusal)).toMatchObject({ code: "NOT_FOUND" });
    }
    expect([await theirs.jobs(), await theirs.keys(), await theirs.key(linear.keyId)]).toEqual([
      [],
      [],
      null,
    ]);

    // The same keys under the same idempotency key are another tenant's own.
    await theirs.uploadKeys(linear.evaluationKeys);
    const own = await theirs.submit(LINEAR, linear.inputs[0], { idempotencyKey: "first" });
    expect(own.id).not.toBe(id);
    await theirs.follow(own.id);
    await theirs.deleteJob(own.id);
    await theirs.deleteKeys(linear.keyId);
    expect(Buffer.from(await mine.result(id)).equals(linear.outputs[0])).toBe(true);
  });

  test("nobody else is let in, and the log holds no token", async () => {
    const unknown = { status: 401, body: { code: "UNAUTHORIZED" } };
    expect(await plain(server, "/v1/models")).toMatchObject(unknown);
    const headers = { authorization: `Bearer ${alice}x` };
    expect(await plain(server, "/v1/jobs", { headers })).toMatchObject(unknown);
    expect(
      await plain(server, "/metrics", { headers: { authorization: `Bearer ${alice}` } }),
    ).toMatchObject(unknown);
    expect(await plain(server, `/v1/keys?token=${bob}`)).toMatchObject(unknown);
    // Other spellings of an address reach the same routes, and the same gate.
    for (const path of ["/%761/keys", "/v%31/models", "//v1/keys", "/v1/%6beys"]) {
      expect([401, 404]).toContain((await plain(server, path)).status);
      const announced = await plain(server, path, { method: "POST", body: "{}" });
      expect([401, 404]).toContain(announced.status);
    }
    expect(await answerToLine(server.url, "GET http://else.where/v1/models HTTP/1.1")).toMatch(
      /^HTTP\/1\.1 40[014]/,
    );
    expect(server.log()).toContain("/v1/models");
    for (const token of [alice, bob]) expect(server.log()).not.toContain(token);
  });

  test("a server that others can reach has to have tokens", async () => {
    const { code, stderr } = await sotto(
      "serve",
      models,
      "--host",
      "0.0.0.0",
      "--data",
      `${folder}/no`,
    );
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/^error: BAD_ARGUMENT at --host/),
    });
  });
});
