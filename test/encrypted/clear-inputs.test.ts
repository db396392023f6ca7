/**
 * Inputs that the server may see: they travel as they are, and the answer is the same.
 * @module
 */
import { expect, test } from "vitest";
import { Client } from "../../src/client/client.ts";
import { compileOnnxModel } from "../../src/compile.ts";
import { splitRows } from "../../src/execute/circuit.ts";
import { loadEngine } from "../../src/native/load.ts";
import { tensorsOf } from "../../src/tensor/list.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { readModelFixture } from "../support/onnx-fixtures.ts";

test("one of two inputs in the clear gives the integers of the clear", async () => {
  const { model, calibration, inputs } = readModelFixture("op_add_two_inputs");
  const compiled = await compileOnnxModel(model, calibration, {
    nBits: 3,
    roundingThresholdBits: 4,
    inputsEncryptionStatus: ["encrypted", "clear"],
  });
  const [row] = splitRows(tensorsOf(compiled.quantizeInput<Tensor[]>(inputs)));
  compiled.circuit.keygen();
  const blob = compiled.circuit.encrypt(row);
  const client = Client.load(compiled.clientBytes, loadEngine());
  expect(client.spec.inputs.map(({ isEncrypted }) => isEncrypted)).toEqual([true, false]);
  const answer = compiled.circuit.decrypt<Tensor[]>(compiled.circuit.run(blob));
  expect(tensorsOf(answer)).toEqual(tensorsOf(compiled.quantizedForward<Tensor[]>(row)));
});
