/**
 * The choices of post-training quantization: what each one changes, on models where it must show.
 */
import { describe, expect, test } from "vitest";
import { buildQuantizedModule } from "../../../src/compile.ts";
import { evaluate } from "../../../src/onnx/evaluate.ts";
import { importOnnx } from "../../../src/onnx/import.ts";
import { quantizeConstant } from "../../../src/quantization/array.ts";
import { correctBiases } from "../../../src/quantization/bias-correction.ts";
import type { QuantizationChoices } from "../../../src/quantization/choices.ts";
import { equalize } from "../../../src/quantization/equalization.ts";
import { PostTrainingAffineQuantization } from "../../../src/quantization/post-training.ts";
import { UniformQuantizer } from "../../../src/quantization/quantizer.ts";
import { rangeOf } from "../../../src/quantization/ranges.ts";
import { type Tensor, float32, float64 } from "../../../src/tensor/tensor.ts";
import { rejectionOf } from "../../support/errors.ts";
import { argmax, readFixture } from "../../support/golden.ts";
import {
  buildModel,
  floats,
  intAttribute,
  intsAttribute,
  node,
  value,
} from "../../support/onnx-builder.ts";
import { randomNumbers } from "../../support/random-models.ts";

const next = randomNumbers(11);
const uniform = (count: number): number[] => Array.from({ length: count }, () => next() * 2 - 1);

/** About normal: the sum of twelve uniform numbers. */
const normal = (count: number): number[] =>
  Array.from({ length: count }, () => uniform(12).reduce((a, b) => a + b, 0) / 2);

function meanSquaredError(values: Tensor, quantizer: UniformQuantizer): number {
  const coded = quantizer.dequant(quantizer.quant(values)).data;
  let sum = 0;
  values.data.forEach((x, i) => (sum += (x - coded[i]) ** 2));
  return sum;
}

describe("the range of activations", () => {
  // Two outliers in 4000 values.
  const values = float64([4002], [...normal(4000), 40, -30]);
  const quantizerOf = (kind: "minmax" | "percentile" | "mse" | "entropy", nBits: number) => {
    const { rmin, rmax } = rangeOf(values, kind, nBits);
    return new UniformQuantizer({ nBits, rmin, rmax });
  };

  test("minmax is all of it", () => {
    expect(rangeOf(values, "minmax", 4)).toMatchObject({ rmin: -30, rmax: 40 });
  });

  test.each(["percentile", "mse", "entropy"] as const)("%s leaves outliers out", (kind) => {
    const { rmin, rmax } = rangeOf(values, kind, 4);
    expect(rmax).toBeLessThan(kind === "percentile" ? 8 : 30);
    expect(rmax).toBeGreaterThan(1);
    expect(rmin).toBeLessThan(-1);
  });

  test.each([3, 4, 6])("mse has the least squared error of all four at %i bits", (nBits) => {
    const errors = (["minmax", "percentile", "entropy"] as const).map((kind) =>
      meanSquaredError(values, quantizerOf(kind, nBits)),
    );
    const least = meanSquaredError(values, quantizerOf("mse", nBits));
    // The ends are tried in steps, so that a percentile may lie a little better.
    expect(least).toBeLessThan(1.05 * Math.min(...errors));
    expect(least).toBeLessThan(errors[0] / (nBits === 6 ? 1.1 : 1.5));
  });

  test.each(["percentile", "mse", "entropy"] as const)("%s keeps 0 within", (kind) => {
    const positive = rangeOf(float64([500], [...uniform(499).map(Math.abs), 0]), kind, 4);
    expect(positive.rmin).toBe(0);
    expect(positive.rmax).toBeGreaterThan(0.6);
    expect(rangeOf(float64([3], [2, 2, 2]), kind, 4)).toMatchObject({ rmin: 2, rmax: 2 });
  });

  test("clips inputs and activations of a model, but not its answers", async () => {
    const model = buildModel({
      inputs: [value("x", [1, 2])],
      outputs: [value("y", [1, 2])],
      nodes: [node("MatMul", ["x", "w"], "y")],
      initializers: [floats("w", [2, 2], [1, -0.5, 0.25, 1])],
    });
    const rows = float32([4001, 2], [...uniform(8000), 50, 50]);
    const range = async (quantization: QuantizationChoices) => {
      const module = await buildQuantizedModule(model, rows, { nBits: 5, quantization });
      const { scale, codeRange } = module.inputs[0].quantizer;
      return Number(scale) * (codeRange[1] - codeRange[0]);
    };
    expect(await range({})).toBeGreaterThan(50);
    expect(await range({ calibration: "percentile" })).toBeLessThan(5);
  });
});

describe("inputSignedness", () => {
  const model = buildModel({
    inputs: [value("a", [1, 3]), value("b", [1, 3])],
    outputs: [value("y", [1, 3])],
    nodes: [node("Add", ["a", "b"], "y")],
  });
  const rows = [float32([40, 3], uniform(120)), float32([40, 3], uniform(120).map(Math.abs))];

  test("shared makes both inputs signed; perInput only the one that has negative values", async () => {
    const quantizers = async (inputSignedness: "shared" | "perInput") => {
      const options = { nBits: 5, quantization: { inputSignedness } };
      const module = await buildQuantizedModule(model, rows, options);
      return module.inputs.map(({ quantizer }) => quantizer);
    };
    const shared = await quantizers("shared");
    expect(shared.map(({ options }) => options.isSigned)).toEqual([true, true]);
    expect(shared[1].codeRange).toEqual([-16, 15]);
    const own = await quantizers("perInput");
    expect(own.map(({ options }) => options.isSigned)).toEqual([true, false]);
    expect(own[1].codeRange).toEqual([0, 31]);
    expect(Math.abs(Number(own[1].zeroPoint))).toBeLessThanOrEqual(1);
  });
});

/** Gemm, Relu and Gemm whose channels differ in size by up to 100, undone by the second. */
const skewed = buildModel({
  inputs: [value("x", [1, 6])],
  outputs: [value("y", [1, 3])],
  nodes: [
    node("Gemm", ["x", "w", "b"], "h", [intAttribute("transB", 1)]),
    node("Relu", ["h"], "r"),
    node("Gemm", ["r", "v"], "y"),
  ],
  initializers: [
    floats(
      "w",
      [4, 6],
      [0.02, 0.1, 1, 5].flatMap((size) => uniform(6).map((x) => x * size)),
    ),
    floats("b", [4], [0.01, 0.05, 0.2, 1]),
    floats(
      "v",
      [4, 3],
      [5, 1, 0.1, 0.02].flatMap((size) => uniform(3).map((x) => x * size)),
    ),
  ],
});
const skewedRows = float32([200, 6], uniform(1200));

/** Root mean square distance from the float model, as a share of its answers' own. */
function lossOf(
  model: Uint8Array,
  rows: Tensor,
  nBits: number,
  choices: QuantizationChoices,
): number {
  const graph = importOnnx(model);
  const quantizer = new PostTrainingAffineQuantization(nBits, graph, choices);
  const got = quantizer.quantizeModule(rows).forward<Tensor>(rows);
  const [expected] = evaluate(graph, [rows]);
  let error = 0;
  let size = 0;
  expected.data.forEach((y, i) => {
    error += (got.data[i] - y) ** 2;
    size += y ** 2;
  });
  return Math.sqrt(error / size);
}

describe("equalization", () => {
  test("gives each channel the same largest weight on both sides, and leaves the float model alone", () => {
    const graph = importOnnx(skewed);
    const equalized = equalize(graph);
    const w = Array.from(equalized.constants.get("w")?.data ?? []);
    const v = Array.from(equalized.constants.get("v")?.data ?? []);
    for (let channel = 0; channel < 4; channel++) {
      const before = Math.max(...w.slice(6 * channel, 6 * channel + 6).map(Math.abs));
      const after = Math.max(...v.slice(3 * channel, 3 * channel + 3).map(Math.abs));
      expect(before / after).toBeCloseTo(1, 4);
    }
    const [a] = evaluate(graph, [skewedRows]);
    const [b] = evaluate(equalized, [skewedRows]);
    a.data.forEach((y, i) => expect(Math.abs(b.data[i] - y)).toBeLessThan(1e-5));
  });

  test("reaches through pooling and Flatten to the columns of a channel", () => {
    const model = buildModel({
      inputs: [value("x", [1, 1, 5, 5])],
      outputs: [value("y", [1, 2])],
      nodes: [
        node("Conv", ["x", "w"], "h", [intsAttribute("kernel_shape", [2, 2])]),
        node("Relu", ["h"], "r"),
        node("MaxPool", ["r"], "p", [
          intsAttribute("kernel_shape", [2, 2]),
          intsAttribute("strides", [2, 2]),
        ]),
        node("Flatten", ["p"], "f"),
        node("Gemm", ["f", "v"], "y"),
      ],
      initializers: [
        floats("w", [2, 1, 2, 2], [...uniform(4), ...uniform(4).map((x) => x / 50)]),
        floats("v", [8, 2], uniform(16)),
      ],
    });
    const graph = importOnnx(model);
    const equalized = equalize(graph);
    expect(equalized.constants.get("w")).not.toEqual(graph.constants.get("w"));
    const rows = float32([20, 1, 5, 5], uniform(500));
    const [a] = evaluate(graph, [rows]);
    const [b] = evaluate(equalized, [rows]);
    a.data.forEach((y, i) => expect(Math.abs(b.data[i] - y)).toBeLessThan(1e-5));
  });

  test("leaves weights alone whose channels another node reads too", () => {
    const graph = importOnnx(
      buildModel({
        inputs: [value("x", [1, 2])],
        outputs: [value("y", [1, 2]), value("h", [1, 2])],
        nodes: [node("MatMul", ["x", "w"], "h"), node("MatMul", ["h", "v"], "y")],
        initializers: [floats("w", [2, 2], [1, 9, 2, 3]), floats("v", [2, 2], [1, 0, 5, 1])],
      }),
    );
    expect(equalize(graph).constants).toEqual(graph.constants);
  });

  test("halves the error of a model with channels of very different sizes", () => {
    const plain = lossOf(skewed, skewedRows, 5, {});
    expect(lossOf(skewed, skewedRows, 5, { equalization: true })).toBeLessThan(plain / 2);
  });
});

describe("biasCorrection", () => {
  const model = buildModel({
    inputs: [value("x", [1, 8])],
    outputs: [value("y", [1, 4])],
    nodes: [node("MatMul", ["x", "w"], "y")],
    initializers: [floats("w", [8, 4], uniform(32))],
  });
  // Inputs with a mean: rounding errors of weights add up.
  const rows = float32(
    [300, 8],
    uniform(2400).map((x) => x / 4 + 1),
  );

  test("keeps the mean of every output under rounded weights", () => {
    const graph = importOnnx(model);
    const quantize = (weights: Tensor) => quantizeConstant(3, weights);
    const corrected = correctBiases(graph, [rows], quantize);
    expect(corrected.nodes.map(({ opType }) => opType)).toEqual(["Gemm"]);
    const weights = corrected.constants.get("w");
    if (!weights) throw new Error("no weights");
    const rounded = new Map(corrected.constants).set("w", quantize(weights).dequant());
    const [expected] = evaluate(graph, [rows]);
    const [got] = evaluate({ ...corrected, constants: rounded }, [rows]);
    for (let column = 0; column < 4; column++) {
      const mean = ({ data }: Tensor): number => {
        let sum = 0;
        data.forEach((y, i) => (sum += i % 4 === column ? y : 0));
        return sum / 300;
      };
      expect(Math.abs(mean(got) - mean(expected))).toBeLessThan(1e-6);
    }
  });

  test("halves the error of weights of three bits", () => {
    const plain = lossOf(model, rows, 3, {});
    expect(lossOf(model, rows, 3, { biasCorrection: true })).toBeLessThan(plain / 2);
  });

  test("gains ten points of accuracy on the digits CNN at 3 bits", async () => {
    const { model: bytes, calibration, inputs, labels } = readFixture("digits_cnn");
    const accuracy = async (quantization: QuantizationChoices) => {
      const module = await buildQuantizedModule(bytes, calibration, { nBits: 3, quantization });
      const classes = argmax(module.forward<Tensor>(inputs));
      return classes.filter((label, i) => label === labels?.[i]).length / classes.length;
    };
    const gained = (await accuracy({ biasCorrection: true })) - (await accuracy({}));
    expect(gained).toBeGreaterThan(0.1);
  });
});

describe("the options object", () => {
  const options: readonly (readonly [unknown, string])[] = [
    [{ calibration: "median" }, "quantization.calibration"],
    [{ perChannelWeights: 1 }, "quantization.perChannelWeights"],
    [{ inputSignedness: true }, "quantization.inputSignedness"],
    [{ perChannel: true }, "perChannel"],
    ["mse", "quantization"],
    [null, "quantization"],
  ];
  test.each(options)("%j is refused", async (quantization, where) => {
    const error = await rejectionOf(() =>
      buildQuantizedModule(skewed, skewedRows, {
        quantization: quantization as QuantizationChoices,
      }),
    );
    expect(error.code).toBe("BAD_ARGUMENT");
    expect(error.where).toBe(where);
  });

  test("with the defaults spelled out changes nothing", async () => {
    const plain = await buildQuantizedModule(skewed, skewedRows, { nBits: 4 });
    const spelled = await buildQuantizedModule(skewed, skewedRows, {
      nBits: 4,
      quantization: {
        perChannelWeights: false,
        calibration: "minmax",
        inputSignedness: "shared",
        equalization: false,
        biasCorrection: false,
      },
    });
    expect(spelled.forward(skewedRows)).toEqual(plain.forward(skewedRows));
  });
});
