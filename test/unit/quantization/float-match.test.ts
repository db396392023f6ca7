/**
 * Models that Concrete ML refuses or gets wrong: here the float model is the reference, within what n bits allow.
 * @module
 */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { buildQuantizedModule } from "../../../src/compile.ts";
import { tensorsOf } from "../../../src/tensor/list.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { FIXTURES } from "../../support/golden.ts";
import { readModelFixture } from "../../support/onnx-fixtures.ts";

interface Tolerance {
  readonly n_bits: number;
  readonly tolerance: {
    readonly max_abs?: number;
    readonly rmse?: number;
    /** Share of equal values, for indices. */
    readonly min_agreement?: number;
  };
}

function tolerancesOf(name: string): readonly Tolerance[] {
  const path = join(FIXTURES, name, "golden_float.json");
  return (JSON.parse(readFileSync(path, "utf8")) as { tolerances: Tolerance[] }).tolerances;
}

const cases = readdirSync(FIXTURES)
  .sort()
  .filter((name) => readdirSync(join(FIXTURES, name)).includes("golden_float.json"))
  .flatMap((name) =>
    tolerancesOf(name).map(({ n_bits, tolerance }) => ({ name, n_bits, tolerance })),
  );

describe("the float model is the reference", () => {
  test.each(cases)("$name at $n_bits bits", async ({ name, n_bits, tolerance }) => {
    const { model, calibration, inputs, floatOutputs } = readModelFixture(name);
    const module = await buildQuantizedModule(model, calibration, { nBits: n_bits });
    const outputs = tensorsOf(module.forward<Tensor[]>(inputs));
    expect(outputs.map(({ shape }) => shape)).toEqual(floatOutputs.map(({ shape }) => shape));
    outputs.forEach(({ data }, i) => {
      const errors = Float64Array.from(data, (x, j) => Math.abs(x - floatOutputs[i].data[j]));
      const rmse = Math.sqrt(errors.reduce((sum, x) => sum + x * x, 0) / errors.length);
      expect(rmse).toBeLessThanOrEqual(tolerance.rmse ?? Infinity);
      expect(Math.max(...errors)).toBeLessThanOrEqual(tolerance.max_abs ?? Infinity);
      const equal = errors.filter((error) => error === 0).length / errors.length;
      expect(equal).toBeGreaterThanOrEqual(tolerance.min_agreement ?? 0);
    });
  });
});
