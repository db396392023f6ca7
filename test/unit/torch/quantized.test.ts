/**
 * PyTorch programs and the ONNX exports of the same networks lead to the same integers.
 */
import { describe, expect, test } from "vitest";
import { buildQuantizedModule } from "../../../src/compile.ts";
import { SottoError } from "../../../src/errors.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import {
  archivesOf,
  hasTorchFile,
  readTorchArrays,
  readTorchFile,
  torchFixtures,
} from "../../support/torch-fixtures.ts";

/** Codes of the test rows and the output quantizers, or the code of the error that says why there are none. */
async function quantized(name: string, file: string, nBits: number): Promise<unknown> {
  try {
    const calibration = readTorchArrays(name, "calibration");
    const module = await buildQuantizedModule(readTorchFile(name, file), calibration, { nBits });
    const codes = module.quantizeInput<readonly Tensor[]>(readTorchArrays(name, "inputs"));
    return {
      codes: module.quantizedForward(codes),
      outputs: module.outputs.map(({ quantizer }) => quantizer),
    };
  } catch (error) {
    if (error instanceof SottoError) return error.code;
    throw error;
  }
}

/** Core ATen spells pooling, activations and attention out, which the ONNX export does not; the float tests cover those. */
const sameInCore: readonly string[] = ["cnn", "mlp"];

const exported = torchFixtures.filter((name) => hasTorchFile(name, "model.onnx"));

describe.each(exported)("%s", (name) => {
  const archives = archivesOf(name).filter(
    (file) => file !== "model_core.pt2" || sameInCore.includes(name),
  );
  test.each([3, 6])("at %i bits", async (nBits) => {
    const expected = await quantized(name, "model.onnx", nBits);
    expect(expected).toHaveProperty("codes");
    for (const file of archives) {
      const result = await quantized(name, file, nBits);
      expect({ file, result }).toEqual({ file, result: expected });
    }
  });
});
