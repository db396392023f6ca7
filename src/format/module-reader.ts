/**
 * Reads the JSON of a quantized module; every access is checked. What the parts must be to each other is not checked here.
 * @module
 */
import type { Graph, GraphNode } from "../onnx/graph.ts";
import { QuantizedArray } from "../quantization/array.ts";
import type { NBits, Rounding } from "../quantization/bits.ts";
import { QuantizedModule } from "../quantization/module.ts";
import type { ConstantOperand, QuantizedOperation } from "../quantization/operation.ts";
import { ruleOf } from "../quantization/ops/index.ts";
import {
  type QuantizationOptions,
  UniformQuantizer,
  quantizationOptions,
} from "../quantization/quantizer.ts";
import type { PerChannel } from "../tensor/codes.ts";
import { binsFrom } from "./bins.ts";
import { graphFrom, textsFrom } from "./graph.ts";
import { type Reader, bad } from "./json-reader.ts";
import { type TensorReader, numberFrom } from "./tensors.ts";

/** Makes a module of its JSON and its tensors. */
export class ModuleReader {
  readonly #tensors: TensorReader;

  constructor(tensors: TensorReader) {
    this.#tensors = tensors;
  }

  module(root: Reader): QuantizedModule {
    if (root.field("format").count(99) !== 1) throw bad("module.format", "expected format 1");
    const graph = this.graph(root.field("graph"));
    const ports = [root.field("inputs").list(), root.field("outputs").list()];
    const [inputQuantizers, outputQuantizers] = ports.map((list) =>
      list.map((port) => {
        const quantizer = port.field("quantizer");
        return binsFrom(quantizer) ?? this.quantizer(quantizer);
      }),
    );
    return new QuantizedModule({
      graph,
      before: this.graph(root.field("before")),
      after: this.graph(root.field("after")),
      nBits: bitsOf(root.field("nBits")),
      rounding: roundingOf(root.optional("rounding")),
      operations: root
        .field("operations")
        .list()
        .map((op) => this.operation(op, graph.nodes)),
      constants: new Map(
        root
          .field("constants")
          .list()
          .map((constant) => this.constant(constant)),
      ),
      inputQuantizers,
      outputQuantizers,
      calibration: root
        .field("calibration")
        .list()
        .map((ref) => this.#tensors.at(ref)),
    });
  }

  graph(graph: Reader): Graph {
    return graphFrom(graph, (place) => this.#tensors.at(place));
  }

  operation(op: Reader, nodes: readonly GraphNode[]): QuantizedOperation {
    const node = nodes[op.field("node").count(nodes.length - 1)];
    const removed = op.optional("removedBits");
    const accumulators = op.field("accumulators").list();
    const inner = op.field("inner").list();
    return {
      node,
      rule: ruleOf(node),
      integerProducers: new Set(textsFrom(op.field("integerProducers"))),
      isFused: op.field("isFused").flag(),
      isGraphOutput: op.field("isGraphOutput").flag(),
      inputOptions: optionsOf(op.field("inputOptions")),
      signsPerInput: op.field("signsPerInput").flag(),
      outputBits: op.field("outputBits").count(64),
      weightBits: op.field("weightBits").count(64),
      copiesSums: op.field("copiesSums").flag(),
      rounding: roundingOf(op.optional("rounding")),
      ...(removed ? { removedBits: removed.count(64) } : {}),
      calibrated: {
        outputQuantizer: this.quantizer(op.field("outputQuantizer")),
        accumulators: new Map(
          accumulators.map((item) => {
            const interval = { lo: item.field("lo").integer(), hi: item.field("hi").integer() };
            return [item.field("name").text(), interval];
          }),
        ),
        inner: new Map(inner.map((item) => [item.field("name").text(), this.quantizer(item)])),
      },
    };
  }

  constant(constant: Reader): [string, ConstantOperand] {
    const array = constant.optional("quantized");
    const quantized = array && this.array(array);
    const values = this.#tensors.at(constant.field("values"));
    return [constant.field("name").text(), { values, quantized }];
  }

  array(array: Reader): QuantizedArray {
    const quantizer = this.quantizer(array.field("quantizer"));
    const qvalues = this.#tensors.int64At(array.field("codes"));
    const values = this.#tensors.at(array.field("values"));
    return new QuantizedArray(quantizer.options.nBits, values, { known: { qvalues, quantizer } });
  }

  quantizer(quantizer: Reader): UniformQuantizer {
    const perChannel = (name: string): PerChannel => {
      const value = quantizer.field(name);
      return value.isObject() ? this.#tensors.float64At(value.field("tensor")) : numberFrom(value);
    };
    const stats = quantizer.optional("stats");
    return new UniformQuantizer(
      {
        ...optionsOf(quantizer.field("options")),
        scale: perChannel("scale"),
        zeroPoint: perChannel("zeroPoint"),
        offset: quantizer.field("offset").number(),
        noClipping: quantizer.field("noClipping").flag(),
      },
      stats && {
        rmin: numberFrom(stats.field("rmin")),
        rmax: numberFrom(stats.field("rmax")),
        isFloat32: stats.field("isFloat32").flag(),
      },
    );
  }
}

function bitsOf(nBits: Reader): NBits {
  const bits = (name: keyof NBits): number => nBits.field(name).count(64);
  return {
    model_inputs: bits("model_inputs"),
    op_weights: bits("op_weights"),
    op_inputs: bits("op_inputs"),
    model_outputs: bits("model_outputs"),
  };
}

function optionsOf(options: Reader): QuantizationOptions {
  const flag = (name: keyof QuantizationOptions): boolean => options.field(name).flag();
  return quantizationOptions({
    nBits: options.field("nBits").count(64),
    isSigned: flag("isSigned"),
    isSymmetric: flag("isSymmetric"),
    isQat: flag("isQat"),
    isNarrow: flag("isNarrow"),
    isPrecomputedQat: flag("isPrecomputedQat"),
  });
}

function roundingOf(rounding: Reader | null): Rounding | null {
  if (rounding === null) return null;
  const method = rounding.field("method").text();
  if (method !== "exact" && method !== "approximate" && method !== "fit") {
    throw bad(rounding.path, `expected exact, approximate or fit, got ${method}`);
  }
  return { nBits: rounding.field("nBits").count(64), method };
}
