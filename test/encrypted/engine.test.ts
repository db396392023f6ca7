/**
 * The native engine through its binding: a hand-made program of one combination and one lookup, from key generation
 * to decryption, and the errors that a caller meets. The chance of a wrong lookup is below 2^-40 each.
 * @module
 */
import { beforeAll, describe, expect, test } from "vitest";
import { encodeProgram } from "../../src/format/program.ts";
import type { Program } from "../../src/lower/program.ts";
import type { NativeClientKey, NativeProgram, NativeServerKey } from "../../src/native/binding.ts";
import { loadEngine } from "../../src/native/load.ts";
import { FOUR_BITS } from "../support/parameters.ts";
import { encodeParameters } from "../../src/parameters/encoding.ts";
import { type CryptoParameters, WHOLE } from "../../src/parameters/parameters.ts";
import { minimalNoiseStd } from "../../src/parameters/security.ts";

const parameters = encodeParameters(FOUR_BITS);

/** Codes 0 .. 15 of a 4-bit table fill the lower half of the torus; a code sits in the middle of its box. */
const BITS = 4;
const encode = (code: number): bigint => (BigInt(code) << 59n) + (1n << 58n);
const decode = (phase: bigint): number =>
  Number(((phase + (1n << 58n)) & ((1n << 64n) - 1n)) >> 59n);

/** Three inputs; sums x0 + x1 and x1 + x2; then twice the sum's square modulo 16, as a code without offset. */
function squaresOfSums(): Program {
  const boxes = 1 << BITS;
  return {
    parameters: FOUR_BITS,
    inputs: [3],
    origins: [],
    instructions: [
      {
        kind: "linear",
        operands: [0],
        groups: 1,
        rows: 1,
        positions: 2,
        terms: 2,
        weights: Int32Array.of(1, 1),
        gather: Int32Array.of(0, 1, 1, 2),
        // Two half boxes were added, one is wanted.
        constants: BigUint64Array.of((1n << 64n) - (1n << 58n)),
      },
      {
        kind: "lookup",
        operand: 1,
        extensionLog: 0,
        boxes,
        tables: 1,
        starts: Uint32Array.from({ length: boxes }, (_, box) => (box * 1024) / boxes),
        values: BigUint64Array.from(
          { length: boxes },
          (_, code) => BigInt((code * code) % 16) << 59n,
        ),
        offsets: BigUint64Array.of(0n),
        outputOffsets: BigUint64Array.of(1n << 59n),
        sources: Uint32Array.of(0, 1),
        tableOf: Uint32Array.of(0, 0),
        degrees: Uint32Array.of(0, 0),
        noiseStd: new Float64Array(2),
      },
    ],
    outputs: [2],
    outputForms: [WHOLE],
    outputNoiseStd: [0],
  };
}

const engine = loadEngine();

describe("a program with a lookup", () => {
  const { bytes, modelId } = encodeProgram(squaresOfSums());
  let program: NativeProgram;
  let key: NativeClientKey;
  let evaluationKeys: Uint8Array;
  let serverKey: NativeServerKey;

  beforeAll(async () => {
    program = engine.parseProgram(bytes);
    key = engine.generateClientKey(parameters);
    evaluationKeys = await key.evaluationKeys(engine.newControl(0));
    serverKey = await engine.loadServerKey(evaluationKeys, parameters, engine.newControl(0));
  });

  const encrypt = (codes: readonly number[]): Uint8Array =>
    key.encrypt(modelId, [BigUint64Array.from(codes, encode)]);
  const decrypt = (outputs: Uint8Array): number[] =>
    Array.from(key.decrypt(modelId, outputs)[0], decode);

  test("the program says what it is", () => {
    expect(program.modelId).toEqual(modelId);
    expect(program.lookups).toBe(2);
    expect(program.parametersDigest).toEqual(serverKey.parametersDigest);
    expect(serverKey.keyId).toEqual(key.keyId);
  });

  test("it computes the squares of the sums, with and without promises", async () => {
    const control = engine.newControl(2);
    expect(decrypt(await engine.run(program, serverKey, encrypt([1, 2, 5]), control))).toEqual([
      10, 2,
    ]);
    expect([control.done(), control.total()]).toEqual([2, 2]);
    const sync = engine.runSync(program, serverKey, encrypt([0, 3, 8]), engine.newControl(1));
    expect(decrypt(sync)).toEqual([10, 10]);
  });

  test("a saved key decrypts what the first one encrypted", () => {
    const inputs = encrypt([4, 0, 0]);
    const outputs = engine.runSync(program, serverKey, inputs, engine.newControl(0));
    const loaded = engine.loadClientKey(key.toBytes(), parameters);
    expect(loaded.keyId).toEqual(key.keyId);
    expect(Array.from(loaded.decrypt(modelId, outputs)[0], decode)).toEqual([1, 1]);
  });

  test("a cancelled call says so", async () => {
    const control = engine.newControl(0);
    control.cancel();
    const code = { code: "CANCELLED" };
    await expect(engine.run(program, serverKey, encrypt([1, 1, 1]), control)).rejects.toMatchObject(
      code,
    );
    expect(() => key.evaluationKeysSync(control)).toThrow(expect.objectContaining(code));
  });

  test("a foreign key, model or parameter set is refused by name", () => {
    const control = engine.newControl(0);
    const stranger = engine.generateClientKey(parameters);
    const inputs = stranger.encrypt(modelId, [BigUint64Array.of(0n, 0n, 0n)]);
    const refused = (code: string) => expect.objectContaining({ code });
    expect(() => engine.runSync(program, serverKey, inputs, control)).toThrow(refused("WRONG_KEY"));
    const elsewhere = key.encrypt(new Uint8Array(16), [BigUint64Array.of(0n, 0n, 0n)]);
    expect(() => engine.runSync(program, serverKey, elsewhere, control)).toThrow(
      refused("WRONG_MODEL"),
    );
    const others = encodeParameters({ ...FOUR_BITS, lweDimension: 823 });
    expect(() => engine.loadServerKeySync(evaluationKeys, others, control)).toThrow(
      refused("WRONG_PARAMETERS"),
    );
    expect(() => engine.loadClientKey(key.toBytes(), others)).toThrow(refused("WRONG_PARAMETERS"));
  });

  test("altered bytes are refused as such", () => {
    const inputs = encrypt([1, 2, 3]);
    inputs[100] ^= 1;
    const refused = expect.objectContaining({ code: "BAD_BYTES" });
    const control = engine.newControl(0);
    expect(() => engine.runSync(program, serverKey, inputs, control)).toThrow(refused);
    expect(() => engine.runSync(program, serverKey, bytes, control)).toThrow(refused);
    expect(() => engine.parseProgram(bytes.subarray(1))).toThrow(refused);
  });

  test("a program with lookups does not run without keys", () => {
    expect(() => engine.runSync(program, null, encrypt([1, 1, 1]), engine.newControl(0))).toThrow(
      expect.objectContaining({ code: "BAD_ARGUMENT" }),
    );
  });
});

test("a seed makes the secret key reproducible, and nothing else", () => {
  const seed = new Uint8Array(16).fill(7);
  const [first, second] = [0, 1].map(() => engine.generateClientKey(parameters, seed));
  expect(first.toBytes()).toEqual(second.toBytes());
  const encrypt = (key: NativeClientKey) =>
    key.encrypt(new Uint8Array(16), [BigUint64Array.of(0n)]);
  expect(encrypt(first)).not.toEqual(encrypt(second));
});

test("parameters below 128 bits of security are refused", () => {
  const weak = encodeParameters({ ...FOUR_BITS, lweNoiseStd: minimalNoiseStd(830) });
  expect(() => engine.generateClientKey(weak)).toThrow(
    expect.objectContaining({ code: "WRONG_PARAMETERS" }),
  );
});

test("a program without lookups needs no evaluation keys", () => {
  const levelled: CryptoParameters = {
    ...FOUR_BITS,
    lweDimension: 0,
    bootstrap: { baseLog: 0, level: 0 },
    keyswitch: { baseLog: 0, level: 0 },
    lweNoiseStd: 0,
  };
  const { bytes, modelId } = encodeProgram({
    parameters: levelled,
    inputs: [2, 1],
    origins: [],
    instructions: [
      {
        kind: "linear",
        operands: [0, 1],
        groups: 1,
        rows: 2,
        positions: 1,
        terms: 3,
        weights: Int32Array.of(1, -2, 3, -1, 0, 1),
        gather: Int32Array.of(0, 2, 1),
        constants: BigUint64Array.of(1n << 50n, 0n),
      },
    ],
    outputs: [2, 0],
    outputForms: [WHOLE, WHOLE],
    outputNoiseStd: [0, 0],
  });
  const key = engine.generateClientKey(encodeParameters(levelled));
  const unit = 1n << 48n;
  const inputs = key.encrypt(modelId, [
    BigUint64Array.of(5n * unit, 7n * unit),
    BigUint64Array.of(2n * unit),
  ]);
  const outputs = engine.runSync(engine.parseProgram(bytes), null, inputs, engine.newControl(0));
  // The noise is about 2^-50 of the torus, the unit 2^-16.
  const round = (phase: bigint): number => Number(BigInt.asIntN(64, phase + unit / 2n) / unit);
  expect(key.decrypt(modelId, outputs).map((phases) => Array.from(phases, round))).toEqual([
    [26, 2],
    [5, 7],
  ]);
});

test("raw lookups and noise can be measured", () => {
  const times = engine.timeRawLookup(parameters, 0, 3);
  expect(times).toHaveLength(3);
  expect(times.every((time) => time > 0)).toBe(true);
  const noise = engine.measureNoise(parameters, "linear", Int32Array.of(3, -4), 0, 10);
  expect(noise.every((error) => Math.abs(error) < 2 ** -40)).toBe(true);
});
