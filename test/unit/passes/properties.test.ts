/**
 * Passes keep the meaning of circuits: random models, random codes from the whole range of every input.
 * @module
 */
import fc from "fast-check";
import { tensorsOf } from "../../../src/tensor/list.ts";
import { describe, expect, test } from "vitest";
import { buildCircuit } from "../../../src/quantization/build-circuit.ts";
import { measureInterval } from "../../../src/circuit/builder.ts";
import { evaluate } from "../../../src/circuit/evaluate.ts";
import type { Circuit, CircuitValue } from "../../../src/circuit/ir.ts";
import { verify } from "../../../src/circuit/verify.ts";
import { absorbRounding } from "../../../src/passes/absorb-rounding.ts";
import { composeTables } from "../../../src/passes/compose-tables.ts";
import { expandExactRounding } from "../../../src/passes/expand-exact-rounding.ts";
import { fuseTables } from "../../../src/passes/fuse-tables.ts";
import { inferBounds, requireBounds } from "../../../src/passes/infer-bounds.ts";
import { type QuantizedModule } from "../../../src/quantization/module.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { drawCodes, modelChoices, randomModule } from "../../support/random-models.ts";

const RUNS = { numRuns: 40 };
const ROWS = 16;
const anyModel = modelChoices({ min: 2, max: 7 }, [null, "exact", "approximate", "fit"]);

function calibrationOf(module: QuantizedModule): Tensor[] {
  return tensorsOf(module.quantizeInput<Tensor[]>(module.calibration));
}

/** Gives every fit of a circuit the interval that its input takes on calibration rows, as bounds inference does. */
function resolveFits(circuit: Circuit, calibration: readonly Tensor[]): Circuit {
  const values: CircuitValue[] = [];
  evaluate(circuit, calibration, {
    before(value, [input]) {
      const { op } = value;
      if (op.kind === "fit" && op.interval === null)
        return { ...value, op: { ...op, interval: measureInterval(input) } };
      if (op.kind !== "table" || op.encoding.kind !== "fit" || op.encoding.interval !== null)
        return value;
      const encoding = { ...op.encoding, interval: measureInterval(input) };
      return { ...value, op: { ...op, encoding } };
    },
    after: (value) => void values.push(value),
  });
  return { ...circuit, values };
}

describe("passes keep the meaning of random circuits", () => {
  test("fusing floats, absorbing roundings and composing tables", async () => {
    await fc.assert(
      fc.asyncProperty(anyModel, async (choice) => {
        const drawn = await randomModule(choice);
        const calibration = calibrationOf(drawn.module);
        const codes = drawCodes(drawn, ROWS);
        const run = (circuit: Circuit) => evaluate(resolveFits(circuit, calibration), codes);
        const built = buildCircuit(drawn.module);
        verify(built, "built");
        const expected = run(built);
        let circuit = built;
        for (const pass of [fuseTables, absorbRounding, composeTables]) {
          circuit = pass(circuit);
          verify(circuit, "fused");
          expect(run(circuit)).toEqual(expected);
        }
      }),
      RUNS,
    );
  });

  test("tables are composed where a function's codes are quantized again", async () => {
    // Below 5 bits the input of a shape operator has more bits than that of the linear operator behind it.
    const choice = { seed: 1, kind: "cnn", nBits: 3, rounding: null, isShifted: false } as const;
    const fused = absorbRounding(fuseTables(buildCircuit((await randomModule(choice)).module)));
    const tables = (circuit: Circuit) => circuit.values.filter(({ op }) => op.kind === "table");
    expect([tables(fused).length, tables(composeTables(fused)).length]).toEqual([2, 1]);
  });

  test("taking exact roundings apart", async () => {
    await fc.assert(
      fc.asyncProperty(modelChoices({ min: 2, max: 7 }, ["exact"]), async (choice) => {
        const drawn = await randomModule(choice);
        const fused = composeTables(absorbRounding(fuseTables(buildCircuit(drawn.module))));
        const context = { calibration: calibrationOf(drawn.module), bounds: "calibrated" } as const;
        const bounded = inferBounds(fused, context);
        const expanded = expandExactRounding(bounded, context);
        verify(expanded, "bounded");
        expect(expanded.values.some(({ op }) => op.kind === "round")).toBe(false);
        const codes = drawCodes(drawn, ROWS);
        expect(evaluate(expanded, codes)).toEqual(evaluate(bounded, codes));
      }),
      RUNS,
    );
  });
});

describe("bounds", () => {
  test("guaranteed ones hold for all codes and contain the calibrated ones", async () => {
    await fc.assert(
      fc.asyncProperty(
        anyModel,
        fc.constantFrom("calibrated" as const, "guaranteed" as const),
        async (choice, kind) => {
          const drawn = await randomModule(choice);
          const circuit = drawn.module.circuitFor(kind);
          evaluate(circuit, drawCodes(drawn, ROWS), {
            after(value, result) {
              const { calibrated, guaranteed } = requireBounds(value);
              const seen = measureInterval(result);
              expect(seen.lo).toBeGreaterThanOrEqual(guaranteed.lo);
              expect(seen.hi).toBeLessThanOrEqual(guaranteed.hi);
              expect(calibrated.lo).toBeGreaterThanOrEqual(guaranteed.lo);
              expect(calibrated.hi).toBeLessThanOrEqual(guaranteed.hi);
            },
          });
        },
      ),
      RUNS,
    );
  });

  test("calibrated ones are exactly what calibration rows reach", async () => {
    await fc.assert(
      fc.asyncProperty(anyModel, async (choice) => {
        const { module } = await randomModule(choice);
        evaluate(module.circuitFor("calibrated"), calibrationOf(module), {
          after(value, result) {
            // A chain of subtractions that rounds keeps the bounds of the rounding.
            expect(measureInterval(result)).toEqual(requireBounds(value).calibrated);
          },
        });
      }),
      RUNS,
    );
  });

  test("guaranteed ones are reached: a linear layer on the codes that its weights favour", async () => {
    await fc.assert(
      fc.asyncProperty(modelChoices({ min: 2, max: 7 }, [null]), async (choice) => {
        const drawn = await randomModule({ ...choice, kind: "mlp" });
        const circuit = drawn.module.circuitFor("guaranteed");
        const layer = circuit.values.find(({ op }) => op.kind === "matmul");
        if (layer?.op.kind !== "matmul") throw new Error("expected a linear layer first");
        const { weights } = layer.op;
        const [terms, columns] = weights.shape;
        const [lo, hi] = drawn.module.inputs[0].quantizer.codeRange;
        let highest = -Infinity;
        for (let c = 0; c < columns; c++) {
          let sum = 0;
          for (let t = 0; t < terms; t++) {
            const weight = weights.data[t * columns + c];
            sum += weight * (weight > 0 ? hi : lo);
          }
          highest = Math.max(highest, sum);
        }
        expect(requireBounds(layer).guaranteed.hi).toBe(highest);
      }),
      RUNS,
    );
  });
});
