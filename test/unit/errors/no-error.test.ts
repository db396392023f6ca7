/**
 * What is an error in Concrete ML 1.9 and none here: it works, and the answer is that of the float model.
 */
import { describe, expect, test } from "vitest";
import { buildQuantizedModule } from "../../../src/compile.ts";
import { PostTrainingAffineQuantization, importOnnx } from "../../../src/index.ts";
import { tensorsOf } from "../../../src/tensor/list.ts";
import { type Tensor, float64 } from "../../../src/tensor/tensor.ts";
import { readModelFixture } from "../../support/onnx-fixtures.ts";

const qat = readModelFixture("qat_mlp_w3a3");

/** Largest distance to the float model that 10 bits may leave, as a share of the range of its answers. */
const CLOSE = 0.06;

describe("no error here:", () => {
  test.each([
    ["an opset that is not 14", "opset9_mlp"],
    ["the newest opsets", "opset21_mlp"],
    ["a node of several outputs", "gap_split_opset18"],
    ["operators in its list that it then cannot run", "defect_d6_sin"],
    ["a comparison of two encrypted values", "gap_compare_enc"],
    ["a maximum of two encrypted values", "gap_maximum_enc"],
    ["Where with two encrypted values", "act_where"],
    ["Concat of differently scaled tensors", "gap_concat_diff_scale"],
    ["Clip without a maximum", "gap_clamp_min"],
    ["pooling that is not 2-D", "gap_maxpool1d"],
    ["pooling that does not count padding", "gap_avgpool_exclude_pad"],
    ["pooling in ceil mode", "gap_maxpool_ceil"],
    ["dilated convolutions", "gap_dilated_conv"],
    ["3-D convolutions", "gap_conv3d"],
    ["Softmax at the end", "gap_softmax_output"],
    ["Reshape to a fixed batch", "gap_reshape_static_batch"],
  ])("%s", (_, name) => {
    const { model, calibration, inputs, floatOutputs } = readModelFixture(name);
    const quantizer = new PostTrainingAffineQuantization(10, importOnnx(model));
    const got = tensorsOf(quantizer.quantizeModule(...calibration).forward<Tensor[]>(inputs));
    got.forEach(({ data }, i) => {
      const expected = [...floatOutputs[i].data];
      const range = Math.max(...expected) - Math.min(...expected);
      const squares = expected.map((y, k) => (data[k] - y) ** 2);
      const error = Math.sqrt(squares.reduce((sum, square) => sum + square) / squares.length);
      expect(error).toBeLessThan(CLOSE * range);
    });
  });

  test("values far out of range: they are clipped to the ends of the codes", async () => {
    const { model, calibration } = readModelFixture("act_relu");
    const module = await buildQuantizedModule(model, calibration, { nBits: 2 });
    const far = module.quantizeInput(float64([1, 10], new Float64Array(10).fill(1e9)));
    expect([...far.data]).toEqual(Array(10).fill(module.inputs[0].quantizer.codeRange[1]));
  });

  test("a trained model without importQat: its quantizers decide all the same", async () => {
    const imported = await buildQuantizedModule(qat.model, qat.calibration, { nBits: 8 });
    expect(imported.inputs[0].quantizer.options.isPrecomputedQat).toBe(true);
  });
});
