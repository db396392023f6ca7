/**
 * What a client computes itself, in its spec: graphs come back whole, with texts and classes, and damaged ones are refused.
 */
import { describe, expect, test } from "vitest";
import { decodeBlob, encodeBlob } from "../../../src/format/blob.ts";
import { decodeClientSpec, encodeClientSpec } from "../../../src/format/client-spec.ts";
import { decodeQuantizedModule, encodeQuantizedModule } from "../../../src/format/module.ts";
import { importGraph } from "../../../src/import.ts";
import { LogisticRegression } from "../../../src/models/index.ts";
import { evaluate } from "../../../src/onnx/evaluate.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { errorOf } from "../../support/errors.ts";
import {
  inputTensors,
  readRecorded,
  readSklearnFile,
  type RecordedCase,
} from "../../support/sklearn-fixtures.ts";

const name = "columns_one_hot";
const bytes = readSklearnFile(name, "model.onnx");
const graph = importGraph(bytes);
const rows = inputTensors(graph, readRecorded<RecordedCase>(name, "case.json"));
const { compiled } = await LogisticRegression.fromOnnx(bytes, rows);
const encoded = compiled.clientBytes;
const spec = decodeClientSpec(encoded);

describe("a client spec of a pipeline", () => {
  test("comes back whole", () => {
    const { before, after } = compiled.module;
    expect(spec.before).toEqual(before);
    expect(spec.after).toEqual(after);
    expect(encodeClientSpec(spec)).toEqual(encoded);
    expect(spec.before.inputs.map(({ strings }) => strings !== undefined)).toContain(true);
    expect(spec.after.outputs.map(({ classes }) => classes)).toContainEqual(["high", "low"]);
  });

  test("computes what the module computes", () => {
    const codes = compiled.quantizeInput<Tensor>([...rows]);
    const [features] = evaluate(spec.before, rows);
    expect(spec.inputs[0].quantizer.quant(features).data).toEqual(codes.data);
  });

  test("has no weights of the model in it", () => {
    const [{ attributes }] = compiled.module.graph.nodes;
    const text = new TextDecoder().decode(encoded);
    const weights = attributes["coefficients"] as readonly number[];
    expect(weights.length).toBeGreaterThan(5);
    for (const weight of weights) expect(text).not.toContain(String(weight));
  });
});

test("a module of a pipeline comes back whole", () => {
  const module = decodeQuantizedModule(encodeQuantizedModule(compiled.module));
  expect(module.forward<Tensor[]>([...rows])).toEqual(compiled.module.forward<Tensor[]>([...rows]));
  expect(module.after.outputs).toEqual(compiled.module.after.outputs);
});

describe("a graph in a client spec", () => {
  interface Json {
    readonly nodes: readonly Record<string, unknown>[];
    readonly constants: readonly { readonly name: string; readonly tensor: object }[];
    readonly outputs: readonly Record<string, unknown>[];
    readonly inputs: readonly Record<string, unknown>[];
    readonly shapes: readonly { readonly name: string; readonly shape: readonly number[] }[];
  }

  function changed(side: "before" | "after", change: (json: Json) => object): Uint8Array {
    const { header, payload } = decodeBlob(encoded, "clientSpec", encoded.length);
    const json = JSON.parse(new TextDecoder().decode(payload)) as Record<string, Json>;
    const altered = { ...json, [side]: { ...json[side], ...change(json[side]) } };
    return encodeBlob(header, new TextEncoder().encode(JSON.stringify(altered)));
  }

  test.each([
    [
      "with an operator that does not exist",
      ({ nodes: [node, ...rest] }: Json) => ({ nodes: [{ ...node, opType: "Steal" }, ...rest] }),
    ],
    ["whose nodes are out of order", ({ nodes }: Json) => ({ nodes: nodes.toReversed() })],
    ["without nodes", () => ({ nodes: [] })],
    ["whose nodes are no list", () => ({ nodes: {} })],
    [
      "with an attribute of another type",
      ({ nodes }: Json) => ({
        nodes: nodes.map((node) => ({ ...node, attributes: [{ name: "to", text: "x" }] })),
      }),
    ],
    [
      "with a tensor that is too short",
      ({ constants }: Json) => ({
        constants: constants.map((c) => ({ ...c, tensor: { ...c.tensor, data: [] } })),
      }),
    ],
    [
      "with a value of too many elements",
      ({ shapes }: Json) => ({ shapes: shapes.map((s) => ({ ...s, shape: [1, 2 ** 25] })) }),
    ],
    ["with other outputs than the program has inputs", ({ inputs }: Json) => ({ outputs: inputs })],
    ["with texts but without their list", () => ({ strings: undefined })],
    ["without shapes", () => ({ shapes: [] })],
  ] as const)("%s is refused", (_, change) => {
    expect(errorOf(() => decodeClientSpec(changed("before", change))).code).toBe("BAD_BYTES");
  });

  test("that reads other values than the program gives is refused", () => {
    const damaged = changed("after", ({ inputs }) => ({ inputs: [...inputs, ...inputs] }));
    expect(errorOf(() => decodeClientSpec(damaged)).code).toBe("BAD_BYTES");
  });
});
