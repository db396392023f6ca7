/**
 * Mixed precision: bits of single nodes, by name.
 */
import { describe, expect, test } from "vitest";
import { buildQuantizedModule, compileModule } from "../../../src/compile.ts";
import type { NBitsOption, NodeBits } from "../../../src/quantization/bits.ts";
import { print } from "../../../src/quantization/print.ts";
import type { QuantizedModule } from "../../../src/quantization/module.ts";
import { rejectionOf } from "../../support/errors.ts";
import { readModelFixture } from "../../support/onnx-fixtures.ts";

const { model, calibration, inputs } = readModelFixture("act_relu");
const plain = { op_weights: 4, op_inputs: 5, model_outputs: 6 };

function quantize(nBits: NBitsOption, quantization = {}): Promise<QuantizedModule> {
  return buildQuantizedModule(model, calibration, { nBits, quantization });
}

/** Bits of the weights of a node, as their codes say. */
function weightBits({ operations, constants }: QuantizedModule, name: string): number {
  const operation = operations.find(({ node }) => node.name === name);
  const weights = constants.get(operation?.node.inputs[1] ?? "")?.quantized;
  return weights?.quantizer.options.nBits ?? NaN;
}

describe("bits of a node", () => {
  test("go to its weights and its inputs, and to no other node's", async () => {
    const nodes = { "/fc2/Gemm": { op_weights: 2, op_inputs: 3 } };
    const module = await quantize({ ...plain, nodes });
    expect(weightBits(module, "/fc1/Gemm")).toBe(4);
    expect(weightBits(module, "/fc2/Gemm")).toBe(2);
    expect(print(module)).toContain("Gemm(x, fc1.weight, fc1.bias) : int5 inputs");
    expect(print(module)).toMatch(/fc2\.weight, fc2\.bias\) : uint3 inputs/);
  });

  test("of a first node are those of the encrypted input", async () => {
    const module = await quantize({ ...plain, nodes: { "/fc1/Gemm": { op_inputs: 3 } } });
    expect(module.inputs[0].quantizer.options.nBits).toBe(3);
  });

  test.each([
    {},
    { perChannelWeights: true, calibration: "mse", biasCorrection: true },
    { equalization: true, calibration: "entropy" },
  ] as const)("that are the others' too change nothing, with %j", async (quantization) => {
    const same = { op_weights: 4, op_inputs: 5 };
    const nodes = { "/fc1/Gemm": same, "/fc2/Gemm": same };
    const [mixed, uniform] = [
      await quantize({ ...plain, nodes }, quantization),
      await quantize(plain, quantization),
    ];
    expect(mixed.forward(inputs)).toEqual(uniform.forward(inputs));
  });

  test("make the parameters cheaper where that node decided them", async () => {
    const timeOf = async (nodes: Record<string, NodeBits>): Promise<number> => {
      const options = { roundingThresholdBits: { nBits: 4, method: "fit" } } as const;
      const nBits = { op_weights: 8, op_inputs: 4, nodes };
      const module = await buildQuantizedModule(model, calibration, { nBits, ...options });
      return compileModule(module, options).circuit.statistics.predictedMs;
    };
    const outputs = { "/fc2/Gemm": { op_weights: 3 } };
    expect(await timeOf(outputs)).toBeLessThan(await timeOf({}));
  });
});

test.each([
  [{ "/fc3/Gemm": {} }, 'nBits.nodes["/fc3/Gemm"]', /a node with weights: \/fc1\/Gemm, \/fc2/],
  [{ "/fc1/Gemm": { bits: 3 } }, "bits", /one of op_weights, op_inputs/],
  [{ "/fc1/Gemm": { op_weights: 0 } }, 'nBits.nodes["/fc1/Gemm"].op_weights', /from 1 to 16/],
  [{ "/fc1/Gemm": { op_inputs: 7 } }, 'nBits.nodes["/fc1/Gemm"].op_inputs', /at most model_out/],
  [{ "/fc1/Gemm": 3 }, 'nBits.nodes["/fc1/Gemm"]', /an object with/],
  [3, "nBits.nodes", /expected an object/],
])("nodes %j are refused", async (nodes, where, message) => {
  const error = await rejectionOf(() =>
    quantize({ ...plain, nodes: nodes as Record<string, NodeBits> }),
  );
  expect(error).toMatchObject({ code: "BAD_ARGUMENT", where });
  expect(String(error)).toMatch(message);
});
