/**
 * Programs against the circuits that they come from: without noise the simulated program gives the integers of clear
 * execution, in every position.
 * @module
 */
import fc from "fast-check";
import { tensorsOf } from "../../../src/tensor/list.ts";
import { describe, expect, test } from "vitest";
import { compileModule, compileOnnxModel } from "../../../src/compile.ts";
import { evaluate } from "../../../src/circuit/evaluate.ts";
import { SottoError } from "../../../src/errors.ts";
import type { CompiledModule } from "../../../src/execute/module.ts";
import { placementOf } from "../../../src/parameters/constraints.ts";
import { planEncodings } from "../../../src/parameters/encoding-plan.ts";
import { valueId } from "../../../src/circuit/ir.ts";
import type { CompileOptions } from "../../../src/options.ts";
import { type QuantizedModule } from "../../../src/quantization/module.ts";
import { type Tensor, int64 } from "../../../src/tensor/tensor.ts";
import { readModelFixture } from "../../support/onnx-fixtures.ts";
import { drawCodes, modelChoices, randomModule } from "../../support/random-models.ts";

const ROWS = 8;

/** Compiles, or gives null where the integers are too wide for any parameters. */
function compileIfPossible(
  module: QuantizedModule,
  options: CompileOptions,
): CompiledModule | null {
  try {
    return compileModule(module, options);
  } catch (error) {
    const isTooWide = error instanceof SottoError && error.code === "NO_PARAMETERS";
    if (isTooWide) return null;
    throw error;
  }
}

function simulate(compiled: CompiledModule, codes: readonly Tensor[]): Tensor[] {
  return tensorsOf(compiled.circuit.simulate<Tensor[]>(codes, { noise: false }));
}

/**
 * Rows in which every table reads its input at least one table coefficient away from the edges of its boxes: nearer than
 * that, rounded tables may take either box, since their edges move to the nearest coefficient.
 */
function clearRows(
  compiled: CompiledModule,
  codes: readonly Tensor[],
  kind: "calibrated" | "guaranteed",
): boolean[] {
  const { circuit, program } = compiled.circuit.parts;
  const plan = planEncodings(circuit, kind);
  const lookups = program.instructions.filter((instruction) => instruction.kind === "lookup");
  const isClear = Array.from({ length: codes[0].shape[0] }, () => true);
  const results: Tensor[] = [];
  let next = 0;
  evaluate(circuit, codes, {
    after(value, result, index) {
      results.push(result);
      const { op, inputs } = value;
      if (op.kind === "extractBit") next++;
      if (op.kind !== "table") return;
      const { grid, scale } = placementOf(plan, valueId(index));
      const size = program.parameters.polynomialSize * 2 ** lookups[next++].extensionLog;
      const coefficient = 2 ** 63 / Number(scale) / size;
      const { data, shape } = results[inputs[0]];
      data.forEach((x, i) => {
        const position = (x - grid.origin) / grid.step;
        const distance = Math.abs(position - Math.round(position)) * grid.step;
        if (distance <= coefficient) isClear[Math.floor((i * shape[0]) / data.length)] = false;
      });
    },
  });
  return isClear;
}

function rowsOf({ shape, data }: Tensor, isWanted: readonly boolean[]): number[] {
  const size = data.length / shape[0];
  return [...data].filter((_, i) => isWanted[Math.floor(i / size)]);
}

describe("simulation without noise", () => {
  test("gives the integers of clear execution for all codes, under guaranteed bounds", async () => {
    let compared = 0;
    await fc.assert(
      fc.asyncProperty(modelChoices({ min: 2, max: 4 }, [null, "exact"]), async (choice) => {
        const drawn = await randomModule(choice);
        const compiled = compileIfPossible(drawn.module, { bounds: "guaranteed" });
        if (compiled === null) return;
        const codes = drawCodes(drawn, ROWS);
        expect(simulate(compiled, codes)).toEqual(compiled.circuit.evaluate(codes));
        expect(compiled.circuit.overflows).toBe(0);
        compared++;
      }),
      { numRuns: 30 },
    );
    expect(compared).toBeGreaterThan(10);
  });

  test("gives the integers of clear execution for calibration rows, under calibrated bounds", async () => {
    let compared = 0;
    await fc.assert(
      fc.asyncProperty(modelChoices({ min: 2, max: 5 }, [null, "exact"]), async (choice) => {
        const { module } = await randomModule(choice);
        const compiled = compileIfPossible(module, {});
        if (compiled === null) return;
        const codes = tensorsOf(module.quantizeInput<Tensor[]>(module.calibration));
        expect(simulate(compiled, codes)).toEqual(compiled.circuit.evaluate(codes));
        expect(compiled.circuit.overflows).toBe(0);
        compared++;
      }),
      { numRuns: 30 },
    );
    expect(compared).toBeGreaterThan(10);
  });

  test("gives them for rounded tables too, but for integers on the edge of a box", async () => {
    let compared = 0;
    await fc.assert(
      fc.asyncProperty(
        modelChoices({ min: 3, max: 7 }, ["approximate", "fit"]),
        fc.constantFrom("calibrated" as const, "guaranteed" as const),
        async (choice, bounds) => {
          const drawn = await randomModule(choice);
          const compiled = compileIfPossible(drawn.module, { bounds });
          if (compiled === null) return;
          const codes =
            bounds === "guaranteed"
              ? drawCodes(drawn, ROWS)
              : tensorsOf(drawn.module.quantizeInput<Tensor[]>(drawn.module.calibration));
          const wanted = clearRows(compiled, codes, bounds);
          const expected = compiled.circuit.evaluate(codes);
          simulate(compiled, codes).forEach((got, i) => {
            expect(rowsOf(got, wanted)).toEqual(rowsOf(expected[i], wanted));
          });
          expect(compiled.circuit.overflows).toBe(0);
          compared += wanted.filter(Boolean).length;
        },
      ),
      { numRuns: 30 },
    );
    expect(compared).toBeGreaterThan(30);
  });
});

describe("recorded models", () => {
  const options = [
    { nBits: 2 },
    { nBits: 3, roundingThresholdBits: 4 },
    { nBits: 2, bounds: "guaranteed" },
  ] as const;
  const cases = ["op_add_two_inputs", "op_add_skip_input", "op_group_conv", "op_conv1d"].flatMap(
    (name) => options.map((option) => ({ name, option })),
  );

  test.each(cases)("$name at $option: every row, every output", async ({ name, option }) => {
    const { model, calibration } = readModelFixture(name);
    const rows = calibration.map(({ dtype, shape, data }) => {
      const size = data.length / shape[0];
      return { dtype, shape: [20, ...shape.slice(1)], data: data.slice(0, 20 * size) };
    });
    const compiled = await compileOnnxModel(model, calibration, option);
    const codes = tensorsOf(compiled.quantizeInput<Tensor[]>(rows));
    expect(simulate(compiled, codes)).toEqual(compiled.circuit.evaluate(codes));
    expect(compiled.circuit.overflows).toBe(0);
  });
});

test("an integer outside the calibrated range of a table is counted as an overflow", async () => {
  const { model, calibration } = readModelFixture("act_relu");
  const narrow = calibration.map(({ dtype, shape, data }) => ({
    dtype,
    shape: [1, ...shape.slice(1)],
    data: data.slice(0, 10),
  }));
  const compiled = await compileOnnxModel(model, narrow, { nBits: 3 });
  const [lo, hi] = compiled.module.inputs[0].quantizer.codeRange;
  const ends = Array.from({ length: 80 }, (_, i) => (i % 3 === 0 ? lo : hi));
  const codes = [int64([8, 10], ends)];
  simulate(compiled, codes);
  expect(compiled.circuit.overflows).toBeGreaterThan(0);
  simulate(compiled, [compiled.quantizeInput<Tensor>(narrow)]);
  expect(compiled.circuit.overflows).toBe(0);
});
