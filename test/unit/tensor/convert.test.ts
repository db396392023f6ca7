/**
 * convertToTensor: every form of array that callers hold.
 */
import { describe, expect, test } from "vitest";
import { convertToTensor } from "../../../src/tensor/convert.ts";
import { float32, float64, int64 } from "../../../src/tensor/tensor.ts";
import { errorOf } from "../../support/errors.ts";
import { readTorchArrays, readTorchFile } from "../../support/torch-fixtures.ts";

describe("convertToTensor", () => {
  test("nested lists become float64", () => {
    expect(
      convertToTensor([
        [1, 2.5],
        [3, 4],
      ]),
    ).toEqual(float64([2, 2], [1, 2.5, 3, 4]));
    expect(convertToTensor(7)).toEqual(float64([], [7]));
  });

  test.each([
    [new Float32Array([0.5, 1]), float32([2], [0.5, 1])],
    [new Float64Array([0.1]), float64([1], [0.1])],
    [new Int8Array([-1, 2]), int64([2], [-1, 2])],
    [new Uint8Array([1, 255]), int64([2], [1, 255])],
    [new Int32Array([-7]), int64([1], [-7])],
    [new Uint32Array([2 ** 32 - 1]), int64([1], [2 ** 32 - 1])],
    [new BigInt64Array([-5n]), int64([1], [-5])],
    [new BigUint64Array([5n]), int64([1], [5])],
  ])("a typed array has one axis: %o", (array, expected) => {
    expect(convertToTensor(array)).toEqual(expected);
  });

  test("a typed array with a shape", () => {
    const x = { shape: [1, 2], data: new Float32Array([1, 2]) };
    expect(convertToTensor(x)).toEqual(float32([1, 2], [1, 2]));
  });

  test("a tensor stays as it is", () => {
    expect(convertToTensor(int64([2], [1, 2]))).toEqual(int64([2], [1, 2]));
  });

  test("the bytes of a npy file", () => {
    const [expected] = readTorchArrays("mlp", "inputs");
    expect(convertToTensor(readTorchFile("mlp", "inputs.npy"))).toEqual(expected);
  });

  test("damaged npy bytes", () => {
    const bytes = readTorchFile("mlp", "inputs.npy").subarray(0, 300);
    expect(errorOf(() => convertToTensor(bytes)).code).toBe("BAD_BYTES");
  });

  test("integers that a number cannot hold", () => {
    const { code } = errorOf(() => convertToTensor(new BigInt64Array([2n ** 60n])));
    expect(code).toBe("BAD_VALUE");
  });

  test("what is no array", () => {
    expect(errorOf(() => convertToTensor("rows.npy" as never)).message).toMatch(/readArrays/);
  });
});
