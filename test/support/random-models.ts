/**
 * Random small models with random weights, for properties that must hold for all of them.
 * @module
 */
import fc from "fast-check";
import { buildQuantizedModule } from "../../src/compile.ts";
import type { RoundingOption } from "../../src/quantization/bits.ts";
import type { QuantizedModule } from "../../src/quantization/module.ts";
import { type Tensor, float32, int64, sizeOf } from "../../src/tensor/tensor.ts";
import { buildModel, floats, intAttribute, intsAttribute, node, value } from "./onnx-builder.ts";

/** Uniform numbers in [0, 1) that follow from a seed (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The shapes of model that properties are tried on. */
export const MODEL_KINDS = [
  "mlp", // two linear layers with a function between them
  "cnn", // a padded convolution, then a linear layer
  "residual", // an accumulator that a function reads and that is added to a later one
  "sequence", // matrix products on activations of three axes
  "pair", // two inputs, a linear layer each, added
] as const;
export type ModelKind = (typeof MODEL_KINDS)[number];

/** Everything that decides a random module. */
export interface ModelChoice {
  readonly seed: number;
  readonly kind: ModelKind;
  readonly nBits: number;
  readonly rounding: RoundingOption;
  /** Inputs far from zero: unsigned codes whose zero point is not 0. */
  readonly isShifted: boolean;
}

/** Arbitrary choices with bits and roundings to pick from. */
export function modelChoices(
  nBits: { readonly min: number; readonly max: number },
  methods: readonly (null | "exact" | "approximate" | "fit")[],
): fc.Arbitrary<ModelChoice> {
  const rounding = fc
    .tuple(fc.constantFrom(...methods), fc.integer({ min: 2, max: 5 }))
    .map(([method, bits]) => (method === null ? null : { nBits: bits, method }));
  return fc.record({
    seed: fc.integer(),
    kind: fc.constantFrom(...MODEL_KINDS),
    nBits: fc.integer(nBits),
    rounding,
    isShifted: fc.boolean(),
  });
}

/** A quantized random module with its source of randomness. */
export interface RandomModule {
  readonly module: QuantizedModule;
  readonly random: () => number;
}

/** Draws weights and calibration rows and quantizes. */
export async function randomModule(choice: ModelChoice): Promise<RandomModule> {
  const random = randomNumbers(choice.seed);
  const { bytes, shapes } = drawModel(choice.kind, random);
  const calibration = shapes.map((shape) => drawRows(random, shape, choice.isShifted));
  const module = await buildQuantizedModule(bytes, calibration, {
    nBits: choice.nBits,
    roundingThresholdBits: choice.rounding,
  });
  return { module, random };
}

const ROWS = 24;

function drawRows(
  random: () => number,
  shape: readonly number[],
  isShifted: boolean,
): Tensor<"float32"> {
  const full = [ROWS, ...shape];
  return float32(
    full,
    Array.from({ length: sizeOf(full) }, () => (isShifted ? 2 + random() : 4 * random() - 2)),
  );
}

/** Rows of codes from all over the range of every input. */
export function drawCodes({ module, random }: RandomModule, rows: number): Tensor<"int64">[] {
  return module.inputs.map(({ shape, quantizer }) => {
    const [lo, hi] = quantizer.codeRange;
    const full = [rows, ...shape.slice(1)];
    const codes = Array.from(
      { length: sizeOf(full) },
      () => lo + Math.floor(random() * (hi - lo + 1)),
    );
    return int64(full, codes);
  });
}

interface DrawnModel {
  readonly bytes: Uint8Array;
  /** Shape of each input without batch. */
  readonly shapes: readonly (readonly number[])[];
}

function drawModel(kind: ModelKind, random: () => number): DrawnModel {
  const weights = (name: string, dims: readonly number[]) => {
    const shift = random() < 0.3 ? 0.8 : 0;
    return floats(
      name,
      dims,
      Array.from({ length: sizeOf(dims) }, () => 2 * random() - 1 + shift),
    );
  };
  const activation = random() < 0.5 ? "Relu" : "Sigmoid";
  const outputs = [value("y", ["N", 2])];
  switch (kind) {
    case "mlp":
      return {
        shapes: [[5]],
        bytes: buildModel({
          inputs: [value("x", ["N", 5])],
          outputs,
          nodes: [
            node("Gemm", ["x", "w0", "b0"], "h0"),
            node(activation, ["h0"], "a0"),
            node("Gemm", ["a0", "w1", "b1"], "y"),
          ],
          initializers: [
            weights("w0", [5, 4]),
            weights("b0", [4]),
            weights("w1", [4, 2]),
            weights("b1", [2]),
          ],
        }),
      };
    case "cnn":
      return {
        shapes: [[2, 4, 5]],
        bytes: buildModel({
          inputs: [value("x", ["N", 2, 4, 5])],
          outputs,
          nodes: [
            node("Conv", ["x", "w0", "b0"], "h0", [
              intsAttribute("kernel_shape", [3, 2]),
              intsAttribute("pads", [1, 0, 1, 1]),
              intsAttribute("strides", [2, 1]),
            ]),
            node(activation, ["h0"], "a0"),
            node("Flatten", ["a0"], "f", [intAttribute("axis", 1)]),
            node("Gemm", ["f", "w1", "b1"], "y"),
          ],
          initializers: [
            weights("w0", [3, 2, 3, 2]),
            weights("b0", [3]),
            weights("w1", [30, 2]),
            weights("b1", [2]),
          ],
        }),
      };
    case "residual":
      return {
        shapes: [[4]],
        bytes: buildModel({
          inputs: [value("x", ["N", 4])],
          outputs,
          nodes: [
            node("Gemm", ["x", "w0", "b0"], "h0"),
            node(activation, ["h0"], "a0"),
            node("Gemm", ["a0", "w1"], "h1"),
            node("Add", ["h0", "h1"], "s"),
            node("Relu", ["s"], "a1"),
            node("Gemm", ["a1", "w2"], "y"),
          ],
          initializers: [
            weights("w0", [4, 3]),
            weights("b0", [3]),
            weights("w1", [3, 3]),
            weights("w2", [3, 2]),
          ],
        }),
      };
    case "sequence":
      return {
        shapes: [[3, 4]],
        bytes: buildModel({
          inputs: [value("x", ["N", 3, 4])],
          outputs: [value("y", ["N", 3, 2])],
          nodes: [
            node("MatMul", ["x", "w0"], "h0"),
            node("Add", ["h0", "b0"], "s0"),
            node(activation, ["s0"], "a0"),
            node("MatMul", ["a0", "w1"], "y"),
          ],
          initializers: [weights("w0", [4, 5]), weights("b0", [5]), weights("w1", [5, 2])],
        }),
      };
    case "pair":
      return {
        shapes: [[3], [4]],
        bytes: buildModel({
          inputs: [value("x", ["N", 3]), value("z", ["N", 4])],
          outputs,
          nodes: [
            node("Gemm", ["x", "w0", "b0"], "h0"),
            node("Gemm", ["z", "w1"], "h1"),
            node("Add", ["h0", "h1"], "s"),
            node(activation, ["s"], "a"),
            node("Gemm", ["a", "w2"], "y"),
          ],
          initializers: [
            weights("w0", [3, 3]),
            weights("b0", [3]),
            weights("w1", [4, 3]),
            weights("w2", [3, 2]),
          ],
        }),
      };
  }
}
