/**
 * Programs of all recorded models give the clear integers: simulated without noise, on test rows within the bounds.
 */
import { describe, expect, test } from "vitest";
import { compileOnnxModel } from "../../../src/compile.ts";
import { splitRows } from "../../../src/execute/circuit.ts";
import { tensorsOf } from "../../../src/tensor/list.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { modelFixtures, readModelFixture } from "../../support/onnx-fixtures.ts";

const ROWS = 4;
/** Quantization-aware models state their own bits: these keep tables behind exact roundings within reach. */
const ROUNDED = { importQat: true, roundingThresholdBits: 4 };

describe.each(modelFixtures)("%s", (name) => {
  test("its program gives the clear integers", async () => {
    const { model, calibration, inputs } = readModelFixture(name);
    const options = name.startsWith("qat_") ? ROUNDED : { nBits: 2 };
    const compiled = await compileOnnxModel(model, calibration, options);
    const rows = splitRows(tensorsOf(compiled.quantizeInput<Tensor[]>(inputs)));
    let compared = 0;
    for (const row of rows) {
      const simulated = tensorsOf(compiled.circuit.simulate<Tensor[]>(row, { noise: false }));
      if (compiled.circuit.overflows > 0) continue;
      expect(simulated).toEqual(compiled.circuit.evaluate(row));
      compared++;
      if (compared === ROWS) break;
    }
    expect(compared).toBeGreaterThan(0);
  });
});
