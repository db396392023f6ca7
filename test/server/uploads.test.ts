/**
 * Evaluation keys on their way: broken off, gone on with, damaged, and more than fits.
 */
import { readdirSync } from "node:fs";
import { connect } from "node:net";
import { beforeAll, expect, test } from "vitest";
import { temporaryFolder } from "../support/cli.ts";
import { rejectionOf } from "../support/errors.ts";
import {
  compileModels,
  makeClient,
  plain,
  type PlainAnswer,
  remoteOf,
  startServer,
  type TestClient,
  type TestServer,
  WITH_LOOKUPS,
} from "../support/serving.ts";

const folder = temporaryFolder();
const data = `${folder}/data`;
let models: string;
let client: TestClient;
let server: TestServer;

beforeAll(async () => {
  models = await compileModels(folder);
  client = await makeClient(models, WITH_LOOKUPS);
  server = await startServer(models, "--data", data);
});

/** Announces keys as a client does, with other fields where a test wants them. */
function announce(fields: object = {}): Promise<PlainAnswer> {
  const bytes = Buffer.from(client.evaluationKeys);
  const body = {
    keyId: client.keyId,
    digest: bytes.subarray(-32).toString("hex"),
    parametersDigest: bytes.subarray(8, 40).toString("hex"),
    bytes: bytes.length,
    ...fields,
  };
  const headers = { "content-type": "application/json" };
  return plain(server, "/v1/keys", { method: "POST", headers, body: JSON.stringify(body) });
}

function append(offset: number, bytes: Uint8Array): Promise<PlainAnswer> {
  return plain(server, `/v1/keys/${client.keyId}?offset=${offset}`, {
    method: "PATCH",
    headers: { "content-type": "application/octet-stream" },
    body: Uint8Array.from(bytes),
  });
}

/** Sends the head of a request and a part of its body, then drops the connection. */
async function breakOff(offset: number, sent: Uint8Array): Promise<void> {
  const { hostname, port } = new URL(server.url);
  const socket = connect(Number(port), hostname);
  const head = [
    `PATCH /v1/keys/${client.keyId}?offset=${offset} HTTP/1.1`,
    `Host: ${hostname}`,
    "Content-Type: application/octet-stream",
    `Content-Length: ${sent.length + 1000}`,
  ];
  socket.write(`${head.join("\r\n")}\r\n\r\n`);
  await new Promise((resolve) => socket.write(sent, resolve));
  socket.destroy();
}

/** What the server has, once it has noticed that a connection broke: something, and no more than a moment before. */
async function settledOffset(): Promise<number> {
  let last = 0;
  for (let attempt = 0; attempt < 200; attempt++) {
    await new Promise((resolve) => setTimeout(resolve, 250));
    const offset = (await remoteOf(server).key(client.keyId))?.offset ?? 0;
    if (offset > 0 && offset === last) return offset;
    last = offset;
  }
  throw new Error("nothing arrived");
}

test("an upload that breaks off goes on where it stopped, after a kill of the server too", async () => {
  expect(await announce()).toMatchObject({ status: 200, body: { offset: 0, complete: false } });
  await breakOff(0, client.evaluationKeys.subarray(0, 3_000_000));
  const offset = await settledOffset();
  expect(offset).toBeLessThanOrEqual(3_000_000);

  const wrong = await append(offset + 1, new Uint8Array(9));
  expect(wrong).toMatchObject({ status: 409, body: { code: "CONFLICT" } });

  const piece = client.evaluationKeys.subarray(offset, offset + 1_000_000);
  expect(await append(offset, piece)).toMatchObject({ body: { offset: offset + 1_000_000 } });

  await server.stop("SIGKILL");
  server = await startServer(models, "--data", data);
  const sent: number[] = [];
  const remote = remoteOf(server);
  const key = await remote.uploadKeys(client.evaluationKeys, { onProgress: (n) => sent.push(n) });
  expect(sent[0]).toBe(offset + 1_000_000);
  expect(key.complete).toBe(true);
  const outputs = await remote.run(WITH_LOOKUPS, client.inputs[0]);
  expect(Buffer.from(outputs).equals(client.outputs[0])).toBe(true);
  await remote.deleteKeys(client.keyId);
});

test("the client goes on by itself when the server is killed and comes back", async () => {
  const { port } = new URL(server.url);
  const restarts: Promise<unknown>[] = [];
  const remote = remoteOf(server, { retries: 12 });
  const upload = remote.uploadKeys(client.evaluationKeys, {
    pieceBytes: 1 << 20,
    onProgress: (sent) => {
      if (sent < 5 << 20 || restarts.length > 0) return;
      const restart = async (): Promise<void> => {
        await server.stop("SIGKILL");
        server = await startServer(models, "--data", data, "--port", port);
      };
      restarts.push(restart());
    },
  });
  expect((await upload).complete).toBe(true);
  await Promise.all(restarts);
  await remoteOf(server).deleteKeys(client.keyId);
});

test("damaged keys are refused and can be sent again", async () => {
  const damaged = Uint8Array.from(client.evaluationKeys);
  damaged[5_000_000] ^= 1;
  const remote = remoteOf(server);
  const refused = await rejectionOf(() => remote.uploadKeys(damaged));
  expect(refused).toMatchObject({ code: "BAD_BYTES" });
  expect(await remote.keys()).toEqual([]);
  expect((await remote.uploadKeys(client.evaluationKeys)).complete).toBe(true);
  await remote.deleteKeys(client.keyId);
  expect(readdirSync(`${data}/tenants/local/keys`)).toEqual([]);
});

test.each([
  [{ bytes: 1000 }, 422, "BAD_BYTES"],
  [{ parametersDigest: "0".repeat(64) }, 422, "WRONG_PARAMETERS"],
  [{ keyId: "../../../etc/passwd" }, 400, "BAD_ARGUMENT"],
  [{ more: 1 }, 400, "BAD_ARGUMENT"],
])("an announcement with %j is refused", async (fields, status, code) => {
  expect(await announce(fields)).toMatchObject({ status, body: { code } });
});

test("keys other than announced are refused at their first bytes", async () => {
  const keyId = "ab".repeat(16);
  await announce({ keyId });
  const path = `/v1/keys/${keyId}?offset=0`;
  const headers = { "content-type": "application/octet-stream" };
  const body = Uint8Array.from(client.evaluationKeys.subarray(0, 100));
  const answer = await plain(server, path, { method: "PATCH", headers, body });
  expect(answer).toMatchObject({ status: 422, body: { code: "WRONG_KEY" } });
  expect(await remoteOf(server).key(keyId)).toBeNull();
});

test("other evaluation keys under a key id that is taken are refused", async () => {
  await announce();
  expect(await announce({ digest: "0".repeat(64) })).toMatchObject({ status: 409 });
  await remoteOf(server).deleteKeys(client.keyId);
});

test("a tenant's keys stay within their quota, begun uploads included", async () => {
  const tight = await startServer(models, "--data", `${folder}/tight`, "--key-storage", "20MB");
  const remote = remoteOf(tight);
  await remote.uploadKeys(client.evaluationKeys);
  const other = await makeClient(models, WITH_LOOKUPS, 0);
  const refused = await rejectionOf(() => remote.uploadKeys(other.evaluationKeys));
  expect(refused).toMatchObject({ code: "LIMIT_EXCEEDED", where: "keys" });
  await remote.deleteKeys(client.keyId);
  expect((await remote.uploadKeys(other.evaluationKeys)).complete).toBe(true);
});
