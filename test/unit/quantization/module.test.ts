/**
 * Quantized modules in words, and what makes one illegal.
 * @module
 */
import { describe, expect, test } from "vitest";
import { importOnnx } from "../../../src/onnx/import.ts";
import { QuantizedModule, type QuantizedModuleInit } from "../../../src/quantization/module.ts";
import type { QuantizedOperation } from "../../../src/quantization/operation.ts";
import { PostTrainingAffineQuantization } from "../../../src/quantization/post-training.ts";
import { print } from "../../../src/quantization/print.ts";
import { UniformQuantizer } from "../../../src/quantization/quantizer.ts";
import { verify } from "../../../src/quantization/verify.ts";
import { errorOf } from "../../support/errors.ts";
import { readModelFixture } from "../../support/onnx-fixtures.ts";

function quantize(name: string, nBits: number, roundingThresholdBits: null | number = null) {
  const { model, calibration } = readModelFixture(name);
  const options = { roundingThresholdBits };
  const quantizer = new PostTrainingAffineQuantization(nBits, importOnnx(model), options);
  return quantizer.quantizeModule(...calibration);
}

test("a logistic regression of 3 bits reads as one linear operator and one fused function", () => {
  expect(print(quantize("seed_logreg", 3))).toMatchInlineSnapshot(`
    "module model_inputs 5, op_weights 3, op_inputs 3, model_outputs 5 {
      input x : [1, 14] int3 scale 0.28568330832890104 zero -1
      /fc1/Gemm_output_0 = Gemm(x, fc1.weight, fc1.bias) : int3 inputs; uint5 scale 0.052940199452061805 zero 15  # /fc1/Gemm
      4 = Sigmoid(/fc1/Gemm_output_0) : fused; uint5 scale 0.012537359986083635 zero -25; graph output  # /sigmoid1/Sigmoid
      output 4 : [1, 1] uint5 scale 0.012537359986083635 zero -25
    }"
  `);
});

test("an accumulator is printed with how it is rounded", () => {
  expect(print(quantize("act_relu", 6, 5))).toMatchInlineSnapshot(`
    "module model_inputs 6, op_weights 6, op_inputs 6, model_outputs 6 {
      input x : [1, 10] int6 scale 0.08384075618925549 zero 1
      /fc1/Gemm_output_0 = Gemm(x, fc1.weight, fc1.bias) : int6 inputs; uint6 scale 0.17019978780595083 zero 33; accumulator [-2137, 2070]; rounded to 5 bits (exact)  # /fc1/Gemm
      /Relu_output_0 = Relu(/fc1/Gemm_output_0) : fused; uint6 scale 0.08104751800283372 zero 0  # /Relu
      7 = Gemm(/Relu_output_0, fc2.weight, fc2.bias) : uint6 inputs; uint6 scale 0.0006520144597587923 zero per output 4; graph output  # /fc2/Gemm
      output 7 : [1, 4] uint6 scale 0.0006520144597587923 zero per output 4
    }"
  `);
});

test("bits, scales and intervals of two inputs that are added", () => {
  expect(print(quantize("op_add_two_inputs", 4))).toMatchInlineSnapshot(`
    "module model_inputs 5, op_weights 4, op_inputs 4, model_outputs 5 {
      input x : [1, 6] int4 scale 0.5029630978902181 zero -1
      input y : [1, 6] uint4 scale 0.13309168815612793 zero 0
      /a/Gemm_output_0 = Gemm(x, a.weight, a.bias) : int4 inputs; uint5 scale 0.1593455499218356 zero 15  # /a/Gemm
      /b/Gemm_output_0 = Gemm(y, b.weight, b.bias) : uint4 inputs; uint5 scale 0.09458590322925199 zero 17  # /b/Gemm
      /Add_output_0 = Add(/a/Gemm_output_0, /b/Gemm_output_0) : int4 inputs; uint5 scale 0.17427184827369904 zero 15  # /Add
      /Relu_output_0 = Relu(/Add_output_0) : fused; uint5 scale 0.08994676039932854 zero 0  # /Relu
      12 = Gemm(/Relu_output_0, c.weight, c.bias) : uint4 inputs; uint5 scale 0.009382476824823693 zero per output 3; graph output  # /c/Gemm
      output 12 : [1, 3] uint5 scale 0.009382476824823693 zero per output 3
    }"
  `);
});

test("weights around zero cannot have one bit", () => {
  const error = errorOf(() => quantize("act_relu", 1));
  expect(error.code).toBe("BAD_ARGUMENT");
  expect(error.message).toContain("at least 2");
});

describe("verify", () => {
  const legal = quantize("act_relu", 3);

  function altered(change: Partial<QuantizedModuleInit>): QuantizedModule {
    return new QuantizedModule({
      graph: legal.graph,
      before: legal.before,
      after: legal.after,
      nBits: legal.nBits,
      rounding: legal.rounding,
      operations: legal.operations,
      constants: legal.constants,
      inputQuantizers: legal.inputs.map(({ quantizer }) => quantizer),
      outputQuantizers: legal.outputs.map(({ quantizer }) => quantizer),
      calibration: legal.calibration,
      ...change,
    });
  }

  /** The module with its operation at `index` altered. */
  function alteredAt(index: number, change: Partial<QuantizedOperation>): QuantizedModule {
    return altered({
      operations: legal.operations.map((op, i) => (i === index ? { ...op, ...change } : op)),
    });
  }

  function quantizer(scale: number, zeroPoint: number): UniformQuantizer {
    return new UniformQuantizer({ nBits: 5, scale, zeroPoint, offset: 0 });
  }

  const withScale = (scale: number) => ({
    calibrated: { outputQuantizer: quantizer(scale, 0), accumulators: new Map(), inner: new Map() },
  });
  const isFused = (fused: boolean) => legal.operations.findIndex((op) => op.isFused === fused);

  test("accepts what quantization makes", () => {
    expect(() => verify(legal)).not.toThrow();
  });

  const broken: readonly (readonly [string, QuantizedModule, RegExp])[] = [
    ["an operand too early", altered({ operations: legal.operations.toReversed() }), /not defined/],
    ["a constant that is missing", altered({ constants: new Map() }), /not defined/],
    ["a scale of zero", alteredAt(0, withScale(0)), /has scale 0/],
    ["a scale that is no number", alteredAt(0, withScale(NaN)), /has scale NaN/],
    ["an infinite scale", alteredAt(0, withScale(Infinity)), /has scale Infinity/],
    [
      "a fractional zero point",
      alteredAt(0, {
        calibrated: {
          outputQuantizer: quantizer(1, 0.5),
          accumulators: new Map(),
          inner: new Map(),
        },
      }),
      /zero point 0.5/,
    ],
    [
      "an empty accumulator",
      alteredAt(0, {
        calibrated: {
          outputQuantizer: quantizer(1, 0),
          accumulators: new Map([["accumulator", { lo: 2, hi: 1 }]]),
          inner: new Map(),
        },
      }),
      /accumulator in \[2, 1\]/,
    ],
    [
      "a fused operation with two producers",
      alteredAt(isFused(true), { integerProducers: new Set(["x", "y"]) }),
      /2 integer producers/,
    ],
    [
      "an operation that depends on nothing",
      alteredAt(isFused(false), { integerProducers: new Set() }),
      /0 integer producers/,
    ],
    [
      "a producer that is no integer",
      alteredAt(isFused(true), { integerProducers: new Set(["nowhere"]) }),
      /no tensor of integers/,
    ],
    ["a linear operator that is fused", alteredAt(0, { isFused: true }), /against its rule/],
    [
      "an input without codes",
      altered({
        inputQuantizers: [
          new UniformQuantizer({
            nBits: 1,
            isSigned: true,
            isNarrow: true,
            scale: 1,
            zeroPoint: 0,
            offset: 1,
          }),
        ],
      }),
      /has no codes/,
    ],
    [
      "an operation twice",
      altered({ operations: [...legal.operations, legal.operations[0]] }),
      /second time/,
    ],
    ["an output that nothing computes", altered({ operations: [] }), /not computed/],
  ];

  test.each(broken)("refuses %s", (_, module, message) => {
    expect(() => verify(module)).toThrow(message);
    expect(() => verify(module)).toThrow(/^internal: /);
  });
});
