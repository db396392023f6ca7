/**
 * What the importer makes of models, and what it refuses.
 * @module
 */
import {
  AttributeProto_AttributeType as AttributeType,
  TensorProto_DataLocation as DataLocation,
  TensorProto_DataType as DataType,
} from "onnx-buf";
import { describe, expect, test } from "vitest";
import { SottoError } from "../../../src/errors.ts";
import { evaluate } from "../../../src/onnx/evaluate.ts";
import type { Graph } from "../../../src/onnx/graph.ts";
import { importOnnx } from "../../../src/onnx/import.ts";
import { supportedOperators } from "../../../src/onnx/ops/index.ts";
import { print } from "../../../src/onnx/print.ts";
import { verify } from "../../../src/onnx/verify.ts";
import { float32 } from "../../../src/tensor/tensor.ts";
import {
  buildModel,
  floatAttribute,
  floats,
  intAttribute,
  intsAttribute,
  longs,
  node,
  rawTensor,
  stringAttribute,
  tensorAttribute,
  value,
  type ModelSpec,
} from "../../support/onnx-builder.ts";
import { readModelBytes } from "../../support/onnx-fixtures.ts";

/** A model of x [1, 2] to y, with some parts replaced. */
function importModel(spec: Partial<ModelSpec>): Graph {
  return importOnnx(
    buildModel({
      inputs: [value("x", [1, 2])],
      outputs: [value("y", [1, 2])],
      nodes: [node("Relu", ["x"], "y")],
      ...spec,
    }),
  );
}

const weights = floats("w", [2, 2], [1, 2, 3, 4]);
const bias = floats("b", [2], [10, 20]);

test("a recorded model prints as expected", () => {
  expect(print(importOnnx(readModelBytes("seed_logreg")))).toMatchInlineSnapshot(`
    "graph main_graph (ai.onnx 14) {
      input  x: float32[1, 14]
      const  fc1.weight: float32[1, 14]
             fc1.bias: float32[1]
      let    /fc1/Gemm_output_0: [1, 1] = Gemm(x, fc1.weight, fc1.bias) alpha=1 beta=1 transB=1
             4: [1, 1] = Sigmoid(/fc1/Gemm_output_0)
      output 4
    }"
  `);
});

test("auto_pad becomes explicit pads", () => {
  const graph = importModel({
    inputs: [value("x", ["n", 1, 5, 4])],
    nodes: [node("Conv", ["x", "k"], "y", [stringAttribute("auto_pad", "SAME_UPPER")])],
    initializers: [floats("k", [1, 1, 2, 3], [1, 2, 3, 4, 5, 6])],
  });
  expect(print(graph)).toMatchInlineSnapshot(`
    "graph test (ai.onnx 17) {
      input  x: float32[n, 1, 5, 4]
      const  k: float32[1, 1, 2, 3]
      let    y: [1, 1, 5, 4] = Conv(x, k) dilations=[1, 1] group=1 kernel_shape=[2, 3] pads=[0, 1, 1, 1] strides=[1, 1]
      output y
    }"
  `);
});

describe("fusion of MatMul and Add", () => {
  test("the constant may come first and the activations may have any number of axes", () => {
    const graph = importModel({
      inputs: [value("x", ["batch", 3, 2])],
      nodes: [node("MatMul", ["x", "w"], "p"), node("Add", ["b", "p"], "y")],
      initializers: [weights, bias],
    });
    expect(print(graph)).toMatchInlineSnapshot(`
      "graph test (ai.onnx 17) {
        input  x: float32[batch, 3, 2]
        const  w: float32[2, 2]
               b: float32[2]
        let    y: [1, 3, 2] = Gemm(x, w, b)
        output y
      }"
    `);
    const [y] = evaluate(graph, [float32([2, 3, 2], [1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 1])]);
    expect([...y.data]).toEqual([11, 22, 13, 24, 10, 20, 10, 20, 10, 20, 14, 26]);
  });

  test("a product that something else reads, or that is an output, stays", () => {
    const nodes = [
      node("MatMul", ["x", "w"], "p"),
      node("Add", ["p", "b"], "q"),
      node("Add", ["p", "q"], "y"),
    ];
    const operators = ({ nodes }: Graph): string[] => nodes.map(({ opType }) => opType);
    const initializers = [weights, bias];
    expect(operators(importModel({ nodes, initializers }))).toEqual(["MatMul", "Add", "Add"]);
    const outputs = [value("p", [1, 2]), value("q", [1, 2])];
    expect(operators(importModel({ nodes, initializers, outputs }))).toEqual(["MatMul", "Add"]);
  });

  test("a constant that enlarges the product stays an Add", () => {
    const graph = importModel({
      nodes: [node("MatMul", ["x", "w"], "p"), node("Add", ["p", "c"], "y")],
      initializers: [weights, floats("c", [3, 1, 2], [1, 2, 3, 4, 5, 6])],
    });
    expect(graph.nodes.map(({ opType }) => opType)).toEqual(["MatMul", "Add"]);
  });
});

describe("constants", () => {
  test("nodes of constants are folded, and dead nodes and initializers are dropped", () => {
    const graph = importModel({
      nodes: [
        node("Constant", [], "c", [tensorAttribute("value", floats("", [2], [1, 2]))]),
        node("Add", ["c", "b"], "sum"),
        node("Add", ["x", "sum"], "y"),
        node("Relu", ["x"], "dead"),
        node("Loop", ["x"], "deadAndUnsupported"),
      ],
      initializers: [bias, weights],
    });
    expect(print(graph)).toMatchInlineSnapshot(`
      "graph test (ai.onnx 17) {
        input  x: float32[1, 2]
        const  sum: float32[2]
        let    y: [1, 2] = Add(x, sum)
        output y
      }"
    `);
    expect([...(graph.constants.get("sum")?.data ?? [])]).toEqual([11, 22]);
  });

  test("an initializer that is listed as an input is a constant", () => {
    const graph = importModel({
      inputs: [value("x", [1, 2]), value("b", [2])],
      nodes: [node("Add", ["x", "b"], "y")],
      initializers: [bias],
      opset: 8,
    });
    expect(graph.inputs.map(({ name }) => name)).toEqual(["x"]);
  });

  test("every element type is read, from raw bytes and from the typed lists", () => {
    const cases: [DataType, number[], number, string][] = [
      [DataType.FLOAT, [0, 0, 0xc0, 0x3f], 1.5, "float32"],
      [DataType.DOUBLE, [0, 0, 0, 0, 0, 0, 0xf8, 0xbf], -1.5, "float64"],
      [DataType.FLOAT16, [0, 0x3e], 1.5, "float32"],
      [DataType.FLOAT16, [1, 0], 2 ** -24, "float32"],
      [DataType.FLOAT16, [0, 0xfc], -Infinity, "float32"],
      [DataType.FLOAT16, [1, 0x7c], NaN, "float32"],
      [DataType.BFLOAT16, [0xc0, 0x3f], 1.5, "float32"],
      [DataType.BOOL, [2], 1, "bool"],
      [DataType.INT4, [0x0e], -2, "int64"],
      [DataType.UINT4, [0x0e], 14, "int64"],
      [DataType.INT2, [0x02], -2, "int64"],
      [DataType.UINT2, [0x03], 3, "int64"],
      [DataType.INT8, [0xfe], -2, "int64"],
      [DataType.UINT8, [0xfe], 254, "int64"],
      [DataType.INT16, [0xfe, 0xff], -2, "int64"],
      [DataType.UINT16, [0xfe, 0xff], 65534, "int64"],
      [DataType.INT32, [0xfe, 0xff, 0xff, 0xff], -2, "int64"],
      [DataType.UINT32, [0xfe, 0xff, 0xff, 0xff], 2 ** 32 - 2, "int64"],
      [DataType.INT64, [0xfe, ...Array.from({ length: 7 }, () => 0xff)], -2, "int64"],
      [DataType.INT64, [...Array.from({ length: 7 }, () => 0xff), 0x7f], 2 ** 53, "int64"],
      [DataType.UINT64, [5, 0, 0, 0, 0, 0, 0, 0], 5, "int64"],
    ];
    const read = (init: ReturnType<typeof rawTensor>): { dtype: string; number: number } => {
      const outputs = [value("y", [1]), value("c", [1])];
      const constant = importModel({ outputs, initializers: [{ ...init, name: "c" }] });
      const { dtype, data } = constant.constants.get("c") ?? float32([0], []);
      return { dtype, number: data[0] };
    };
    for (const [type, bytes, number, dtype] of cases) {
      expect(read(rawTensor("c", type, [1], bytes)), DataType[type]).toEqual({ dtype, number });
    }
    const dims = [1n];
    expect(read({ dims, dataType: DataType.DOUBLE, doubleData: [0.1] }).number).toBe(0.1);
    expect(read({ dims, dataType: DataType.FLOAT16, int32Data: [0x3e00] }).number).toBe(1.5);
    expect(read({ dims, dataType: DataType.INT8, int32Data: [-3] }).number).toBe(-3);
    expect(read({ dims, dataType: DataType.UINT32, uint64Data: [7n] }).number).toBe(7);
    expect(read({ dims, dataType: DataType.INT64, int64Data: [-9n] }).number).toBe(-9);
  });
});

describe("batch", () => {
  const reshape = (target: number[], first: number | string): Graph =>
    importModel({
      inputs: [value("x", [first, 2, 3])],
      nodes: [node("Reshape", ["x", "s"], "y")],
      initializers: [longs("s", [target.length], target)],
    });
  const x = float32([4, 2, 3], new Float32Array(24));

  test("a Reshape to the batch of the example keeps any batch", () => {
    for (const [target, first] of [
      [[1, 6], 1],
      [[1, -1], 1],
      [[-1, 6], "n"],
      [[0, 6], "n"],
      [[8, 6], 8],
    ] as const) {
      const graph = reshape([...target], first);
      expect(graph.shapes.get("y"), target.join()).toEqual([1, 6]);
      expect(evaluate(graph, [x])[0].shape).toEqual([4, 6]);
    }
  });

  test("Shape feeding Reshape folds and keeps any batch", () => {
    const graph = importModel({
      inputs: [value("x", ["n", 2, 3]), value("z", ["n", 6, 1])],
      nodes: [node("Shape", ["z"], "s"), node("Reshape", ["x", "s"], "y")],
    });
    expect(graph.nodes.map(({ opType }) => opType)).toEqual(["Reshape"]);
    const z = float32([4, 6, 1], new Float32Array(24));
    expect(evaluate(graph, [x, z])[0].shape).toEqual([4, 6, 1]);
  });

  test("only the first axis may be symbolic", () => {
    expect(() => importModel({ inputs: [value("x", ["n", "length"])] })).toThrow(
      /BAD_SHAPE at x: axis 1 has size length; only the first axis may vary/,
    );
    expect(() => importModel({ inputs: [value("x", [])] })).toThrow(/BAD_SHAPE at x/);
  });
});

describe("refusals", () => {
  test("unsupported operators are all named once, with the supported ones", () => {
    const nodes = [
      node("Foo", ["x"], "a"),
      { ...node("Tree", ["a"], "b"), domain: "ai.onnx.ml", name: "t" },
      node("Foo", ["b"], "y"),
    ];
    expect(() => importModel({ nodes })).toThrow(
      "UNSUPPORTED_OPERATOR at Foo: expected supported operators, got Foo (2), ai.onnx.ml.Tree (1); " +
        `supported operators: ${supportedOperators.join(", ")}`,
    );
  });

  test.each([6, 23])("opset %i is refused by number", (opset) => {
    expect(() => importModel({ opset })).toThrow(
      `UNSUPPORTED_OPERATOR at opset: expected opset 7 to 22 of ai.onnx, got opset ${opset}`,
    );
  });

  test.each([7, 22])("opset %i is accepted", (opset) => {
    expect(importModel({ opset }).opset.get("")).toBe(opset);
  });

  test("an unknown, mistyped or unreadable attribute is named with its node", () => {
    const withAttribute = (attribute: Parameters<typeof node>[3]): (() => Graph) => {
      const nodes = [{ ...node("Flatten", ["x"], "y", attribute), name: "flat" }];
      return () => importModel({ nodes });
    };
    expect(withAttribute([intAttribute("dim", 1)])).toThrow(
      "UNSUPPORTED_OPERATOR at flat: Flatten: unknown attribute dim; expected one of axis",
    );
    expect(withAttribute([floatAttribute("axis", 0.5)])).toThrow(
      "BAD_MODEL at flat: Flatten: attribute axis is not of type int",
    );
    expect(withAttribute([{ name: "axis", type: AttributeType.GRAPH }])).toThrow(
      "UNSUPPORTED_OPERATOR at flat: Flatten: cannot read attribute axis; expected one of axis",
    );
  });

  test("models that are not well formed are refused", () => {
    const invalid: [RegExp, Partial<ModelSpec>][] = [
      [
        /expected names that are defined before they are read, got z/,
        { nodes: [node("Relu", ["z"], "y")] },
      ],
      [/y: the output is never defined/, { nodes: [] }],
      [/y: the name is defined twice/, { nodes: ["a", "b"].map(() => node("Relu", ["x"], "y")) }],
      [/expects 2 inputs, got \[x\]/, { nodes: [node("Add", ["x"], "y")] }],
      [/expects 2 inputs, got \[, x\]/, { nodes: [node("Add", ["", "x"], "y")] }],
      [/expects 1 output, got 2/, { nodes: [{ ...node("Relu", ["x"], "y"), output: ["y", "z"] }] }],
      [/w: the initializer is defined twice/, { initializers: [weights, weights] }],
      [/needs 2 elements, got 1/, { initializers: [floats("w", [2], [1])] }],
      [/needs -1 elements/, { initializers: [floats("w", [-1], [1])] }],
      [/elements of COMPLEX64/, { initializers: [rawTensor("w", DataType.COMPLEX64, [0], [])] }],
      [
        /in another file.*one file/,
        { initializers: [{ ...weights, dataLocation: DataLocation.EXTERNAL }] },
      ],
      [/expected a tensor, got no type/, { inputs: [{ name: "x" }] }],
      [
        /got \[1, 2\] and \[3, 1\]/,
        {
          nodes: [node("MatMul", ["x", "v"], "y")],
          initializers: [floats("v", [3, 1], [1, 2, 3])],
        },
      ],
    ];
    for (const [message, spec] of invalid) {
      expect(() => importModel(spec)).toThrow(message);
      expect(() => importModel(spec)).toThrow(SottoError);
    }
  });

  test("a result that no computer could hold is refused", () => {
    const nodes = [node("Conv", ["x", "k"], "y", [intsAttribute("pads", [0, 2 ** 50])])];
    const initializers = [floats("k", [1, 1, 1], [1])];
    expect(() => importModel({ inputs: [value("x", [1, 1, 4])], nodes, initializers })).toThrow(
      /BAD_SHAPE.*too large/,
    );
  });

  test("what is not ONNX is refused", () => {
    expect(() => importOnnx(new Uint8Array())).toThrow(/BAD_MODEL.*no graph/);
    expect(() => importOnnx(new TextEncoder().encode("not a model"))).toThrow(/BAD_MODEL/);
    expect(() => importOnnx("model.onnx" as unknown as Uint8Array)).toThrow(/BAD_ARGUMENT/);
  });
});

test("verify finds a graph whose shapes are wrong", () => {
  const graph = importModel({});
  expect(() => verify({ ...graph, shapes: new Map([...graph.shapes, ["y", [1, 3]]]) })).toThrow(
    /y has shape \[1, 2\], the graph says \[1, 3\]/,
  );
  expect(() => verify({ ...graph, shapes: new Map() })).toThrow(/does not say its shape/);
  expect(() =>
    verify({ ...graph, nodes: graph.nodes.map((n) => ({ ...n, opType: "Foo" })) }),
  ).toThrow(/UNSUPPORTED_OPERATOR/);
});

describe("damaged files", () => {
  const names = [
    "digits_cnn",
    "gap_attention_softmax",
    "gap_convtranspose",
    "gap_einsum",
    "gap_layernorm_opset17",
    "gap_pad_reflect",
    "gap_resize_bilinear",
    "gap_split_opset18",
    "op_gemm_attributes",
    "op_maxpool",
    "op_slice_gather",
    "opset18_cnn_dynamic",
  ];

  /** Fails if importing throws anything but a SottoError or makes an invalid graph. */
  function importDamaged(bytes: Uint8Array): boolean {
    try {
      verify(importOnnx(bytes));
      return true;
    } catch (error) {
      if (error instanceof SottoError) return false;
      throw error;
    }
  }

  test.each(names)("%s cut at any length is a SottoError or a graph", (name) => {
    const bytes = readModelBytes(name);
    for (let length = 0; length < bytes.length; length += 97) importDamaged(bytes.slice(0, length));
    expect(importDamaged(bytes.slice(0, Math.floor(bytes.length / 2)))).toBe(false);
    expect(importDamaged(bytes)).toBe(true);
  });

  test("2,000 random byte changes give a SottoError or a graph", () => {
    let state = 12345;
    const random = (limit: number): number => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return Math.floor((state / 2 ** 32) * limit);
    };
    let refused = 0;
    for (let round = 0; round < 2000; round++) {
      const bytes = readModelBytes(names[round % names.length]);
      // most of a model is weights: half of the changes go to the structure at its ends
      for (let change = 0; change <= round % 4; change++) {
        const position = random(2) ? random(bytes.length) : random(400) - 200;
        bytes[(position + bytes.length) % bytes.length] = random(256);
      }
      if (!importDamaged(bytes)) refused += 1;
    }
    expect(refused).toBeGreaterThan(200);
  });
});
