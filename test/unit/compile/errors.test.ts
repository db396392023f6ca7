/**
 * What users get wrong: each mistake is one line with a stable code that says what was expected and what to do.
 * @module
 */
import type { TensorOrList } from "../../../src/tensor/list.ts";
import { describe, expect, test } from "vitest";
import { compileOnnxModel } from "../../../src/compile.ts";
import type { ErrorCode } from "../../../src/errors.ts";
import { type Tensor, float32, float64, int64 } from "../../../src/tensor/tensor.ts";
import { errorOf, rejectionOf } from "../../support/errors.ts";
import { buildModel, floats, node, value } from "../../support/onnx-builder.ts";
import { readModelFixture } from "../../support/onnx-fixtures.ts";

const { model, calibration } = readModelFixture("act_relu");
const [rows] = calibration;
const two = readModelFixture("op_add_two_inputs");
const compiled = await compileOnnxModel(model, rows, { nBits: 2 });

function slice({ dtype, shape, data }: Tensor, count: number): Tensor {
  const size = data.length / shape[0];
  return { dtype, shape: [count, ...shape.slice(1)], data: data.slice(0, count * size) };
}

function withElement(at: number, x: number): Tensor {
  return float32(
    rows.shape,
    rows.data.map((value, i) => (i === at ? x : value)),
  );
}

type Mistake = readonly [
  what: string,
  code: ErrorCode,
  message: RegExp,
  arguments_: {
    readonly model?: Uint8Array | string;
    readonly calibration?: TensorOrList;
    readonly options?: object;
  },
];

const softmax = buildModel({
  inputs: [value("x", ["N", 10])],
  outputs: [value("y", ["N", 10])],
  nodes: [node("Gemm", ["x", "w"], "h"), node("NoSuchOperator", ["h"], "y")],
  initializers: [
    floats(
      "w",
      [10, 10],
      Array.from({ length: 100 }, (_, i) => i % 7),
    ),
  ],
});
const aborted = AbortSignal.abort();

const mistakes: readonly Mistake[] = [
  [
    "rows of another length",
    "BAD_SHAPE",
    /expected \[rows, 10\], got \[3, 4\]/,
    { calibration: float32([3, 4], new Float32Array(12)) },
  ],
  [
    "rows with an axis too many",
    "BAD_SHAPE",
    /got \[1, 1, 10\]/,
    { calibration: float32([1, 1, 10], new Float32Array(10)) },
  ],
  ["a single number", "BAD_SHAPE", /got a single number/, { calibration: 3 }],
  [
    "one tensor for two inputs",
    "BAD_SHAPE",
    /expected 2 tensor\(s\), one per model input, got 1/,
    { model: two.model, calibration: two.calibration[0] },
  ],
  [
    "two tensors for one input",
    "BAD_SHAPE",
    /expected 1 tensor\(s\)/,
    { calibration: [rows, rows] },
  ],
  [
    "inputs of different row counts",
    "BAD_SHAPE",
    /same number of rows in every tensor, got 160, 7/,
    { model: two.model, calibration: [two.calibration[0], slice(two.calibration[1], 7)] },
  ],
  [
    "integers",
    "BAD_DTYPE",
    /expected float32 or float64, got int64; convert/,
    { calibration: int64([1, 10], new Float64Array(10)) },
  ],
  [
    "NaN",
    "BAD_VALUE",
    /got NaN at element 13; drop or fill/,
    { calibration: withElement(13, NaN) },
  ],
  [
    "infinity",
    "BAD_VALUE",
    /got -Infinity at element 3/,
    { calibration: withElement(3, -Infinity) },
  ],
  [
    "no rows",
    "EMPTY_CALIBRATION",
    /at least one row, got none; pass/,
    { calibration: float32([0, 10], []) },
  ],
  ["ragged lists", "BAD_SHAPE", /axis 1/, { calibration: [[1, 2], [3]] }],
  [
    "lists of words",
    "BAD_ARGUMENT",
    /expected a number, got string/,
    { calibration: [["a"]] as never },
  ],
  ["nothing", "BAD_ARGUMENT", /expected nested lists/, { calibration: null as never }],
  [
    "an operator that does not exist",
    "UNSUPPORTED_OPERATOR",
    /NoSuchOperator.*(Gemm|sotto inspect)/,
    { model: softmax },
  ],
  ["an old opset", "UNSUPPORTED_OPERATOR", /opset|version/i, { model: withOpset(6) }],
  ["an opset of the future", "UNSUPPORTED_OPERATOR", /opset|version/i, { model: withOpset(99) }],
  ["half a model", "BAD_MODEL", /./, { model: model.slice(0, model.length >> 1) }],
  ["an empty model", "BAD_MODEL", /./, { model: new Uint8Array(0) }],
  [
    "a model that is text",
    "BAD_MODEL",
    /./,
    { model: new TextEncoder().encode("not a model at all") },
  ],
  [
    "a path that does not exist",
    "FILE_NOT_FOUND",
    /no-such-model\.onnx.*readable model file/,
    { model: "no-such-model.onnx" },
  ],
  [
    "both failure probabilities",
    "BAD_ARGUMENT",
    /pError and globalPError; leave one out/,
    { options: { pError: 0.01, globalPError: 0.01 } },
  ],
  ["a probability of one", "BAD_ARGUMENT", /below 1, got 1/, { options: { pError: 1 } }],
  ["a negative probability", "BAD_ARGUMENT", /got -0.5/, { options: { globalPError: -0.5 } }],
  ["no bits", "BAD_ARGUMENT", /from 1 to 16, got 0/, { options: { nBits: 0 } }],
  ["too many bits", "BAD_ARGUMENT", /from 1 to 16, got 17/, { options: { nBits: 17 } }],
  ["half a bit", "BAD_ARGUMENT", /got 2.5/, { options: { nBits: 2.5 } }],
  [
    "bits of an unknown kind",
    "BAD_ARGUMENT",
    /op_weights and op_inputs/,
    { options: { nBits: { op_leaves: 3 } } },
  ],
  [
    "bits that are missing",
    "BAD_ARGUMENT",
    /op_weights and op_inputs/,
    { options: { nBits: { op_weights: 3 } } },
  ],
  ["weights of one bit around zero", "BAD_ARGUMENT", /at least 2/, { options: { nBits: 1 } }],
  [
    "rounding to one bit",
    "BAD_ARGUMENT",
    /from 2 to 8, got 1/,
    { options: { roundingThresholdBits: 1 } },
  ],
  [
    "rounding by an unknown method",
    "BAD_ARGUMENT",
    /"exact", "approximate" or "fit", got "fast"/,
    { options: { roundingThresholdBits: { nBits: 4, method: "fast" } } },
  ],
  [
    "rounding with a Python name",
    "BAD_ARGUMENT",
    /nBits and method, got n_bits/,
    { options: { roundingThresholdBits: { n_bits: 4 } } },
  ],
  [
    "unknown bounds",
    "BAD_ARGUMENT",
    /"calibrated" or "guaranteed", got "loose"/,
    { options: { bounds: "loose" } },
  ],
  [
    "more interior noise than an interval holds",
    "BAD_ARGUMENT",
    /a number above 0 and up to 0\.25, or null, got 0\.3/,
    { options: { interiorNoise: 0.3 } },
  ],
  [
    "an unknown option",
    "BAD_ARGUMENT",
    /expected one of .*nBits.*, got nbits/,
    { options: { nbits: 3 } },
  ],
  ["a signal that has fired", "CANCELLED", /cancelled/, { options: { signal: aborted } }],
];

function withOpset(opset: number): Uint8Array {
  return buildModel({
    inputs: [value("x", ["N", 10])],
    outputs: [value("y", ["N", 10])],
    nodes: [node("Relu", ["x"], "y")],
    opset,
  });
}

describe("compiling with", () => {
  test.each(mistakes)("%s is %s", async (_, code, message, given) => {
    const { model: bytes = model, calibration: data = rows, options = {} } = given;
    const error = await rejectionOf(() => compileOnnxModel(bytes, data, { nBits: 2, ...options }));
    expect({ code: error.code, message: error.message }).toEqual({
      code,
      message: expect.stringMatching(message) as string,
    });
    expect(error.message.startsWith(`${code} at ${error.where}: `)).toBe(true);
  });

  test.each([
    ["digits_mlp", { nBits: 8 }, "TABLE_TOO_WIDE"],
    ["act_relu", { nBits: 16, bounds: "guaranteed" }, "TABLE_TOO_WIDE"],
    ["act_relu", { nBits: 6 }, "NO_PARAMETERS"],
  ] as const)(
    "%s at %o: tables are too wide, and the error says how to narrow them",
    async (name, options, code) => {
      const fixture = readModelFixture(name);
      const error = await rejectionOf(() =>
        compileOnnxModel(fixture.model, fixture.calibration, options),
      );
      expect(error.code).toBe(code);
      expect(error.where).toMatch(/Gemm/);
      expect(error.message).toContain("roundingThresholdBits");
      expect(error.message).toContain("nBits");
    },
  );

  test("a signal that fires between two stages stops there", async () => {
    const controller = new AbortController();
    const stages: string[] = [];
    const options = {
      nBits: 2,
      signal: controller.signal,
      onProgress(stage: string) {
        if (stages.at(-1) !== stage) stages.push(stage);
        if (stage === "parameters") controller.abort();
      },
    };
    const error = await rejectionOf(() => compileOnnxModel(model, rows, options));
    expect(error.code).toBe("CANCELLED");
    expect(stages).toEqual(["import", "quantize", "passes", "parameters"]);
  });
});

describe("running with", () => {
  const codes = compiled.quantizeInput<Tensor>(slice(rows, 2));
  const calls: readonly (readonly [string, ErrorCode, () => unknown])[] = [
    [
      "rows of another length",
      "BAD_SHAPE",
      () => compiled.forward(float32([1, 9], new Float32Array(9))),
    ],
    [
      "integers as floats",
      "BAD_DTYPE",
      () => compiled.forward(int64([1, 10], new Float64Array(10))),
    ],
    ["floats as codes", "BAD_DTYPE", () => compiled.quantizedForward(rows)],
    [
      "codes out of range",
      "BAD_VALUE",
      () => compiled.quantizedForward(int64([1, 10], new Float64Array(10).fill(99))),
    ],
    [
      "codes of another shape",
      "BAD_SHAPE",
      () => compiled.quantizedForward(int64([2, 5], new Float64Array(10))),
    ],
    ["NaN", "BAD_VALUE", () => compiled.forward(float64([1, 10], new Float64Array(10).fill(NaN)))],
    ["no rows", "BAD_SHAPE", () => compiled.forward(float64([0, 10], []))],
    [
      "two tensors for one input",
      "BAD_SHAPE",
      () => compiled.forward([slice(rows, 1), slice(rows, 1)]),
    ],
    [
      "an unknown mode",
      "BAD_ARGUMENT",
      () => compiled.quantizedForward(codes, { fhe: "yes" as never }),
    ],
    [
      "an answer of another shape",
      "BAD_SHAPE",
      () => compiled.dequantizeOutput(int64([1, 9], new Float64Array(9))),
    ],
    ["no answer at all", "BAD_SHAPE", () => compiled.dequantizeOutput([codes, codes])],
  ];

  test.each(calls)("%s is %s", (_, code, call) => {
    expect(errorOf(call).code).toBe(code);
  });
});
