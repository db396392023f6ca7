/**
 * Graphs that read a value more than once: every answer stays near the float model, and the program gives the integers
 * of clear execution.
 * @module
 */
import { tensorsOf } from "../../../src/tensor/list.ts";
import { describe, expect, test } from "vitest";
import { buildQuantizedModule, compileModule } from "../../../src/compile.ts";
import { evaluate } from "../../../src/onnx/evaluate.ts";
import { importOnnx } from "../../../src/onnx/import.ts";
import { type Tensor, float32 } from "../../../src/tensor/tensor.ts";
import { type ModelSpec, buildModel, floats, node, value } from "../../support/onnx-builder.ts";

const calibration = float32(
  [20, 3],
  Array.from({ length: 60 }, (_, i) => ((i * 37) % 11) / 3),
);
const square = floats("w", [3, 3], [1, 2, 3, 1, 0.5, 0.2, 0.1, 2, 1]);
const column = floats("u", [3, 1], [1, 2, -1]);
const narrow = floats("v", [3, 2], [1, -1, 0.5, 2, -1, 0.3]);
const y = value("y", ["N", 3]);
const z = value("z", ["N", 2]);

type Shape = Pick<ModelSpec, "nodes" | "outputs" | "initializers">;

const shapes: readonly (readonly [string, Shape])[] = [
  [
    "an accumulator that is an output and the input of a linear operator",
    {
      nodes: [node("Gemm", ["x", "w"], "y"), node("Gemm", ["y", "v"], "z")],
      outputs: [y, z],
      initializers: [square, narrow],
    },
  ],
  [
    "an accumulator that is an output under two names",
    {
      nodes: [node("Gemm", ["x", "w"], "y"), node("Identity", ["y"], "same")],
      outputs: [y, value("same", ["N", 3])],
      initializers: [square],
    },
  ],
  [
    "a table that is an output and the input of a linear operator",
    {
      nodes: [
        node("Gemm", ["x", "w"], "h"),
        node("Relu", ["h"], "y"),
        node("Gemm", ["y", "v"], "z"),
      ],
      outputs: [y, z],
      initializers: [square, narrow],
    },
  ],
  [
    "an input that a table and a linear operator read",
    {
      nodes: [
        node("Sigmoid", ["x"], "s"),
        node("Gemm", ["s", "w"], "h"),
        node("Gemm", ["x", "w"], "g"),
        node("Add", ["h", "g"], "y"),
      ],
      outputs: [y],
      initializers: [square],
    },
  ],
  [
    "an input added to itself",
    {
      nodes: [node("Add", ["x", "x"], "h"), node("Gemm", ["h", "v"], "z")],
      outputs: [z],
      initializers: [narrow],
    },
  ],
  [
    "a sum that is an output and the input of a linear operator",
    {
      nodes: [
        node("Gemm", ["x", "w"], "h"),
        node("Relu", ["h"], "r"),
        node("Gemm", ["r", "w"], "g"),
        node("Add", ["h", "g"], "y"),
        node("Gemm", ["y", "v"], "z"),
      ],
      outputs: [y, z],
      initializers: [square, narrow],
    },
  ],
  [
    "a column added to a matrix, both encrypted",
    {
      nodes: [
        node("Gemm", ["x", "w"], "h"),
        node("Gemm", ["x", "u"], "g"),
        node("Add", ["h", "g"], "s"),
        node("Relu", ["s"], "y"),
      ],
      outputs: [y],
      initializers: [square, column],
    },
  ],
  ["a function of the input alone", { nodes: [node("Relu", ["x"], "y")], outputs: [y] }],
  ["nothing but a new shape", { nodes: [node("Flatten", ["x"], "y")], outputs: [y] }],
];

/** Largest distance between two lists of tensors, relative to the largest element. */
function distance(got: readonly Tensor[], expected: readonly Tensor[]): number {
  const errors = got.map(({ data }, i) => {
    const largest = Math.max(...expected[i].data.map(Math.abs));
    return Math.max(...data.map((x, j) => Math.abs(x - expected[i].data[j]))) / largest;
  });
  return Math.max(...errors);
}

describe.each(shapes)("%s", (_, shape) => {
  const bytes = buildModel({ inputs: [value("x", ["N", 3])], ...shape });
  const expected = evaluate(importOnnx(bytes), [calibration]);

  test.each([2, 3, 5])("at %i bits", async (nBits) => {
    const module = await buildQuantizedModule(bytes, calibration, { nBits });
    const compiled = compileModule(module);
    const codes = tensorsOf(module.quantizeInput<Tensor[]>(calibration));
    const simulated = compiled.circuit.simulate<Tensor[]>(codes, { noise: false });
    expect(tensorsOf(simulated)).toEqual(compiled.circuit.evaluate(codes));
    const bound = { 2: 0.7, 3: 0.4, 5: 0.06 }[nBits] ?? 0;
    expect(distance(tensorsOf(module.forward<Tensor[]>(calibration)), expected)).toBeLessThan(
      bound,
    );
  });
});
