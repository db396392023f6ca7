/**
 * Keys and jobs on disk: what is there after a crash at a bad moment, and when one name is deleted and used again at once.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { sha256 } from "@noble/hashes/sha2.js";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { encodeBlob, noId, toHex } from "../../../src/format/blob.ts";
import { jobInfo, JobStore, stateOf, type Submission } from "../../../src/server/jobs.ts";
import { KeyStore } from "../../../src/server/keys.ts";
import { rejectionOf } from "../../support/errors.ts";

const root = mkdtempSync(join(tmpdir(), "sotto-stores-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
beforeEach(() => {
  rmSync(join(root, "t"), { recursive: true, force: true });
  mkdirSync(join(root, "t"));
});

const parametersDigest = sha256(Uint8Array.of(1));
const keyBytes = encodeBlob(
  { kind: "evaluationKeys", parametersDigest, keyId: new Uint8Array(16).fill(7), modelId: noId() },
  new Uint8Array(5000).fill(3),
);
const keyId = "07".repeat(16);
const announcement = {
  keyId,
  digest: toHex(keyBytes.slice(-32)),
  parametersDigest: toHex(parametersDigest),
  bytes: keyBytes.length,
};
const keyFolder = join(root, "t", "keys");
const jobFolder = join(root, "t", "jobs");

function openKeys(): Promise<KeyStore> {
  const sizes = new Map([[announcement.parametersDigest, keyBytes.length]]);
  return KeyStore.open(root, { sizes, maxBytesPerTenant: 10_000 });
}
const stream = (from: number, to?: number): Readable =>
  Readable.from([Buffer.from(keyBytes.subarray(from, to))]);

describe("keys", () => {
  test("what arrived before a crash is there after it", async () => {
    const first = await openKeys();
    await first.announce("t", announcement);
    await first.append("t", keyId, 0, stream(0, 3000));
    writeFileSync(join(keyFolder, "stray.part"), "x");
    writeFileSync(join(keyFolder, `${keyId}.json.tmp`), "x");
    const second = await openKeys();
    expect(second.get("t", keyId)).toMatchObject({ offset: 3000, complete: false });
    expect(readdirSync(keyFolder).sort()).toEqual([`${keyId}.json`, `${keyId}.part`]);
    const key = await second.append("t", keyId, 3000, stream(3000));
    expect(key.complete).toBe(true);
    expect(Buffer.from(await second.read("t", keyId)).equals(keyBytes)).toBe(true);
    expect((await openKeys()).get("t", keyId)).toEqual(key);
  });

  test("a crash between the last byte and the check is made up for", async () => {
    await (await openKeys()).announce("t", announcement);
    writeFileSync(join(keyFolder, `${keyId}.part`), keyBytes);
    expect((await openKeys()).get("t", keyId)).toMatchObject({ complete: true });
  });

  test("bytes that a crash damaged are thrown away", async () => {
    await (await openKeys()).announce("t", announcement);
    writeFileSync(join(keyFolder, `${keyId}.part`), new Uint8Array(keyBytes.length));
    expect((await openKeys()).get("t", keyId)).toBeUndefined();
    expect(readdirSync(keyFolder)).toEqual([]);
  });

  test("a stream that breaks keeps what it brought, a longer one is refused", async () => {
    const keys = await openKeys();
    await keys.announce("t", announcement);
    const broken = Readable.from(
      (function* () {
        yield Buffer.from(keyBytes.subarray(0, 1000));
        throw new Error("reset");
      })(),
    );
    expect(await rejectionOf(() => keys.append("t", keyId, 0, broken))).toMatchObject({
      code: "BAD_BYTES",
    });
    expect(keys.get("t", keyId)).toMatchObject({ offset: 1000 });
    const long = Readable.from([Buffer.alloc(keyBytes.length)]);
    const refused = await rejectionOf(() => keys.append("t", keyId, 1000, long));
    expect(refused).toMatchObject({ code: "BAD_BYTES" });
  });

  test("a newer piece takes over from one that hangs", async () => {
    const keys = await openKeys();
    await keys.announce("t", announcement);
    const hanging = new Readable({ read: () => undefined });
    const first = rejectionOf(() => keys.append("t", keyId, 0, hanging));
    await new Promise((resolve) => setTimeout(resolve, 20));
    const second = await keys.append("t", keyId, 0, stream(0));
    expect(second.complete).toBe(true);
    expect(await first).toMatchObject({ code: "BAD_BYTES" });
  });

  test("keys that are deleted and sent again at once are whole", async () => {
    const keys = await openKeys();
    for (let i = 0; i < 20; i++) {
      await keys.announce("t", announcement);
      await keys.append("t", keyId, 0, stream(0));
      const gone = keys.delete("t", keyId);
      expect(keys.get("t", keyId)).toBeUndefined();
      const again = keys.announce("t", announcement);
      await Promise.all([gone, again]);
      expect(readdirSync(keyFolder)).toEqual([`${keyId}.json`]);
      await keys.delete("t", keyId);
    }
  });

  test("a damaged record is told by its path", async () => {
    await (await openKeys()).announce("t", announcement);
    writeFileSync(join(keyFolder, `${keyId}.json`), "{");
    expect(await rejectionOf(openKeys)).toMatchObject({
      code: "BAD_BYTES",
      where: join(keyFolder, `${keyId}.json`),
    });
  });
});

describe("jobs", () => {
  const limits = { maxQueuedPerTenant: 3, maxJobsPerTenant: 4 };
  const openJobs = (): Promise<JobStore> => JobStore.open(root, limits);
  const submission = (idempotencyKey: string | null, fill = 1): Submission => ({
    tenant: "t",
    model: "m",
    keyId,
    inputs: new Uint8Array(100).fill(fill),
    total: 9,
    idempotencyKey,
  });
  const outputs = Uint8Array.of(1, 2, 3);

  test("an accepted job is there after a crash, in the order of acceptance", async () => {
    const first = await openJobs();
    const ids: string[] = [];
    for (let i = 0; i < 3; i++) ids.push((await first.accept(submission(null))).job.record.id);
    writeFileSync(join(jobFolder, "stray.inputs"), "x");
    writeFileSync(join(jobFolder, `${ids[0]}.outputs.tmp`), "x");
    const second = await openJobs();
    expect(second.unfinished().map(({ record }) => record.id)).toEqual(ids);
    expect(Buffer.from(await second.readInputs(second.get("t", ids[1])))).toEqual(
      Buffer.alloc(100, 1),
    );
    expect(readdirSync(jobFolder)).toHaveLength(6);
  });

  test("a job is done when its record says so, not before", async () => {
    const first = await openJobs();
    const { job } = await first.accept(submission("k"));
    writeFileSync(join(jobFolder, `${job.record.id}.outputs`), "a run that did not end");
    const second = await openJobs();
    const [again] = second.unfinished();
    expect(await rejectionOf(() => second.readOutputs(again))).toMatchObject({ code: "CONFLICT" });
    await second.finish(again, { runMs: 5, outputs });
    const third = await openJobs();
    expect(third.unfinished()).toEqual([]);
    const done = third.get("t", job.record.id);
    expect(jobInfo(done)).toMatchObject({ state: "done", done: 9, total: 9, runMs: 5 });
    expect(Buffer.from(await third.readOutputs(done))).toEqual(Buffer.from(outputs));
    expect((await third.accept(submission("k"))).isNew).toBe(false);
  });

  test("a failure stays one", async () => {
    const jobs = await openJobs();
    const { job } = await jobs.accept(submission(null));
    await jobs.finish(job, { code: "WRONG_KEY", where: "inputs", message: "not these" });
    const again = (await openJobs()).get("t", job.record.id);
    expect(stateOf(again)).toBe("failed");
    expect(await rejectionOf(() => jobs.readOutputs(again))).toMatchObject({ code: "WRONG_KEY" });
  });

  test("a full queue and too many jobs are refused", async () => {
    const jobs = await openJobs();
    const held = await Promise.all([1, 2, 3].map(() => jobs.accept(submission(null))));
    const limit = { code: "LIMIT_EXCEEDED", where: "jobs" };
    expect(await rejectionOf(() => jobs.accept(submission(null)))).toMatchObject({
      ...limit,
      retryAfter: 1,
    });
    for (const { job } of held) await jobs.finish(job, { runMs: 1, outputs });
    await jobs.accept(submission(null));
    // Waiting does not help here, so no time to wait is told.
    const many = await rejectionOf(() => jobs.accept(submission(null)));
    expect(many).toMatchObject(limit);
    expect(many).not.toHaveProperty("retryAfter");
  });

  test("a job that is deleted while it is finished, and comes again at once, is a new one", async () => {
    for (let i = 0; i < 20; i++) {
      const jobs = await openJobs();
      const { job } = await jobs.accept(submission("same"));
      const finished = jobs.finish(job, { runMs: 1, outputs });
      const deleted = jobs.delete(job);
      const again = await jobs.accept(submission("same", 2));
      await Promise.all([finished, deleted]);
      expect(again.isNew).toBe(true);
      const after = await openJobs();
      expect(after.unfinished().map(({ record }) => record.inputsDigest)).toEqual([
        "02".repeat(32),
      ]);
      await after.delete(after.get("t", job.record.id));
      expect(readdirSync(jobFolder)).toEqual([]);
    }
  });

  test("old results go, new ones and unfinished jobs stay", async () => {
    const jobs = await openJobs();
    const { job } = await jobs.accept(submission(null));
    const { job: waiting } = await jobs.accept(submission(null));
    await jobs.finish(job, { runMs: 1, outputs });
    await jobs.deleteFinished(Date.now() - 1000);
    expect(jobs.list("t")).toEqual([job, waiting]);
    await jobs.deleteFinished(Date.now() + 1000);
    expect(jobs.list("t")).toEqual([waiting]);
  });
});
