/**
 * The integers and quantizers of Concrete ML 1.9 on whole models: same scales, zero points, codes and widths.
 * @module
 */
import { tensorsOf } from "../../../src/tensor/list.ts";
import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { bitwidthAndRangeReport } from "../../../src/execute/report.ts";
import { importOnnx } from "../../../src/onnx/import.ts";
import { ACCUMULATOR, lsbsToRemove } from "../../../src/quantization/operation.ts";
import { type QuantizedModule } from "../../../src/quantization/module.ts";
import { PostTrainingAffineQuantization } from "../../../src/quantization/post-training.ts";
import type { UniformQuantizer } from "../../../src/quantization/quantizer.ts";
import type { RoundingOption } from "../../../src/quantization/bits.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import {
  FIXTURES,
  type Fixture,
  type Golden,
  type GoldenQuantizer,
  argmax,
  flat,
  readFixture,
} from "../../support/golden.ts";

/**
 * The order of float32 sums in the first layer may move a range by an ulp and one integer in a thousand by one; on the
 * large fixtures the order is known (a chain of fused multiply-adds), on some small ones the reference used another.
 */
const SCALE_TOLERANCE = 1e-9;
const ULP_TOLERANCE = 2 ** -22;
const OTHER_ORDER: ReadonlySet<string> = new Set(["act_relu", "op_conv1d"]);
const MOVED_SHARE = 1e-3;

function quantize(fixture: Fixture, golden: Golden): QuantizedModule {
  const quantizer = new PostTrainingAffineQuantization(golden.n_bits, importOnnx(fixture.model), {
    roundingThresholdBits: golden.rounding_threshold_bits as RoundingOption,
  });
  return quantizer.quantizeModule(...fixture.calibration);
}

function expectQuantizer(
  got: UniformQuantizer,
  expected: GoldenQuantizer,
  tolerance: number,
): void {
  expect(Math.abs(got.tensorScale("golden") / expected.scale - 1)).toBeLessThan(tolerance);
  const zeroPoints = typeof got.zeroPoint === "number" ? [got.zeroPoint] : [...got.zeroPoint.data];
  const expectedZeroPoints = flat(expected.zero_point);
  expect(zeroPoints).toHaveLength(expectedZeroPoints.length);
  zeroPoints.forEach((z, i) => {
    expect(Math.abs(z - expectedZeroPoints[i])).toBeLessThan(
      tolerance * Math.max(1, Math.abs(expectedZeroPoints[i])),
    );
  });
  expect(got.offset).toBe(expected.offset);
  expect(got.options.nBits).toBe(expected.n_bits);
  expect(got.options.isSigned).toBe(expected.is_signed);
}

/** Equal but for at most one in a thousand, which may differ by one. */
function expectIntegers(got: ArrayLike<number>, expected: readonly number[]): void {
  expect(got.length).toBe(expected.length);
  let moved = 0;
  expected.forEach((value, i) => {
    const distance = Math.abs(got[i] - value);
    expect(distance).toBeLessThanOrEqual(1);
    moved += distance;
  });
  expect(moved).toBeLessThanOrEqual(MOVED_SHARE * expected.length);
}

function firstRows({ shape, data }: Tensor, rows: number): ArrayLike<number> {
  return data.slice(0, (data.length / shape[0]) * rows);
}

/**
 * One module per golden, shared by its tests: quantizing is most of their time. Only the last one is kept, so that the
 * big fixtures do not pile up.
 */
function sharedModule(fixture: Fixture): (golden: Golden) => QuantizedModule {
  let last: { readonly golden: Golden; readonly module: QuantizedModule } | null = null;
  return (golden) => {
    if (last?.golden !== golden) last = { golden, module: quantize(fixture, golden) };
    return last.module;
  };
}

/**
 * With rounding, or with weights that are not centred, Concrete's report mixes the accumulator with other integers of
 * the node (rounded values, partial sums); ours is the accumulator alone.
 */
function isUnrounded({ rounding_threshold_bits, weights }: Golden): boolean {
  const centred = weights.every(
    (weight) => weight.used_as !== "integer" || weight.zero_point === 0,
  );
  return rounding_threshold_bits === null && centred;
}

const names = readdirSync(FIXTURES)
  .sort()
  .filter((name) => readdirSync(`${FIXTURES}/${name}`).includes("model.onnx"));
const fixtures = names
  .map(readFixture)
  .filter(({ goldens }) => [...goldens.values()].some(({ match }) => match === "exact"));

function toleranceOf({ name }: Fixture): number {
  return OTHER_ORDER.has(name) ? ULP_TOLERANCE : SCALE_TOLERANCE;
}

function expectSameIntegers(module: QuantizedModule, fixture: Fixture, golden: Golden): void {
  const tolerance = toleranceOf(fixture);
  module.inputs.forEach(({ quantizer }, i) =>
    expectQuantizer(quantizer, golden.input_quantizers[i], tolerance),
  );
  module.outputs.forEach(({ quantizer }, i) =>
    expectQuantizer(quantizer, golden.output_quantizers[i], tolerance),
  );
  const inputs = tensorsOf(module.quantizeInput<Tensor[]>(fixture.inputs));
  inputs.forEach((codes, i) => {
    const expected = flat(golden.quantized_inputs[i]);
    const rows = (golden.quantized_inputs[i] as unknown[]).length;
    expectIntegers(firstRows(codes, rows), expected);
  });
  const outputs = tensorsOf(module.quantizedForward<Tensor[]>(inputs));
  outputs.forEach((codes, i) => {
    const rows = (golden.quantized_outputs[i] as unknown[]).length;
    expectIntegers(firstRows(codes, rows), flat(golden.quantized_outputs[i]));
  });
  const { predictions } = golden.all_inputs;
  if (predictions && fixture.labels) {
    const got = argmax(module.dequantizeOutput<Tensor>(outputs));
    const different = got.filter((label, i) => label !== predictions[i]).length;
    expect(different).toBeLessThanOrEqual(Math.ceil(MOVED_SHARE * got.length));
  }
}

function expectSameOperators(module: QuantizedModule, fixture: Fixture, golden: Golden): void {
  const tolerance = toleranceOf(fixture);
  for (const expected of golden.ops) {
    const op = module.operations.find(({ node }) => node.outputs[0] === expected.output);
    if (!op) throw new Error(`no operator gives ${expected.output}`);
    expect(op.isFused).toBe(expected.fused);
    expect(op.inputOptions.nBits).toBe(expected.input_options.n_bits);
    expect(op.inputOptions.isSigned).toBe(expected.input_options.is_signed);
    const scale = op.calibrated.outputQuantizer.tensorScale("golden");
    expect(Math.abs(scale / expected.output_params.scale - 1)).toBeLessThan(tolerance);
    const lsbs = expected.lsbs_to_remove?.["matmul"];
    const accumulator = op.calibrated.accumulators.get(ACCUMULATOR);
    if (lsbs !== undefined && accumulator && op.rounding) {
      expect(lsbsToRemove(accumulator, op.rounding.nBits)).toBe(lsbs);
    }
  }
  for (const expected of golden.weights) {
    const constant = module.constants.get(expected.tensor);
    if (!constant?.quantized || expected.used_as !== "integer") continue;
    const { quantizer, qvalues } = constant.quantized;
    expect(Math.abs(quantizer.tensorScale("golden") / expected.scale - 1)).toBeLessThan(
      SCALE_TOLERANCE,
    );
    expect(quantizer.zeroPoint).toBe(expected.zero_point);
    if (expected.qvalues) expect([...qvalues.data]).toEqual(flat(expected.qvalues));
  }
}

function expectSameWidths(module: QuantizedModule, fixture: Fixture, golden: Golden): void {
  const report = bitwidthAndRangeReport(module.circuitFor("calibrated"));
  for (const [node, expected] of Object.entries(golden.compile.report ?? {})) {
    const row = report[node];
    if (row === undefined) continue;
    expect({ node, bits: row.bitwidth }).toEqual({ node, bits: expected.bitwidth });
    // The reference also counts the all-zero codes of the dead channel, which the circuit never adds up.
    if (fixture.name === "op_degenerate_weights") continue;
    row.range.forEach((end, i) => expect(Math.abs(end - expected.range[i])).toBeLessThanOrEqual(2));
  }
}

describe.each(fixtures)("$name", (fixture) => {
  const exact = [...fixture.goldens].filter(([, golden]) => golden.match === "exact");
  const moduleOf = sharedModule(fixture);
  describe.each(exact)("%s", (_, golden) => {
    test("gives the same quantizers and integers", () => {
      expectSameIntegers(moduleOf(golden), fixture, golden);
    });

    test("calibrates every operator alike", () => {
      expectSameOperators(moduleOf(golden), fixture, golden);
    });

    if (!golden.compile.report || !isUnrounded(golden)) return;
    test("has the same widths", () => {
      expectSameWidths(moduleOf(golden), fixture, golden);
    });
  });
});
