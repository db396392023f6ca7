/**
 * Linear models of scikit-learn with Concrete ML's integers: codes of inputs, sums, scales, zero points and predictions.
 */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { buildQuantizedModule } from "../../../src/compile.ts";
import { circuitStatistics } from "../../../src/execute/statistics.ts";
import type { NBitsOption } from "../../../src/quantization/bits.ts";
import { tensorsOf } from "../../../src/tensor/list.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { readNpy } from "../../support/npy.ts";
import { readSklearnFile } from "../../support/sklearn-fixtures.ts";

const root = new URL("../../fixtures/sklearn/", import.meta.url);

/** What of a golden is compared. */
interface Golden {
  readonly n_bits: NBitsOption;
  readonly linear?: object;
  readonly quantized_inputs: readonly (readonly (readonly number[])[])[];
  readonly quantized_outputs: readonly (readonly (readonly number[])[])[];
  readonly input_quantizers: readonly { readonly scale: number; readonly zero_point: number }[];
  readonly output_quantizers: readonly {
    readonly scale: number;
    readonly zero_point: readonly (readonly number[])[];
  }[];
  readonly outputs_kind: string;
  readonly outputs: readonly (readonly (readonly number[])[])[];
  readonly all_inputs: { readonly predictions: readonly number[] };
}

const goldens = readdirSync(root)
  .filter((name) => name.startsWith("sk_") && existsSync(new URL(`${name}/`, root)))
  .flatMap((name) =>
    readdirSync(new URL(`${name}/`, root))
      .filter((file) => file.startsWith("golden_"))
      .map((file) => {
        const text = readFileSync(new URL(`${name}/${file}`, root), "utf8");
        return { name, file, golden: JSON.parse(text) as Golden };
      }),
  )
  .filter(({ golden }) => golden.linear !== undefined);

const npy = (name: string, file: string): Tensor => readNpy(new URL(`${name}/${file}`, root));

describe.each(goldens)("$name $file", ({ name, golden }) => {
  test("has Concrete ML's integers and predictions", async () => {
    const model = readSklearnFile(name, "model.onnx");
    const module = await buildQuantizedModule(model, npy(name, "calibration.npy"), {
      nBits: golden.n_bits,
    });
    const codes = module.quantizeInput(npy(name, "inputs.npy"));
    const sums = module.quantizedForward(codes);
    const [input] = golden.input_quantizers;
    expect(module.inputs[0].quantizer.scale).toBe(input.scale);
    expect(module.inputs[0].quantizer.zeroPoint).toBe(input.zero_point);
    const firstCodes = golden.quantized_inputs[0].flat();
    expect(Array.from(codes.data).slice(0, firstCodes.length)).toEqual(firstCodes);
    const firstSums = golden.quantized_outputs[0].flat();
    expect(Array.from(sums.data).slice(0, firstSums.length)).toEqual(firstSums);
    const { scale, zeroPoint } = module.outputs[0].quantizer;
    // ONNX holds in float32 what scikit-learn holds in float64.
    expect(Math.abs(Number(scale) / golden.output_quantizers[0].scale - 1)).toBeLessThan(1e-7);
    expect([...(zeroPoint as Tensor).data]).toEqual(golden.output_quantizers[0].zero_point[0]);
    const outputs = tensorsOf(module.dequantizeOutput<Tensor[]>(sums));
    const { predictions } = golden.all_inputs;
    if (outputs[0].dtype === "int64") expect([...outputs[0].data]).toEqual(predictions);
    else {
      const largest = Math.max(...predictions.map(Math.abs));
      const errors = predictions.map((y, i) => Math.abs(y - outputs[0].data[i]));
      expect(Math.max(...errors) / largest).toBeLessThan(1e-6);
    }
    if (golden.outputs_kind === "predict_proba") {
      const errors = golden.outputs.flat(2).map((p, i) => Math.abs(p - outputs[1].data[i]));
      expect(Math.max(...errors)).toBeLessThan(1e-6);
    }
    expect(circuitStatistics(module.circuitFor("calibrated")).tableLookups).toBe(0);
  });
});

test("the goldens are there", () => {
  expect(goldens.length).toBe(30);
});
