/**
 * Lowering by small circuits made by hand: shared values, sums, padding, axes, and the ends of every range.
 * @module
 */
import { describe, expect, test } from "vitest";
import { evaluate } from "../../../src/circuit/evaluate.ts";
import type { CircuitBuilder } from "../../../src/circuit/builder.ts";
import type { Circuit, ValueId } from "../../../src/circuit/ir.ts";
import { print } from "../../../src/lower/print.ts";
import type { LinearInstruction, LookupInstruction, Program } from "../../../src/lower/program.ts";
import { verify } from "../../../src/lower/verify.ts";
import { type Tensor, int64, sizeOf } from "../../../src/tensor/tensor.ts";
import { constraintsOf } from "../../../src/parameters/constraints.ts";
import { planEncodings } from "../../../src/parameters/encoding-plan.ts";
import { runPasses } from "../../../src/passes/index.ts";
import { circuitOf, divideTable, lowerCircuit } from "../../support/circuits.ts";
import { randomNumbers } from "../../support/random-models.ts";

/** Rows of integers from `lo` to `hi`; the first two rows are the ends. */
function rows(
  shape: readonly number[],
  { lo, hi }: { readonly lo: number; readonly hi: number },
  count = 12,
): Tensor<"int64"> {
  const random = randomNumbers(count + lo);
  const size = sizeOf(shape);
  return int64(
    [count, ...shape.slice(1)],
    Array.from({ length: count * size }, (_, i) =>
      i < size ? lo : i < 2 * size ? hi : lo + Math.floor(random() * (hi - lo + 1)),
    ),
  );
}

function rowAt({ shape, data }: Tensor, row: number): Tensor<"int64"> {
  const size = data.length / shape[0];
  return int64([1, ...shape.slice(1)], data.slice(row * size, (row + 1) * size));
}

/** Every row gives the same integers in simulation as in clear execution, and nothing overflows. */
function expectSame(
  built: Circuit,
  codes: readonly Tensor[],
  bounds: "calibrated" | "guaranteed" = "guaranteed",
): Program {
  const { circuit, program, run } = lowerCircuit(built, codes, bounds);
  for (let row = 0; row < codes[0].shape[0]; row++) {
    const inputs = codes.map((tensor) => rowAt(tensor, row));
    expect(run(inputs)).toEqual({ outputs: evaluate(circuit, inputs), overflows: 0 });
  }
  return program;
}

/** The same codes after an addition of 0: tables on an input itself are no lookups. */
function shifted(b: CircuitBuilder, x: ValueId): ValueId {
  return b.emit({ kind: "shift", by: 0 }, [x], "shifted");
}

describe("outputs", () => {
  const ranges = [0, 1, 2, 3, 7, 8, 30, 91, 1000].flatMap((width) =>
    [-width, -Math.floor(width / 3), 0, 17].map((lo) => ({ lo: lo + 0, hi: lo + width })),
  );

  test.each(ranges)("both ends of [$lo, $hi] decode, with room for noise beside them", (range) => {
    const circuit = circuitOf((b) => [b.input(0, [1, 1], range, "x")]);
    for (const bounds of ["calibrated", "guaranteed"] as const) {
      expectSame(circuit, [rows([1, 1], range, 2)], bounds);
      const { scale, middle } = lowerCircuit(circuit, [rows([1, 1], range, 2)], bounds).spec
        .outputs[0];
      const units = Number(2n ** 63n) / Number(scale) + 1e-9;
      expect(range.hi - middle + 0.5).toBeLessThanOrEqual(units);
      expect(middle - range.lo + 0.5).toBeLessThanOrEqual(units);
    }
  });
});

describe("tables", () => {
  const range = { lo: -20, hi: 35 };
  const weights = int64([2, 2], [1, -2, 3, 1]);

  test("two tables of different grids read one value, each at its own offset", () => {
    const program = expectSame(
      circuitOf((b) => {
        const x = b.input(0, [1, 2], { lo: 0, hi: 7 }, "x");
        const sum = b.emit({ kind: "matmul", weights }, [x], "sum");
        const each = b.emit(divideTable(1, [-30, 30]), [sum], "each");
        const wide = b.emit(
          divideTable(4, [0, 7], { kind: "approximate", lsbs: 3 }),
          [sum],
          "wide",
        );
        return [each, wide];
      }),
      [rows([1, 2], { lo: 0, hi: 7 })],
    );
    const lookups = program.instructions.filter(({ kind }) => kind === "lookup");
    expect(lookups.map((lookup) => (lookup as LookupInstruction).boxes)).toEqual([50, 7]);
  });

  test("a table that needs less room than a sum of the same value multiplies its input to fill its own", () => {
    const wide = int64([2, 1], [40, -35]);
    const codes = rows([1, 2], { lo: 0, hi: 7 });
    const circuit = circuitOf((b) => {
      const x = shifted(b, b.input(0, [1, 2], { lo: 0, hi: 7 }, "x"));
      const sum = b.emit({ kind: "matmul", weights: wide }, [x], "sum");
      return [
        b.emit(divideTable(2, [0, 3]), [x], "narrow"),
        b.emit(divideTable(40, [-9, 9]), [sum], "wide"),
      ];
    });
    expectSame(circuit, [codes]);
    const bounded = runPasses(circuit, { calibration: [codes], bounds: "guaranteed" });
    const plan = planEncodings(bounded, "guaranteed");
    const [narrow, other] = constraintsOf(bounded, plan);
    // 526 integers of the sum and 8 of the input: 65 times as wide, and so is the noise of the input.
    expect([...plan.placements.values()].map(({ factor }) => factor)).toEqual([65, 1]);
    expect(narrow.margin / other.margin).toBeCloseTo(65, 6);
    expect([narrow.inputNorm, other.inputNorm]).toEqual([65 ** 2, 40 ** 2 + 35 ** 2]);
  });

  test("a value that a table and an output read keeps the finer scale of the two", () => {
    expectSame(
      circuitOf((b) => {
        const x = b.input(0, [1, 2], { lo: -4, hi: 7 }, "x");
        const sum = b.emit({ kind: "matmul", weights }, [x], "sum");
        return [sum, b.emit(divideTable(8, [-3, 3], { kind: "approximate", lsbs: 3 }), [sum], "t")];
      }),
      [rows([1, 2], { lo: -4, hi: 7 })],
    );
  });

  test.each(["calibrated", "guaranteed"] as const)(
    "every integer of a %s table is right",
    (kind) => {
      const every = int64(
        [56, 1],
        Array.from({ length: 56 }, (_, i) => range.lo + i),
      );
      const table = divideTable(2.5, [-9, 12]);
      const circuit = circuitOf((b) => [
        b.emit(table, [shifted(b, b.input(0, [1, 1], range, "x"))], "t"),
      ]);
      expectSame(circuit, [every], kind);
    },
  );

  test("a chain of tables, each at the scale that the next one needs", () => {
    const circuit = circuitOf((b) => {
      const x = shifted(b, b.input(0, [1, 3], range, "x"));
      const a = b.emit(divideTable(3, [-7, 12]), [x], "a");
      const c = b.emit(divideTable(2, [-3, 6]), [b.emit({ kind: "add" }, [a, a], "a+a")], "c");
      return [c, a];
    });
    expectSame(circuit, [rows([1, 3], range)]);
  });

  test("a constant per channel is a table per channel", () => {
    const bias = int64([1, 3, 1], [0, 5, -5]);
    const circuit = circuitOf((b) => {
      const x = shifted(b, b.input(0, [1, 3, 2], { lo: 0, hi: 9 }, "x"));
      const { steps } = divideTable(1, [-9, 9]);
      const add = { kind: "float", opType: "Add", attributes: {}, operands: [null, bias] } as const;
      return [
        b.emit(
          {
            kind: "table",
            encoding: { kind: "each" },
            steps: [steps[0], { op: add, inputs: [0] }, { ...steps[1], inputs: [1] }],
          },
          [x],
          "t",
        ),
      ];
    });
    const program = expectSame(circuit, [rows([1, 3, 2], { lo: 0, hi: 9 })]);
    expect(program.instructions[1]).toMatchObject({ kind: "lookup", tables: 3 });
  });

  test.each([1, 2, 3, 4])("an exact rounding takes %i bits off, one lookup each", (lsbs) => {
    const circuit = circuitOf((b) => {
      const x = b.input(0, [1, 2], range, "x");
      const rounded = b.emit({ kind: "round", lsbs, method: "exact" }, [x], "r");
      return [b.emit(divideTable(2 ** lsbs, [-20, 35]), [rounded], "t")];
    });
    const program = expectSame(circuit, [rows([1, 2], range, 40)]);
    expect(program.instructions.filter(({ kind }) => kind === "lookup")).toHaveLength(lsbs + 1);
  });
});

describe("sums", () => {
  test("a sum of two inputs and their difference", () => {
    const codes = [rows([1, 4], { lo: 0, hi: 15 }), rows([1, 4], { lo: -8, hi: 7 })];
    const circuit = circuitOf((b) => {
      const x = b.input(0, [1, 4], { lo: 0, hi: 15 }, "x");
      const y = b.input(1, [1, 4], { lo: -8, hi: 7 }, "y");
      const sum = b.emit({ kind: "add" }, [x, y], "sum");
      return [sum, b.emit({ kind: "sub" }, [sum, b.emit({ kind: "add" }, [y, y], "2y")], "x-y")];
    });
    expectSame(circuit, codes);
  });

  test.each([
    { a: [1, 3, 2], b: [1, 1, 2] },
    { a: [1, 3, 2], b: [1, 3, 1] },
    { a: [1, 1, 2], b: [1, 3, 1] },
    { a: [1, 2], b: [1, 3, 2] },
  ])("operands of shapes $a and $b are broadcast", ({ a, b: shape }) => {
    const range = { lo: -5, hi: 6 };
    const circuit = circuitOf((b) => {
      const x = b.input(0, a, range, "x");
      const y = b.input(1, shape, range, "y");
      const sum = b.emit({ kind: "sub" }, [x, y], "sum");
      return [b.emit(divideTable(1, [-11, 11]), [sum], "t")];
    });
    const codes = [rows(a, range, 6), rows(shape, range, 6)];
    // Rows are separate here: a batch of more than one would meet the other operand's axes where ranks differ.
    const single = codes.map((tensor) => rowAt(tensor, 3));
    expectSame(circuit, single);
  });
});

describe("linear operators", () => {
  test("a matrix product on three axes keeps rows apart", () => {
    const range = { lo: -3, hi: 4 };
    const random = randomNumbers(5);
    const draw = (shape: readonly number[]) =>
      int64(
        shape,
        Array.from({ length: sizeOf(shape) }, () => Math.floor(random() * 7) - 3),
      );
    const circuit = circuitOf((b) => {
      const x = b.input(0, [1, 4, 3], range, "x");
      const first = b.emit({ kind: "matmul", weights: draw([3, 5]) }, [x], "m");
      const table = b.emit(divideTable(4, [-4, 4]), [first], "t");
      return [b.emit({ kind: "matmul", weights: draw([5, 2]) }, [table], "out"), first];
    });
    expectSame(circuit, [rows([1, 4, 3], range)]);
  });

  test.each([0, -3, 5, 70])("a convolution pads with code %i", (padValue) => {
    const range = { lo: 0, hi: 15 };
    const random = randomNumbers(padValue);
    const weights = int64(
      [4, 1, 3, 2],
      Array.from({ length: 24 }, () => Math.floor(random() * 9) - 4),
    );
    const geometry = { strides: [2, 1], pads: [1, 0, 2, 1], dilations: [1, 2], group: 2 };
    const circuit = circuitOf((b) => {
      const x = b.input(0, [1, 2, 5, 4], range, "x");
      return [b.emit({ kind: "conv", weights, geometry, padValue }, [x], "conv")];
    });
    const program = expectSame(circuit, [rows([1, 2, 5, 4], range, 6)]);
    const { constants } = program.instructions[0] as LinearInstruction;
    expect(constants.length > 0).toBe(padValue !== 0);
  });

  test("a reshape between two operators costs no instruction", () => {
    const range = { lo: 0, hi: 7 };
    const weights = int64([2, 2], [1, 2, 3, -4]);
    const circuit = circuitOf((b) => {
      const x = b.input(0, [1, 3, 2], range, "x");
      const rowsOf3 = b.emit({ kind: "matmul", weights }, [x], "m");
      const flat = b.emit({ kind: "reshape", shape: [1, 6] }, [rowsOf3], "flat");
      const out = int64([6, 1], [1, -1, 2, -2, 3, -3]);
      return [b.emit({ kind: "matmul", weights: out }, [flat], "out")];
    });
    const program = expectSame(circuit, [rows([1, 3, 2], range)]);
    expect(print(program)).toMatchInlineSnapshot(`
      "program n=0 k=1 N=1024 {
        t0 = input of 6
        t1 = linear(t0) : 1 x 2 x 3, 2 terms
        t2 = linear(t1) : 1 x 1 x 1, 6 terms
        return t2
      }"
    `);
  });
});

describe("verify", () => {
  const weights = int64([2, 2], [1, -2, 3, 1]);
  const circuit = circuitOf((b) => {
    const x = b.input(0, [1, 2], { lo: 0, hi: 7 }, "x");
    const sum = b.emit({ kind: "matmul", weights }, [x], "sum");
    return [b.emit(divideTable(4, [-5, 9]), [sum], "t")];
  });
  const { program } = lowerCircuit(circuit, [rows([1, 2], { lo: 0, hi: 7 })], "guaranteed");
  const [linear, lookup] = program.instructions as [LinearInstruction, LookupInstruction];
  const withLinear = (change: Partial<LinearInstruction>): Program => ({
    ...program,
    instructions: [{ ...linear, ...change }, lookup],
  });
  const withLookup = (change: Partial<LookupInstruction>): Program => ({
    ...program,
    instructions: [linear, { ...lookup, ...change }],
  });

  test("accepts what lowering makes", () => {
    expect(() => verify(program)).not.toThrow();
  });

  const broken: readonly (readonly [string, Program])[] = [
    ["an operand of its own", withLinear({ operands: [1] })],
    ["too few weights", withLinear({ weights: linear.weights.slice(1) })],
    ["too few gathers", withLinear({ gather: linear.gather.slice(1) })],
    ["a gather behind the end", withLinear({ gather: Int32Array.of(0, 2) })],
    ["a gather before the start", withLinear({ gather: Int32Array.of(0, -2) })],
    ["a constant too many", withLinear({ constants: new BigUint64Array(3) })],
    ["an operand that comes later", withLookup({ operand: 2 })],
    ["a table without values", withLookup({ values: new BigUint64Array(0) })],
    ["a table without starts", withLookup({ starts: new Uint32Array(0) })],
    ["an offset too many", withLookup({ offsets: new BigUint64Array(2) })],
    ["a source behind the end", withLookup({ sources: Uint32Array.of(0, 2) })],
    ["an item without table", withLookup({ tableOf: Uint32Array.of(0) })],
    ["an item of another table", withLookup({ tableOf: Uint32Array.of(0, 1) })],
    ["an item without noise", withLookup({ noiseStd: Float64Array.of(0) })],
    ["boxes that start late", withLookup({ starts: lookup.starts.map((start) => start + 1) })],
    ["boxes that descend", withLookup({ starts: lookup.starts.map((s, i) => (i === 2 ? 0 : s)) })],
    [
      "boxes behind the table",
      withLookup({ starts: lookup.starts.map((start, i) => (i > 2 ? 1 << 30 : start)) }),
    ],
    [
      "lookups without a small key",
      { ...program, parameters: { ...program.parameters, lweDimension: 0 } },
    ],
    ["an output that is not there", { ...program, outputs: [3] }],
  ];

  test.each(broken)("refuses %s", (_, illegal) => {
    expect(() => verify(illegal)).toThrow(/^internal: /);
  });
});
