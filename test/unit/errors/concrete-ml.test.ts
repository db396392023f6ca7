/**
 * Every condition that is an error in Concrete ML 1.9: its counterpart here is one coded error that says where, what was
 * expected and what was given, or it is in no-error.test.ts.
 */
import { describe, expect, test } from "vitest";
import { Client } from "../../../src/client/client.ts";
import {
  buildQuantizedModule,
  compileBrevitasQatModel,
  compileModule,
  compileOnnxModel,
} from "../../../src/compile.ts";
import type { ErrorCode } from "../../../src/errors.ts";
import { decodeClientSpec } from "../../../src/format/client-spec.ts";
import { QuantizedRelu, decodeQuantizedModule, getNBitsDict } from "../../../src/index.ts";
import { QuantizedArray } from "../../../src/quantization/array.ts";
import { float32, float64, int64 } from "../../../src/tensor/tensor.ts";
import type { TensorOrList } from "../../../src/tensor/list.ts";
import { rejectionOf } from "../../support/errors.ts";
import {
  buildModel,
  floats,
  intsAttribute,
  longs,
  node,
  value,
} from "../../support/onnx-builder.ts";
import { readModelFixture } from "../../support/onnx-fixtures.ts";

const relu = readModelFixture("act_relu");
const two = readModelFixture("op_add_two_inputs");
const qat = readModelFixture("qat_mlp_w3a3");
const [rows] = relu.calibration;
const module = await buildQuantizedModule(relu.model, rows, { nBits: 2 });
const compiled = compileModule(module);

interface Condition {
  readonly code: ErrorCode;
  readonly where: RegExp;
  readonly expected: RegExp;
  readonly got: RegExp;
  readonly call: () => unknown;
}

type Nodes = Parameters<typeof buildModel>[0]["nodes"];

/** A model of rows of four numbers with the given nodes, the last of which gives `y`. */
function modelOf(nodes: Nodes, opset = 17): Uint8Array {
  return buildModel({
    inputs: [value("x", ["N", 4])],
    outputs: [value("y", ["N", 4])],
    nodes,
    initializers: [
      floats("w", [4, 4], [1, 2, 3, 4, -1, -2, -3, -4, 2, 1, 0, -1, 5, 4, 3, 2]),
      floats(
        "w5",
        [5, 4],
        Array.from({ length: 20 }, (_, i) => i),
      ),
      longs("axis0", [1], [0]),
      longs("indices", [1, 4], [3, 2, 1, 0]),
    ],
    opset,
  });
}

const four = float32([3, 4], [1, -2, 3, -4, 5, 6, -7, 8, 9, -1, 2, 3]);
const quantize = (
  model: unknown,
  calibration: TensorOrList = four,
  options: object = {},
): Promise<unknown> => buildQuantizedModule(model as Uint8Array, calibration, options);
const compileRelu = (options: object): Promise<unknown> =>
  compileOnnxModel(relu.model, rows, { nBits: 2, ...options });

const importing: Readonly<Record<string, Condition>> = {
  "an opset that is not known": {
    code: "UNSUPPORTED_OPERATOR",
    where: /^opset$/,
    expected: /opset 7 to 22/,
    got: /opset 6/,
    call: () => quantize(modelOf([node("Relu", ["x"], "y")], 6)),
  },
  "operators that cannot be imported, all in one": {
    code: "UNSUPPORTED_OPERATOR",
    where: /./,
    expected: /Abs.*Xor/,
    got: /NoSuchThing \(2\).*NorThat \(1\)/,
    call: () =>
      quantize(
        modelOf([
          node("NoSuchThing", ["x"], "a"),
          node("NorThat", ["a"], "b"),
          node("NoSuchThing", ["b"], "y"),
        ]),
      ),
  },
  "operators that cannot be quantized, all in one": {
    code: "UNSUPPORTED_OPERATOR",
    where: /./,
    expected: /operators that can be quantized/,
    got: /ReduceProd.*Hardmax/,
    call: () =>
      quantize(
        modelOf([
          node("ReduceProd", ["x"], "a", [intsAttribute("axes", [1])]),
          node("Hardmax", ["a"], "b"),
          node("Relu", ["b"], "y"),
        ]),
      ),
  },
  "a model that is neither bytes nor a path": {
    code: "BAD_ARGUMENT",
    where: /^model$/,
    expected: /bytes of an ONNX file/,
    got: /number/,
    call: () => quantize(42),
  },
  "a model without quantizers, imported as one that has some": {
    code: "BAD_MODEL",
    where: /^model$/,
    expected: /quantizers/,
    got: /none/,
    call: () => compileBrevitasQatModel(relu.model, rows),
  },
  "a name that nothing defines": {
    code: "BAD_MODEL",
    where: /./,
    expected: /defined/,
    got: /nowhere/,
    call: () => quantize(modelOf([node("Add", ["x", "nowhere"], "y")])),
  },
  "bits with keys missing": {
    code: "BAD_ARGUMENT",
    where: /nBits/,
    expected: /op_weights and op_inputs/,
    got: /op_weights/,
    call: () => getNBitsDict({ op_weights: 3 } as never),
  },
  "bits with unknown keys": {
    code: "BAD_ARGUMENT",
    where: /nBits/,
    expected: /op_weights/,
    got: /op_leaves/,
    call: () => getNBitsDict({ op_weights: 3, op_inputs: 3, op_leaves: 3 } as never),
  },
  "bits that are no number": {
    code: "BAD_ARGUMENT",
    where: /nBits/,
    expected: /integer/,
    got: /"3"/,
    call: () => getNBitsDict("3" as never),
  },
  "fewer bits of outputs than of inputs": {
    code: "BAD_ARGUMENT",
    where: /nBits/,
    expected: /at least/,
    got: /2/,
    call: () => getNBitsDict({ op_weights: 4, op_inputs: 4, model_outputs: 2 }),
  },
  "bits of a trained model beyond its inputs and outputs": {
    code: "BAD_ARGUMENT",
    where: /nBits/,
    expected: /model_inputs and model_outputs/,
    got: /op_inputs/,
    call: () =>
      compileBrevitasQatModel(qat.model, qat.calibration, {
        nBits: { op_inputs: 3, op_weights: 3 } as never,
      }),
  },
  ...Object.fromEntries(
    (
      [
        ["with an unknown key", { bits: 3 }, /nBits and method/, /bits/],
        ["to no number", { nBits: "3" }, /integer from 2 to 8/, /"3"/],
        ["to too few bits", 1, /integer from 2 to 8/, /1/],
        ["to too many bits", 9, /integer from 2 to 8/, /9/],
        ["by an unknown method", { nBits: 3, method: "APPROX" }, /"exact"/, /APPROX/],
        ["to a number that is chosen for you", "auto", /integer|nBits/, /auto/],
      ] as const
    ).map(([how, roundingThresholdBits, expected, got]) => [
      `rounding ${how}`,
      {
        code: "BAD_ARGUMENT",
        where: /^roundingThresholdBits/,
        expected,
        got,
        call: () => compileRelu({ roundingThresholdBits }),
      } as const,
    ]),
  ),
  "a sum over the rows": {
    code: "UNSUPPORTED_OPERATOR",
    where: /./,
    expected: /./,
    got: /0/,
    call: () => quantize(modelOf([node("ReduceSum", ["x", "axis0"], "y")])),
  },
  "weights of another number of rows": {
    code: "BAD_SHAPE",
    where: /./,
    expected: /inner sizes agree/,
    got: /\[1, 4\] and \[5, 4\]/,
    call: () => quantize(modelOf([node("MatMul", ["x", "w5"], "y")])),
  },
  "an operator that is used before calibration": {
    code: "BAD_ARGUMENT",
    where: /^Relu$/,
    expected: /calibrated/,
    got: /calibrate\(\)/,
    call: () => new QuantizedRelu({ nBits: 3 }).apply(new QuantizedArray(3, four)),
  },
  "a trained model with a tensor that no quantizer gives": {
    code: "BAD_MODEL",
    where: /importQat/,
    expected: /Quant node/,
    got: /read by Gemm/,
    call: () => quantize(relu.model, rows, { importQat: true }),
  },
};

const compiling: Readonly<Record<string, Condition>> = {
  "calibration with integers": {
    code: "BAD_DTYPE",
    where: /^calibration/,
    expected: /float32 or float64/,
    got: /int64/,
    call: () => quantize(relu.model, int64([1, 10], new Float64Array(10))),
  },
  "calibration of different lengths": {
    code: "BAD_SHAPE",
    where: /^calibration$/,
    expected: /same number of rows/,
    got: /160, 1/,
    call: () => quantize(two.model, [two.calibration[0], float32([1, 10], new Float32Array(10))]),
  },
  "no calibration rows": {
    code: "EMPTY_CALIBRATION",
    where: /^calibration$/,
    expected: /at least one row/,
    got: /none/,
    call: () => quantize(relu.model, float32([0, 10], [])),
  },
  "both failure probabilities": {
    code: "BAD_ARGUMENT",
    where: /./,
    expected: /./,
    got: /pError and globalPError/,
    call: () => compileRelu({ pError: 0.01, globalPError: 0.01 }),
  },
  "an option of another library": {
    code: "BAD_ARGUMENT",
    where: /^device$/,
    expected: /one of nBits/,
    got: /device/,
    call: () => compileRelu({ device: "cuda" }),
  },
  "a table that is too wide": {
    code: "TABLE_TOO_WIDE",
    where: /Gemm/,
    expected: /at most/,
    got: /\d/,
    call: () => compileOnnxModel(relu.model, rows, { nBits: 16, bounds: "guaranteed" }),
  },
  "a circuit that no parameters serve": {
    code: "NO_PARAMETERS",
    where: /Gemm/,
    expected: /noise of at most/,
    got: /quietest parameters/,
    call: () => compileOnnxModel(relu.model, rows, { nBits: 6 }),
  },
};

const codes = int64([1, 10], new Float64Array(10));
const noEngine = { generateClientKey: never, loadClientKey: never, newControl: never };

function never(): never {
  throw new Error("an engine is not needed to be refused");
}

const running: Readonly<Record<string, Condition>> = {
  "floats that are integers": {
    code: "BAD_DTYPE",
    where: /^input/,
    expected: /float32 or float64/,
    got: /int64/,
    call: () => compiled.forward(codes),
  },
  "codes that are floats": {
    code: "BAD_DTYPE",
    where: /^quantized input/,
    expected: /int64/,
    got: /float32/,
    call: () => compiled.quantizedForward(rows),
  },
  "too many inputs": {
    code: "BAD_SHAPE",
    where: /input/,
    expected: /1 tensor\(s\)/,
    got: /2/,
    call: () => compiled.forward([rows, rows]),
  },
  "no input at all": {
    code: "BAD_ARGUMENT",
    where: /input/,
    expected: /nested lists of numbers or a typed array/,
    got: /object/,
    call: () => compiled.forward(null as never),
  },
  "a mode that does not exist": {
    code: "BAD_ARGUMENT",
    where: /^fhe$/,
    expected: /"disable", "simulate" or "execute"/,
    got: /"run"/,
    call: () => compiled.forward(rows, { fhe: "run" as never }),
  },
  "rows of another length": {
    code: "BAD_SHAPE",
    where: /^input/,
    expected: /\[rows, 10\]/,
    got: /\[1, 9\]/,
    call: () => compiled.forward(float32([1, 9], new Float32Array(9))),
  },
  "NaN in a row": {
    code: "BAD_VALUE",
    where: /^input/,
    expected: /finite numbers/,
    got: /NaN at element 0/,
    call: () => compiled.forward(float64([1, 10], new Float64Array(10).fill(NaN))),
  },
  "ragged rows": {
    code: "BAD_SHAPE",
    where: /./,
    expected: /2 elements along axis 1/,
    got: /1 element/,
    call: () => compiled.forward([[1, 2], [3]]),
  },
  "a client without key": {
    code: "BAD_ARGUMENT",
    where: /^client$/,
    expected: /a key/,
    got: /generateKey/,
    call: () => new Client(compiled.circuit.parts.spec, noEngine).encrypt([codes]),
  },
};

const deploying: Readonly<Record<string, Condition>> = {
  "a file of another version": {
    code: "BAD_BYTES",
    where: /^clientSpec$/,
    expected: /format version 2/,
    got: /9/,
    call: () => decodeClientSpec(compiled.clientBytes.with(7, 9)),
  },
  "a file of another kind": {
    code: "BAD_BYTES",
    where: /^clientSpec$/,
    expected: /kind 2/,
    got: /1/,
    call: () => decodeClientSpec(compiled.serverBytes),
  },
  "a module from a file of another kind": {
    code: "BAD_BYTES",
    where: /^quantizedModule$/,
    expected: /kind 7/,
    got: /2/,
    call: () => decodeQuantizedModule(compiled.clientBytes),
  },
  "a path that does not exist": {
    code: "FILE_NOT_FOUND",
    where: /no-such-model/,
    expected: /readable model file/,
    got: /no such file/,
    call: () => quantize("no-such-model.onnx"),
  },
};

describe.each([
  ["importing", importing],
  ["compiling", compiling],
  ["running", running],
  ["deploying", deploying],
] as const)("an error when %s:", (_, conditions) => {
  test.each(Object.entries(conditions))("%s", async (_, { code, where, expected, got, call }) => {
    const error = await rejectionOf(async () => call());
    expect(error.code).toBe(code);
    expect(error.where).toMatch(where);
    const detail = error.message.slice(`${code} at ${error.where}: `.length);
    expect(detail).toMatch(/expect/);
    expect(detail).toMatch(/got/);
    expect(detail).toMatch(expected);
    expect(detail).toMatch(got);
  });
});
