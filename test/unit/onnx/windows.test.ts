/**
 * Convolutions, transposed convolutions and poolings, by examples that can be checked by hand.
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { evaluateNode } from "../../../src/onnx/evaluate.ts";
import type { Attributes } from "../../../src/onnx/graph.ts";
import { operatorOf } from "../../../src/onnx/ops/index.ts";
import { float64, type Tensor } from "../../../src/tensor/tensor.ts";

function run(opType: string, inputs: readonly Tensor[], attributes: Attributes = {}): Tensor {
  return evaluateNode({ opType, attributes }, inputs)[0];
}

/** What the importer makes of the attributes. */
function resolve(opType: string, inputs: readonly Tensor[], attributes: Attributes): Attributes {
  const context = { opset: 22, outputCount: 1 };
  return operatorOf({ opType, attributes }).resolve(inputs, attributes, context);
}

const line = float64([1, 1, 5], [1, 2, 3, 4, 5]);
const square = float64([1, 1, 2, 2], [1, 2, 3, 4]);

describe("Conv", () => {
  test("slides over three spatial axes", () => {
    const cube = float64([1, 1, 2, 2, 2], [1, 2, 3, 4, 5, 6, 7, 8]);
    const ones = float64([1, 1, 2, 1, 2], [1, 1, 1, 1]);
    expect(run("Conv", [cube, ones])).toEqual(float64([1, 1, 1, 2, 1], [14, 22]));
  });

  test("refuses a bias of another size", () => {
    const weights = float64([1, 1, 2], [1, 1]);
    const bias = float64([2], [1, 1]);
    const shape = (): unknown =>
      operatorOf({ opType: "Conv", attributes: {} }).shape([line, weights, bias], {});
    expect(shape).toThrow(/BAD_SHAPE.*bias of shape \[1\], got \[2\]/);
  });
});

describe("ConvTranspose", () => {
  test("adds each element's multiple of the kernel", () => {
    const kernel = float64([1, 1, 2, 2], [1, 10, 100, 1000]);
    expect(run("ConvTranspose", [square, kernel])).toEqual(
      float64([1, 1, 3, 3], [1, 12, 20, 103, 1234, 2040, 300, 3400, 4000]),
    );
  });

  test("strides, pads, output_padding and a bias", () => {
    const x = float64([1, 1, 3], [1, 2, 3]);
    const kernel = float64([1, 1, 3], [1, 10, 100]);
    expect(run("ConvTranspose", [x, kernel], { strides: [2] }).data).toEqual(
      Float64Array.of(1, 10, 102, 20, 203, 30, 300),
    );
    const padded = { strides: [2], pads: [1, 1], output_padding: [1] };
    expect(run("ConvTranspose", [x, kernel, float64([1], [0.5])], padded).data).toEqual(
      Float64Array.of(10.5, 102.5, 20.5, 203.5, 30.5, 300.5),
    );
  });

  test("output_shape and auto_pad are resolved into pads", () => {
    const x = float64([1, 1, 3], [1, 2, 3]);
    const kernel = float64([1, 1, 3], [1, 10, 100]);
    const wanted = { strides: [2], output_shape: [6] };
    const resolved = resolve("ConvTranspose", [x, kernel], wanted);
    expect(resolved).toMatchObject({ pads: [1, 0], output_padding: [0], strides: [2] });
    expect(run("ConvTranspose", [x, kernel], resolved)).toEqual(
      run("ConvTranspose", [x, kernel], wanted),
    );
    const upper = { strides: [2], auto_pad: "SAME_UPPER" };
    expect(resolve("ConvTranspose", [x, kernel], upper)).toMatchObject({ pads: [0, 1] });
    const larger = { strides: [2], output_shape: [9] };
    expect(run("ConvTranspose", [x, kernel], larger).data).toEqual(
      Float64Array.of(1, 10, 102, 20, 203, 30, 300, 0, 0),
    );
  });

  test("groups share nothing", () => {
    const x = float64([1, 2, 1], [2, 3]);
    const kernel = float64([2, 1, 2], [1, 10, 100, 1000]);
    expect(run("ConvTranspose", [x, kernel], { group: 2 })).toEqual(
      float64([1, 2, 2], [2, 20, 300, 3000]),
    );
    expect(() =>
      operatorOf({ opType: "ConvTranspose", attributes: {} }).shape([x, kernel], { group: 3 }),
    ).toThrow(/BAD_SHAPE.*3 groups/);
  });

  test("is the transposed map of Conv", () => {
    const small = fc.integer({ min: 1, max: 3 });
    const numbers = fc.array(fc.integer({ min: -9, max: 9 }), { minLength: 60, maxLength: 60 });
    fc.assert(
      fc.property(small, small, small, fc.nat(1), numbers, (k, s, d, p, list) => {
        const attributes = { strides: [s], dilations: [d], pads: [p, p] };
        const x = float64([1, 2, 12], list.slice(0, 24));
        const w = float64([3, 2, k], list.slice(24, 24 + 6 * k));
        const y = run("Conv", [x, w], attributes);
        const u = float64(
          y.shape,
          Float64Array.from(y.data, (_, i) => list[59 - (i % 20)]),
        );
        const [, , length] = y.shape;
        const output_padding = [12 + 2 * p - ((length - 1) * s + (k - 1) * d + 1)];
        const back = run("ConvTranspose", [u, w], { ...attributes, output_padding });
        const dot = (a: Tensor, b: Tensor): number =>
          Float64Array.from(a.data, (value, i) => value * b.data[i]).reduce((s, t) => s + t, 0);
        expect(back.shape).toEqual(x.shape);
        expect(dot(back, x)).toBe(dot(y, u));
      }),
    );
  });
});

describe("pooling", () => {
  const two = { kernel_shape: [2] };

  test("MaxPool ignores the padding", () => {
    expect(run("MaxPool", [line], two).data).toEqual(Float64Array.of(2, 3, 4, 5));
    const negative = float64([1, 1, 2], [-1, -2]);
    expect(run("MaxPool", [negative], { ...two, pads: [1, 1] }).data).toEqual(
      Float64Array.of(-1, -1, -2),
    );
    expect(run("MaxPool", [line], { ...two, dilations: [3] }).data).toEqual(Float64Array.of(4, 5));
  });

  test("ceil_mode takes a last, incomplete step unless it starts in the padding", () => {
    const steps = { ...two, strides: [2], ceil_mode: 1 };
    expect(run("MaxPool", [line], steps).data).toEqual(Float64Array.of(2, 4, 5));
    expect(run("AveragePool", [line], steps).data).toEqual(Float64Array.of(1.5, 3.5, 5));
    const short = float64([1, 1, 2], [7, 8]);
    const padded = { kernel_shape: [3], strides: [3], pads: [1, 1], ceil_mode: 1 };
    expect(run("MaxPool", [short], padded).data).toEqual(Float64Array.of(8));
  });

  test("AveragePool counts the padding if told", () => {
    const padded = { ...two, pads: [1, 1], strides: [2] };
    expect(run("AveragePool", [line], padded).data).toEqual(Float64Array.of(1, 2.5, 4.5));
    const counted = { ...padded, count_include_pad: 1 };
    expect(run("AveragePool", [line], counted).data).toEqual(Float64Array.of(0.5, 2.5, 4.5));
  });

  test("LpPool is a norm", () => {
    const x = float64([1, 1, 2], [3, -4]);
    expect(run("LpPool", [x], two).data).toEqual(Float64Array.of(5));
    expect(run("LpPool", [x], { ...two, p: 1 }).data).toEqual(Float64Array.of(7));
  });

  test("global poolings take all spatial axes", () => {
    expect(run("GlobalAveragePool", [square])).toEqual(float64([1, 1, 1, 1], [2.5]));
    expect(run("GlobalMaxPool", [square])).toEqual(float64([1, 1, 1, 1], [4]));
    expect(() => run("GlobalMaxPool", [float64([1, 2], [1, 2])])).toThrow(/BAD_SHAPE.*spatial/);
  });

  test.each(["MaxPool", "AveragePool", "LpPool"])(
    "%s keeps its meaning when resolved",
    (opType) => {
      const modes = fc.constantFrom("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID");
      const small = fc.integer({ min: 1, max: 3 });
      fc.assert(
        fc.property(
          modes,
          small,
          small,
          fc.nat(1),
          fc.nat(1),
          (auto_pad, k, s, ceil_mode, extra) => {
            const window = { auto_pad, kernel_shape: [k], strides: [s], ceil_mode };
            const attributes =
              opType === "AveragePool" ? { ...window, count_include_pad: extra } : window;
            const resolved = resolve(opType, [line], attributes);
            expect(resolved).not.toHaveProperty("auto_pad");
            expect(run(opType, [line], resolved)).toEqual(run(opType, [line], attributes));
          },
        ),
      );
    },
  );

  test("a pooling without a kernel or without spatial axes is refused", () => {
    expect(() => run("MaxPool", [line])).toThrow(/BAD_MODEL.*kernel_shape is missing/);
    expect(() => run("MaxPool", [float64([1, 2], [1, 2])], two)).toThrow(/BAD_SHAPE.*spatial axes/);
  });
});

test("Unfold lays the windows out as columns, channel by channel", () => {
  const x = float64([1, 2, 2, 2], [1, 2, 3, 4, 5, 6, 7, 8]);
  expect(run("Unfold", [x], { kernel_shape: [2, 1] })).toEqual(
    float64([1, 4, 2], [1, 2, 3, 4, 5, 6, 7, 8]),
  );
  const padded = run("Unfold", [x], { kernel_shape: [1, 2], pads: [0, 1, 0, 0], strides: [2, 1] });
  expect(padded).toEqual(float64([1, 4, 2], [0, 1, 1, 2, 0, 5, 5, 6]));
});
