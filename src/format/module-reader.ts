/**
 * Reads the JSON of a quantized module; every access is checked. What the parts must be to each other is not checked here.
 * @module
 */
import type { ClientStep } from "../onnx/client-steps.ts";
import type { AttributeValue, Graph, GraphNode, GraphValue } from "../onnx/graph.ts";
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
import { type Reader, bad } from "./json-reader.ts";
import { type TensorReader, dtypeOf, numberFrom } from "./tensors.ts";

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
    const [before, after] = ports.map((list) => list.map((port) => stepOf(port.optional("step"))));
    const [inputQuantizers, outputQuantizers] = ports.map((list) =>
      list.map((port) => this.quantizer(port.field("quantizer"))),
    );
    return new QuantizedModule({
      graph,
      before,
      after,
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
    const named = <T>(list: string, read: (item: Reader) => T): Map<string, T> =>
      new Map(
        graph
          .field(list)
          .list()
          .map((item) => [item.field("name").text(), read(item)]),
      );
    const opsets = graph.field("opset").list();
    return {
      name: graph.field("name").text(),
      opset: new Map(opsets.map((o) => [o.field("domain").text(), o.field("version").count(1e6)])),
      inputs: graph.field("inputs").list().map(valueOf),
      outputs: graph.field("outputs").list().map(valueOf),
      nodes: graph
        .field("nodes")
        .list()
        .map((node) => this.node(node)),
      constants: named("constants", (item) => this.#tensors.at(item.field("tensor"))),
      shapes: named("shapes", (item) => sizesOf(item.field("shape"))),
    };
  }

  node(node: Reader): GraphNode {
    const attributes = node.field("attributes").list();
    return {
      name: node.field("name").text(),
      opType: node.field("opType").text(),
      domain: node.field("domain").text(),
      inputs: textsOf(node.field("inputs")),
      outputs: textsOf(node.field("outputs")),
      attributes: Object.fromEntries(
        attributes.map((item) => [item.field("name").text(), this.attribute(item)]),
      ),
    };
  }

  attribute(item: Reader): AttributeValue {
    const number = item.optional("number");
    if (number) return numberFrom(number);
    const text = item.optional("text");
    if (text) return text.text();
    const tensor = item.optional("tensor");
    if (tensor) return this.#tensors.at(tensor);
    const texts = item.optional("texts");
    return texts ? textsOf(texts) : item.field("numbers").list().map(numberFrom);
  }

  operation(op: Reader, nodes: readonly GraphNode[]): QuantizedOperation {
    const node = nodes[op.field("node").count(nodes.length - 1)];
    const removed = op.optional("removedBits");
    const accumulators = op.field("accumulators").list();
    const inner = op.field("inner").list();
    return {
      node,
      rule: ruleOf(node),
      integerProducers: new Set(textsOf(op.field("integerProducers"))),
      isFused: op.field("isFused").flag(),
      isGraphOutput: op.field("isGraphOutput").flag(),
      inputOptions: optionsOf(op.field("inputOptions")),
      signsPerInput: op.field("signsPerInput").flag(),
      outputBits: op.field("outputBits").count(64),
      weightBits: op.field("weightBits").count(64),
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

function textsOf(list: Reader): string[] {
  return list.list().map((item) => item.text());
}

function sizesOf(list: Reader): number[] {
  return list.list().map((dim) => dim.count(2 ** 28));
}

/** A graph input or output; -1 is a size that is not known. */
function valueOf(value: Reader): GraphValue {
  return {
    name: value.field("name").text(),
    dtype: dtypeOf(value.field("dtype")),
    shape: value
      .field("shape")
      .list()
      .map((dim) => {
        if (!dim.isNumber()) return dim.text();
        const size = dim.integer();
        return size < 0 ? null : size;
      }),
  };
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

function stepOf(step: Reader | null): ClientStep | null {
  if (step === null) return null;
  const kind = step.field("kind").text();
  if (kind === "oneHot") return { kind, depth: step.field("depth").count(2 ** 24) };
  if (kind === "softmax" || kind === "logSoftmax") {
    return { kind, axis: step.field("axis").count(64) };
  }
  throw bad(step.path, `expected oneHot, softmax or logSoftmax, got ${kind}`);
}
