/**
 * The parameters block: round trips, its literal bytes, and what decoding refuses.
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeParameters, encodeParameters } from "../../../src/parameters/encoding.ts";
import { SottoError } from "../../../src/errors.ts";
import type { CryptoParameters } from "../../../src/parameters/parameters.ts";

const SET: CryptoParameters = {
  lweDimension: 822,
  glweDimension: 2,
  polynomialSize: 1024,
  bootstrap: { baseLog: 23, level: 1 },
  keyswitch: { baseLog: 3, level: 5 },
  lweNoiseStd: 2 ** -18,
  glweNoiseStd: 2 ** -49,
};

test("a block decodes to the parameters it was made of", () => {
  const std = fc.double({ min: 2 ** -62, max: 0.5, noNaN: true });
  const digits = fc.record({
    baseLog: fc.integer({ min: 1, max: 8 }),
    level: fc.integer({ min: 1, max: 7 }),
  });
  const anySet = fc.record({
    lweDimension: fc.integer({ min: 1, max: 2000 }),
    glweDimension: fc.integer({ min: 1, max: 6 }),
    polynomialSize: fc.integer({ min: 8, max: 14 }).map((log) => 2 ** log),
    bootstrap: digits,
    keyswitch: fc.record({
      baseLog: fc.integer({ min: 1, max: 4 }),
      level: fc.integer({ min: 1, max: 8 }),
    }),
    lweNoiseStd: std,
    glweNoiseStd: std,
  });
  fc.assert(
    fc.property(anySet, (parameters) => {
      expect(decodeParameters(encodeParameters(parameters))).toEqual(parameters);
    }),
  );
});

test("the bytes are those of docs/format.md", () => {
  const hex = Buffer.from(encodeParameters(SET)).toString("hex");
  expect(hex).toBe(
    "36030000" +
      "02000000" +
      "00040000" +
      "17000000" +
      "01000000" +
      "03000000" +
      "05000000" +
      "00000000" +
      "000000000000d03e" +
      "000000000000e03c",
  );
});

test("parameters without lookups have no decompositions and no keyswitch noise", () => {
  const none = { baseLog: 0, level: 0 };
  const set = { ...SET, lweDimension: 0, bootstrap: none, keyswitch: none, lweNoiseStd: 0 };
  expect(decodeParameters(encodeParameters(set))).toEqual(set);
  expect(() => decodeParameters(encodeParameters({ ...set, lweNoiseStd: 0.1 }))).toThrow("noise");
});

test("a block inside a larger buffer is read from its own offset", () => {
  const larger = new Uint8Array(100);
  larger.set(encodeParameters(SET), 7);
  expect(decodeParameters(larger.subarray(7, 55))).toEqual(SET);
});

test.each([
  ["a dimension of 2^30", { lweDimension: 2 ** 30 }],
  ["a polynomial size of 1000", { polynomialSize: 1000 }],
  ["a polynomial size of 2^31", { polynomialSize: 2 ** 31 }],
  ["no GLWE dimension", { glweDimension: 0 }],
  ["a huge GLWE dimension", { glweDimension: 2 ** 31 }],
  ["no bootstrap levels", { bootstrap: { baseLog: 23, level: 0 } }],
  ["more than 64 bits of digits", { keyswitch: { baseLog: 13, level: 5 } }],
  ["digits that overflow", { keyswitch: { baseLog: 2 ** 31, level: 2 } }],
  ["negative noise", { lweNoiseStd: -0.1 }],
  ["noise over the torus", { glweNoiseStd: 1 }],
  ["noise that is not a number", { glweNoiseStd: Number.NaN }],
  ["decompositions without lookups", { lweDimension: 0 }],
])("decoding refuses %s", (_, change) => {
  const bytes = encodeParameters({ ...SET, ...change });
  expect(() => decodeParameters(bytes)).toThrow(SottoError);
  expect(() => decodeParameters(bytes)).toThrow("BAD_BYTES");
});

test("decoding refuses other lengths and a reserved field that is not 0", () => {
  expect(() => decodeParameters(new Uint8Array(47))).toThrow("BAD_BYTES");
  expect(() => decodeParameters(new Uint8Array(49))).toThrow("BAD_BYTES");
  const bytes = encodeParameters(SET);
  bytes[28] = 1;
  expect(() => decodeParameters(bytes)).toThrow("reserved");
});

test("any bytes decode or are refused with BAD_BYTES", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 48, maxLength: 48 }), (bytes) => {
      try {
        return encodeParameters(decodeParameters(bytes)).every((byte, i) => byte === bytes[i]);
      } catch (error) {
        return error instanceof SottoError && error.code === "BAD_BYTES";
      }
    }),
  );
});
