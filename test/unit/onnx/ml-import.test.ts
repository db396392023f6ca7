/**
 * What becomes of strings, labels, dictionaries and loops of ai.onnx.ml when a model is read.
 */
import {
  TensorProto_DataType as DataType,
  AttributeProto_AttributeType as AttributeType,
} from "onnx-buf";
import { describe, expect, test } from "vitest";
import { evaluate } from "../../../src/onnx/evaluate.ts";
import type { Graph } from "../../../src/onnx/graph.ts";
import { importOnnx } from "../../../src/onnx/import.ts";
import { print } from "../../../src/onnx/print.ts";
import { decodeStrings, encodeStrings } from "../../../src/onnx/strings.ts";
import { float32, int64 } from "../../../src/tensor/tensor.ts";
import { errorOf } from "../../support/errors.ts";
import {
  buildModel,
  intAttribute,
  node,
  stringAttribute,
  value,
  type ModelSpec,
} from "../../support/onnx-builder.ts";
import { readSklearnFile } from "../../support/sklearn-fixtures.ts";

type Node = ModelSpec["nodes"][number];
type Attribute = NonNullable<Node["attribute"]>[number];

function ml(
  opType: string,
  input: readonly string[],
  output: readonly string[],
  attribute: readonly Attribute[],
): Node {
  return {
    opType,
    domain: "ai.onnx.ml",
    input: [...input],
    output: [...output],
    attribute: [...attribute],
  };
}

function strings(name: string, texts: readonly string[]): Attribute {
  return {
    name,
    type: AttributeType.STRINGS,
    strings: texts.map((text) => new TextEncoder().encode(text)),
  };
}

function ints(name: string, list: readonly number[]): Attribute {
  return { name, type: AttributeType.INTS, ints: list.map(BigInt) };
}

function floats(name: string, list: readonly number[]): Attribute {
  return { name, type: AttributeType.FLOATS, floats: [...list] };
}

function importModel(spec: ModelSpec & { readonly ml?: number }): Graph {
  return importOnnx(
    buildModel({ domains: [{ domain: "ai.onnx.ml", version: BigInt(spec.ml ?? 3) }], ...spec }),
  );
}

const words = value("words", ["n", 1], DataType.STRING);

describe("strings", () => {
  test("are codes of one list, which inputs and outputs carry", () => {
    const graph = importModel({
      inputs: [words],
      outputs: [value("y", ["n", 1], DataType.STRING)],
      nodes: [
        ml(
          "LabelEncoder",
          ["words"],
          ["y"],
          [strings("keys_strings", ["a", "b"]), strings("values_strings", ["b", "c"])],
        ),
      ],
    });
    expect(print(graph)).toMatchInlineSnapshot(`
      "graph test (ai.onnx 17, ai.onnx.ml 3) {
        input  words: int64[n, 1]
        let    y: [1, 1] = ai.onnx.ml.LabelEncoder(words) keys_strings=[0, 1] values_strings=[1, 2] default_string=3
        output y
      }"
    `);
    const [input] = graph.inputs;
    const [output] = graph.outputs;
    expect(input.strings).toEqual(["a", "b", "c", "_Unused"]);
    expect(output.strings).toEqual(input.strings);
    const [y] = evaluate(graph, [encodeStrings(input, [3, 1], ["b", "a", "other"])]);
    expect(decodeStrings(output, y)).toEqual(["c", "b", "_Unused"]);
  });

  test("are told from numbers", () => {
    const number = { name: "x" };
    expect(() => encodeStrings(number, [1], ["a"])).toThrow(/BAD_DTYPE at x: it holds numbers/);
    expect(() => decodeStrings(number, int64([1], [0]))).toThrow(/BAD_DTYPE/);
    expect(encodeStrings({ name: "x", strings: ["a"] }, [2], ["a", "z"])).toEqual(
      int64([2], [0, -1]),
    );
  });

  const cast = (to: number, from: string, output: string): Node =>
    node("Cast", [from], output, [intAttribute("to", to)]);

  test("are not made numbers nor numbers strings", () => {
    const refused: readonly (readonly [RegExp, ModelSpec])[] = [
      [
        /Cast of strings to numbers/,
        { inputs: [words], outputs: [value("y", ["n", 1])], nodes: [cast(1, "words", "y")] },
      ],
      [
        /Cast of numbers to strings/,
        {
          inputs: [value("x", ["n", 1])],
          outputs: [value("y", ["n", 1], DataType.STRING)],
          nodes: [cast(8, "x", "y")],
        },
      ],
      [
        /CastLike of strings to numbers/,
        {
          inputs: [words, value("x", ["n", 1])],
          outputs: [value("y", ["n", 1])],
          nodes: [node("CastLike", ["words", "x"], "y")],
        },
      ],
      [
        /Cast of strings to numbers/,
        {
          inputs: [words],
          outputs: [value("y", [1, "n"])],
          nodes: [node("Transpose", ["words"], "turned"), cast(1, "turned", "y")],
        },
      ],
    ];
    for (const [message, spec] of refused) {
      const error = errorOf(() => importModel(spec));
      expect(error.code).toBe("UNSUPPORTED_OPERATOR");
      expect(error.message).toMatch(message);
    }
  });

  test("may be cast to strings", () => {
    const graph = importModel({
      inputs: [words],
      outputs: [value("y", ["n", 1, 2])],
      nodes: [
        cast(8, "words", "same"),
        ml("OneHotEncoder", ["same"], ["y"], [strings("cats_strings", ["a", "b"])]),
      ],
    });
    const [y] = evaluate(graph, [encodeStrings(graph.inputs[0], [2, 1], ["b", "q"])]);
    expect(y).toEqual(float32([2, 1, 2], [0, 1, 0, 0]));
  });

  test("that a category has to be are refused where the model says so", () => {
    const graph = importModel({
      inputs: [words],
      outputs: [value("y", ["n", 1, 1])],
      nodes: [
        ml(
          "OneHotEncoder",
          ["words"],
          ["y"],
          [strings("cats_strings", ["a"]), intAttribute("zeros", 0)],
        ),
      ],
    });
    const x = encodeStrings(graph.inputs[0], [1, 1], ["b"]);
    expect(() => evaluate(graph, [x])).toThrow(/BAD_VALUE.*not a category/);
  });
});

describe("a ZipMap", () => {
  const scores = ml(
    "LinearClassifier",
    ["x"],
    ["label", "scores"],
    [
      floats("coefficients", [1, -1]),
      floats("intercepts", [0, 0]),
      ints("classlabels_ints", [4, 6]),
    ],
  );
  const zipMap = ml("ZipMap", ["scores"], ["map"], [ints("classlabels_int64s", [4, 6])]);
  const map = { name: "map", type: { value: { case: "sequenceType" as const, value: {} } } };
  const spec = { inputs: [value("x", ["n", 1])], outputs: [map], nodes: [scores, zipMap] };

  test("goes, and leaves labels to the columns", () => {
    const graph = importModel(spec);
    expect(graph.nodes.map(({ opType, outputs }) => [opType, outputs])).toEqual([
      ["LinearClassifier", ["label", "map"]],
    ]);
    expect(graph.outputs).toEqual([
      { name: "map", dtype: "float32", shape: [null, null], classes: [4, 6] },
    ]);
    expect([...evaluate(graph, [float32([1, 1], [3])])[0].data]).toEqual([3, -3]);
  });

  test("needs scores that are no output themselves", () => {
    const outputs = [map, value("scores", ["n", 2])];
    expect(errorOf(() => importModel({ ...spec, outputs })).message).toMatch(
      /UNSUPPORTED_OPERATOR.*ZipMap/,
    );
    const ofInput = {
      ...spec,
      nodes: [ml("ZipMap", ["x"], ["map"], [ints("classlabels_int64s", [4])])],
    };
    expect(errorOf(() => importModel(ofInput)).code).toBe("UNSUPPORTED_OPERATOR");
  });

  test("is the only dictionary that can be read", () => {
    const nodes = [{ ...node("SequenceConstruct", ["x"], "map") }];
    expect(errorOf(() => importModel({ ...spec, nodes })).message).toMatch(
      /map: expected a tensor, got sequenceType/,
    );
  });

  test("is not needed for the labels of a classifier's scores", () => {
    const outputs = [value("scores", ["n", 2])];
    expect(importModel({ ...spec, nodes: [scores], outputs }).outputs[0].classes).toEqual([4, 6]);
  });
});

test("operator sets of ai.onnx.ml that are too new are refused", () => {
  const nodes = [ml("Binarizer", ["x"], ["y"], [])];
  const spec = { inputs: [value("x", ["n", 1])], outputs: [value("y", ["n", 1])], nodes };
  expect(() => importModel({ ...spec, ml: 6 })).toThrow(
    /expected opset 1 to 5 of ai.onnx.ml, got opset 6/,
  );
  expect(importModel({ ...spec, ml: 5 }).nodes.length).toBe(1);
});

describe("a Scan", () => {
  test("of squared differences is read as distances", () => {
    const graph = importOnnx(readSklearnFile("neighbours_scan", "model.onnx"));
    expect(graph.nodes[0]).toMatchObject({
      opType: "CDist",
      domain: "com.microsoft",
      attributes: {},
    });
    expect(graph.opset.get("com.microsoft")).toBe(1);
  });

  test("of anything else is refused", () => {
    const body = {
      name: "body",
      type: AttributeType.GRAPH,
      g: { node: [node("Add", ["a", "b"], "c")] },
    };
    const scan = {
      ...node("Scan", ["x", "x"], "y", [body, intAttribute("num_scan_inputs", 1)]),
      output: ["z", "y"],
    };
    const spec = { inputs: [value("x", ["n", 2])], outputs: [value("y", ["n", 2])], nodes: [scan] };
    expect(() => importModel(spec)).toThrow(/UNSUPPORTED_OPERATOR.*Scan/);
  });
});

test("kernels other than the linear one and probabilities of support machines are refused", () => {
  const machine = (attributes: readonly Attribute[]): ModelSpec => ({
    inputs: [value("x", ["n", 1])],
    outputs: [value("label", ["n"], DataType.INT64)],
    nodes: [
      ml(
        "SVMClassifier",
        ["x"],
        ["label", "scores"],
        [
          floats("coefficients", [1, -1]),
          floats("rho", [0]),
          ints("classlabels_ints", [0, 1]),
          ...attributes,
        ],
      ),
    ],
  });
  expect(() => importModel(machine([stringAttribute("kernel_type", "RBF")]))).toThrow(
    /UNSUPPORTED.*kernel RBF/,
  );
  expect(() => importModel(machine([floats("prob_a", [1])]))).toThrow(/UNSUPPORTED.*prob_a/);
  expect(importModel(machine([])).nodes.length).toBe(1);
});
