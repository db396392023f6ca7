/**
 * What the circuit verifier refuses, and the meaning of operations that stand for themselves.
 * @module
 */
import { describe, expect, test } from "vitest";
import { applyOp } from "../../../src/circuit/apply.ts";
import {
  type Circuit,
  type CircuitOp,
  type CircuitValue,
  dropDead,
  gridOf,
  valueId,
} from "../../../src/circuit/ir.ts";
import { verify } from "../../../src/circuit/verify.ts";
import { runPasses } from "../../../src/passes/index.ts";
import { float64, int64 } from "../../../src/tensor/tensor.ts";
import { circuitOf, divideTable } from "../../support/circuits.ts";
import { randomNumbers } from "../../support/random-models.ts";

const range = { lo: -20, hi: 20 };
const built = circuitOf((b) => {
  const x = b.input(0, [1, 2], range, "x");
  const sum = b.emit({ kind: "matmul", weights: int64([2, 2], [1, 2, 3, 4]) }, [x], "m");
  return [b.emit(divideTable(4, [-5, 9]), [sum], "t")];
});

function withValue(circuit: Circuit, index: number, change: Partial<CircuitValue>): Circuit {
  return {
    ...circuit,
    values: circuit.values.map((value, i) => (i === index ? { ...value, ...change } : value)),
  };
}

describe("verify", () => {
  const calibration = [int64([2, 2], [-20, 20, 20, -20])];
  const bounded = runPasses(built, { calibration, bounds: "calibrated" });
  const table = bounded.values[2];
  const unfit: CircuitOp = divideTable(4, [-5, 9], { kind: "fit", steps: 4, interval: null });

  test("accepts what the builder and the passes make", () => {
    expect(() => verify(built, "built")).not.toThrow();
    expect(() => verify(bounded, "bounded")).not.toThrow();
  });

  const broken: readonly (readonly [string, Circuit, "built" | "fused" | "bounded", RegExp])[] = [
    ["too few inputs", withValue(built, 1, { inputs: [] }), "built", /0 inputs instead of 1/],
    [
      "too many inputs",
      withValue(built, 1, { inputs: [valueId(0), valueId(0)] }),
      "built",
      /2 inputs instead of 1/,
    ],
    ["a later value", withValue(built, 1, { inputs: [valueId(2)] }), "built", /later value/],
    ["itself as input", withValue(built, 1, { inputs: [valueId(1)] }), "built", /later value/],
    ["a wrong shape", withValue(built, 1, { shape: [1, 3] }), "built", /wrong shape/],
    [
      "floats after fusion",
      withValue(built, 2, { op: { kind: "dequantize", scale: 1, zeroPoint: 0 } }),
      "fused",
      /left after fusion/,
    ],
    [
      "a quantization after fusion",
      withValue(built, 2, {
        op: {
          kind: "quantize",
          map: { scale: 1, zeroPoint: 0, codeRange: [0, 1], noClipping: false },
        },
      }),
      "fused",
      /left after fusion/,
    ],
    ["values without bounds", built, "bounded", /has no bounds/],
    [
      "rows outside the proof",
      withValue(bounded, 2, {
        bounds: { calibrated: { lo: -6, hi: 0 }, guaranteed: { lo: -5, hi: 9 } },
      }),
      "bounded",
      /outside its guaranteed interval/,
    ],
    ["a fit without interval", withValue(bounded, 2, { ...table, op: unfit }), "bounded", /to fit/],
    ["an output that is not there", { ...built, outputs: [valueId(3)] }, "built", /not defined/],
  ];

  test.each(broken)("refuses %s", (_, circuit, stage, message) => {
    expect(() => verify(circuit, stage)).toThrow(message);
    expect(() => verify(circuit, stage)).toThrow(/^internal: /);
  });
});

test("dropping dead values renumbers the rest and keeps inputs", () => {
  const circuit = circuitOf((b) => {
    const x = b.input(0, [1, 2], range, "x");
    b.input(1, [1, 2], range, "unused");
    b.emit({ kind: "shift", by: 1 }, [x], "dead");
    return [b.emit({ kind: "shift", by: 2 }, [x], "live")];
  });
  const live = dropDead(circuit);
  expect(live.values.map(({ name }) => name)).toEqual(["x", "unused", "live"]);
  expect(live.outputs).toEqual([valueId(2)]);
});

describe("operations", () => {
  test("bits of two's complement integers, with their weights", () => {
    const x = int64([1, 5], [-5, -1, 0, 6, 7]);
    const bit = (position: number) => [...applyOp({ kind: "extractBit", position }, [x]).data];
    expect(bit(0)).toEqual([1, 1, 0, 0, 1]);
    expect(bit(1)).toEqual([2, 2, 0, 2, 2]);
    expect(bit(2)).toEqual([0, 4, 0, 4, 4]);
  });

  test("a padded convolution equals one on an input that is padded by hand", () => {
    const random = randomNumbers(3);
    const draw = (shape: readonly number[], size: number) =>
      int64(
        shape,
        Array.from({ length: size }, () => Math.floor(random() * 15) - 7),
      );
    const image = draw([2, 1, 3, 3], 18);
    const weights = draw([2, 1, 2, 2], 8);
    const padded = int64([2, 1, 5, 5], new Float64Array(50).fill(9));
    for (let n = 0; n < 2; n++)
      for (let r = 0; r < 3; r++)
        for (let c = 0; c < 3; c++)
          padded.data[n * 25 + (r + 1) * 5 + c + 1] = image.data[n * 9 + r * 3 + c];
    const geometry = { strides: [1, 1], pads: [1, 1, 1, 1], dilations: [1, 1], group: 1 };
    const none = { ...geometry, pads: [0, 0, 0, 0] };
    const byCode = { kind: "conv", weights, geometry, padValue: 9 } as const;
    const byHand = { kind: "conv", weights, geometry: none, padValue: 0 } as const;
    expect(applyOp(byCode, [image])).toEqual(applyOp(byHand, [padded]));
  });

  test("no integer lies on the edge of a box, but for fitted boxes", () => {
    for (const encoding of [
      { kind: "each" },
      { kind: "approximate", lsbs: 1 },
      { kind: "approximate", lsbs: 4 },
    ] as const) {
      const { origin, step } = gridOf(encoding);
      for (let x = -40; x <= 40; x++) {
        expect(Number.isInteger((x - origin) / step)).toBe(false);
      }
    }
  });

  test("a fit maps both ends of its interval to themselves", () => {
    const fit = { kind: "fit", steps: 7, interval: { lo: -10, hi: 13 } } as const;
    const { data } = applyOp(fit, [float64([1, 2], [-10, 13])]);
    expect(data[0]).toBeCloseTo(-10, 12);
    expect(data[1]).toBeCloseTo(13, 12);
  });

  test("a fit of a single integer keeps it", () => {
    const fit = { kind: "fit", steps: 4, interval: { lo: 3, hi: 3 } } as const;
    expect([...applyOp(fit, [int64([1, 1], [3])]).data]).toEqual([3]);
  });
});

describe("oneHot", () => {
  const op = { kind: "oneHot", sizes: [3, 0, 2] } as const;

  test("lays the unit vectors of all features end to end and leaves out features of size 0", () => {
    const codes = int64([2, 3], [2, 9, 0, 0, -4, 1]);
    expect(applyOp(op, [codes])).toEqual(int64([2, 5], [0, 0, 1, 1, 0, 1, 0, 0, 0, 1]));
  });

  test.each([[[3, 0, 0]], [[-1, 0, 0]], [[0, 0, 2]]])("refuses codes %j", (codes) => {
    expect(() => applyOp(op, [int64([1, 3], codes)])).toThrow(/codes of feature [02] from 0 to/);
  });

  test("reads nothing but an input", () => {
    const circuit = circuitOf((b) => {
      const x = b.input(0, [1, 3], { lo: 0, hi: 2 }, "x");
      const moved = b.emit({ kind: "shift", by: 0 }, [x], "moved");
      return [b.emit(op, [moved], "bins")];
    });
    expect(() => verify(circuit, "built")).toThrow(/the client does not have/);
  });
});
