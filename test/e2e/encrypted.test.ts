/**
 * Encrypted runs from the command line: in one call and step by step as files, and files that do not belong.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { headRows, npyBytes } from "../support/array-files.ts";
import {
  type CliResult,
  expectMistake,
  fixturePath,
  modelAndCalibration,
  modelAndRows,
  type PredictionJson,
  predictJson,
  sotto,
  succeed,
  temporaryFolder,
} from "../support/cli.ts";
import { readNpy } from "../support/npy.ts";

const ROW = 7;
const HEADER = 80;
const DIGEST = 32;
const KIND_FIELD = 6;
const MODEL_FIELD = 56;
const LENGTH_FIELD = 72;
const PROGRAM = 1;

const folder = temporaryFolder();
const path = (...names: string[]): string => join(folder, ...names);

const predictKeys = path("predict-keys");
const keys = path("keys");
const server = path("model", "server.sotto");
const client = path("model", "client.sotto");
const encrypted = path("inputs.sotto");
const answer = path("outputs.sotto");

/** Where commands would write that must refuse their input. */
const REFUSED = [path("refused-run"), path("refused")];

const model = [...modelAndCalibration("seed_logreg"), "--n-bits", "2"];
const predict = [...modelAndRows("seed_logreg"), "--n-bits", "2"];

interface Decrypted {
  readonly outputs: readonly unknown[];
  readonly quantizedOutputs: readonly unknown[];
}

function encrypt(clientFile: string, keyFolder: string, output: string): Promise<CliResult> {
  const input = fixturePath("seed_logreg", "inputs.npy");
  const to = ["--row", String(ROW), "-o", output];
  return sotto("encrypt", clientFile, "--keys", keyFolder, "--input", input, ...to);
}

function run(serverFile: string, inputs: string, keyPath: string): Promise<CliResult> {
  return sotto("run", serverFile, inputs, "--keys", keyPath, "-o", REFUSED[0]);
}

/** Progress of key generation may be on stderr where the machine is slow. */
async function expectSuccess(result: Promise<CliResult>): Promise<void> {
  const { code, stdout, stderr } = await result;
  expect({ code, stdout, stderr: code === 0 ? "" : stderr }).toEqual({
    code: 0,
    stdout: "",
    stderr: "",
  });
}

let clear: PredictionJson;
beforeAll(async () => {
  clear = await predictJson(...predict);
  await succeed("compile", ...model, "-o", path("model"));
  await expectSuccess(sotto("keygen", client, "-o", keys));
  await expectSuccess(encrypt(client, keys, encrypted));
  await expectSuccess(sotto("run", server, encrypted, "--keys", keys, "-o", answer));
});

function clearRow(tensors: readonly unknown[]): unknown[] {
  return tensors.map((tensor) => (tensor as unknown[]).slice(ROW, ROW + 1));
}

describe("predict --mode encrypted", () => {
  const args = [...predict, "--limit", "3", "--mode", "encrypted", "--keys", predictKeys];

  test("gives the clear integers, and keeps keys for the next run", async () => {
    const first = await predictJson(...args);
    expect(first.mode).toBe("encrypted");
    expect(first.quantizedInputs).toEqual([(clear.quantizedInputs[0] as unknown[]).slice(0, 3)]);
    expect(first.quantizedOutputs).toEqual([(clear.quantizedOutputs[0] as unknown[]).slice(0, 3)]);
    expect(first.outputs).toEqual([(clear.outputs[0] as unknown[]).slice(0, 3)]);
    expect(first.timings.keygenMs).toBeGreaterThan(0);
    for (const times of [first.timings.encryptMs, first.timings.runMs, first.timings.decryptMs]) {
      expect(times).toHaveLength(3);
      expect(Math.min(...times)).toBeGreaterThan(0);
    }
    expect(readdirSync(predictKeys).sort()).toEqual(["evaluation.sotto", "secret.sotto"]);
    expect(statSync(join(predictKeys, "secret.sotto")).mode & 0o777).toBe(0o600);
    const { size } = statSync(join(predictKeys, "evaluation.sotto"));
    expect(first.crypto).toMatchObject({ evaluationKeyBytes: size });
    const secret = readFileSync(join(predictKeys, "secret.sotto"));

    const second = await predictJson(...args, "--threads", "1");
    expect(second.timings.keygenMs).toBeNull();
    expect(second.threads).toBe(1);
    expect(second.quantizedOutputs).toEqual(first.quantizedOutputs);
    expect(readFileSync(join(predictKeys, "secret.sotto"))).toEqual(secret);
  });

  test("refuses keys of other parameters, and half a folder of keys", async () => {
    const other = [...modelAndRows("seed_logreg"), "--n-bits", "3", "--limit", "1"];
    const result = await sotto("predict", ...other, "--mode", "encrypted", "--keys", keys);
    expectMistake(result, "WRONG_PARAMETERS");
    const half = path("half", "secret.sotto");
    save(half, readFileSync(join(keys, "secret.sotto")));
    const halfKeys = [...predict, "--mode", "encrypted", "--keys", path("half")];
    const line = expectMistake(await sotto("predict", ...halfKeys), "FILE_NOT_FOUND");
    expect(line).toContain("evaluation.sotto");
  });
});

describe("step by step", () => {
  test("the files give what the clear run gives", async () => {
    const stdout = await succeed("decrypt", client, answer, "--keys", keys, "--json", "-");
    const got = JSON.parse(stdout) as Decrypted;
    expect(got).toEqual({
      outputs: clearRow(clear.outputs),
      quantizedOutputs: clearRow(clear.quantizedOutputs),
    });
    expect(await succeed("decrypt", client, answer, "--keys", keys)).toMatch(/│ +0 │ +0 │ 0\.\d+/);
    expect(statSync(join(keys, "secret.sotto")).mode & 0o777).toBe(0o600);
    expect(clear.crypto).toMatchObject({
      inputBytes: statSync(encrypted).size,
      outputBytes: statSync(answer).size,
    });
  });

  test("run takes the evaluation keys alone, where no secret key is", async () => {
    const alone = path("server-side", "evaluation.sotto");
    save(alone, readFileSync(join(keys, "evaluation.sotto")));
    const output = path("alone.sotto");
    await expectSuccess(sotto("run", server, encrypted, "--keys", alone, "-o", output));
    const stdout = await succeed("decrypt", client, output, "--keys", keys, "--json", "-");
    const { quantizedOutputs } = JSON.parse(stdout) as Decrypted;
    expect(quantizedOutputs).toEqual(clearRow(clear.quantizedOutputs));
  });

  test("compile writes the same bytes each time", async () => {
    await succeed("compile", ...model, "-o", path("again"));
    const names = readdirSync(path("model")).sort();
    expect(names).toEqual([
      "circuit.txt",
      "client.sotto",
      "parameters.txt",
      "program.txt",
      "report.html",
      "server.sotto",
    ]);
    expect(readdirSync(path("again")).sort()).toEqual(names);
    for (const name of names) {
      const [first, second] = ["model", "again"].map((at) => readFileSync(path(at, name)));
      expect(second.equals(first), name).toBe(true);
    }
  });

  test("keygen never overwrites a secret key", async () => {
    const before = readFileSync(join(keys, "secret.sotto"));
    expectMistake(await sotto("keygen", client, "-o", keys), "BAD_ARGUMENT");
    expect(readFileSync(join(keys, "secret.sotto"))).toEqual(before);
  });

  test("encrypt refuses a row that is not there", async () => {
    const input = fixturePath("seed_logreg", "inputs.npy");
    const args = [client, "--keys", keys, "--input", input, "--row", "100", "-o", REFUSED[1]];
    expect(expectMistake(await sotto("encrypt", ...args), "BAD_ARGUMENT")).toContain("0 to 99");
  });
});

describe("files that do not belong", () => {
  test("a ciphertext of another key", async () => {
    // Made by predict above, for the same model.
    const other = path("other-key.sotto");
    await expectSuccess(encrypt(client, predictKeys, other));
    expectMistake(await run(server, other, keys), "WRONG_KEY");
    const decrypted = await sotto("decrypt", client, answer, "--keys", predictKeys);
    expectMistake(decrypted, "WRONG_KEY");
  });

  test("keys of two folders mixed", async () => {
    save(path("mixed", "secret.sotto"), readFileSync(join(keys, "secret.sotto")));
    const evaluation = readFileSync(join(predictKeys, "evaluation.sotto"));
    save(path("mixed", "evaluation.sotto"), evaluation);
    const args = [...predict, "--limit", "1", "--mode", "encrypted", "--keys", path("mixed")];
    expectMistake(await sotto("predict", ...args), "WRONG_KEY");
  });

  test("a model with other parameters", async () => {
    await succeed(
      "compile",
      ...modelAndCalibration("seed_logreg"),
      "--n-bits",
      "3",
      "-o",
      path("three"),
    );
    const [otherServer, otherClient] = ["server", "client"].map((n) => path("three", `${n}.sotto`));
    expectMistake(await run(otherServer, encrypted, keys), "WRONG_PARAMETERS");
    expectMistake(await encrypt(otherClient, keys, REFUSED[1]), "WRONG_PARAMETERS");
    expectMistake(await sotto("decrypt", otherClient, answer, "--keys", keys), "WRONG_PARAMETERS");
  });

  test("a ciphertext of another model with the same parameters", async () => {
    const rows = headRows(readNpy(fixturePath("seed_logreg", "calibration.npy")), 100);
    const calibration = path("calibration.npy");
    writeFileSync(calibration, npyBytes(rows));
    const onnx = fixturePath("seed_logreg", "model.onnx");
    const args = [onnx, "--calibration", calibration, "--n-bits", "2", "-o", path("other")];
    await succeed("compile", ...args);
    const otherClient = path("other", "client.sotto");
    const inputs = path("other-model.sotto");
    await expectSuccess(encrypt(otherClient, keys, inputs));
    expectMistake(await run(server, inputs, keys), "WRONG_MODEL");
    expectMistake(await sotto("decrypt", otherClient, answer, "--keys", keys), "WRONG_MODEL");
  });

  test("a file in place of another", async () => {
    expectMistake(await sotto("keygen", server, "-o", REFUSED[1]), "BAD_BYTES");
    expectMistake(await encrypt(server, keys, REFUSED[1]), "BAD_BYTES");
    expectMistake(await run(client, encrypted, keys), "BAD_BYTES");
    expectMistake(await run(server, answer, keys), "BAD_BYTES");
    expectMistake(await run(server, encrypted, join(keys, "secret.sotto")), "BAD_BYTES");
    expectMistake(await sotto("decrypt", client, encrypted, "--keys", keys), "BAD_BYTES");
    const onnx = fixturePath("seed_logreg", "model.onnx");
    expectMistake(await run(onnx, encrypted, keys), "BAD_BYTES");
  });
});

function save(file: string, bytes: Uint8Array): string {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, bytes);
  return file;
}

/** Writes the digest of all bytes before it, as a forger would; of a program its id, too. */
function sign(bytes: Buffer): Buffer {
  const end = bytes.length - DIGEST;
  const digest = (from: number) => createHash("sha256").update(bytes.subarray(from, end)).digest();
  if (bytes[KIND_FIELD] === PROGRAM) digest(HEADER).copy(bytes, MODEL_FIELD, 0, 16);
  digest(0).copy(bytes, end);
  return bytes;
}

const DAMAGE: Readonly<Record<string, (bytes: Buffer) => Uint8Array>> = {
  truncated: (bytes) => bytes.subarray(0, bytes.length - 1),
  "cut to its header": (bytes) => bytes.subarray(0, HEADER),
  empty: () => new Uint8Array(0),
  "with a flipped bit": (bytes) => {
    bytes[HEADER + ((bytes.length - HEADER - DIGEST) >> 1)] ^= 0x10;
    return bytes;
  },
  "with an oversized length": (bytes) => {
    bytes.writeBigUInt64LE(2n ** 63n, LENGTH_FIELD);
    return bytes;
  },
  "with an oversized length and a right digest": (bytes) => {
    bytes.writeBigUInt64LE(2n ** 63n, LENGTH_FIELD);
    return sign(bytes);
  },
};

/** Each kind of file, and the verb that reads it. */
const READERS: Readonly<Record<string, readonly [string, (file: string) => Promise<CliResult>]>> = {
  "a program": [server, (file) => run(file, encrypted, keys)],
  "a client spec": [client, (file) => encrypt(file, keys, REFUSED[1])],
  "a secret key": [
    join(keys, "secret.sotto"),
    (file) => {
      const damaged = path("damaged-keys");
      save(join(damaged, "secret.sotto"), readFileSync(file));
      return sotto("decrypt", client, answer, "--keys", damaged);
    },
  ],
  "evaluation keys": [join(keys, "evaluation.sotto"), (file) => run(server, encrypted, file)],
  "encrypted inputs": [encrypted, (file) => run(server, file, keys)],
  "encrypted outputs": [answer, (file) => sotto("decrypt", client, file, "--keys", keys)],
};

describe.each(Object.keys(READERS))("%s", (kind) => {
  test.each(Object.keys(DAMAGE))("%s is refused", async (damage) => {
    const [original, read] = READERS[kind];
    const file = save(path("damaged.sotto"), DAMAGE[damage](readFileSync(original)));
    expectMistake(await read(file), "BAD_BYTES");
    expect(REFUSED.filter(existsSync)).toEqual([]);
  });
});

describe("lengths inside a payload, with a right digest", () => {
  /** Offset of a u32 count behind the header: tensors of a ciphertext, inputs of a program behind its parameters. */
  test.each([
    ["encrypted inputs", HEADER],
    ["encrypted outputs", HEADER],
    ["a program", HEADER + 48],
  ])("%s", async (kind, offset) => {
    const [original, read] = READERS[kind];
    const bytes = readFileSync(original);
    expect(bytes.readUInt32LE(offset)).toBe(1);
    bytes.writeUInt32LE(0xffffffff, offset);
    expectMistake(await read(save(path("forged.sotto"), sign(bytes))), "BAD_BYTES");
  });
});
