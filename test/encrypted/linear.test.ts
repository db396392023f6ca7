/**
 * Models without lookups, encrypted: linear models and tables on inputs give the clear integers, without evaluation keys.
 * @module
 */
import { describe, expect, test } from "vitest";
import { type CompileOptions, compileOnnxModel } from "../../src/index.ts";
import type { CompiledModule } from "../../src/execute/module.ts";
import { Server } from "../../src/execute/server.ts";
import { loadEngine } from "../../src/native/load.ts";
import { type Tensor, float32 } from "../../src/tensor/tensor.ts";
import { buildModel, floats, node, value } from "../support/onnx-builder.ts";
import { randomNumbers } from "../support/random-models.ts";

const MODELS = 20;
const ROWS = 8;

interface Drawn {
  readonly features: number;
  readonly classes: number;
  readonly options: CompileOptions;
  readonly rows: Tensor;
  readonly weights: readonly number[];
  readonly bias: readonly number[];
}

function draw(seed: number): Drawn {
  const random = randomNumbers(seed);
  const below = (limit: number): number => Math.floor(random() * limit);
  const numbers = (count: number): number[] =>
    Array.from({ length: count }, () => 2 * random() - 1);
  const features = 1 + below(below(3) === 0 ? 1200 : 40);
  const classes = 1 + below(6);
  return {
    features,
    classes,
    options: { nBits: 2 + below(7), bounds: below(2) === 0 ? "guaranteed" : "calibrated" },
    rows: float32([ROWS, features], numbers(ROWS * features)),
    weights: numbers(features * classes),
    bias: numbers(classes),
  };
}

/** A Gemm, behind a function of every single feature or none. */
function compile(drawn: Drawn, first: "Sigmoid" | null): Promise<CompiledModule> {
  const { features, classes, weights, bias, rows, options } = drawn;
  const bytes = buildModel({
    inputs: [value("x", ["N", features])],
    outputs: [value("y", ["N", classes])],
    nodes: [
      ...(first === null ? [] : [node(first, ["x"], "h")]),
      node("Gemm", [first === null ? "x" : "h", "w", "b"], "y"),
    ],
    initializers: [floats("w", [features, classes], weights), floats("b", [classes], bias)],
  });
  return compileOnnxModel(bytes, rows, options);
}

/** Answers of a server that was given nothing but the program. */
function expectRightWithoutKeys(model: CompiledModule, { rows }: Drawn): void {
  const { circuit } = model;
  expect(circuit.statistics.tableLookups).toBe(0);
  expect(circuit.parts.program.parameters.lweDimension).toBe(0);
  const server = new Server(model.serverBytes, loadEngine());
  expect(server.needsKeys).toBe(false);
  circuit.client.generateKey();
  const codes: Tensor = model.quantizeInput(rows);
  const expected: Tensor = model.quantizedForward(codes);
  const width = expected.data.length / ROWS;
  const features = codes.data.length / ROWS;
  for (let row = 0; row < ROWS; row++) {
    const data = codes.data.slice(row * features, (row + 1) * features);
    const request = circuit.client.encrypt([{ ...codes, shape: [1, features], data }]);
    const answer = server.runSync(request);
    const [found] = circuit.client.decrypt(answer);
    expect([...found.data]).toEqual(
      Array.from(expected.data.slice(row * width, (row + 1) * width)),
    );
    expect(request.length).toBe(circuit.statistics.inputBytes);
    expect(answer.length).toBe(circuit.statistics.outputBytes);
  }
}

describe("a model without lookups", () => {
  // 20 models with 8 rows of up to 6 outputs, each wrong with probability 2^-40.
  test.each(Array.from({ length: MODELS }, (_, seed) => seed))(
    "that is linear gives the clear integers, encrypted (%i)",
    async (seed) => {
      const drawn = draw(seed);
      expectRightWithoutKeys(await compile(drawn, null), drawn);
    },
  );

  test.each([100, 101, 102, 103])(
    "that has a function of each feature before it gives the clear integers, encrypted (%i)",
    async (seed) => {
      const drawn = draw(seed);
      const few = { ...drawn, options: { ...drawn.options, nBits: 5 }, features: 40 };
      const rows = float32(
        [ROWS, 40],
        Array.from({ length: ROWS * 40 }, (_, i) => Math.sin(i)),
      );
      const weights = Array.from({ length: 40 * few.classes }, (_, i) => Math.cos(3 * i));
      const model = await compile({ ...few, rows, weights }, "Sigmoid");
      const { inputs } = model.circuit.parts.spec;
      expect(inputs[0].oneHot?.sizes).toEqual(Array.from({ length: 40 }, () => 32));
      expectRightWithoutKeys(model, { ...few, rows });
    },
  );
});
