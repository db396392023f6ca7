/**
 * Graphs as JSON, and back from JSON of unknown origin. Where the tensors of a graph go is the caller's business: behind the
 * document, or into it.
 * @module
 */
import type { AttributeValue, Graph, GraphNode, GraphValue } from "../onnx/graph.ts";
import { verify } from "../onnx/verify.ts";
import { type Tensor, sizeOf, tensor } from "../tensor/tensor.ts";
import { type Reader, bad } from "./json-reader.ts";
import { dtypeOf, numberFrom, numberToJson } from "./tensors.ts";

const MAX_AXIS = 2 ** 28;

/** What stands for a tensor in JSON. */
export type TensorToJson = (x: Tensor) => object | number;

/** The tensor that JSON stands for. */
export type TensorFrom = (item: Reader) => Tensor;

/** The JSON of a graph. */
export function graphToJson(
  { name, opset, inputs, outputs, nodes, constants, shapes }: Graph,
  tensorToJson: TensorToJson,
): object {
  return {
    name,
    opset: [...opset].map(([domain, version]) => ({ domain, version })),
    inputs: inputs.map(valueToJson),
    outputs: outputs.map(valueToJson),
    ...textsOf([...inputs, ...outputs]),
    nodes: nodes.map((node) => ({
      name: node.name,
      opType: node.opType,
      domain: node.domain,
      inputs: node.inputs,
      outputs: node.outputs,
      attributes: Object.entries(node.attributes).map(([attribute, value]) => ({
        name: attribute,
        ...attributeToJson(value, tensorToJson),
      })),
    })),
    constants: [...constants].map(([constant, x]) => ({
      name: constant,
      tensor: tensorToJson(x),
    })),
    shapes: [...shapes].map(([value, shape]) => ({ name: value, shape })),
  };
}

function valueToJson({ name, dtype, shape, strings, classes }: GraphValue): object {
  return {
    name,
    dtype,
    shape: shape.map((dim) => dim ?? -1),
    ...(strings ? { isText: true } : {}),
    ...(classes ? { classes } : {}),
  };
}

/** The texts that codes stand for: a model has one list. */
function textsOf(values: readonly GraphValue[]): { readonly strings?: readonly string[] } {
  const strings = values.find((value) => value.strings)?.strings;
  return strings ? { strings } : {};
}

function attributeToJson(value: AttributeValue, tensorToJson: TensorToJson): object {
  if (typeof value === "number") return { number: numberToJson(value) };
  if (typeof value === "string") return { text: value };
  if (isTensor(value)) return { tensor: tensorToJson(value) };
  return isTexts(value) ? { texts: value } : { numbers: value.map(numberToJson) };
}

function isTensor(value: Exclude<AttributeValue, number | string>): value is Tensor {
  return "dtype" in value;
}

function isTexts(value: readonly number[] | readonly string[]): value is readonly string[] {
  return value.length > 0 && typeof value[0] === "string";
}

/** Reads a graph; `verify` says whether it is a legal one. Throws BAD_BYTES. */
export function graphFrom(graph: Reader, tensorFrom: TensorFrom): Graph {
  const named = <T>(list: string, read: (item: Reader) => T): Map<string, T> =>
    new Map(
      graph
        .field(list)
        .list()
        .map((item) => [item.field("name").text(), read(item)]),
    );
  const opsets = graph.field("opset").list();
  const texts = graph.optional("strings");
  const strings = texts && textsFrom(texts);
  return {
    name: graph.field("name").text(),
    opset: new Map(opsets.map((o) => [o.field("domain").text(), o.field("version").count(1e6)])),
    inputs: graph
      .field("inputs")
      .list()
      .map((value) => valueFrom(value, strings)),
    outputs: graph
      .field("outputs")
      .list()
      .map((value) => valueFrom(value, strings)),
    nodes: graph
      .field("nodes")
      .list()
      .map((node) => nodeFrom(node, tensorFrom)),
    constants: named("constants", (item) => tensorFrom(item.field("tensor"))),
    shapes: named("shapes", (item) => sizesFrom(item.field("shape"))),
  };
}

/** A graph input or output; -1 is a size that is not known. */
function valueFrom(value: Reader, strings: readonly string[] | null): GraphValue {
  const classes = value.optional("classes");
  const isText = value.optional("isText")?.flag() ?? false;
  if (isText && !strings) throw bad(value.path, "expected the texts that its codes stand for");
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
    ...(isText && strings ? { strings } : {}),
    ...(classes
      ? { classes: classes.list().map((c) => (c.isNumber() ? c.integer() : c.text())) }
      : {}),
  };
}

function nodeFrom(node: Reader, tensorFrom: TensorFrom): GraphNode {
  const attributes = node.field("attributes").list();
  return {
    name: node.field("name").text(),
    opType: node.field("opType").text(),
    domain: node.field("domain").text(),
    inputs: textsFrom(node.field("inputs")),
    outputs: textsFrom(node.field("outputs")),
    attributes: Object.fromEntries(
      attributes.map((item) => [item.field("name").text(), attributeFrom(item, tensorFrom)]),
    ),
  };
}

function attributeFrom(item: Reader, tensorFrom: TensorFrom): AttributeValue {
  const number = item.optional("number");
  if (number) return numberFrom(number);
  const text = item.optional("text");
  if (text) return text.text();
  const stated = item.optional("tensor");
  if (stated) return tensorFrom(stated);
  const texts = item.optional("texts");
  return texts ? textsFrom(texts) : item.field("numbers").list().map(numberFrom);
}

/** A list of texts. */
export function textsFrom(list: Reader): string[] {
  return list.list().map((item) => item.text());
}

function sizesFrom(list: Reader): number[] {
  return list.list().map((dim) => dim.count(MAX_AXIS));
}

/** A tensor with its elements in the document. */
export function tensorToJson({ dtype, shape, data }: Tensor): object {
  return { dtype, shape, data: Array.from(data, numberToJson) };
}

/** Reads what `tensorToJson` writes. Throws BAD_BYTES. */
export function tensorFrom(item: Reader): Tensor {
  const dtype = dtypeOf(item.field("dtype"));
  const shape = sizesFrom(item.field("shape"));
  const data = item.field("data").list().map(numberFrom);
  const isWhole = dtype === "int64" || dtype === "bool";
  if (data.length !== sizeOf(shape) || (isWhole && !data.every(Number.isSafeInteger))) {
    throw bad(item.path, `expected ${sizeOf(shape)} numbers of type ${dtype}`);
  }
  return tensor(dtype, shape, data);
}

/**
 * Reads a graph that the client evaluates: a legal one, whose tensors have `most` elements at most for one row.
 * Throws BAD_BYTES.
 */
export function clientGraphFrom(reader: Reader, most: number): Graph {
  const graph = graphFrom(reader, tensorFrom);
  for (const [name, shape] of graph.shapes) {
    const isSmall = shape.length <= 16 && sizeOf(shape) <= most;
    if (!isSmall) throw bad(reader.path, `${name}: expected at most ${most} elements`);
  }
  try {
    verify(graph);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw bad(reader.path, `expected a legal graph, got one with this fault: ${why}`);
  }
  return graph;
}
