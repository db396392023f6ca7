/**
 * Models that Brevitas exported to QCDQ, QONNX and its own dialect: every integer of weights, biases, inputs and
 * activations is the one that Brevitas computes (test/fixtures/qat_export/make.py).
 */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { evaluate } from "../../../src/circuit/evaluate.ts";
import { compileModule } from "../../../src/compile.ts";
import type { GraphNode } from "../../../src/onnx/graph.ts";
import { importOnnx } from "../../../src/onnx/import.ts";
import { buildCircuit } from "../../../src/quantization/build-circuit.ts";
import type { QuantizedModule } from "../../../src/quantization/module.ts";
import { PostTrainingQATImporter } from "../../../src/quantization/qat-import.ts";
import { hasAnyQnnLayers } from "../../../src/quantization/quant-node.ts";
import { verify } from "../../../src/quantization/verify.ts";
import type { PerChannel } from "../../../src/tensor/codes.ts";
import { transpose } from "../../../src/tensor/strided.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { FIXTURES, flat } from "../../support/golden.ts";
import { readNpy } from "../../support/npy.ts";

interface Expected {
  readonly layers: readonly {
    readonly weights: unknown;
    readonly scale: readonly number[];
    readonly bias?: readonly number[];
  }[];
  readonly quantizers: readonly {
    readonly scale: number;
    readonly zero_point: number;
    readonly codes: unknown;
  }[];
  readonly outputs: unknown;
}

const root = join(FIXTURES, "qat_export");
const cases = readdirSync(root, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)
  .sort();

function load(name: string): { module: QuantizedModule; rows: Tensor; expected: Expected } {
  const folder = join(root, name);
  const rows = readNpy(join(folder, "calibration.npy"));
  const graph = importOnnx(new Uint8Array(readFileSync(join(folder, "model.onnx"))));
  expect(hasAnyQnnLayers(graph)).toBe(true);
  const module = new PostTrainingQATImporter(8, graph).quantizeModule(rows);
  verify(module);
  const expected = JSON.parse(readFileSync(join(folder, "expected.json"), "utf8")) as Expected;
  return { module, rows, expected };
}

function valuesOf(value: PerChannel): number[] {
  return typeof value === "number" ? [value] : [...value.data];
}

/** The exporter stores output channels first; the importer may have transposed a matrix. */
function inExportersOrder({ opType, attributes }: GraphNode, weights: Tensor): Tensor {
  return opType === "Gemm" && attributes["transB"] !== 1 ? transpose(weights) : weights;
}

/** Codes that the second linear operator reads. */
function hiddenCodes(module: QuantizedModule, inputs: Tensor, reader: string): number[] {
  let codes: number[] = [];
  evaluate(buildCircuit(module), [inputs], {
    after: ({ op, name }, result) => {
      if (op.kind === "quantize" && name === reader) codes = [...result.data];
    },
  });
  return codes;
}

test("there are models of every dialect, with a scale per channel, biases, powers of two and 2 to 16 bits", () => {
  expect(cases).toHaveLength(22);
  for (const part of [
    "qcdq_",
    "qonnx_",
    "brevitas_",
    "_channel",
    "_bias",
    "_pot",
    "w2a2",
    "w16a16",
  ]) {
    expect(cases.some((name) => name.includes(part))).toBe(true);
  }
});

describe.each(cases)("%s", (name) => {
  const { module, rows, expected } = load(name);
  const layers = module.operations.filter(({ node }) => ["Gemm", "Conv"].includes(node.opType));
  const inputs = module.quantizeInput(rows);

  test("has the exporter's weights, scales and biases", () => {
    layers.forEach(({ node }, i) => {
      const weights = module.constants.get(node.inputs[1])?.quantized;
      expect(weights ? [...inExportersOrder(node, weights.qvalues).data] : []).toEqual(
        flat(expected.layers[i].weights),
      );
      expect(valuesOf(weights?.quantizer.scale ?? 0)).toEqual(expected.layers[i].scale);
      const { bias } = expected.layers[i];
      const quantized = module.constants.get(node.inputs[2])?.quantized;
      expect(quantized?.quantizer.options.isPrecomputedQat).toBe(bias !== undefined);
      if (bias !== undefined) expect([...(quantized?.qvalues.data ?? [])]).toEqual(bias);
    });
  });

  test("quantizes inputs and activations to the exporter's integers", () => {
    const [input] = module.inputs;
    expect(input.quantizer.scale).toBe(expected.quantizers[0].scale);
    expect(input.quantizer.zeroPoint).toBe(expected.quantizers[0].zero_point);
    expect([...inputs.data]).toEqual(flat(expected.quantizers[0].codes));
    const hidden = hiddenCodes(module, inputs, layers[1].node.name);
    expect(hidden).toEqual(flat(expected.quantizers[1].codes));
  });

  test("gives the exporter's outputs", () => {
    const outputs = flat(expected.outputs);
    const got = module.forward(rows);
    const largest = Math.max(...outputs.map(Math.abs));
    got.data.forEach((y, i) => expect(Math.abs(y - outputs[i])).toBeLessThan(1e-5 * largest));
  });
});

test("a table per hidden element is all that the encrypted program looks up", () => {
  const { module } = load("qcdq_w2a2");
  const compiled = compileModule(module);
  const tables = compiled.circuit.parts.circuit.values.filter(({ op }) => op.kind === "table");
  expect(tables.map(({ shape }) => shape)).toEqual([[1, 5]]);
});
