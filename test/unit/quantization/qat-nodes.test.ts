/**
 * What single quantizers of trained models mean: saturation, zero points, roundings, signs; and what is refused by name.
 */
import { TensorProto_DataType as DataType } from "onnx-buf";
import { describe, expect, test } from "vitest";
import { evaluate } from "../../../src/onnx/evaluate.ts";
import { importOnnx } from "../../../src/onnx/import.ts";
import type { QuantizedModule } from "../../../src/quantization/module.ts";
import { PostTrainingQATImporter } from "../../../src/quantization/qat-import.ts";
import { hasAnyQnnLayers } from "../../../src/quantization/quant-node.ts";
import { verify } from "../../../src/quantization/verify.ts";
import { type Tensor, float32 } from "../../../src/tensor/tensor.ts";
import { errorOf } from "../../support/errors.ts";
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

const INPUTS = 4;
const OUTPUTS = 3;
const next = randomNumbers(4);
const uniform = (count: number): number[] => Array.from({ length: count }, () => next() * 2 - 1);
const WEIGHTS = uniform(INPUTS * OUTPUTS);
const ROWS = float32([50, INPUTS], uniform(50 * INPUTS));

function importQat(model: Uint8Array, rows: Tensor): QuantizedModule {
  const module = new PostTrainingQATImporter(8, importOnnx(model)).quantizeModule(rows);
  verify(module);
  return module;
}

describe("a quantizer", () => {
  /** x -> node -> MatMul with quantized weights. */
  function withQuant(nodes: Parameters<typeof buildModel>[0]["nodes"]): Uint8Array {
    const flags = [intAttribute("signed", 1), intAttribute("narrow", 0)];
    return buildModel({
      opset: 21,
      inputs: [value("x", [1, INPUTS])],
      outputs: [value("y", [1, OUTPUTS])],
      nodes: [
        ...nodes,
        { ...node("Quant", ["w", "sw", "zero", "bits"], "wq", flags), domain: "onnx.brevitas" },
        node("MatMul", ["xq", "wq"], "y"),
      ],
      initializers: [
        floats("w", [INPUTS, OUTPUTS], WEIGHTS),
        floats("sx", [], [0.25]),
        floats("s2", [], [0.5]),
        floats("sw", [], [0.1375]),
        floats("sper", [INPUTS], [0.1, 0.2, 0.3, 0.4]),
        floats("zero", [], [0]),
        floats("half", [], [0.5]),
        floats("bits", [], [4]),
        floats("hundred", [], [100]),
        rawTensor("zi", DataType.INT8, [], [0]),
        rawTensor("zu", DataType.UINT8, [], [0]),
        rawTensor("z3", DataType.UINT8, [], [3]),
        rawTensor("five", DataType.UINT8, [], [5]),
      ],
    });
  }
  const quant = (
    inputs: readonly string[],
    attributes: Parameters<typeof node>[3] = [],
    domain = "qonnx.custom_op.general",
  ) => ({ ...node("Quant", inputs, "xq", attributes), domain });

  test("saturates at the declared type of the zero point, though integers are widened", () => {
    const rows = float32([3, INPUTS], [100, -100, 1, -1, 0, 0, 0, 0, 40, -40, 31.75, -32]);
    const int8 = importQat(
      withQuant([
        node("QuantizeLinear", ["x", "sx", "zi"], "q"),
        node("DequantizeLinear", ["q", "sx", "zi"], "xq"),
      ]),
      rows,
    );
    expect(int8.inputs[0].quantizer.codeRange).toEqual([-128, 127]);
    expect([...int8.quantizeInput(rows).data].slice(0, 4)).toEqual([127, -128, 4, -4]);
    const uint8 = importQat(
      withQuant([
        node("QuantizeLinear", ["x", "sx"], "q"),
        node("DequantizeLinear", ["q", "sx"], "xq"),
      ]),
      rows,
    );
    expect(uint8.inputs[0].quantizer.codeRange).toEqual([0, 255]);
  });

  test("with a zero point shifts its codes", () => {
    const rows = float32([1, INPUTS], [-1, 0, 1, 70]);
    const module = importQat(
      withQuant([
        node("QuantizeLinear", ["x", "sx", "z3"], "q"),
        node("DequantizeLinear", ["q", "sx", "z3"], "xq"),
      ]),
      rows,
    );
    expect([...module.quantizeInput(rows).data]).toEqual([0, 3, 7, 255]);
  });

  test("keeps a range of codes that no integer type has", () => {
    const rows = float32([1, INPUTS], [-1, 0, 1, 2]);
    const model = withQuant([
      node("QuantizeLinear", ["x", "sx", "zu"], "q"),
      node("Clip", ["q", "zu", "five"], "c"),
      node("DequantizeLinear", ["c", "sx", "zu"], "xq"),
    ]);
    const graph = importOnnx(model);
    const clipped = importQat(model, rows).operations.find(({ node: n }) => n.opType === "Quant");
    expect(clipped?.calibrated.outputQuantizer.stats).toMatchObject({ rmin: 0, rmax: 1.25 });
    expect(graph.nodes.map(({ opType }) => opType)).toEqual(["Clip", "Quant", "Quant", "MatMul"]);
  });

  test.each([
    ["FLOOR", [0.3, -0.3, 0.6, -0.6], [0.25, -0.5, 0.5, -0.75]],
    ["CEIL", [0.3, -0.3, 0.6, -0.6], [0.5, -0.25, 0.75, -0.5]],
    ["ROUND_TO_ZERO", [0.3, -0.3, 0.6, -0.6], [0.25, -0.25, 0.5, -0.5]],
    ["ROUND", [0.375, 0.125, 0.6, -9], [0.5, 0, 0.5, -2]],
  ] as const)("rounds by its mode %s", (mode, given, rounded) => {
    const model = withQuant([
      quant(["x", "sx", "zero", "bits"], [stringAttribute("rounding_mode", mode)]),
    ]);
    const module = importQat(model, float32([1, INPUTS], given));
    const op = module.operations.find(({ node: n }) => n.outputs[0] === "xq");
    const { stats } = op?.calibrated.outputQuantizer ?? {};
    expect(stats).toMatchObject({ rmin: Math.min(...rounded), rmax: Math.max(...rounded) });
    // Only the mode of uniform quantizers can be left to the client.
    expect(module.inputs[0].quantizer.options.isPrecomputedQat).toBe(mode === "ROUND");
  });

  test("of signs has codes 1 and -1", () => {
    const rows = float32([2, INPUTS], [0.3, -0.3, 0, 5, 1, 1, 1, -1]);
    const sign = {
      ...node("BipolarQuant", ["x", "s2"], "xq"),
      domain: "qonnx.custom_op.general",
    };
    const module = importQat(withQuant([sign]), rows);
    const circuit = module.circuitFor("calibrated");
    const table = circuit.values.find(({ op }) => op.kind === "select");
    expect(table?.bounds?.guaranteed).toEqual({ lo: -1, hi: 1 });
    const [expected] = evaluate(importOnnx(withQuant([sign])), [rows]);
    const got = module.forward(rows);
    expected.data.forEach((y, i) => expect(Math.abs(got.data[i] - y)).toBeLessThan(1e-5));
  });

  test("that Brevitas writes as unsigned and narrow is signed and not narrow; in QONNX it means what it says", () => {
    const flags = [intAttribute("signed", 0), intAttribute("narrow", 1)];
    const rows = float32([1, INPUTS], [-10, 10, 3.75, 3.5]);
    const ends = (domain: string): unknown => {
      const graph = importOnnx(withQuant([quant(["x", "sx", "zero", "bits"], flags, domain)]));
      const module = new PostTrainingQATImporter(8, graph).quantizeModule(rows);
      const op = module.operations.find(({ node: n }) => n.outputs[0] === "xq");
      return op?.calibrated.outputQuantizer.stats;
    };
    expect(ends("onnx.brevitas")).toMatchObject({ rmin: -2, rmax: 1.75 });
    expect(ends("qonnx.custom_op.general")).toMatchObject({ rmin: 0, rmax: 3.5 });
  });

  const refused: readonly (readonly [string, Uint8Array, string, RegExp])[] = [
    [
      "without its other half",
      withQuant([
        node("QuantizeLinear", ["x", "sx", "zi"], "q"),
        node("Cast", ["q"], "xq", [intAttribute("to", 1)]),
      ]),
      "UNSUPPORTED_OPERATOR",
      /in pairs/,
    ],
    [
      "whose halves differ in scale",
      withQuant([
        node("QuantizeLinear", ["x", "sx", "zi"], "q"),
        node("DequantizeLinear", ["q", "s2", "zi"], "xq"),
      ]),
      "UNSUPPORTED_OPERATOR",
      /constant scale/,
    ],
    [
      "with a computed scale",
      withQuant([node("Abs", ["x"], "a"), quant(["x", "a", "zero", "bits"])]),
      "UNSUPPORTED_OPERATOR",
      /constant scale/,
    ],
    [
      "of 100 bits",
      withQuant([quant(["x", "sx", "zero", "hundred"])]),
      "UNSUPPORTED_OPERATOR",
      /1 to 32/,
    ],
    [
      "with half a zero point",
      withQuant([quant(["x", "sx", "half", "bits"])]),
      "UNSUPPORTED_OPERATOR",
      /integer zero point/,
    ],
    [
      "with a scale per input channel",
      withQuant([quant(["x", "sper", "zero", "bits"])]),
      "UNSUPPORTED_OPERATOR",
      /one scale for the whole tensor/,
    ],
    [
      "with an unknown rounding",
      withQuant([quant(["x", "sx", "zero", "bits"], [stringAttribute("rounding_mode", "DICE")])]),
      "UNSUPPORTED_OPERATOR",
      /DICE/,
    ],
  ];

  test.each(refused)("%s is refused", (_, model, code, message) => {
    const error = errorOf(() => importQat(model, ROWS));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });
});

test("a quantizer at the output gives its codes, and the client their floats", () => {
  const model = buildModel({
    inputs: [value("x", [1, INPUTS])],
    outputs: [value("y", [1, OUTPUTS])],
    nodes: [
      node("QuantizeLinear", ["x", "sx", "zx"], "q"),
      node("DequantizeLinear", ["q", "sx", "zx"], "xq"),
      node("DequantizeLinear", ["w", "sw", "zw"], "wq", [intAttribute("axis", 1)]),
      node("DequantizeLinear", ["b", "sb"], "bq", [intAttribute("axis", 0)]),
      node("MatMul", ["xq", "wq"], "p"),
      node("Add", ["p", "bq"], "h"),
      node("QuantizeLinear", ["h", "sy", "zy"], "hq"),
      node("DequantizeLinear", ["hq", "sy", "zy"], "y"),
    ],
    initializers: [
      rawTensor("w", DataType.INT8, [INPUTS, OUTPUTS], [1, 2, 253, 0, 7, 249, 4, 4, 5, 255, 3, 2]),
      rawTensor("b", DataType.INT32, [OUTPUTS], [5, 0, 0, 0, 253, 255, 255, 255, 9, 0, 0, 0]),
      floats("sx", [], [0.125]),
      rawTensor("zx", DataType.UINT8, [], [7]),
      floats("sw", [OUTPUTS], [0.5, 0.25, 0.125]),
      rawTensor("zw", DataType.INT8, [OUTPUTS], [0, 0, 0]),
      floats("sb", [OUTPUTS], [0.0625, 0.03125, 0.015625]),
      floats("sy", [], [0.1234567]),
      rawTensor("zy", DataType.INT8, [], [246]),
    ],
  });
  const graph = importOnnx(model);
  expect(graph.nodes.map(({ opType }) => opType)).toEqual([
    "Quant",
    "Quant",
    "Quant",
    "Gemm",
    "Quant",
  ]);
  const rows = float32([30, INPUTS], uniform(120));
  const module = importQat(model, rows);
  const [expected] = evaluate(graph, [rows]);
  const codes = module.quantizedForward<Tensor>(module.quantizeInput<Tensor>(rows));
  expect([...codes.data]).toEqual([...expected.data].map((y) => Math.round(y / 0.1234567) - 10));
  const got = module.dequantizeOutput<Tensor>(codes);
  expected.data.forEach((y, i) => expect(Math.abs(got.data[i] - y)).toBeLessThan(1e-6));
  // The bias is an integer of the accumulator, per channel.
  const shift = module.circuitFor("calibrated").values.find(({ op }) => op.kind === "shift");
  expect(shift?.op).toMatchObject({ by: { data: Float64Array.of(5, -3, 9) } });
});

test.each([
  ["one quantizer on an input is the client's", "sa", 4],
  ["two that differ become tables on an input of model_inputs bits", "sb", 7],
] as const)("%s", (_, second, bits) => {
  const quant = (inputs: readonly string[], output: string) => ({
    ...node("Quant", [...inputs, "zero", "bits"], output),
    domain: "onnx.brevitas",
  });
  const twice = second === "sb";
  const model = buildModel({
    inputs: [value("x", [1, INPUTS])],
    outputs: [value("y", [1, OUTPUTS]), value("z", [1, OUTPUTS])],
    nodes: [
      quant(["x", "sa"], "a"),
      ...(twice ? [quant(["x", "sb"], "b")] : []),
      quant(["w", "sw"], "wq"),
      node("MatMul", ["a", "wq"], "y"),
      node("MatMul", [twice ? "b" : "a", "wq"], "z"),
    ],
    initializers: [
      floats("w", [INPUTS, OUTPUTS], WEIGHTS),
      floats("sa", [], [0.2]),
      floats("sb", [], [0.3]),
      floats("sw", [], [0.1375]),
      floats("zero", [], [0]),
      floats("bits", [], [4]),
    ],
  });
  const nBits = { model_inputs: 7, op_weights: 7, op_inputs: 7, model_outputs: 7 };
  const module = new PostTrainingQATImporter(nBits, importOnnx(model)).quantizeModule(ROWS);
  const { options } = module.inputs[0].quantizer;
  expect(options.nBits).toBe(bits);
  expect(options.isPrecomputedQat).toBe(!twice);
  // A table on an input is a function of its unit vector.
  const tables = module.circuitFor("calibrated").values.filter(({ op }) => op.kind === "select");
  expect(tables).toHaveLength(twice ? 2 : 0);
});

describe("a quantizer behind a move", () => {
  const pot = { ...node("Quant", ["f", "s", "zero", "bits"], "fq"), domain: "onnx.brevitas" };
  const model = buildModel({
    inputs: [value("x", [1, 1, 2, 4])],
    outputs: [value("y", [1, 2])],
    nodes: [
      node("MaxPool", ["x"], "m", [
        intsAttribute("kernel_shape", [2, 2]),
        intsAttribute("strides", [1, 2]),
      ]),
      node("Flatten", ["m"], "f"),
      pot,
      { ...node("Quant", ["w", "s", "zero", "bits"], "wq"), domain: "onnx.brevitas" },
      node("MatMul", ["fq", "wq"], "y"),
    ],
    initializers: [
      floats("w", [2, 2], [1, -0.5, 0.75, 0.25]),
      floats("s", [], [0.25]),
      floats("zero", [], [0]),
      floats("bits", [], [4]),
    ],
  });

  test("is moved before it, so that the client quantizes and only codes move and meet", () => {
    const rows = float32([6, 1, 2, 4], uniform(48));
    const graph = importOnnx(model);
    expect(graph.nodes.map(({ opType }) => opType)).toEqual([
      "Quant",
      "MaxPool",
      "Quant",
      "Flatten",
      "Quant",
      "MatMul",
    ]);
    const module = importQat(model, rows);
    expect(module.inputs[0].quantizer.scale).toBe(0.25);
    const [expected] = evaluate(graph, [rows]);
    const got = module.forward(rows);
    expected.data.forEach((y, i) => expect(Math.abs(got.data[i] - y)).toBeLessThan(1e-6));
    // By hand, for the first row: the largest of each pair of columns, to quarters.
    const quarters = (columns: readonly number[]): number =>
      Math.round(Math.max(...columns.map((at) => rows.data[at])) * 4) / 4;
    const [a, b] = [quarters([0, 1, 4, 5]), quarters([2, 3, 6, 7])];
    expect(got.data[0]).toBeCloseTo(a * 1 + b * 0.75, 9);
    expect(got.data[1]).toBeCloseTo(a * -0.5 + b * 0.25, 9);
  });
});

describe("an operator on integers", () => {
  function model(quantizesInput: boolean, quantizesHidden: boolean): Uint8Array {
    const quant = (input: string, output: string) => ({
      ...node("Quant", [input, "s", "zero", "bits"], output),
      domain: "onnx.brevitas",
    });
    return buildModel({
      inputs: [value("x", [1, INPUTS])],
      outputs: [value("y", [1, INPUTS])],
      nodes: [
        quantizesInput ? quant("x", "xq") : node("Identity", ["x"], "xq"),
        quant("w", "wq"),
        node("MatMul", ["xq", "wq"], "h"),
        node("Relu", ["h"], "r"),
        quantizesHidden ? quant("r", "rq") : node("Identity", ["r"], "rq"),
        node("MatMul", ["rq", "wq"], "y"),
      ],
      initializers: [
        floats("w", [INPUTS, INPUTS], WEIGHTS.concat([1, 0, -1, 0.5])),
        floats("s", [], [0.25]),
        floats("zero", [], [0]),
        floats("bits", [], [4]),
      ],
    });
  }

  test("needs a quantizer before it: all tensors without one are listed", () => {
    expect(() => importQat(model(true, true), ROWS)).not.toThrow();
    const hidden = errorOf(() => importQat(model(true, false), ROWS));
    expect(hidden.code).toBe("BAD_MODEL");
    expect(hidden.message).toMatch(/got rq \(read by MatMul MatMul_1\);/);
    const both = errorOf(() => importQat(model(false, false), ROWS));
    expect(both.message).toMatch(/got xq \(.*\), rq \(/);
  });

  test("a model without quantizers has none", () => {
    expect(hasAnyQnnLayers(importOnnx(model(true, true)))).toBe(true);
    const bare = buildModel({
      inputs: [value("x", [1, 2])],
      outputs: [value("y", [1, 2])],
      nodes: [node("Relu", ["x"], "y")],
    });
    expect(hasAnyQnnLayers(importOnnx(bare))).toBe(false);
  });
});
