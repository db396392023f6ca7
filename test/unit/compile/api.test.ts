/**
 * The compiled module as users hold it: what it takes, what it gives, and what it says about itself.
 * @module
 */
import { describe, expect, test } from "vitest";
import { buildQuantizedModule, compileModule, compileOnnxModel } from "../../../src/compile.ts";
import { importOnnx } from "../../../src/onnx/import.ts";
import { evaluate } from "../../../src/onnx/evaluate.ts";
import { type Nested, type Tensor, float64, sizeOf } from "../../../src/tensor/tensor.ts";
import { toNested } from "../../../src/tensor/nested.ts";
import { readModelBytes, readModelFixture } from "../../support/onnx-fixtures.ts";
import { randomNumbers } from "../../support/random-models.ts";

const { model, calibration, inputs } = readModelFixture("act_relu");
const compiled = await compileOnnxModel(model, calibration, {
  nBits: 6,
  roundingThresholdBits: { nBits: 5, method: "approximate" },
});
const two = readModelFixture("op_add_two_inputs");
const pair = await compileOnnxModel(two.model, two.calibration, { nBits: 2, bounds: "guaranteed" });

function rowsOf({ dtype, shape, data }: Tensor, from: number, count: number): Tensor {
  const size = data.length / shape[0];
  const picked = data.slice(from * size, (from + count) * size);
  return { dtype, shape: [count, ...shape.slice(1)], data: picked };
}

describe("inputs", () => {
  const batch = rowsOf(inputs[0], 0, 5);
  const expected = compiled.forward<Tensor>(batch);

  test("one row at a time gives what a batch gives", () => {
    for (let row = 0; row < 5; row++) {
      expect(compiled.forward<Tensor>(rowsOf(batch, row, 1))).toEqual(rowsOf(expected, row, 1));
    }
  });

  test("nested lists and typed arrays are float64 and float32 tensors", () => {
    const lists = toNested(batch) as readonly Nested[];
    const doubles = float64(batch.shape, batch.data);
    expect(compiled.forward(lists)).toEqual(compiled.forward(doubles));
    const { shape, data } = batch as Tensor<"float32">;
    expect(compiled.forward({ shape, data })).toEqual(expected);
    expect(compiled.forward([batch])).toEqual(expected);
  });

  test("codes and floats go the same way in steps", () => {
    const codes = compiled.quantizeInput<Tensor>(batch);
    expect(codes.dtype).toBe("int64");
    const answers = compiled.quantizedForward<Tensor>(codes);
    expect(answers.shape).toEqual([5, 4]);
    expect(compiled.dequantizeOutput<Tensor>(answers)).toEqual(expected);
    expect(expected.dtype).toBe("float64");
  });

  test("codes may come as 32-bit and 64-bit integers", () => {
    const codes = compiled.quantizeInput<Tensor>(batch);
    const expectedCodes = compiled.quantizedForward<Tensor>(codes);
    const narrow = { shape: codes.shape, data: Int32Array.from(codes.data) };
    const wide = { shape: codes.shape, data: BigInt64Array.from(codes.data, BigInt) };
    expect(compiled.quantizedForward(narrow)).toEqual(expectedCodes);
    expect(compiled.quantizedForward(wide)).toEqual(expectedCodes);
  });

  test("values far outside calibration are clipped to the ends of the codes", () => {
    const far = compiled.quantizeInput<Tensor>([
      Array.from({ length: 10 }, (_, i) => 1e9 * (i - 4.5)),
    ]);
    const [lo, hi] = compiled.module.inputs[0].quantizer.codeRange;
    expect(new Set(far.data)).toEqual(new Set([lo, hi]));
  });
});

describe("several inputs", () => {
  const batch = two.inputs.map((tensor) => rowsOf(tensor, 0, 4));

  test("are lists, and one answer is a tensor", () => {
    const codes = pair.quantizeInput<Tensor[]>(batch);
    expect(codes).toHaveLength(2);
    const answers = pair.quantizedForward<Tensor>(codes);
    expect(answers.shape).toEqual([4, 3]);
    expect(pair.dequantizeOutput<Tensor>(answers)).toEqual(pair.forward<Tensor>(batch));
  });

  test("may mix typed arrays and tensors", () => {
    const [first, second] = batch as Tensor<"float32">[];
    const mixed = [{ shape: first.shape, data: first.data }, second] as unknown as Tensor[];
    expect(pair.forward(mixed)).toEqual(pair.forward(batch));
  });

  test("are told apart", () => {
    const [first, second] = batch;
    expect(pair.forward([second, first])).not.toEqual(pair.forward(batch));
  });
});

describe("modes", () => {
  test("guaranteed bounds never overflow, on whatever codes", () => {
    const random = randomNumbers(7);
    const codes = pair.module.inputs.map(({ shape, quantizer }) => {
      const [lo, hi] = quantizer.codeRange;
      const full = [20, ...shape.slice(1)];
      const data = Float64Array.from(
        { length: sizeOf(full) },
        () => lo + Math.floor(random() * (hi - lo + 1)),
      );
      return { dtype: "int64", shape: full, data } as const;
    });
    const simulated = pair.circuit.simulate(codes, { noise: false });
    expect(simulated).toEqual(pair.quantizedForward(codes));
    expect(pair.circuit.overflows).toBe(0);
  });

  test("simulation with noise agrees at the default failure probability", () => {
    const codes = pair.quantizeInput<Tensor[]>(two.inputs);
    expect(pair.quantizedForward(codes, { fhe: "simulate" })).toEqual(pair.quantizedForward(codes));
  });

  test("simulation is as random as its source", () => {
    const codes = pair.quantizeInput<Tensor[]>(two.inputs);
    const run = () => pair.circuit.simulate(codes, { random: randomNumbers(3) });
    expect(run()).toEqual(run());
  });

  test("a looser failure probability costs less and fails more", async () => {
    const module = await buildQuantizedModule(model, calibration, { nBits: 3 });
    const tight = compileModule(module, { log2PError: -128 }).circuit.statistics;
    const loose = compileModule(module, { pError: 0.01 }).circuit.statistics;
    expect(loose.predictedMs).toBeLessThan(tight.predictedMs);
    expect(loose.log2FailureProbability).toBeGreaterThan(tight.log2FailureProbability);
    expect(tight.log2PError).toBe(-128);
    expect(loose.pError).toBeCloseTo(0.01, 12);
  });

  test("more bits come closer to the float model", async () => {
    const [expected] = evaluate(importOnnx(model), inputs);
    const distance = async (nBits: number): Promise<number> => {
      const module = await buildQuantizedModule(model, calibration, { nBits });
      const { data } = module.forward<Tensor>(inputs);
      const distances = Array.from(data, (x, i) => Math.abs(x - expected.data[i]));
      return distances.reduce((sum, x) => sum + x, 0) / distances.length;
    };
    const [few, some, many] = [await distance(2), await distance(5), await distance(8)];
    expect(few).toBeGreaterThan(some);
    expect(some).toBeGreaterThan(many);
    expect(many).toBeLessThan(0.02);
  });
});

describe("reports", () => {
  test("list the accumulators of linear operators by node", () => {
    const report = compiled.bitwidthAndRangeReport();
    expect(Object.keys(report)).toEqual(["/fc1/Gemm", "/fc2/Gemm"]);
    for (const { range, bitwidth, guaranteedRange, guaranteedBitwidth } of Object.values(report)) {
      expect(range[0]).toBeGreaterThanOrEqual(guaranteedRange[0]);
      expect(range[1]).toBeLessThanOrEqual(guaranteedRange[1]);
      expect(bitwidth).toBeLessThanOrEqual(guaranteedBitwidth);
    }
  });

  test("count the lookups that the program makes: one per hidden value", () => {
    const { statistics, parts } = compiled.circuit;
    const lookups = parts.program.instructions.filter(({ kind }) => kind === "lookup");
    const items = lookups.map((lookup) => (lookup.kind === "lookup" ? lookup.sources.length : 0));
    expect(statistics.tableLookups).toBe(items.reduce((a, b) => a + b, 0));
    expect(statistics.tableLookups).toBe(16);
  });

  test("agree with the parameters, the report and the sizes on the wire", () => {
    const { statistics, parts } = compiled.circuit;
    const widths = Object.values(compiled.bitwidthAndRangeReport()).map(({ bitwidth }) => bitwidth);
    expect(statistics.maxBitWidth).toBe(Math.max(...widths));
    expect(statistics.parameters).toEqual(parts.program.parameters);
    expect(statistics.securityBits).toBeGreaterThanOrEqual(128);
    expect(statistics.log2PError).toBe(-40);
    expect(statistics.failureProbability).toBe(2 ** statistics.log2FailureProbability);
    const { lweDimension, glweDimension, polynomialSize, glweNoiseStd } = statistics.parameters;
    // Header, digest, tensor count, one value count, seed, the bits of each body that are not far below the noise (docs/format.md).
    const bits = 64 - Math.max(0, Math.floor(Math.log2(glweNoiseStd)) + 64 - 3);
    expect(statistics.inputBytes).toBe(112 + 4 + 4 + 16 + Math.ceil((10 * bits) / 8));
    const [{ isSmall, bits: kept }] = parts.program.outputForms;
    const dimension = isSmall ? lweDimension : glweDimension * polynomialSize;
    expect(kept).toBeLessThan(32);
    expect(statistics.outputBytes).toBe(112 + 4 + 12 + Math.ceil((4 * (dimension + 1) * kept) / 8));
  });

  test("of a model without tables have no lookups and no evaluation key", async () => {
    const { calibration: rows } = readModelFixture("op_single_linear");
    const leveled = await compileOnnxModel(readModelBytes("op_single_linear"), rows, { nBits: 8 });
    expect(leveled.circuit.statistics.tableLookups).toBe(0);
    expect(leveled.circuit.parts.program.parameters.lweDimension).toBe(0);
  });
});
