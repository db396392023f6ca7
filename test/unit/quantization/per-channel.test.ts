/**
 * Weights with a scale per output channel: their codes, the circuit that they give, and what the client decodes.
 */
import { describe, expect, test } from "vitest";
import { importOnnx } from "../../../src/onnx/import.ts";
import { evaluate } from "../../../src/onnx/evaluate.ts";
import { quantizePerChannel } from "../../../src/quantization/per-channel.ts";
import { PostTrainingAffineQuantization } from "../../../src/quantization/post-training.ts";
import { verify } from "../../../src/quantization/verify.ts";
import { type Tensor, float32, sizeOf } from "../../../src/tensor/tensor.ts";
import {
  buildModel,
  floats,
  intAttribute,
  intsAttribute,
  node,
  value,
} from "../../support/onnx-builder.ts";
import { randomNumbers } from "../../support/random-models.ts";

const next = randomNumbers(7);
const uniform = (count: number, limit = 1): number[] =>
  Array.from({ length: count }, () => (next() * 2 - 1) * limit);

/** Rows of weights whose sizes differ by a factor of 100. */
const SIZES = [0.02, 0.2, 2];
const rowsOf = (columns: number): number[] => SIZES.flatMap((size) => uniform(columns, size));

const gemm = buildModel({
  inputs: [value("x", [1, 8])],
  outputs: [value("y", [1, 3])],
  nodes: [
    node("Gemm", ["x", "w", "b"], "h", [intAttribute("transB", 1)]),
    node("Relu", ["h"], "r"),
    node("MatMul", ["r", "v"], "y"),
  ],
  initializers: [
    floats("w", [8, 8], uniform(64)),
    floats("b", [8], uniform(8)),
    floats(
      "v",
      [8, 3],
      uniform(24).map((weight, i) => weight * SIZES[i % 3]),
    ),
  ],
});

const conv = buildModel({
  inputs: [value("x", [1, 1, 5, 5])],
  outputs: [value("y", [1, 3, 3, 3])],
  nodes: [
    node("Conv", ["x", "w"], "h", [intsAttribute("kernel_shape", [2, 2])]),
    node("Relu", ["h"], "r"),
    node("Conv", ["r", "v"], "y", [intsAttribute("kernel_shape", [2, 2])]),
  ],
  initializers: [floats("w", [3, 1, 2, 2], rowsOf(4)), floats("v", [3, 3, 2, 2], rowsOf(12))],
});

/** Largest error of each output channel over the rows, as a share of the channel's range. */
function channelErrors(model: Uint8Array, rows: Tensor, perChannelWeights: boolean): number[] {
  const graph = importOnnx(model);
  const quantizer = new PostTrainingAffineQuantization(6, graph, { perChannelWeights });
  const module = quantizer.quantizeModule(rows);
  verify(module);
  const got = module.forward<Tensor>(rows);
  const [expected] = evaluate(graph, [rows]);
  const inner = sizeOf(expected.shape.slice(2));
  const errors = [0, 0, 0];
  const largest = [0, 0, 0];
  expected.data.forEach((y, i) => {
    const channel = Math.floor(i / inner) % 3;
    errors[channel] = Math.max(errors[channel], Math.abs(got.data[i] - y));
    largest[channel] = Math.max(largest[channel], Math.abs(y));
  });
  return errors.map((error, channel) => error / largest[channel]);
}

describe("quantizePerChannel", () => {
  test("gives each channel the whole range of codes", () => {
    const { qvalues, quantizer } = quantizePerChannel(
      3,
      float32([2, 3], [0.1, -0.3, 0.2, 3, 1, 0]),
      0,
    );
    expect([...qvalues.data]).toEqual([1, -3, 2, 3, 1, 0]);
    expect(quantizer.scale).toEqual({
      dtype: "float64",
      shape: [2, 1],
      data: Float64Array.of(Math.fround(0.3) / 3, 1),
    });
    expect(quantizer.codeRange).toEqual([-4, 3]);
  });

  test("takes channels along any axis, and gives one of zeros codes of zero", () => {
    const { qvalues, quantizer } = quantizePerChannel(4, float32([2, 2], [0, 7, 0, -14]), 1);
    expect([...qvalues.data]).toEqual([0, 4, 0, -7]); // 3.5 is a tie: to even
    expect(quantizer.scale).toMatchObject({ shape: [1, 2], data: Float64Array.of(1, 2) });
  });
});

describe.each([
  ["Gemm and MatMul", gemm, [40, 8]],
  ["Conv", conv, [40, 1, 5, 5]],
] as const)("%s with channels of very different sizes", (_, model, shape) => {
  const rows = float32(shape, uniform(sizeOf(shape)));

  test("keep every output channel within a few per cent with a scale per channel, and lose one without", () => {
    const perTensor = channelErrors(model, rows, false);
    const perChannel = channelErrors(model, rows, true);
    expect(Math.max(...perChannel)).toBeLessThan(0.12);
    expect(Math.max(...perTensor)).toBeGreaterThan(0.3);
  });
});
