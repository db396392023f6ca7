/**
 * What happens to accepted work when the server is killed, stopped, or out of disk. The long form of the first test is
 * bench/kill.mjs.
 */
import { spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, test } from "vitest";
import { PACKAGE_ROOT, sotto, temporaryFolder } from "../support/cli.ts";
import { rejectionOf } from "../support/errors.ts";
import {
  compileModels,
  LINEAR,
  makeClient,
  remoteOf,
  startServer,
  type TestClient,
  WITH_LOOKUPS,
} from "../support/serving.ts";

const folder = temporaryFolder();
let models: string;
let lookups: TestClient;
let linear: TestClient;

beforeAll(async () => {
  models = await compileModels(folder);
  lookups = await makeClient(models, WITH_LOOKUPS, 2);
  linear = await makeClient(models, LINEAR);
});

const script = fileURLToPath(new URL("../../bench/kill.mjs", import.meta.url));

test("kills under load lose no accepted job and change no answer", () => {
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [script, "--kills", "4", "--most-ms", "5000"],
    {
      encoding: "utf8",
    },
  );
  expect(stderr).toBe("");
  const { accepted, answered, problems } = JSON.parse(stdout) as {
    readonly accepted: number;
    readonly answered: number;
    readonly problems: readonly string[];
  };
  expect(problems).toEqual([]);
  expect(accepted).toBeGreaterThan(0);
  expect(answered).toBe(accepted);
});

test("SIGTERM parks running work, and the next server finishes it", async () => {
  const data = `${folder}/park`;
  const first = await startServer(models, "--data", data, "--grace", "0");
  const remote = remoteOf(first);
  await remote.uploadKeys(lookups.evaluationKeys);
  const jobs: string[] = [];
  for (const inputs of [...lookups.inputs, ...lookups.inputs]) {
    jobs.push((await remote.submit(WITH_LOOKUPS, inputs)).id);
  }
  expect((await first.stop("SIGTERM")).code).toBe(0);
  expect((await rejectionOf(() => remote.models())).code).toBe("UNAVAILABLE");

  const second = remoteOf(await startServer(models, "--data", data));
  for (const [index, id] of jobs.entries()) {
    await second.follow(id);
    const outputs = await second.result(id);
    expect(Buffer.from(outputs).equals(lookups.outputs[index % 2])).toBe(true);
  }
});

test("a result that was answered is the same after a restart", async () => {
  const data = `${folder}/same`;
  const first = await startServer(models, "--data", data);
  await remoteOf(first).uploadKeys(linear.evaluationKeys);
  const { id } = await remoteOf(first).submit(LINEAR, linear.inputs[0], { idempotencyKey: "one" });
  await remoteOf(first).follow(id);
  await first.stop("SIGKILL");
  const second = remoteOf(await startServer(models, "--data", data));
  expect((await second.submit(LINEAR, linear.inputs[0], { idempotencyKey: "one" })).id).toBe(id);
  expect(Buffer.from(await second.result(id)).equals(linear.outputs[0])).toBe(true);
});

test("a job whose model has gone fails with a code", async () => {
  const data = `${folder}/gone`;
  const first = await startServer(models, "--data", data, "--grace", "0");
  await remoteOf(first).uploadKeys(lookups.evaluationKeys);
  const ids: string[] = [];
  for (let i = 0; i < 3; i++) {
    ids.push((await remoteOf(first).submit(WITH_LOOKUPS, lookups.inputs[0])).id);
  }
  await first.stop("SIGKILL");
  const second = remoteOf(await startServer(`${models}/${LINEAR}`, "--data", data));
  const last = ids.at(-1) ?? "";
  expect(await second.follow(last)).toMatchObject({
    state: "failed",
    error: { code: "NOT_FOUND" },
  });
  expect(await rejectionOf(() => second.result(last))).toMatchObject({ code: "NOT_FOUND" });
});

test("two servers do not share a folder; what a killed one left is taken over", async () => {
  const data = `${folder}/lock`;
  const first = await startServer(models, "--data", data);
  const { code, stderr } = await sotto("serve", models, "--data", data, "--port", "0");
  expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining("another server") });
  await first.stop("SIGKILL");
  const second = await startServer(models, "--data", data);
  expect((await second.stop("SIGTERM")).code).toBe(0);
});

test("a disk without room is told with a code, and the server lives", async () => {
  // A limit on the size of files is met as a full disk is: by a write that fails half-way.
  const entry = `${PACKAGE_ROOT}/dist/cli/main.js`;
  const args = ["serve", models, "--data", `${folder}/full`, "--port", "0", "--log-level", "warn"];
  const limited = `ulimit -f 2048; exec "$0" "$@"`;
  const child = spawn("bash", ["-c", limited, process.execPath, entry, ...args]);
  let errors = "";
  const url = await new Promise<string>((resolve, reject) => {
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      errors += text;
      const found = /^serving .* at (http:\S+)$/m.exec(errors)?.[1];
      if (found !== undefined) resolve(found);
    });
    child.on("close", () => reject(new Error(errors)));
  });
  try {
    const remote = remoteOf({ url });
    const refused = await rejectionOf(() => remote.uploadKeys(lookups.evaluationKeys));
    expect(refused).toMatchObject({ code: "STORAGE_FULL" });
    const [key] = await remote.keys();
    expect(key).toMatchObject({ complete: false });
    expect(key.offset).toBeLessThanOrEqual(2048 * 1024);
    await remote.deleteKeys(lookups.keyId);
    // What is small enough still works.
    await remote.uploadKeys(linear.evaluationKeys);
    const outputs = await remote.run(LINEAR, linear.inputs[0]);
    expect(Buffer.from(outputs).equals(linear.outputs[0])).toBe(true);
  } finally {
    child.kill("SIGKILL");
  }
});
