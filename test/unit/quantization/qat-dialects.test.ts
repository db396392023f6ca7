/**
 * Quantizers of trained models in every dialect, at 1 to 16 bits: the codes follow the formula that each dialect publishes.
 */
import { TensorProto_DataType as DataType } from "onnx-buf";
import { describe, expect, test } from "vitest";
import { evaluate } from "../../../src/onnx/evaluate.ts";
import { importOnnx } from "../../../src/onnx/import.ts";
import type { QuantizedModule } from "../../../src/quantization/module.ts";
import { PostTrainingQATImporter } from "../../../src/quantization/qat-import.ts";
import { verify } from "../../../src/quantization/verify.ts";
import { type Tensor, float32 } from "../../../src/tensor/tensor.ts";
import {
  buildModel,
  floats,
  intAttribute,
  intsAttribute,
  node,
  rawTensor,
  stringAttribute,
  value,
} from "../../support/onnx-builder.ts";
import { randomNumbers } from "../../support/random-models.ts";

const ROWS = 50;
const INPUTS = 4;
const OUTPUTS = 3;

interface Case {
  readonly bits: number;
  readonly signed: boolean;
  readonly narrow: boolean;
  readonly perChannel: boolean;
  readonly powerOfTwo: boolean;
}

const CASES: readonly Case[] = Array.from({ length: 16 }, (_, i) => i + 1).flatMap((bits) =>
  [
    { signed: true, narrow: false },
    { signed: true, narrow: true },
    { signed: false, narrow: false },
  ].flatMap((sign) =>
    [false, true].map((perChannel) => ({
      bits,
      ...sign,
      perChannel,
      powerOfTwo: (bits + (perChannel ? 1 : 0)) % 2 === 0,
    })),
  ),
);

/** Codes of the type, as QONNX and Brevitas publish them. */
function range({ bits, signed, narrow }: Case): [number, number] {
  if (!signed) return [0, 2 ** bits - 1];
  return [-(2 ** (bits - 1)) + (narrow ? 1 : 0), 2 ** (bits - 1) - 1];
}

function halfEven(x: number): number {
  const down = Math.floor(x);
  if (x - down !== 0.5) return Math.round(x);
  return down % 2 === 0 ? down : down + 1;
}

/** `clip(round(x / scale))` in float32. */
function codesOf(values: readonly number[], scales: readonly number[], [lo, hi]: [number, number]) {
  return values.map((x, i) => {
    const scale = Math.fround(scales[i % scales.length]);
    const code = halfEven(Math.fround(Math.fround(x) / scale));
    return Math.min(Math.max(code, lo), hi) + 0;
  });
}

interface Numbers {
  readonly rows: Tensor;
  readonly weights: readonly number[];
  readonly inputScale: number;
  /** One, or one per column of the weights. */
  readonly weightScales: readonly number[];
}

function numbersOf(options: Case): Numbers {
  const next = randomNumbers(options.bits * 8 + (options.perChannel ? 1 : 0));
  const uniform = (count: number): number[] =>
    Array.from({ length: count }, () => next() * 2 - (options.signed ? 1 : 0.2));
  const step = 2 ** (1 - options.bits);
  const base = options.powerOfTwo ? step : step * 1.1;
  const channels = options.perChannel ? [1, 0.5, 2] : [1];
  return {
    rows: float32([ROWS, INPUTS], uniform(ROWS * INPUTS)),
    weights: uniform(INPUTS * OUTPUTS),
    inputScale: base,
    weightScales: channels.map((factor) => base * factor),
  };
}

function qonnxModel(options: Case, numbers: Numbers, domain: string): Uint8Array {
  const { bits, signed, narrow } = options;
  const flags = [
    intAttribute("signed", Number(signed)),
    intAttribute("narrow", Number(narrow)),
    stringAttribute("rounding_mode", "ROUND"),
  ];
  const quant = (inputs: readonly string[], output: string) => ({
    ...node("Quant", [...inputs, "zero", "bits"], output, flags),
    domain,
  });
  return buildModel({
    inputs: [value("x", [1, INPUTS])],
    outputs: [value("y", [1, OUTPUTS])],
    nodes: [
      quant(["x", "sx"], "xq"),
      quant(["w", "sw"], "wq"),
      node("Transpose", ["wq"], "wt", [intsAttribute("perm", [1, 0])]),
      node("MatMul", ["xq", "wt"], "p"),
      node("Add", ["p", "b"], "y"),
    ],
    initializers: [
      // Stored transposed, as exporters of PyTorch's Linear do.
      floats("w", [OUTPUTS, INPUTS], transposed(numbers.weights)),
      floats("sx", [], [numbers.inputScale]),
      floats("sw", options.perChannel ? [OUTPUTS, 1] : [], numbers.weightScales),
      floats("zero", [], [0]),
      floats("bits", [], [bits]),
      floats("b", [OUTPUTS], [0.1, -0.2, 0.3]),
    ],
  });
}

function transposed(weights: readonly number[]): number[] {
  return Array.from(
    { length: weights.length },
    (_, i) => weights[(i % INPUTS) * OUTPUTS + Math.floor(i / INPUTS)],
  );
}

/** Little-endian bytes of integers. */
function bytes(values: readonly number[], width: number): number[] {
  return values.flatMap((v) => Array.from({ length: width }, (_, i) => (v >> (8 * i)) & 255));
}

function qcdqModel(options: Case, numbers: Numbers): Uint8Array {
  const { bits, signed } = options;
  const wide = bits > 8;
  const type = wide
    ? signed
      ? DataType.INT16
      : DataType.UINT16
    : signed
      ? DataType.INT8
      : DataType.UINT8;
  const width = wide ? 2 : 1;
  const [lo, hi] = range(options);
  const integer = (name: string, dims: readonly number[], values: readonly number[]) =>
    rawTensor(name, type, dims, bytes(values, width));
  const axis = intAttribute("axis", 1);
  const channels = options.perChannel ? OUTPUTS : 1;
  const zeros = integer(
    "zw",
    options.perChannel ? [channels] : [],
    Array<number>(channels).fill(0),
  );
  return buildModel({
    opset: 21,
    inputs: [value("x", [1, INPUTS])],
    outputs: [value("y", [1, OUTPUTS])],
    nodes: [
      node("QuantizeLinear", ["x", "sx", "zx"], "q"),
      node("Clip", ["q", "lo", "hi"], "c"),
      node("DequantizeLinear", ["c", "sx", "zx"], "xq"),
      node("QuantizeLinear", ["w", "sw", "zw"], "wc", [axis]),
      node("Clip", ["wc", "lo", "hi"], "wl"),
      node("DequantizeLinear", ["wl", "sw", "zw"], "wq", [axis]),
      node("MatMul", ["xq", "wq"], "p"),
      node("Add", ["p", "b"], "y"),
    ],
    initializers: [
      floats("w", [INPUTS, OUTPUTS], numbers.weights),
      floats("sx", [], [numbers.inputScale]),
      floats("sw", options.perChannel ? [OUTPUTS] : [], numbers.weightScales),
      integer("zx", [], [0]),
      zeros,
      integer("lo", [], [lo]),
      integer("hi", [], [hi]),
      floats("b", [OUTPUTS], [0.1, -0.2, 0.3]),
    ],
  });
}

function importQat(model: Uint8Array, rows: Tensor): QuantizedModule {
  const module = new PostTrainingQATImporter(8, importOnnx(model)).quantizeModule(rows);
  verify(module);
  return module;
}

function expectCodes(model: Uint8Array, options: Case, numbers: Numbers): void {
  const { rows, weights, inputScale, weightScales } = numbers;
  const module = importQat(model, rows);
  const limits = range(options);
  const [{ quantizer }] = module.inputs;
  expect(quantizer.codeRange).toEqual(limits);
  expect(quantizer.options.nBits).toBe(options.bits);
  expect([...module.quantizeInput(rows).data]).toEqual(
    codesOf([...rows.data], [inputScale], limits),
  );
  const [op] = module.operations.filter(({ node: { opType } }) => opType === "Gemm");
  const quantized = module.constants.get(op.node.inputs[1])?.quantized;
  expect([...(quantized?.qvalues.data ?? [])]).toEqual(codesOf(weights, weightScales, limits));
  // No table: the sum of products is the answer, and the client has the scales.
  expect(module.circuitFor("calibrated").values.map(({ op: { kind } }) => kind)).toEqual([
    "input",
    "matmul",
  ]);
  const [expected] = evaluate(importOnnx(model), [rows]);
  const got = module.forward(rows);
  expected.data.forEach((y, i) => expect(Math.abs(got.data[i] - y)).toBeLessThan(1e-5));
}

const codes = CASES.filter(({ bits, narrow }) => !(bits === 1 && narrow)); // that type has one code
describe.each(codes)(
  "$bits bits, signed $signed, narrow $narrow, per channel $perChannel",
  (options) => {
    const numbers = numbersOf(options);

    test("QONNX", () => {
      expectCodes(qonnxModel(options, numbers, "qonnx.custom_op.general"), options, numbers);
    });

    test("Brevitas", () => {
      expectCodes(qonnxModel(options, numbers, "onnx.brevitas"), options, numbers);
    });

    test("QCDQ", () => {
      expectCodes(qcdqModel(options, numbers), options, numbers);
    });
  },
);
