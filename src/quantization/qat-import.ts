/**
 * Import of quantization-aware models: Quant nodes say how weights and activations are quantized, calibration only finds
 * the ranges of accumulators and outputs. Calibration rows pass on unrounded, since the nodes round by themselves.
 * @module
 */
import { SottoError } from "../errors.ts";
import type { Graph } from "../onnx/graph.ts";
import { type Steps, finish } from "../steps.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { QuantizedArray } from "./array.ts";
import { type NBits, type NBitsOption, type Rounding, getNBitsDict, getRounding } from "./bits.ts";
import { type Conversion, convert } from "./convert.ts";
import type { QuantizedModule } from "./module.ts";
import type { QuantizationSettings } from "./post-training.ts";
import { isQuantNode } from "./quant-node.ts";
import { measureStats, quantizationOptions } from "./quantizer.ts";

/** Imports a graph with Quant nodes; bits matter only where the model states none: inputs and outputs of tables. */
export class PostTrainingQATImporter {
  readonly nBits: NBits;
  readonly rounding: Rounding | null;
  readonly graph: Graph;
  readonly #copiesSums: boolean;

  /** Throws BAD_ARGUMENT on bad bits. */
  constructor(
    nBits: NBitsOption,
    graph: Graph,
    options: Pick<QuantizationSettings, "roundingThresholdBits" | "reduceSumCopy"> = {},
  ) {
    this.nBits = getNBitsDict(nBits);
    this.rounding = getRounding(options.roundingThresholdBits);
    this.#copiesSums = options.reduceSumCopy ?? false;
    this.graph = graph;
  }

  /**
   * One tensor per graph input, rows first, float32 or float64. Throws EMPTY_CALIBRATION, BAD_DTYPE, BAD_SHAPE, BAD_VALUE
   * or UNSUPPORTED_OPERATOR, and BAD_MODEL when an operator reads a tensor that no Quant node quantizes.
   */
  quantizeModule(...calibration: readonly Tensor[]): QuantizedModule {
    return finish(this.quantizeInSteps(calibration));
  }

  /** The same with a step per node. */
  *quantizeInSteps(calibration: readonly Tensor[]): Steps<QuantizedModule> {
    const { nBits, rounding } = this;
    const conversion = yield* convert(
      this.graph,
      {
        nBits,
        rounding,
        copiesSums: this.#copiesSums,
        quantizeConstant: (values) =>
          new QuantizedArray(nBits.op_weights, values, { isSigned: true, isQat: true }),
        inputOptions: (bits) => quantizationOptions({ nBits: bits, isSigned: true, isQat: true }),
        range: (values) => measureStats(values),
        signsPerInput: false,
        passOn: (_, raw) => raw,
      },
      calibration,
    );
    requireQuantizedOperands(conversion);
    return conversion.module;
  }
}

/** Every operator on integers must read codes that a Quant node made, maybe moved since; lists those that do not. */
function requireQuantizedOperands({ module, movedFrom }: Conversion): void {
  const quantized = new Set(
    module.inputs
      .filter(({ quantizer }) => quantizer.options.isPrecomputedQat)
      .map(({ name }) => name),
  );
  const missing: string[] = [];
  for (const op of module.operations) {
    const [output] = op.node.outputs;
    if (op.isFused) {
      if (isQuantNode(op.node)) quantized.add(output);
      continue;
    }
    const operands = op.node.inputs.filter((name) => name !== "" && !module.constants.has(name));
    const bare = operands.filter((name) => !quantized.has(name));
    missing.push(...bare.map((name) => `${name} (read by ${op.node.opType} ${op.node.name})`));
    const source = movedFrom.get(output);
    if (source !== undefined && quantized.has(source)) quantized.add(output);
  }
  if (missing.length === 0) return;
  throw new SottoError(
    "BAD_MODEL",
    "importQat",
    `expected tensors that a Quant node quantizes, got ${missing.join(", ")}; put a quantizer (such as QuantIdentity) before these operators and train again, or import without importQat`,
  );
}
