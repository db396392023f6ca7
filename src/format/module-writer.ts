/**
 * The JSON of a quantized module; fields that are null are left out, and tensors are named by their place in a directory.
 * @module
 */
import type { Graph, GraphNode } from "../onnx/graph.ts";
import type { NBits, Rounding } from "../quantization/bits.ts";
import type { QuantizedModule } from "../quantization/module.ts";
import type { ConstantOperand, QuantizedOperation } from "../quantization/operation.ts";
import { BinQuantizer } from "../quantization/bin-quantizer.ts";
import type { QuantizationOptions, UniformQuantizer } from "../quantization/quantizer.ts";
import type { PerChannel } from "../tensor/codes.ts";
import { graphToJson } from "./graph.ts";
import { binsToJson } from "./bins.ts";
import { type TensorWriter, numberToJson } from "./tensors.ts";

/** Absent where there is none. */
function unlessNull<T>(name: string, value: T | null): Readonly<Record<string, T>> {
  return value === null ? {} : { [name]: value };
}

/** Turns a module into JSON, and hands its tensors to a writer. */
export class ModuleWriter {
  readonly #tensors: TensorWriter;

  constructor(tensors: TensorWriter) {
    this.#tensors = tensors;
  }

  module(module: QuantizedModule): object {
    const { graph, nBits, rounding, operations, constants, inputs, outputs, calibration } = module;
    const port = ({ quantizer }: (typeof inputs)[number]): object => ({
      quantizer: this.quantizer(quantizer),
    });
    const json = {
      graph: this.graph(graph),
      before: this.graph(module.before),
      after: this.graph(module.after),
      nBits: bitsToJson(nBits),
      ...unlessNull("rounding", roundingToJson(rounding)),
      operations: operations.map((op) => this.operation(op, graph.nodes)),
      constants: [...constants].map(([name, constant]) => this.constant(name, constant)),
      inputs: inputs.map(port),
      outputs: outputs.map(port),
      calibration: calibration.map((rows) => this.#tensors.add(rows)),
    };
    return { format: 1, ...json, tensors: this.#tensors.directory };
  }

  graph(graph: Graph): object {
    return graphToJson(graph, (x) => this.#tensors.add(x));
  }

  operation(op: QuantizedOperation, nodes: readonly GraphNode[]): object {
    const { outputQuantizer, accumulators, inner } = op.calibrated;
    const node = nodes.indexOf(op.node);
    if (node < 0) throw new Error(`internal: ${op.node.name} is no node of the module's graph`);
    return {
      node,
      integerProducers: [...op.integerProducers],
      isFused: op.isFused,
      isGraphOutput: op.isGraphOutput,
      inputOptions: optionsToJson(op.inputOptions),
      signsPerInput: op.signsPerInput,
      outputBits: op.outputBits,
      weightBits: op.weightBits,
      copiesSums: op.copiesSums,
      ...unlessNull("rounding", roundingToJson(op.rounding)),
      ...unlessNull("removedBits", op.removedBits ?? null),
      outputQuantizer: this.quantizer(outputQuantizer),
      accumulators: [...accumulators].map(([name, { lo, hi }]) => ({ name, lo, hi })),
      inner: [...inner].map(([name, quantizer]) => ({ name, ...this.quantizer(quantizer) })),
    };
  }

  constant(name: string, { values, quantized }: ConstantOperand): object {
    const array = quantized && {
      values: this.#tensors.add(quantized.values),
      codes: this.#tensors.add(quantized.qvalues),
      quantizer: this.quantizer(quantized.quantizer),
    };
    return { name, values: this.#tensors.add(values), ...unlessNull("quantized", array) };
  }

  quantizer(quantizer: UniformQuantizer): object {
    if (quantizer instanceof BinQuantizer) return binsToJson(quantizer);
    const { options, scale, zeroPoint, offset, noClipping, stats } = quantizer;
    const perChannel = (value: PerChannel): object | number | string =>
      typeof value === "number" ? numberToJson(value) : { tensor: this.#tensors.add(value) };
    const range = stats && {
      rmin: numberToJson(stats.rmin),
      rmax: numberToJson(stats.rmax),
      isFloat32: stats.isFloat32,
    };
    return {
      options: optionsToJson(options),
      scale: perChannel(scale),
      zeroPoint: perChannel(zeroPoint),
      offset,
      noClipping,
      ...unlessNull("stats", range),
    };
  }
}

/** Field by field, like the two below: the order in which an object was built must not show in the bytes. */
function optionsToJson(options: QuantizationOptions): QuantizationOptions {
  const { nBits, isSigned, isSymmetric, isQat, isNarrow, isPrecomputedQat } = options;
  return { nBits, isSigned, isSymmetric, isQat, isNarrow, isPrecomputedQat };
}

function roundingToJson(rounding: Rounding | null): Rounding | null {
  return rounding && { nBits: rounding.nBits, method: rounding.method };
}

function bitsToJson({ model_inputs, op_weights, op_inputs, model_outputs }: NBits): NBits {
  return { model_inputs, op_weights, op_inputs, model_outputs };
}
