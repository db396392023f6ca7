/**
 * The forms that operators have in different operator sets, read by the importer, on batches of several rows.
 * @module
 */
import { describe, expect, test } from "vitest";
import { evaluate } from "../../../src/onnx/evaluate.ts";
import type { Graph } from "../../../src/onnx/graph.ts";
import { importOnnx } from "../../../src/onnx/import.ts";
import { float32, type Tensor } from "../../../src/tensor/tensor.ts";
import {
  buildModel,
  floatAttribute,
  floats,
  intAttribute,
  intsAttribute,
  longs,
  node,
  stringAttribute,
  value,
  type ModelSpec,
} from "../../support/onnx-builder.ts";

/** A model of x [1, 2, 3] to y, with some parts replaced. */
function importModel(spec: Partial<ModelSpec>): Graph {
  return importOnnx(
    buildModel({
      inputs: [value("x", ["n", 2, 3])],
      outputs: [value("y", [])],
      nodes: [node("Relu", ["x"], "y")],
      ...spec,
    }),
  );
}

/** Two rows of 2 x 3 numbers. */
const x = float32([2, 2, 3], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);

function output(spec: Partial<ModelSpec>, input: Tensor = x): Tensor {
  return evaluate(importModel(spec), [input])[0];
}

describe("an attribute of older operator sets is an input of newer ones", () => {
  const forms: [string, number, ModelSpec["nodes"], ModelSpec["nodes"], Partial<ModelSpec>][] = [
    [
      "Squeeze and Unsqueeze",
      11,
      [
        node("Unsqueeze", ["x"], "u", [intsAttribute("axes", [1])]),
        node("Squeeze", ["u"], "y", [intsAttribute("axes", [1])]),
      ],
      [node("Unsqueeze", ["x", "one"], "u"), node("Squeeze", ["u", "one"], "y")],
      { initializers: [longs("one", [1], [1])] },
    ],
    [
      "ReduceSum",
      11,
      [node("ReduceSum", ["x"], "y", [intsAttribute("axes", [2])])],
      [node("ReduceSum", ["x", "axes"], "y")],
      { initializers: [longs("axes", [1], [2])] },
    ],
    [
      "Clip",
      10,
      [node("Clip", ["x"], "y", [floatAttribute("min", 2), floatAttribute("max", 9)])],
      [node("Clip", ["x", "low", "high"], "y")],
      { initializers: [floats("low", [], [2]), floats("high", [], [9])] },
    ],
    [
      "Slice",
      9,
      [
        node("Slice", ["x"], "y", [
          intsAttribute("axes", [2]),
          intsAttribute("starts", [1]),
          intsAttribute("ends", [3]),
        ]),
      ],
      [node("Slice", ["x", "starts", "ends", "axes"], "y")],
      {
        initializers: [longs("starts", [1], [1]), longs("ends", [1], [3]), longs("axes", [1], [2])],
      },
    ],
    [
      "Pad",
      10,
      [
        node("Pad", ["x"], "y", [
          intsAttribute("pads", [0, 0, 1, 0, 0, 1]),
          floatAttribute("value", 5),
        ]),
      ],
      [node("Pad", ["x", "pads", "five"], "y")],
      { initializers: [longs("pads", [6], [0, 0, 1, 0, 0, 1]), floats("five", [], [5])] },
    ],
  ];

  test.each(forms)("%s", (_, opset, old, current, spec) => {
    const got = output({ opset, nodes: old });
    expect(got).toEqual(output({ opset: 17, nodes: current, ...spec }));
    expect(got.shape[0]).toBe(2);
  });
});

describe("one form that means different things", () => {
  test("Softmax is over one axis from opset 13 on, over all that follow before", () => {
    const nodes = [node("Softmax", ["x"], "y", [intAttribute("axis", 1)])];
    const sums = (opset: number): number[] => {
      const { data } = output({ opset, nodes }, float32([1, 2, 3], new Float32Array(6)));
      return [...data].map((share) => Math.round(1 / share));
    };
    expect(sums(12)).toEqual([6, 6, 6, 6, 6, 6]);
    expect(sums(13)).toEqual([2, 2, 2, 2, 2, 2]);
    // The client can compute the newer one, which is over one axis; the older one is written out.
    const typesAt = (opset: number): string[] =>
      importModel({ opset, nodes: [node("Softmax", ["x"], "y")] }).nodes.map((n) => n.opType);
    expect(typesAt(12)).toContain("Exp");
    expect(typesAt(13)).toEqual(["Softmax"]);
  });

  test("Resize of opset 10 has its scales as second input and rounds away", () => {
    const resize = (scale: number): Tensor["data"] => {
      const nodes = [node("Resize", ["x", "scales"], "y")];
      const initializers = [floats("scales", [3], [1, 1, scale])];
      return output({ opset: 10, nodes, initializers }).data.slice(0, Math.floor(3 * scale));
    };
    expect(resize(2)).toEqual(Float32Array.of(1, 1, 2, 2, 3, 3));
    expect(resize(0.7)).toEqual(Float32Array.of(1, 3));
  });

  test("Upsample has its scales as input from opset 9 on, as attribute before", () => {
    const nodes = [node("Upsample", ["x", "scales"], "y", [stringAttribute("mode", "nearest")])];
    const initializers = [floats("scales", [3], [1, 1, 2])];
    const got = output({ opset: 9, nodes, initializers });
    expect(got.shape).toEqual([2, 2, 6]);
    expect(got.data.slice(0, 6)).toEqual(Float32Array.of(1, 1, 2, 2, 3, 3));
  });
});

describe("several outputs", () => {
  test("Split makes as many parts as the node has outputs", () => {
    const split = {
      ...node("Split", ["x"], "a", [intAttribute("axis", 2)]),
      output: ["a", "b", "c"],
    };
    const nodes = [split, node("Sub", ["c", "a"], "y")];
    expect(output({ opset: 14, nodes })).toEqual(float32([2, 2, 1], [2, 2, 2, 2]));
    const uneven = {
      ...node("Split", ["x"], "a", [intAttribute("axis", 2), intAttribute("num_outputs", 2)]),
      output: ["a", "y"],
    };
    expect(output({ opset: 18, nodes: [uneven] })).toEqual(float32([2, 2, 1], [3, 6, 9, 12]));
  });

  test("Dropout's mask says that all is kept", () => {
    const dropout = { ...node("Dropout", ["x"], "d"), output: ["d", "mask"] };
    const nodes = [dropout, node("Where", ["mask", "d", "zero"], "y")];
    expect(output({ nodes, initializers: [floats("zero", [], [0])] })).toEqual(x);
  });

  test("an output that is not made is refused by number", () => {
    const pool = {
      ...node("MaxPool", ["x"], "y", [intsAttribute("kernel_shape", [2])]),
      output: ["y", "indices"],
    };
    expect(() => importModel({ nodes: [pool] })).toThrow(
      "UNSUPPORTED_OPERATOR at MaxPool: MaxPool expects 1 output, got 2",
    );
  });
});

describe("batch", () => {
  const image = [value("x", [8, 1, 2, 2])];
  const rows = float32([3, 1, 2, 2], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);

  test("Resize to the sizes of the example keeps any batch", () => {
    const spec = {
      inputs: image,
      nodes: [node("Resize", ["x", "", "", "sizes"], "y")],
      initializers: [longs("sizes", [4], [8, 1, 4, 2])],
    };
    const [resize] = importModel(spec).nodes;
    expect(resize.attributes).toMatchObject({ axes: [1, 2, 3] });
    const got = output(spec, rows);
    expect(got.shape).toEqual([3, 1, 4, 2]);
    expect(got.data.slice(8, 16)).toEqual(Float32Array.of(5, 6, 5, 6, 7, 8, 7, 8));
  });

  test("Expand to the batch of the example keeps any batch", () => {
    const spec = {
      inputs: image,
      nodes: [node("Expand", ["x", "target"], "y")],
      initializers: [longs("target", [4], [8, 3, 2, 2])],
    };
    expect(importModel(spec).shapes.get("y")).toEqual([1, 3, 2, 2]);
    expect(output(spec, rows).shape).toEqual([3, 3, 2, 2]);
  });

  test("Expand with one more axis in front is left alone", () => {
    const spec = {
      inputs: image,
      nodes: [node("Expand", ["x", "target"], "y")],
      initializers: [longs("target", [5], [1, 1, 1, 2, 2])],
    };
    expect(importModel(spec).shapes.get("y")).toEqual([1, 1, 1, 2, 2]);
  });

  test("shapes computed from the input's shape are folded", () => {
    const nodes = [
      node("Shape", ["x"], "s"),
      node("Gather", ["s", "first"], "n"),
      node("Concat", ["n", "rest"], "target", [intAttribute("axis", 0)]),
      node("Reshape", ["x", "target"], "y"),
    ];
    const initializers = [longs("first", [1], [0]), longs("rest", [1], [-1])];
    const graph = importModel({ nodes, initializers });
    expect(graph.nodes.map(({ opType }) => opType)).toEqual(["Reshape"]);
    expect(evaluate(graph, [x])[0].shape).toEqual([2, 6]);
  });
});

test("an operator is refused before the operator set that brought it", () => {
  const nodes = [node("LayerNormalization", ["x", "w"], "y")];
  const initializers = [floats("w", [3], [1, 1, 1])];
  expect(importModel({ opset: 17, nodes, initializers }).nodes.length).toBeGreaterThan(1);
  expect(() => importModel({ opset: 16, nodes, initializers })).toThrow(
    /UNSUPPORTED_OPERATOR.*LayerNormalization \(1\)/,
  );
});
