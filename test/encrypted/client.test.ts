/**
 * `sotto/client` in Node.js, on the native engine and on WebAssembly: what one makes, the other reads.
 * Workers run dist/client, so `npm run setup` comes first.
 */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { compileOnnxModel } from "../../src/compile.ts";
import { Client } from "../../src/client/node.ts";
import { createWasmEngine } from "../../src/client/wasm.ts";
import { Client as BlockingClient } from "../../src/client/client.ts";
import type { CompiledModule } from "../../src/execute/module.ts";
import { Server } from "../../src/execute/server.ts";
import { loadEngine } from "../../src/native/load.ts";
import { toNested } from "../../src/tensor/nested.ts";
import { tensorsOf } from "../../src/tensor/list.ts";
import { splitRows } from "../../src/execute/circuit.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { readModelFixture } from "../support/onnx-fixtures.ts";
import { rejectionOf } from "../support/errors.ts";

const MODULE = fileURLToPath(new URL("../../native/sotto.wasm", import.meta.url));
const ENGINES = ["native", "wasm"] as const;

let model: CompiledModule;
let row: Tensor;
let server: Server;

beforeAll(async () => {
  const { model: bytes, calibration, inputs } = readModelFixture("act_relu");
  // Exact rounding: the encrypted integers are those of the clear.
  model = await compileOnnxModel(bytes, calibration, {
    nBits: 3,
    roundingThresholdBits: { nBits: 3, method: "exact" },
  });
  [[row]] = splitRows(tensorsOf(inputs));
  server = new Server(model.serverBytes, loadEngine());
});

const errorCode = async (call: () => Promise<unknown>): Promise<string> =>
  (await rejectionOf(call)).code;
const open = (engine: (typeof ENGINES)[number], threads = 2): Promise<Client> =>
  Client.load(model.clientBytes, { engine, threads });

describe.each(ENGINES)("a client on %s", (engine) => {
  test("makes keys, tells progress, and its answers are those of the clear", async () => {
    const client = await open(engine);
    const told: [number, number][] = [];
    const keys = await client.keygen({ onProgress: (done, total) => told.push([done, total]) });
    expect(told.length).toBeGreaterThan(0);
    expect(told.at(-1)?.[0]).toBe(told.at(-1)?.[1]);
    await server.loadKeys(keys);
    const answer = await client.decrypt(await server.run(await client.encrypt(row)));
    expect(toNested(answer)).toEqual(toNested(model.forward(row)));
    client.close();
  });

  test.each(ENGINES)("hands its key to a client on %s", async (other) => {
    const [maker, reader] = [await open(engine), await open(other)];
    await server.loadKeys(await maker.keygen());
    await reader.loadKey(await maker.saveKey());
    expect(reader.keyId).toEqual(maker.keyId);
    for (const [from, to] of [
      [maker, reader],
      [reader, maker],
    ]) {
      const answer = await to.decrypt(await server.run(await from.encrypt(row)));
      expect(toNested(answer)).toEqual(toNested(model.forward(row)));
    }
    maker.close();
    reader.close();
  });

  test("makes evaluation keys of a loaded key again", async () => {
    const [maker, visitor] = [await open(engine), await open(engine, 1)];
    await maker.keygen();
    await visitor.loadKey(await maker.saveKey());
    await server.loadKeys(await visitor.evaluationKeys());
    const answer = await maker.decrypt(await server.run(await maker.encrypt(row)));
    expect(toNested(answer)).toEqual(toNested(model.forward(row)));
    maker.close();
    visitor.close();
  });

  test("keeps a key under a passphrase", async () => {
    const client = await open(engine);
    await client.keygen();
    const plain = await client.saveKey();
    const saved = await client.saveKey({ passphrase: "schlüssel" });
    expect(Buffer.from(saved).includes(Buffer.from(plain.subarray(160, 190)))).toBe(false);
    const other = await open(engine);
    expect(await errorCode(() => other.loadKey(saved))).toBe("BAD_ARGUMENT");
    expect(await errorCode(() => other.loadKey(saved, { passphrase: "wrong" }))).toBe("WRONG_KEY");
    expect(other.keyId).toBeNull();
    // The same letters, composed otherwise.
    await other.loadKey(saved, { passphrase: "schlu\u0308ssel" });
    expect(await other.saveKey()).toEqual(plain);
    expect(await errorCode(() => client.saveKey({ passphrase: "" }))).toBe("BAD_ARGUMENT");
    client.close();
    other.close();
  });

  test("can be stopped, and keeps the keys that it had", async () => {
    const client = await open(engine);
    await client.keygen();
    const before = client.keyId;
    const stop = new AbortController();
    const stopped = client.keygen({ signal: stop.signal, onProgress: () => stop.abort() });
    expect(await errorCode(() => stopped)).toBe("CANCELLED");
    expect(await errorCode(() => client.keygen({ signal: AbortSignal.abort() }))).toBe("CANCELLED");
    expect(client.keyId).toEqual(before);
    expect((await client.encrypt(row)).length).toBeGreaterThan(0);
    client.close();
  });

  test("refuses what does not fit, and says so", async () => {
    const client = await open(engine);
    expect(await errorCode(() => client.encrypt(row))).toBe("BAD_ARGUMENT");
    await client.keygen();
    expect(await errorCode(() => client.encrypt([[1, 2]]))).toBe("BAD_SHAPE");
    expect(await errorCode(() => client.encrypt([Array<number>(10).fill(NaN)]))).toBe("BAD_VALUE");
    const request = await client.encrypt(row);
    expect(await errorCode(() => client.decrypt(request))).toBe("BAD_BYTES");
    const stranger = await open(engine);
    await server.loadKeys(await stranger.keygen());
    const answer = await server.run(await stranger.encrypt(row));
    expect(await errorCode(() => client.decrypt(answer))).toBe("WRONG_KEY");
    const damaged = answer.slice();
    damaged[200] ^= 1;
    expect(await errorCode(() => stranger.decrypt(damaged))).toBe("BAD_BYTES");
    client.close();
    stranger.close();
  });

  test("has no key after it was closed", async () => {
    const client = await open(engine);
    await client.keygen();
    client.close();
    expect(client.keyId).toBeNull();
    expect(await errorCode(() => client.encrypt(row))).toBe("BAD_ARGUMENT");
  });
});

test("a spec that is none is refused on both engines", async () => {
  const bytes = model.clientBytes.slice(0, 300);
  for (const engine of ENGINES) {
    expect(await errorCode(() => Client.load(bytes, { engine }))).toBe("BAD_BYTES");
  }
});

test("options that make no sense are refused", async () => {
  const spec = model.clientBytes;
  expect(await errorCode(() => Client.load(spec, { threads: -1 }))).toBe("BAD_ARGUMENT");
  expect(await errorCode(() => Client.load(spec, { engine: "gpu" as "wasm" }))).toBe(
    "BAD_ARGUMENT",
  );
  const missing = new URL("missing.wasm", import.meta.url);
  expect(
    await errorCode(() => Client.load(spec, { engine: "wasm", assets: { module: missing } })),
  ).toBe("NATIVE_MISSING");
});

test("the same seed gives the same secret key on both engines, and WebAssembly works without workers", async () => {
  const module = await WebAssembly.compile(await readFile(MODULE));
  const [native, wasm] = [loadEngine(), createWasmEngine(module)].map((engine) => {
    const client = BlockingClient.load(model.clientBytes, engine);
    client.generateKey(new Uint8Array(16).fill(7));
    return { client, engine };
  });
  expect(wasm.client.saveKey()).toEqual(native.client.saveKey());
  const control = wasm.engine.newControl(1);
  await server.loadKeys(wasm.client.evaluationKeysSync(control));
  expect(control.done()).toBe(control.total());
  const answer = await server.run(wasm.client.encrypt(wasm.client.quantize([row])));
  expect(wasm.client.dequantize(wasm.client.decrypt(answer)).map(toNested)).toEqual([
    toNested(model.forward(row)),
  ]);
  const cancelled = wasm.engine.newControl(1);
  cancelled.cancel();
  expect(await errorCode(() => wasm.client.evaluationKeys(cancelled))).toBe("CANCELLED");
});
