/**
 * Forms of operators that are easy to get wrong: each small model against its float evaluation, or a coded refusal.
 * @module
 */
import { describe, expect, test } from "vitest";
import { buildQuantizedModule } from "../../../src/compile.ts";
import { evaluate } from "../../../src/onnx/evaluate.ts";
import { importOnnx } from "../../../src/onnx/import.ts";
import { type Tensor, float32, sizeOf } from "../../../src/tensor/tensor.ts";
import { rejectionOf } from "../../support/errors.ts";
import {
  type ModelSpec,
  buildModel,
  floatAttribute,
  floats,
  intAttribute,
  intsAttribute,
  longs,
  node,
  stringAttribute,
  value,
} from "../../support/onnx-builder.ts";
import { randomNumbers } from "../../support/random-models.ts";

type Form = Pick<ModelSpec, "nodes" | "initializers" | "opset"> & {
  readonly shape: readonly number[];
};

function model({ shape, ...spec }: Form): Uint8Array {
  const sizes = ["N", ...shape];
  return buildModel({ inputs: [value("x", sizes)], outputs: [value("y", ["N"])], ...spec });
}

function rows(shape: readonly number[], count: number): Tensor<"float32"> {
  const random = randomNumbers(shape.length);
  const full = [count, ...shape];
  return float32(full, Float32Array.from({ length: sizeOf(full) }, random));
}

/** Inputs are in [0, 1); 7 bits leave errors of about a hundredth of a unit per rounded tensor. */
const TOLERANCE = 0.06;

const forms: Readonly<Record<string, Form>> = {
  "Pad with a value as attribute": {
    shape: [1, 3, 3],
    opset: 10,
    nodes: [
      node("Pad", ["x"], "y", [
        intsAttribute("pads", [0, 0, 1, 0, 0, 0, 0, 1]),
        floatAttribute("value", 0.5),
      ]),
    ],
  },
  "Resize to sizes by interpolation": {
    shape: [3, 4, 4],
    nodes: [node("Resize", ["x", "", "", "sizes"], "y", [stringAttribute("mode", "linear")])],
    initializers: [longs("sizes", [4], [1, 3, 8, 8])],
  },
  "a mask of minus infinity": {
    shape: [4],
    nodes: [
      node("Less", ["x", "half"], "m"),
      node("Where", ["m", "never", "x"], "s"),
      node("Exp", ["s"], "y"),
    ],
    initializers: [floats("half", [1], [0.5]), floats("never", [1], [-Infinity])],
  },
  "Where with an encrypted condition (a mask)": {
    shape: [4],
    nodes: [
      node("Gemm", ["x", "w"], "h"),
      node("Greater", ["h", "x"], "m"),
      node("Where", ["m", "h", "mask"], "s"),
      node("Exp", ["s"], "y"),
    ],
    initializers: [
      floats("w", [4, 4], [1, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1]),
      floats("mask", [1, 4], [-1, 0, 0, 0]),
    ],
  },
  "an average whose window does not divide the image": {
    shape: [1, 5, 5],
    nodes: [
      node("AveragePool", ["x"], "y", [
        intsAttribute("kernel_shape", [2, 2]),
        intsAttribute("strides", [2, 2]),
      ]),
    ],
  },
};

describe("equals the float model", () => {
  test.each(Object.entries(forms))("%s", async (name, form) => {
    const bytes = model(form);
    const inputs = rows(form.shape, 40);
    const module = await buildQuantizedModule(bytes, inputs, { nBits: 7 });
    const [expected] = evaluate(importOnnx(bytes), [inputs]);
    const got = module.forward<Tensor>(inputs);
    expect(got.shape).toEqual(expected.shape);
    // A comparison of nearly equal numbers may fall to the other side.
    const isDecision = name.includes("mask");
    const far = [...got.data].filter((x, i) => Math.abs(x - expected.data[i]) > TOLERANCE).length;
    expect(far).toBeLessThanOrEqual(isDecision ? 0.1 * got.data.length : 0);
  });
});

test("a last Softmax of an old opset is the client's where its axis is the last", async () => {
  const bytes = model({ shape: [4], opset: 11, nodes: [node("Softmax", ["x"], "y")] });
  expect(importOnnx(bytes).nodes.map(({ opType }) => opType)).toEqual(["Softmax"]);
});

describe("is refused", () => {
  const refused: Readonly<Record<string, readonly [Form, RegExp]>> = {
    "padding far outside the calibrated range": [
      {
        shape: [1, 3, 3],
        opset: 10,
        nodes: [
          node("Pad", ["x"], "y", [
            intsAttribute("pads", [0, 0, 1, 0, 0, 0, 0, 1]),
            floatAttribute("value", 100),
          ]),
        ],
      },
      /expected a padding value from .* got 100/,
    ],
    "a running sum over rows": [
      {
        shape: [3],
        nodes: [node("CumSum", ["x", "axis"], "y")],
        initializers: [longs("axis", [], [0])],
      },
      /axis 0/,
    ],
    "a selection of rows": [
      {
        shape: [3],
        nodes: [node("Slice", ["x", "zero", "one", "zero"], "y")],
        initializers: [longs("zero", [1], [0]), longs("one", [1], [1])],
      },
      /keep the rows of a batch apart/,
    ],
    "a product without the batch": [
      {
        shape: [3],
        nodes: [node("Einsum", ["x", "x"], "y", [stringAttribute("equation", "bi,bi->i")])],
      },
      /the batch, the first label/,
    ],
    "a layer normalization with a computed bias": [
      {
        shape: [3],
        opset: 17,
        nodes: [
          node("ReduceSum", ["x", "axes"], "s", [intAttribute("keepdims", 0)]),
          node("LayerNormalization", ["x", "w", "s"], "y"),
        ],
        initializers: [longs("axes", [1], [1]), floats("w", [3], [1, 1, 1])],
      },
      /./,
    ],
  };
  test.each(Object.entries(refused))("%s", async (_, [form, message]) => {
    const error = await rejectionOf(() =>
      buildQuantizedModule(model(form), rows(form.shape, 10), { nBits: 4 }),
    );
    expect(error.message).toMatch(message);
  });
});
