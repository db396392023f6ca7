/**
 * Each pass on a tiny model: the printed circuit before and after it.
 * @module
 */
import { describe, expect, test } from "vitest";
import { buildCircuit } from "../../../src/quantization/build-circuit.ts";
import { evaluate } from "../../../src/circuit/evaluate.ts";
import { print } from "../../../src/circuit/print.ts";
import { buildQuantizedModule } from "../../../src/compile.ts";
import { absorbRounding } from "../../../src/passes/absorb-rounding.ts";
import { composeTables } from "../../../src/passes/compose-tables.ts";
import { expandExactRounding } from "../../../src/passes/expand-exact-rounding.ts";
import { fuseTables } from "../../../src/passes/fuse-tables.ts";
import { inferBounds } from "../../../src/passes/infer-bounds.ts";
import { tabulate } from "../../../src/circuit/tabulate.ts";
import type { RoundingOption } from "../../../src/quantization/bits.ts";
import type { QuantizedModule } from "../../../src/quantization/module.ts";
import { float32, float64, int64, type Tensor } from "../../../src/tensor/tensor.ts";
import { circuitOf, divideTable } from "../../support/circuits.ts";
import { buildModel, floats, intAttribute, node, value } from "../../support/onnx-builder.ts";

/** relu(x w0 + b0), flattened, times w1. */
async function tinyModule(rounding: RoundingOption): Promise<QuantizedModule> {
  const model = buildModel({
    inputs: [value("x", ["N", 2])],
    outputs: [value("y", ["N", 1])],
    nodes: [
      node("Gemm", ["x", "w0", "b0"], "h"),
      node("Relu", ["h"], "r"),
      node("Flatten", ["r"], "f", [intAttribute("axis", 1)]),
      node("Gemm", ["f", "w1"], "y"),
    ],
    initializers: [
      floats("w0", [2, 2], [1, -2, -3, 3]),
      floats("b0", [2], [0.5, -0.5]),
      floats("w1", [2, 1], [1, -3]),
    ],
  });
  const calibration = float32([4, 2], [0, 7, 7, 0, 3, 4, 1, 6]);
  return buildQuantizedModule(model, calibration, { nBits: 3, roundingThresholdBits: rounding });
}

async function contextOf(module: QuantizedModule) {
  const calibration = [module.quantizeInput<Tensor>(module.calibration)];
  return { calibration, bounds: "calibrated" } as const;
}

describe("a tiny network", () => {
  test("is built with floats between its integers", async () => {
    expect(print(buildCircuit(await tinyModule(2)))).toMatchInlineSnapshot(`
      "circuit {
        %0 = input 0 [0, 7]() : [1, 2]  # x
        %1 = dequantize 1(%0) : [1, 2]  # x
        %2 = matmul [2x2](%0) : [1, 2]  # Gemm
        %3 = round exact off 4 bits(%2) : [1, 2]  # Gemm
        %4 = dequantize 1(%3) : [1, 2]  # Gemm
        %5 = Add(%4) : [1, 2]  # Gemm
        %6 = Relu(%5) : [1, 2]  # Relu
        %7 = quantize 0.5119667013527576 to [0, 31](%6) : [1, 2]  # Flatten
        %8 = reshape(%7) : [1, 2]  # Flatten
        %9 = dequantize 0.5119667013527576(%8) : [1, 2]  # Flatten
        %10 = quantize 2.2672811059907834 to [0, 7](%9) : [1, 2]  # Gemm_1
        %11 = matmul [2x1](%10) : [1, 1]  # Gemm_1
        %12 = dequantize 1.2955892034233047(%11) : [1, 1]  # Gemm_1
        return %11
      }"
    `);
  });

  test("fuses floats into tables", async () => {
    const circuit = fuseTables(buildCircuit(await tinyModule(2)));
    expect(print(circuit)).toMatchInlineSnapshot(`
      "circuit {
        %0 = input 0 [0, 7]() : [1, 2]  # x
        %1 = matmul [2x2](%0) : [1, 2]  # Gemm
        %2 = round exact off 4 bits(%1) : [1, 2]  # Gemm
        %3 = table each dequantize 1 Add Relu quantize 0.5119667013527576 to [0, 31](%2) : [1, 2]  # Gemm
        %4 = reshape(%3) : [1, 2]  # Flatten
        %5 = table each dequantize 0.5119667013527576 quantize 2.2672811059907834 to [0, 7](%4) : [1, 2]  # Flatten
        %6 = matmul [2x1](%5) : [1, 1]  # Gemm_1
        return %6
      }"
    `);
  });

  test("keeps an exact rounding before its table", async () => {
    const circuit = absorbRounding(fuseTables(buildCircuit(await tinyModule(2))));
    expect(print(circuit)).toMatchInlineSnapshot(`
      "circuit {
        %0 = input 0 [0, 7]() : [1, 2]  # x
        %1 = matmul [2x2](%0) : [1, 2]  # Gemm
        %2 = round exact off 4 bits(%1) : [1, 2]  # Gemm
        %3 = table rounded 4 dequantize 1 Add Relu quantize 0.5119667013527576 to [0, 31](%2) : [1, 2]  # Gemm
        %4 = reshape(%3) : [1, 2]  # Flatten
        %5 = table each dequantize 0.5119667013527576 quantize 2.2672811059907834 to [0, 7](%4) : [1, 2]  # Flatten
        %6 = matmul [2x1](%5) : [1, 1]  # Gemm_1
        return %6
      }"
    `);
  });

  test("absorbs an approximate rounding", async () => {
    const module = await tinyModule({ nBits: 2, method: "approximate" });
    expect(print(absorbRounding(fuseTables(buildCircuit(module))))).toMatchInlineSnapshot(`
      "circuit {
        %0 = input 0 [0, 7]() : [1, 2]  # x
        %1 = matmul [2x2](%0) : [1, 2]  # Gemm
        %2 = table approximate 4 dequantize 1 Add Relu quantize 0.5119667013527576 to [0, 31](%1) : [1, 2]  # Gemm
        %3 = reshape(%2) : [1, 2]  # Flatten
        %4 = table each dequantize 0.5119667013527576 quantize 2.2672811059907834 to [0, 7](%3) : [1, 2]  # Flatten
        %5 = matmul [2x1](%4) : [1, 1]  # Gemm_1
        return %5
      }"
    `);
  });

  test("absorbs a fit, whose interval is still open", async () => {
    const module = await tinyModule({ nBits: 2, method: "fit" });
    expect(print(absorbRounding(fuseTables(buildCircuit(module))))).toMatchInlineSnapshot(`
      "circuit {
        %0 = input 0 [0, 7]() : [1, 2]  # x
        %1 = matmul [2x2](%0) : [1, 2]  # Gemm
        %2 = table fit 4 steps dequantize 1 Add Relu quantize 0.6399583766909468 to [0, 31](%1) : [1, 2]  # Gemm
        %3 = reshape(%2) : [1, 2]  # Flatten
        %4 = table each dequantize 0.6399583766909468 quantize 2.834101382488479 to [0, 7](%3) : [1, 2]  # Flatten
        %5 = matmul [2x1](%4) : [1, 1]  # Gemm_1
        return %5
      }"
    `);
  });

  test("composes the table before the reshape with the one behind it", async () => {
    const fused = absorbRounding(fuseTables(buildCircuit(await tinyModule(2))));
    expect(print(composeTables(fused))).toMatchInlineSnapshot(`
      "circuit {
        %0 = input 0 [0, 7]() : [1, 2]  # x
        %1 = matmul [2x2](%0) : [1, 2]  # Gemm
        %2 = round exact off 4 bits(%1) : [1, 2]  # Gemm
        %3 = table rounded 4 dequantize 1 Add Relu quantize 0.5119667013527576 to [0, 31] dequantize 0.5119667013527576 quantize 2.2672811059907834 to [0, 7](%2) : [1, 2]  # Gemm
        %4 = reshape(%3) : [1, 2]  # Flatten
        %5 = matmul [2x1](%4) : [1, 1]  # Gemm_1
        return %5
      }"
    `);
  });

  test("knows its bounds, and fits its tables to them", async () => {
    const module = await tinyModule({ nBits: 2, method: "fit" });
    const fused = composeTables(absorbRounding(fuseTables(buildCircuit(module))));
    expect(print(inferBounds(fused, await contextOf(module)))).toMatchInlineSnapshot(`
      "circuit {
        %0 = input 0 [0, 7]() : [1, 2] in [0, 7] of [0, 7]  # x
        %1 = matmul [2x2](%0) : [1, 2] in [-21, 21] of [-21, 21]  # Gemm
        %2 = table fit 4 steps over [-21, 21] dequantize 1 Add Relu quantize 0.6399583766909468 to [0, 31] dequantize 0.6399583766909468 quantize 2.834101382488479 to [0, 7](%1) : [1, 2] in [0, 7] of [0, 7]  # Gemm
        %3 = reshape(%2) : [1, 2] in [0, 7] of [0, 7]  # Flatten
        %4 = matmul [2x1](%3) : [1, 1] in [-35, 6] of [-35, 14]  # Gemm_1
        return %4
      }"
    `);
  });

  test("takes the bits of an exact rounding off one by one", async () => {
    const module = await tinyModule(2);
    const fused = composeTables(absorbRounding(fuseTables(buildCircuit(module))));
    const context = await contextOf(module);
    const bounded = inferBounds(fused, context);
    expect(print(expandExactRounding(bounded, context))).toMatchInlineSnapshot(`
      "circuit {
        %0 = input 0 [0, 7]() : [1, 2] in [0, 7] of [0, 7]  # x
        %1 = matmul [2x2](%0) : [1, 2] in [-21, 21] of [-21, 21]  # Gemm
        %2 = shift by 8(%1) : [1, 2] in [-13, 29] of [-13, 29]  # Gemm
        %3 = bit 0(%2) : [1, 2] in [0, 1] of [0, 1]  # Gemm
        %4 = sub(%2, %3) : [1, 2] in [-14, 28] of [-14, 29]  # Gemm
        %5 = bit 1(%4) : [1, 2] in [0, 2] of [0, 2]  # Gemm
        %6 = sub(%4, %5) : [1, 2] in [-16, 28] of [-16, 29]  # Gemm
        %7 = bit 2(%6) : [1, 2] in [0, 4] of [0, 4]  # Gemm
        %8 = sub(%6, %7) : [1, 2] in [-16, 24] of [-20, 29]  # Gemm
        %9 = bit 3(%8) : [1, 2] in [0, 8] of [0, 8]  # Gemm
        %10 = sub(%8, %9) : [1, 2] in [-16, 16] of [-16, 16]  # Gemm
        %11 = table rounded 4 dequantize 1 Add Relu quantize 0.5119667013527576 to [0, 31] dequantize 0.5119667013527576 quantize 2.2672811059907834 to [0, 7](%10) : [1, 2] in [0, 7] of [0, 7]  # Gemm
        %12 = reshape(%11) : [1, 2] in [0, 7] of [0, 7]  # Flatten
        %13 = matmul [2x1](%12) : [1, 1] in [-35, 0] of [-35, 14]  # Gemm_1
        return %13
      }"
    `);
  });
});

describe("fusing", () => {
  test("repeats integers where a constant enlarges the tensor inside a table", async () => {
    const model = buildModel({
      inputs: [value("x", ["N", 1])],
      outputs: [value("y", ["N", 1])],
      nodes: [
        node("Gemm", ["x", "w"], "h"),
        node("Add", ["h", "wide"], "s"),
        node("MatMul", ["s", "v"], "y"),
      ],
      initializers: [
        floats("w", [1, 1], [2]),
        floats("wide", [1, 3], [1, 2, 3]),
        floats("v", [3, 1], [1, 2, 3]),
      ],
    });
    const calibration = float32([4, 1], [0, 1, 2, 3]);
    const module = await buildQuantizedModule(model, calibration, { nBits: 7 });
    const circuit = module.circuitFor("calibrated");
    expect(print(circuit)).toContain("gather");
    const outputs = module.forward<Tensor>(float32([2, 1], [0, 3]));
    [14, 50].forEach((sum, i) => expect(Math.abs(outputs.data[i] - sum)).toBeLessThan(1));
  });

  test("a function of one tensor that uses it twice is one table", async () => {
    const model = buildModel({
      inputs: [value("x", ["N", 2])],
      outputs: [value("y", ["N", 1])],
      nodes: [
        node("Gemm", ["x", "w"], "h"),
        node("Sigmoid", ["h"], "g"),
        node("Add", ["h", "g"], "s"),
        node("Gemm", ["s", "v"], "y"),
      ],
      initializers: [floats("w", [2, 2], [1, -2, -3, 3]), floats("v", [2, 1], [1, -3])],
    });
    const calibration = float32([4, 2], [0, 7, 7, 0, 3, 4, 1, 6]);
    const module = await buildQuantizedModule(model, calibration, { nBits: 3 });
    const tables = module.circuitFor("calibrated").values.filter(({ op }) => op.kind === "table");
    expect(tables).toHaveLength(1);
  });
});

describe("composing", () => {
  const codes = int64(
    [41, 1],
    Array.from({ length: 41 }, (_, i) => i - 20),
  );
  const range = { lo: -20, hi: 20 };

  test("makes one table of a chain of three, and the same integers", () => {
    const circuit = circuitOf((b) => {
      let value = b.input(0, [1, 1], range, "x");
      for (const by of [1.5, 2, -1.3]) value = b.emit(divideTable(by, [-6, 7]), [value], "t");
      return [value];
    });
    const composed = composeTables(circuit);
    expect(composed.values.map(({ op }) => op.kind)).toEqual(["input", "table"]);
    expect(evaluate(composed, [codes])).toEqual(evaluate(circuit, [codes]));
  });

  test("keeps a table whose codes somebody else reads, and one that reads in steps", () => {
    const shared = circuitOf((b) => {
      const inner = b.emit(divideTable(2, [-6, 7]), [b.input(0, [1, 1], range, "x")], "t");
      return [inner, b.emit(divideTable(2, [-6, 7]), [inner], "u")];
    });
    expect(composeTables(shared)).toEqual(shared);
    const stepped = circuitOf((b) => {
      const inner = b.emit(divideTable(2, [-6, 7]), [b.input(0, [1, 1], range, "x")], "t");
      return [b.emit(divideTable(2, [-6, 7], { kind: "approximate", lsbs: 1 }), [inner], "u")];
    });
    expect(composeTables(stepped)).toEqual(stepped);
  });

  test("lets the reader of a rounding table read what that reads, and keeps it for its other readers", () => {
    const encoding = { kind: "fit", steps: 8, interval: { lo: -20, hi: 20 } } as const;
    const circuit = circuitOf((b) => {
      const x = b.input(0, [1, 1], range, "x");
      const inner = b.emit(divideTable(2, [-6, 7], encoding), [x], "t");
      const weights = int64([1, 1], [3]);
      return [
        b.emit({ kind: "matmul", weights }, [inner], "conv"),
        b.emit(divideTable(2, [-6, 7]), [inner], "shortcut"),
      ];
    });
    const composed = composeTables(circuit);
    const tables = composed.values.filter(({ op }) => op.kind === "table");
    expect(tables.map(({ name, inputs }) => [name, ...inputs])).toEqual([
      ["t", 0],
      ["shortcut", 0],
    ]);
    expect(evaluate(composed, [codes])).toEqual(evaluate(circuit, [codes]));
  });

  test("moves no constant per element across a reshape", () => {
    const constants = float64([1, 2], [1, 2]);
    const circuit = circuitOf((b) => {
      const x = b.input(0, [1, 2, 1], range, "x");
      const inner = b.emit(divideTable(2, [-6, 7]), [x], "t");
      const flat = b.emit({ kind: "reshape", shape: [1, 2] }, [inner], "flat");
      const { steps } = divideTable(2, [-6, 7]);
      const dequantize = { kind: "dequantize", scale: 1, zeroPoint: constants } as const;
      const outer = {
        ...divideTable(2, [-6, 7]),
        steps: [{ op: dequantize, inputs: [-1] }, steps[1]],
      };
      return [b.emit(outer, [flat], "u")];
    });
    expect(composeTables(circuit)).toEqual(circuit);
  });
});

test("a table is tabulated at the representatives of its boxes", () => {
  const table = divideTable(1, [-100, 100], { kind: "approximate", lsbs: 2 });
  expect([...tabulate(table, -2, 5, 2).data]).toEqual([-8, -4, 0, 4, 8]);
  const fit = divideTable(1, [-100, 100], { kind: "fit", steps: 4, interval: { lo: 1, hi: 10 } });
  expect([...tabulate(fit, 0, 4, 2).data]).toEqual([1, 4, 7, 10]);
});
