/**
 * Where fit tables that bear noise read: what makes a window narrower than the interval, and that programs read it right.
 */
import { describe, expect, test } from "vitest";
import { evaluate } from "../../../src/circuit/evaluate.ts";
import { type Circuit, type TableOp, valueId } from "../../../src/circuit/ir.ts";
import { print } from "../../../src/circuit/print.ts";
import { simulate } from "../../../src/execute/simulate.ts";
import { clientPorts } from "../../../src/format/ports.ts";
import { UniformQuantizer } from "../../../src/quantization/quantizer.ts";
import { countOverflows } from "../../../src/execute/overflow.ts";
import { lower } from "../../../src/lower/lower.ts";
import { constraintsOf, placementOf } from "../../../src/parameters/constraints.ts";
import { planEncodings } from "../../../src/parameters/encoding-plan.ts";
import { chooseParameters } from "../../../src/parameters/search.ts";
import { runPasses } from "../../../src/passes/index.ts";
import { learnWindow } from "../../../src/passes/learn-window.ts";
import { tabulate } from "../../../src/circuit/tabulate.ts";
import { type Tensor, float64, int64 } from "../../../src/tensor/tensor.ts";
import { circuitOf, divideTable } from "../../support/circuits.ts";
import { randomNumbers } from "../../support/random-models.ts";

const FIT = { kind: "fit", steps: 64, interval: null } as const;
const USE = { steps: 64, noise: 0.02 };
const ROWS = 2000;

/** A table that gives `clip(round((x + bias) / by))`, with a bias per channel. */
function biased(
  bias: readonly number[],
  by: number,
  codeRange: readonly [number, number],
): TableOp {
  const zeroPoint = float64(
    [1, bias.length],
    bias.map((b) => -b),
  );
  const [, quantize] = divideTable(by, codeRange).steps;
  return {
    kind: "table",
    encoding: FIT,
    steps: [{ op: { kind: "dequantize", scale: 1, zeroPoint }, inputs: [-1] }, quantize],
  };
}

/** Uniform integers from `lo` to `hi` of each channel. */
function uniform(channels: readonly (readonly [number, number])[]): Tensor<"int64"> {
  const random = randomNumbers(3);
  return int64(
    [ROWS, channels.length],
    Array.from({ length: ROWS * channels.length }, (_, i) => {
      const [lo, hi] = channels[i % channels.length];
      return lo + Math.floor(random() * (hi - lo + 1));
    }),
  );
}

function widthOf(table: TableOp, operand: Tensor, use = USE): number {
  const window = learnWindow(table, operand, use);
  if (window?.interval == null) throw new Error("expected a window");
  return (window.interval.hi * use.steps) / (use.steps - 1);
}

describe("the window", () => {
  test("is as wide as what is between two saturated ends and the longer of them", () => {
    // Codes change over 200 integers in the middle of 1000.
    const table = divideTable(10, [-10, 10], FIT);
    const width = widthOf(table, uniform([[-500, 500]]), { ...USE, noise: 0.005 });
    expect(width).toBeGreaterThan(550);
    expect(width).toBeLessThan(760);
  });

  test("keeps to the interval where nothing saturates", () => {
    const table = divideTable(10, [-100, 100], FIT);
    const width = widthOf(table, uniform([[-500, 500]]), { ...USE, noise: 0.005 });
    expect(width).toBeGreaterThan(930);
    expect(width).toBeLessThan(1100);
  });

  test("gives up rare values for a quieter table when there is more noise", () => {
    const random = randomNumbers(9);
    const normal = (): number => Array.from({ length: 12 }, random).reduce((a, b) => a + b) - 6;
    const operand = int64(
      [ROWS, 1],
      Array.from({ length: ROWS }, () => Math.round(200 * normal())),
    );
    const table = divideTable(10, [0, 100], FIT);
    const [quiet, loud] = [0.002, 0.06].map((noise) => widthOf(table, operand, { ...USE, noise }));
    expect(loud).toBeLessThan(0.85 * quiet);
  });

  test("is one width for all channels, with a place for each", () => {
    const channels = [
      [-1000, -600],
      [200, 700],
      [0, 50],
    ] as const;
    const table = biased([800, -450, -25], 10, [-60, 60]);
    const window = learnWindow(table, uniform(channels), USE);
    if (window?.interval == null) throw new Error("expected a window");
    expect(window.shifts.shape).toEqual([1, 3]);
    const { hi: width } = window.interval;
    expect(width).toBeLessThan(640);
    channels.forEach(([lo, hi], channel) => {
      const middle = window.shifts.data[channel] + width / 2;
      expect(Math.abs(middle - (lo + hi) / 2)).toBeLessThan(300);
    });
  });

  test("is left to bounds inference where nothing varies", () => {
    const operand = int64([ROWS, 1], new Float64Array(ROWS).fill(7));
    expect(learnWindow(divideTable(10, [0, 9], FIT), operand, USE)).toBeNull();
  });
});

test("a shifted table is tabulated at the shifted representatives of its boxes, channel by channel", () => {
  const interval = { lo: 0, hi: 9 };
  const encoding = { kind: "fit", steps: 4, interval, shifts: int64([1, 2], [100, -50]) } as const;
  const table = divideTable(1, [-200, 200], encoding);
  const { shape, data } = tabulate(table, 0, 4, 2);
  expect(shape).toEqual([4, 2]);
  expect([...data]).toEqual([100, -50, 103, -47, 106, -44, 109, -41]);
});

describe("a program", () => {
  const channels = [
    [-1000, -600],
    [200, 700],
    [0, 50],
  ] as const;
  const codes = uniform(channels);

  function compiled(): Circuit {
    const built = circuitOf((b) => {
      const x = b.input(0, [1, 3], { lo: -1000, hi: 700 }, "x");
      return [b.emit(biased([800, -450, -25], 10, [-20, 20]), [x], "t")];
    });
    return runPasses(built, { calibration: [codes], bounds: "calibrated", interiorNoise: 0.02 });
  }

  test("reads every channel in its own window, beyond it the end where it saturates", () => {
    const circuit = compiled();
    expect(print(circuit)).toMatch(/fit 64 steps over \d+\.\d integers, from 3 places/u);
    const plan = planEncodings(circuit, "calibrated", 0.02);
    const constraints = constraintsOf(circuit, plan);
    const program = lower(circuit, plan, constraints, chooseParameters(constraints));
    const { scale } = placementOf(plan, valueId(1));
    expect(2 ** 63 / Number(scale)).toBeLessThan(520);
    for (let row = 0; row < 200; row++) {
      const one = int64([1, 3], codes.data.slice(3 * row, 3 * row + 3));
      const phases = BigUint64Array.from(one.data, (x) =>
        BigInt.asUintN(64, BigInt(x) * plan.scales[0]),
      );
      const [found] = simulate(program, [phases], { noise: false });
      const [wanted] = evaluate(circuit, [one]);
      found.forEach((y, i) => {
        const code = Number(BigInt.asIntN(64, y)) / Number(plan.scales[1]);
        // A step is 8 integers, less than a code; an edge may be off by a coefficient.
        expect(Math.abs(code - wanted.data[i])).toBeLessThan(1.01);
      });
    }
  });

  test("counts no overflow of calibration rows, and those far beyond", () => {
    const circuit = compiled();
    const plan = planEncodings(circuit, "calibrated", 0.02);
    const port = {
      name: "t",
      shape: [1, 3],
      quantizer: new UniformQuantizer({ nBits: 8, scale: 1, zeroPoint: 0, offset: 0 }),
    };
    const { outputs } = clientPorts({ inputs: [port], outputs: [port] }, circuit, plan, {
      bounds: "calibrated",
    });
    expect(countOverflows(circuit, plan, outputs, [codes])).toBe(0);
    expect(countOverflows(circuit, plan, outputs, [int64([1, 3], [700, -1000, 700])])).toBe(3);
  });
});
