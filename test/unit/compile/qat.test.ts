/**
 * Compiling models that were trained with quantization: what the options mean, and what is refused.
 */
import { describe, expect, test } from "vitest";
import {
  buildQuantizedModule,
  compileBrevitasQatModel,
  compileOnnxModel,
} from "../../../src/compile.ts";
import type { QatNBitsOption } from "../../../src/quantization/bits.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { rejectionOf } from "../../support/errors.ts";
import { argmax, readFixture } from "../../support/golden.ts";

const { model, calibration, inputs, labels, goldens } = readFixture("qat_mlp_w3a3");
const plain = readFixture("act_relu");
const rounding = { nBits: 5, method: "approximate" } as const;

function accuracyOf(scores: Tensor): number {
  const classes = argmax(scores);
  return classes.filter((label, i) => label === labels?.[i]).length / classes.length;
}

describe("compileBrevitasQatModel", () => {
  test("keeps the integers of the model, and compiles them", async () => {
    const golden = goldens.get("qat");
    const compiled = await compileBrevitasQatModel(model, calibration);
    const scores = compiled.forward<Tensor>(inputs);
    expect(argmax(scores)).toEqual(golden?.all_inputs.predictions);
    expect(accuracyOf(scores)).toBe(golden?.metrics.accuracy);
    expect(compiled.module.nBits).toEqual({
      model_inputs: 8,
      op_weights: 8,
      op_inputs: 8,
      model_outputs: 8,
    });
    expect(compiled.module.inputs[0].quantizer.options.nBits).toBe(3);
    // 32 hidden elements twice, and no table on the inputs: the client quantizes for the first Quant node.
    expect(compiled.circuit.statistics.tableLookups).toBe(64);
  });

  test.each([
    [null, 8, 8],
    [undefined, 8, 8],
    [4, 4, 4],
    [{ model_inputs: 5, model_outputs: 6 }, 5, 6],
  ] as const)("takes %j as bits", async (nBits, operands, outputs) => {
    const options = { roundingThresholdBits: rounding, ...(nBits === undefined ? {} : { nBits }) };
    const { module } = await compileBrevitasQatModel(model, calibration, options);
    expect(module.nBits.op_inputs).toBe(operands);
    expect(module.nBits.model_outputs).toBe(outputs);
  });

  const wrongBits: readonly unknown[] = [
    { op_inputs: 4, op_weights: 4 },
    { model_inputs: 4 },
    { model_inputs: 4, model_outputs: 4, op_inputs: 4 },
    0,
    17,
    { model_inputs: 8, model_outputs: 4 },
  ];
  test.each(wrongBits)("refuses %j as bits", async (nBits) => {
    const options = { nBits: nBits as QatNBitsOption };
    const error = await rejectionOf(() => compileBrevitasQatModel(model, calibration, options));
    expect(error.code).toBe("BAD_ARGUMENT");
    expect(error.where).toMatch(/^nBits/);
  });

  test("refuses a model without quantizers", async () => {
    const error = await rejectionOf(() => compileBrevitasQatModel(plain.model, plain.calibration));
    expect(error.code).toBe("BAD_MODEL");
    expect(error.message).toContain("compileOnnxModel");
  });
});

describe("importQat", () => {
  test("is what compileBrevitasQatModel does", async () => {
    const options = { nBits: 8, roundingThresholdBits: rounding } as const;
    const a = await compileBrevitasQatModel(model, calibration, options);
    const b = await compileOnnxModel(model, calibration, { ...options, importQat: true });
    expect(b.serverBytes).toEqual(a.serverBytes);
    expect(b.clientBytes).toEqual(a.clientBytes);
  });

  test("refuses a model whose operators read floats", async () => {
    const error = await rejectionOf(() =>
      buildQuantizedModule(plain.model, plain.calibration, { importQat: true }),
    );
    expect(error.code).toBe("BAD_MODEL");
    expect(error.message).toContain("read by Gemm");
  });

  test("leaves no choices of post-training quantization", async () => {
    const options = { importQat: true, quantization: { perChannelWeights: true } };
    const error = await rejectionOf(() => buildQuantizedModule(model, calibration, options));
    expect(error.where).toBe("quantization");
  });

  test("left out, the model's quantizers still decide, and what is between them is calibrated", async () => {
    const module = await buildQuantizedModule(model, calibration, { nBits: 6 });
    expect(module.inputs[0].quantizer.options.isPrecomputedQat).toBe(true);
    expect(accuracyOf(module.forward<Tensor>(inputs))).toBeGreaterThan(0.94);
  });
});
