/**
 * Options that concern inputs and sums: which inputs are encrypted, and copies before sums.
 * @module
 */
import { describe, expect, test } from "vitest";
import { compileOnnxModel } from "../../../src/compile.ts";
import { decodeClientSpec } from "../../../src/format/client-spec.ts";
import type { CompiledModule } from "../../../src/execute/module.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { rejectionOf } from "../../support/errors.ts";
import { readModelFixture } from "../../support/onnx-fixtures.ts";

const two = readModelFixture("op_add_two_inputs");

describe("inputsEncryptionStatus", () => {
  test("reaches the client spec", async () => {
    const options = { nBits: 3, inputsEncryptionStatus: ["clear", "encrypted"] } as const;
    const compiled = await compileOnnxModel(two.model, two.calibration, options);
    const spec = decodeClientSpec(compiled.clientBytes);
    expect(spec.inputs.map(({ isEncrypted }) => isEncrypted)).toEqual([false, true]);
  });

  test.each([
    ["too few", ["encrypted"]],
    ["too many", ["encrypted", "encrypted", "clear"]],
    ["none encrypted", ["clear", "clear"]],
    ["another word", ["encrypted", "plain"]],
    ["not a list", "encrypted"],
  ])("refuses %s", async (_, status) => {
    const options = { nBits: 3, inputsEncryptionStatus: status } as object;
    const error = await rejectionOf(() => compileOnnxModel(two.model, two.calibration, options));
    expect(error.code).toBe("BAD_ARGUMENT");
    expect(error.message).toContain('expected one "encrypted" or "clear" per input (2)');
  });
});

test("reduceSumCopy copies each term by a table, which takes no lookup on an input, and keeps every integer", async () => {
  const { model, calibration, inputs } = readModelFixture("op_reduce_sum_output");
  const [plain, copied] = await Promise.all(
    [false, true].map((reduceSumCopy) =>
      compileOnnxModel(model, calibration, { nBits: 3, reduceSumCopy }),
    ),
  );
  const codes = plain.quantizeInput<Tensor>(inputs);
  expect(copied.quantizedForward(codes)).toEqual(plain.quantizedForward(codes));
  const selections = ({ circuit }: CompiledModule): number =>
    circuit.parts.circuit.values.filter(({ op }) => op.kind === "select").length;
  expect([selections(plain), selections(copied)]).toEqual([0, 1]);
  expect(copied.circuit.statistics.tableLookups).toBe(plain.circuit.statistics.tableLookups);
});
