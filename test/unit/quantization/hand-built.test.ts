/**
 * Quantized operators by hand: alone, chained, in a graph, and against the same model imported from ONNX.
 */
import { describe, expect, test } from "vitest";
import { compileModule } from "../../../src/compile.ts";
import { evaluateNode } from "../../../src/onnx/evaluate.ts";
import { importOnnx } from "../../../src/onnx/import.ts";
import * as quantization from "../../../src/quantization/index.ts";
import {
  PostTrainingAffineQuantization,
  QuantizedAdd,
  QuantizedArray,
  QuantizedConv,
  QuantizedGemm,
  QuantizedLinear,
  QuantizedMatMul,
  QuantizedMul,
  QuantizedOperator,
  QuantizedReLU6,
  QuantizedRelu,
  QuantizedSigmoid,
  moduleFromOperators,
} from "../../../src/quantization/index.ts";
import { operatorRules } from "../../../src/quantization/ops/index.ts";
import { type Tensor, float32, float64, sizeOf } from "../../../src/tensor/tensor.ts";
import { errorOf } from "../../support/errors.ts";
import { readFixture } from "../../support/golden.ts";

/** Numbers between -1 and 1 that look random and are the same every time. */
function noise(shape: readonly number[], seed = 1): Tensor<"float64"> {
  const at = (i: number): number => Math.sin(12.9898 * (i + 1) * seed) * 43758.5453;
  return float64(
    shape,
    Array.from({ length: sizeOf(shape) }, (_, i) => 2 * (at(i) - Math.floor(at(i))) - 1),
  );
}

function largestDistance(a: Tensor, b: Tensor): number {
  expect(a.shape).toEqual(b.shape);
  return Math.max(...a.data.map((x, i) => Math.abs(x - b.data[i])));
}

const weights = noise([6, 4], 2);
const bias = noise([4], 3);
const x = noise([50, 6]);

test("there is a class for every operator that has a rule", () => {
  const classes = Object.keys(quantization);
  // Classical models are read from files.
  const ofNetworks = [...operatorRules.keys()].filter(
    (name) => !/^(ai\.onnx\.ml|sotto)\./.test(name),
  );
  const missing = ofNetworks.filter((name) => !classes.includes(`Quantized${name}`));
  expect(missing).toEqual([]);
});

describe("an operator by itself", () => {
  test.each([
    ["Sigmoid", new QuantizedSigmoid({ nBits: 8 }), [x]],
    ["Relu", new QuantizedRelu({ nBits: 8 }), [x]],
    ["ReLU6", new QuantizedReLU6({ nBits: 8 }), [noise([50, 6], 5)]],
    ["Linear", new QuantizedLinear({ nBits: 8, operands: [null, weights, bias] }), [x]],
    ["MatMul", new QuantizedMatMul({ nBits: 8, operands: [null, weights] }), [x]],
    ["Add", new QuantizedAdd({ nBits: 8 }), [x, noise([50, 6], 7)]],
    ["Mul", new QuantizedMul({ nBits: 8 }), [x, noise([50, 6], 7)]],
    [
      "Conv",
      new QuantizedConv({ nBits: 8, operands: [null, noise([2, 1, 3, 3], 4)] }),
      [noise([9, 1, 5, 5])],
    ],
  ] as const)("%s of 8 bits is within 2 %% of its float self", (_, operator, rows) => {
    const expected = operator.calibrate(...rows);
    const arrays = rows.map(
      (values) => new QuantizedArray(8, values, { isSigned: operator.arity > 1 }),
    );
    const got = operator.apply(...arrays);
    const range = Math.max(...expected.data) - Math.min(...expected.data);
    expect(largestDistance(got.dequant(), expected)).toBeLessThan(0.02 * range);
    expect(got.qvalues.data.every(Number.isInteger)).toBe(true);
    const { rmin, rmax } = operator.outputQuantizer.stats ?? { rmin: 0, rmax: 0 };
    expect([rmin, rmax]).toEqual([Math.min(...expected.data), Math.max(...expected.data)]);
  });

  test("fewer bits are coarser, and a result has as many codes as bits allow", () => {
    const distances = [2, 4, 6].map((nBits) => {
      const operator = new QuantizedSigmoid({ nBits });
      const expected = operator.calibrate(x);
      const got = operator.apply(new QuantizedArray(nBits, x));
      expect(new Set(got.qvalues.data).size).toBeLessThanOrEqual(2 ** nBits);
      return largestDistance(got.dequant(), expected);
    });
    expect(distances[0]).toBeGreaterThan(distances[1]);
    expect(distances[1]).toBeGreaterThan(distances[2]);
  });

  test("sees codes, not the floats behind them", () => {
    const operator = new QuantizedSigmoid({ nBits: 6 });
    const array = new QuantizedArray(2, x);
    operator.calibrate(array.dequant());
    const codes = new QuantizedArray(2, array.qvalues, {
      valueIsFloat: false,
      scale: array.quantizer.scale,
      zeroPoint: array.quantizer.zeroPoint,
      offset: array.quantizer.offset,
    });
    expect(operator.apply(array).qvalues).toEqual(operator.apply(codes).qvalues);
    const [expected] = evaluateNode({ opType: "Sigmoid", attributes: {} }, [array.dequant()]);
    const step = operator.outputQuantizer.tensorScale("test");
    expect(largestDistance(operator.apply(array).dequant(), expected)).toBeLessThan(0.51 * step);
  });

  test("takes constants that are quantized already as they are", () => {
    const coarse = new QuantizedArray(3, weights, { isSigned: true, isSymmetric: true });
    const given = new QuantizedGemm({ nBits: 7, operands: [null, coarse] });
    const own = new QuantizedGemm({ nBits: 7, operands: [null, weights] });
    const array = new QuantizedArray(7, x, { isSigned: true });
    for (const operator of [given, own]) operator.calibrate(x);
    const factors = [array.dequant(), coarse.dequant()];
    const [expected] = evaluateNode({ opType: "MatMul", attributes: {} }, factors);
    const { rmin, rmax } = given.outputQuantizer.stats ?? { rmin: 0, rmax: 0 };
    const within = expected.data.map((value) => Math.min(rmax, Math.max(rmin, value)));
    const answer = float64(expected.shape, within);
    const step = given.outputQuantizer.tensorScale("test");
    expect(largestDistance(given.apply(array).dequant(), answer)).toBeLessThan(0.6 * step);
    expect(largestDistance(own.apply(array).dequant(), answer)).toBeGreaterThan(2 * step);
  });
});

describe("a module of operators", () => {
  const { model, calibration, inputs } = readFixture("seed_logreg");
  const graph = importOnnx(model);
  const [weight, offset] = ["fc1.weight", "fc1.bias"].map((name) => {
    const found = [...graph.constants].find(([constant]) => constant.endsWith(name));
    if (!found) throw new Error(`${name} is not among ${[...graph.constants.keys()].join(", ")}`);
    return found[1];
  });

  test("has the integers of the same model imported from ONNX", () => {
    const nBits = { op_inputs: 3, op_weights: 3, model_inputs: 5, model_outputs: 5 };
    const linear = new QuantizedLinear({
      nBits,
      operands: [null, weight, offset],
      attributes: { transB: 1 },
    });
    const built = moduleFromOperators([linear, new QuantizedSigmoid({ nBits })], calibration);
    const imported = new PostTrainingAffineQuantization(nBits, graph).quantizeModule(
      ...calibration,
    );
    const codes = imported.quantizeInput(inputs);
    expect(built.quantizeInput(inputs)).toEqual(codes);
    expect(built.quantizedForward(codes)).toEqual(imported.quantizedForward(codes));
    expect(built.forward(inputs)).toEqual(imported.forward(inputs));
    expect([...compileModule(built).serverBytes]).toEqual([...compileModule(imported).serverBytes]);
  });

  test("compiles, and simulates what it computes in the clear", () => {
    const operators = [
      new QuantizedLinear({ nBits: 3, operands: [null, weights, bias] }),
      new QuantizedReLU6({ nBits: 3 }),
      new QuantizedLinear({ nBits: 3, operands: [null, noise([4, 2], 9)] }),
    ];
    const compiled = compileModule(moduleFromOperators(operators, x));
    expect(compiled.forward(x, { fhe: "simulate" })).toEqual(compiled.forward(x));
    expect(compiled.circuit.statistics.tableLookups).toBe(4);
  });

  test("has the bits of each operator, and names for operators that share one", () => {
    const fine = new QuantizedLinear({ nBits: 6, operands: [null, weights] });
    const coarse = new QuantizedLinear({ nBits: 2, operands: [null, noise([4, 2], 9)] });
    const { operations, inputs: ports, outputs } = moduleFromOperators([fine, coarse], x);
    expect(operations.map(({ node }) => node.name)).toEqual(["Linear", "Linear_2"]);
    expect(operations.map(({ inputOptions }) => inputOptions.nBits)).toEqual([6, 2]);
    expect(ports[0].quantizer.options.nBits).toBe(6);
    expect(outputs[0].quantizer.options.nBits).toBe(2);
  });

  test("may have several inputs and outputs, and a value that is read twice", () => {
    const relu = new QuantizedRelu({ nBits: 8 });
    const add = new QuantizedAdd({ nBits: 8 });
    const product = new QuantizedMatMul({ nBits: 8, operands: [null, weights] });
    const module = moduleFromOperators(
      {
        inputs: ["a", "b"],
        steps: [
          { operator: add, inputs: ["a", "b"], output: "sum" },
          { operator: relu, inputs: ["sum"], output: "positive" },
          { operator: product, inputs: ["positive"], output: "product" },
        ],
        outputs: ["sum", "product"],
      },
      [x, noise([50, 6], 7)],
    );
    const [sum, scores] = module.forward<Tensor[]>([x, noise([50, 6], 7)]);
    const expected = x.data.map((value, i) => value + noise([50, 6], 7).data[i]);
    expect(largestDistance(sum, float64([50, 6], expected))).toBeLessThan(0.05);
    expect(scores.shape).toEqual([50, 4]);
  });
});

describe("what cannot be built is refused:", () => {
  const row = float32([1, 6], new Float32Array(6));
  const linear = (): QuantizedOperator =>
    new QuantizedLinear({ nBits: 3, operands: [null, weights] });
  test.each([
    [
      "an operator that does not exist",
      "UNSUPPORTED_OPERATOR",
      /NoSuch/,
      () => new QuantizedOperator("NoSuch", { nBits: 3 }),
    ],
    [
      "one without quantized form",
      "UNSUPPORTED_OPERATOR",
      /expected operators that can be quantized, got Softmax/,
      () => new QuantizedOperator("Softmax", { nBits: 3 }),
    ],
    ["no bits", "BAD_ARGUMENT", /got .*0/, () => new QuantizedRelu({ nBits: 0 })],
    [
      "an unknown option",
      "BAD_ARGUMENT",
      /got bits/,
      () => new QuantizedRelu({ bits: 3 } as never),
    ],
    [
      "constants alone",
      "BAD_ARGUMENT",
      /at least one of them null/,
      () => new QuantizedAdd({ nBits: 3, operands: [row, row] }),
    ],
    [
      "operands too many",
      "BAD_ARGUMENT",
      /expected 1 operand\(s\).*got 2/,
      () => new QuantizedRelu({ nBits: 3, operands: [null, null] }),
    ],
    [
      "results before calibration",
      "BAD_ARGUMENT",
      /expected a calibrated operator/,
      () => linear().apply(new QuantizedArray(3, row)),
    ],
    [
      "a quantizer before calibration",
      "BAD_ARGUMENT",
      /call calibrate/,
      () => linear().outputQuantizer,
    ],
    [
      "two values for one",
      "BAD_ARGUMENT",
      /expected 1 value\(s\).*got 2/,
      () => linear().calibrate(row, row),
    ],
    [
      "no rows",
      "EMPTY_CALIBRATION",
      /at least one row/,
      () => linear().calibrate(float32([0, 6], [])),
    ],
    [
      "rows of another length",
      "BAD_SHAPE",
      /\[1, 5\]/,
      () => linear().calibrate(float32([1, 5], new Float32Array(5))),
    ],
    [
      "an unknown attribute",
      "UNSUPPORTED_OPERATOR",
      /unknown attribute alfa/,
      () => new QuantizedRelu({ nBits: 3, attributes: { alfa: 1 } }).calibrate(row),
    ],
    [
      "no operators",
      "BAD_ARGUMENT",
      /at least one operator, got none/,
      () => moduleFromOperators([], row),
    ],
    [
      "a chain through two values",
      "BAD_ARGUMENT",
      /expected 2 input\(s\).*got 1/,
      () => moduleFromOperators([new QuantizedAdd({ nBits: 3 })], row),
    ],
    [
      "a name that nothing defines",
      "BAD_MODEL",
      /defined before they are read, got b/,
      () =>
        moduleFromOperators(
          {
            inputs: ["a"],
            steps: [{ operator: linear(), inputs: ["b"], output: "c" }],
            outputs: ["c"],
          },
          row,
        ),
    ],
  ] as const)("%s", (_, code, message, build) => {
    const error = errorOf(build);
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });
});
