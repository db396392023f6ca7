/**
 * The integers inside a module: those of Concrete ML 1.9 for the operators that compute alike, and those of the circuit.
 */
import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { importOnnx } from "../../../src/onnx/import.ts";
import type { RoundingOption } from "../../../src/quantization/bits.ts";
import type { OperatorIntegers } from "../../../src/quantization/debug.ts";
import type { DebugForward, QuantizedModule } from "../../../src/quantization/module.ts";
import { PostTrainingAffineQuantization } from "../../../src/quantization/post-training.ts";
import { PostTrainingQATImporter } from "../../../src/quantization/qat-import.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { SottoError } from "../../../src/errors.ts";
import { errorOf } from "../../support/errors.ts";
import { FIXTURES, type Golden, flat, readFixture } from "../../support/golden.ts";

/** Operators whose integers are not computed in another way (ours rewrites products of encrypted tensors, for one). */
const COMPARABLE: ReadonlySet<string> = new Set(["Gemm", "MatMul", "Conv", "AveragePool"]);
/** One in a thousand integers may differ by one, as in golden.test.ts, where the reasons are. */
const MOVED_SHARE = 1e-3;

/** All activations sit between the same two linear layers: one of them does. */
const names = readdirSync(FIXTURES)
  .filter((name) => /^(op_|qat_|seed_|act_relu$|digits_mlp)/.test(name))
  .filter((name) => readdirSync(`${FIXTURES}/${name}`).includes("model.onnx"))
  .filter((name) => name !== "op_maxpool_signed_pad") // the reference pads a maximum with zeros
  .filter((name) => [...readFixture(name).goldens.values()].some((g) => g.match === "exact"));

function quantize(name: string, golden: Golden): QuantizedModule {
  const { model, calibration } = readFixture(name);
  const Quantizer = golden.import_qat ? PostTrainingQATImporter : PostTrainingAffineQuantization;
  return new Quantizer(golden.n_bits_resolved, importOnnx(model), {
    roundingThresholdBits: golden.rounding_threshold_bits as RoundingOption,
  }).quantizeModule(...calibration);
}

/** How many of `expected`, which are the first rows of `got`, are not met; by more than one is an error. */
function movedIn(got: Tensor, expected: readonly number[]): number {
  const distances = expected.map((value, i) => Math.abs(got.data[i] - value));
  expect(Math.max(...distances)).toBeLessThanOrEqual(1);
  return distances.filter((distance) => distance > 0).length;
}

describe("the integers of the reference", () => {
  test.each(names)("%s", (name) => {
    const { inputs, goldens } = readFixture(name);
    for (const golden of goldens.values()) {
      if (golden.match !== "exact") continue;
      const { values } = quantize(name, golden).forward(inputs, { debug: true });
      const byOutput = new Map([...values.values()].map((value) => [value.output, value]));
      let accumulators = 0;
      for (const { op_output, inputs: operands, accumulator } of golden.intermediates) {
        const own: OperatorIntegers | undefined = byOutput.get(op_output);
        if (!own || !COMPARABLE.has(own.opType) || operands.length > 1) continue;
        const codes = flat(operands[0].qvalues);
        const moved = movedIn(own.inputs[0], codes);
        expect(moved).toBeLessThanOrEqual(Math.max(1, MOVED_SHARE * codes.length));
        if (moved > 0 || accumulator === undefined) continue; // one moved code moves whole sums
        // What was recorded of windows is what is left of the sums after rounding.
        if (golden.rounding_threshold_bits !== null && own.opType !== "Gemm") continue;
        const expected = flat(accumulator);
        expect([...(own.accumulator?.data.slice(0, expected.length) ?? [])]).toEqual(expected);
        accumulators++;
      }
      const linear = golden.ops.some(({ op_type }) => op_type === "Gemm");
      if (linear) expect(accumulators).toBeGreaterThan(0);
    }
  });
});

describe("debug values", () => {
  const { model, calibration, inputs } = readFixture("digits_cnn");
  const graph = importOnnx(model);

  test.each(["exact", "approximate", "fit"] as const)(
    "go with the answer of the circuit, rounded by %s",
    (method) => {
      const module = new PostTrainingAffineQuantization(4, graph, {
        roundingThresholdBits: { nBits: 3, method },
      }).quantizeModule(...calibration);
      const { outputs }: DebugForward<Tensor> = module.forward(inputs, { debug: true });
      expect(outputs).toEqual(module.forward(inputs));
    },
  );

  test("are there for every operator on integers, by node name, and for no fused one", () => {
    const module = new PostTrainingAffineQuantization(4, graph).quantizeModule(...calibration);
    const { values } = module.forward(inputs, { debug: true });
    const expected = module.operations.filter(({ isFused }) => !isFused);
    expect([...values.keys()]).toEqual(expected.map(({ node }) => node.name));
    for (const { inputs: read } of values.values()) expect(read.length).toBeGreaterThan(0);
  });

  test("an unknown option is refused", () => {
    const module = new PostTrainingAffineQuantization(3, graph).quantizeModule(...calibration);
    const error = errorOf(() => module.forward(inputs, { debg: true } as never));
    expect(error).toBeInstanceOf(SottoError);
    expect(error.code).toBe("BAD_ARGUMENT");
    expect(error.message).toMatch(/expected one of debug, got debg/);
  });
});
