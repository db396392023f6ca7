/**
 * Inputs that are read one-hot: tables on them are sums, their codes are one too, and all modes agree.
 * @module
 */
import { describe, expect, test } from "vitest";
import { evaluate } from "../../../src/circuit/evaluate.ts";
import { type Circuit, inputsOf } from "../../../src/circuit/ir.ts";
import type { LinearInstruction } from "../../../src/lower/program.ts";
import { constraintsOf } from "../../../src/parameters/constraints.ts";
import { planEncodings } from "../../../src/parameters/encoding-plan.ts";
import { requireBounds } from "../../../src/passes/infer-bounds.ts";
import { runPasses } from "../../../src/passes/index.ts";
import { type Tensor, int64, sizeOf } from "../../../src/tensor/tensor.ts";
import {
  type LoweredCircuit,
  circuitOf,
  divideTable,
  lowerCircuit,
} from "../../support/circuits.ts";
import { errorOf } from "../../support/errors.ts";
import { randomNumbers } from "../../support/random-models.ts";

const RANGE = { lo: -5, hi: 6 };

/** Every code of the range at every element. */
function everyCode(shape: readonly number[], { lo, hi } = RANGE): Tensor<"int64"> {
  const count = hi - lo + 1;
  const size = sizeOf(shape);
  return int64(
    [count, ...shape.slice(1)],
    Array.from({ length: count * size }, (_, i) => lo + ((Math.floor(i / size) + 5 * i) % count)),
  );
}

/** Simulation gives the clear integers of the circuit as it was built, row by row. */
function expectSame(built: Circuit, codes: Tensor): LoweredCircuit {
  const lowered = lowerCircuit(built, [codes], "guaranteed");
  const expected = evaluate(built, [codes]);
  const size = codes.data.length / codes.shape[0];
  for (let row = 0; row < codes.shape[0]; row++) {
    const data = codes.data.slice(row * size, (row + 1) * size);
    const { outputs, overflows } = lowered.run([int64([1, ...codes.shape.slice(1)], data)]);
    expect(overflows).toBe(0);
    outputs.forEach((output, i) => {
      const width = output.data.length;
      expect(output.data).toEqual(expected[i].data.slice(row * width, (row + 1) * width));
    });
  }
  return lowered;
}

const kinds = ({ program }: LoweredCircuit): readonly string[] =>
  program.instructions.map(({ kind }) => kind);

describe("a table on an input", () => {
  test("is a sum over unit vectors, without lookups and without a small key", () => {
    const table = divideTable(2.5, [-9, 12]);
    const lowered = expectSame(
      circuitOf((b) => [b.emit(table, [b.input(0, [1, 3], RANGE, "x")], "t")]),
      everyCode([1, 3]),
    );
    expect(kinds(lowered)).toEqual(["linear"]);
    expect(lowered.program.inputs).toEqual([36]);
    expect(lowered.program.parameters.lweDimension).toBe(0);
    expect(lowered.spec.inputs[0].oneHot).toEqual({ lowest: -5, sizes: [12, 12, 12] });
    // One row of weights serves all elements.
    expect(lowered.program.instructions[0]).toMatchObject({ groups: 1, positions: 3 });
  });

  test.each([{ kind: "approximate", lsbs: 2 } as const, { kind: "rounded", lsbs: 1 } as const])(
    "gives what its boxes give ($kind)",
    (encoding) => {
      const table = divideTable(3, [-9, 9], encoding);
      const codes = everyCode([1, 2]);
      const even = int64(
        codes.shape,
        codes.data.map((code) => (encoding.kind === "rounded" ? 2 * Math.floor(code / 2) : code)),
      );
      const range = { lo: -6, hi: 6 };
      expectSame(
        circuitOf((b) => [b.emit(table, [b.input(0, [1, 2], range, "x")], "t")]),
        even,
      );
    },
  );

  test("with a constant per channel, behind a move that repeats elements, with its own bounds", () => {
    const bias = int64([1, 3, 1], [0, 4, -4]);
    const { steps } = divideTable(2, [-4, 4]);
    const add = { kind: "float", opType: "Add", attributes: {}, operands: [null, bias] } as const;
    const indices = Int32Array.of(1, 0, 2, 2, 0, 1);
    const circuit = circuitOf((b) => {
      const x = b.input(0, [1, 3], RANGE, "x");
      const moved = b.emit({ kind: "gather", shape: [1, 3, 2], indices, fill: 0 }, [x], "moved");
      const table = {
        kind: "table",
        encoding: { kind: "each" },
        steps: [steps[0], { op: add, inputs: [0] }, { ...steps[1], inputs: [1] }],
      } as const;
      return [b.emit(table, [moved], "t")];
    });
    const codes = everyCode([1, 3]);
    expect(kinds(expectSame(circuit, codes))).not.toContain("lookup");
    const bounded = runPasses(circuit, { calibration: [codes], bounds: "guaranteed" });
    const [output] = bounded.outputs;
    expect(requireBounds(bounded.values[output]).guaranteed).toEqual({ lo: -4, hi: 4 });
  });

  test("leaves the input's codes to its other readers, as one more sum", () => {
    const weights = int64([2, 2], [3, -1, 2, 4]);
    const circuit = circuitOf((b) => {
      const x = b.input(0, [1, 2], RANGE, "x");
      const sum = b.emit({ kind: "matmul", weights }, [x], "sum");
      const table = b.emit(divideTable(2, [-3, 3]), [x], "t");
      return [b.emit({ kind: "add" }, [sum, table], "y"), x];
    });
    const lowered = expectSame(circuit, everyCode([1, 2]));
    expect(kinds(lowered)).not.toContain("lookup");
    expect(lowered.program.inputs).toEqual([24]);
  });

  test("stays a lookup where the codes are many", () => {
    const range = { lo: 0, hi: 255 };
    const built = circuitOf((b) => [
      b.emit(divideTable(64, [0, 4]), [b.input(0, [1, 65], range, "x")], "t"),
    ]);
    const calibration = [everyCode([1, 65], range)];
    const circuit = runPasses(built, { calibration, bounds: "guaranteed" });
    expect(circuit.values.map(({ op }) => op.kind)).toEqual(["input", "table"]);
    expect(inputsOf(circuit)).toHaveLength(1);
  });

  test("has the noise of its weights about their mean", () => {
    const table = divideTable(1, [0, 3]);
    const codes = everyCode([1, 1], { lo: 0, hi: 3 });
    const built = circuitOf((b) => [
      b.emit(table, [b.input(0, [1, 1], { lo: 0, hi: 3 }, "x")], "t"),
    ]);
    const circuit = runPasses(built, { calibration: [codes], bounds: "guaranteed" });
    const [output] = constraintsOf(circuit, planEncodings(circuit, "guaranteed"));
    // 0, 1, 2, 3 about 2: the mean 1.5 is rounded up.
    expect(output.inputNorm).toBeCloseTo(4 + 1 + 0 + 1, 9);
    expect(output.lookupNorm).toBe(0);
    const { program } = lowerCircuit(built, [codes], "guaranteed");
    const linear = program.instructions[0] as LinearInstruction;
    expect([...linear.weights]).toEqual([-2, -1, 1]);
  });
});

describe("a one-hot value", () => {
  const sizes = [3, 0, 5];
  const random = randomNumbers(5);
  const weights = int64(
    [8, 4],
    Array.from({ length: 32 }, () => Math.floor(random() * 7) - 3),
  );
  const codes = int64([5, 3], [0, 9, 0, 1, 9, 4, 2, 0, 3, 1, 5, 2, 2, 7, 1]);
  const built = circuitOf((b) => {
    const x = b.input(0, [1, 3], { lo: 0, hi: 9 }, "x");
    const hot = b.emit({ kind: "oneHot", sizes }, [x], "hot");
    return [b.emit({ kind: "matmul", weights }, [hot], "y")];
  });

  test("costs nothing on the server and takes features of different sizes, none of one that is not read", () => {
    const lowered = expectSame(built, codes);
    expect(kinds(lowered)).toEqual(["linear"]);
    expect(lowered.program.inputs).toEqual([8]);
    expect(lowered.spec.inputs[0].oneHot).toEqual({ lowest: 0, sizes });
  });

  test("that leaves features out cannot stand for the codes of its input", () => {
    const circuit = circuitOf((b) => {
      const x = b.input(0, [1, 3], { lo: 0, hi: 9 }, "x");
      return [b.emit({ kind: "oneHot", sizes }, [x], "hot"), x];
    });
    const run = () => runPasses(circuit, { calibration: [codes], bounds: "guaranteed" });
    expect(run).toThrow("internal: codes of %0");
  });

  test("is encrypted only for codes that it has", () => {
    const { run } = lowerCircuit(built, [codes], "guaranteed");
    const error = errorOf(() => run([int64([1, 3], [0, 1, 5])]));
    expect(error.code).toBe("BAD_VALUE");
    expect(error.message).toContain("expected codes from 0 to 4 at element 2, got 5");
  });
});
