/**
 * ONNX bytes to a plain model. The only file that knows protobuf; whatever the bytes are, the result is a model or a
 * SottoError. Narrow element types are widened: float16 and bfloat16 to float32, every integer type to int64.
 * @module
 */
import { fromBinary } from "@bufbuild/protobuf";
import {
  AttributeProto_AttributeType as AttributeType,
  ModelProtoSchema,
  TensorProto_DataType as DataType,
} from "onnx-buf";
import type { AttributeProto, GraphProto, ModelProto, NodeProto, ValueInfoProto } from "onnx-buf";
import { SottoError } from "../errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { AttributeValue, GraphNode, GraphValue } from "./graph.ts";
import { DISTANCES } from "./distances.ts";
import { withDistances } from "./proto-distances.ts";
import { dtypeOf, readTensor, toInteger } from "./proto-tensor.ts";
import { encodeNodes } from "./string-nodes.ts";
import { StringTable } from "./strings.ts";

/** A node as read: null stands for an attribute of a kind that sotto does not read, such as a subgraph. */
export interface ModelNode extends Omit<GraphNode, "attributes"> {
  readonly attributes: Readonly<Record<string, AttributeValue | null>>;
}

/** A model as read, before any of it is interpreted. */
export interface Model {
  readonly name: string;
  readonly opset: ReadonlyMap<string, number>;
  /** Without those that are initializers too, as opset 8 and before list them. */
  readonly inputs: readonly GraphValue[];
  readonly outputs: readonly GraphValue[];
  readonly nodes: readonly ModelNode[];
  readonly initializers: ReadonlyMap<string, Tensor>;
  /** Texts that stand behind the codes of string tensors (see `strings.ts`). Default: none. */
  readonly strings?: readonly string[];
}

/** Reads an ONNX file. */
export function readModel(bytes: Uint8Array): Model {
  if (!(bytes instanceof Uint8Array)) {
    throw new SottoError(
      "BAD_ARGUMENT",
      "model",
      `expected the bytes of an ONNX file, or a path where one is read, got ${typeof bytes}`,
    );
  }
  const model = parse(bytes);
  if (!model.graph) {
    throw new SottoError("BAD_MODEL", "model", "the bytes hold no graph; is this an ONNX file?");
  }
  const { graph } = model;
  if (graph.sparseInitializer.length > 0) {
    throw new SottoError("BAD_MODEL", graph.name, "sparse initializers are not supported");
  }
  const table = new StringTable();
  const initializers = readInitializers(graph, table);
  const types = typesOf(graph);
  const strings = [...types.keys()].filter((name) => types.get(name) === STRING);
  const read = readNodes(withDistances(graph), table).map(withCodeType(types));
  const nodes = encodeNodes(read, new Set(strings), table);
  const stated = model.opsetImport.map(({ domain, version }): [string, number] => [
    plainDomain(domain),
    toInteger(version),
  ]);
  // Distances that are read from loops need no import.
  const implied = nodes.some(({ domain }) => domain === DISTANCES.domain);
  const opset = new Map<string, number>([
    ...(implied ? [[DISTANCES.domain, 1] as const] : []),
    ...(CLASSICAL.has(model.producerName.toLowerCase()) ? [["ai.onnx.ml", 1] as const] : []),
    ...stated,
  ]);
  const { texts } = table;
  return {
    name: graph.name,
    opset,
    inputs: graph.input
      .filter(({ name }) => !initializers.has(name))
      .map((input) => readValue(input, texts)),
    outputs: graph.output.map((output) => readOutput(output, nodes, texts)),
    nodes,
    initializers,
    strings: texts,
  };
}

/** Exporters of classical models; where a model needs no operator of ai.onnx.ml they leave the domain out. */
const CLASSICAL: ReadonlySet<string> = new Set(["skl2onnx", "onnxmltools"]);

function parse(bytes: Uint8Array): ModelProto {
  try {
    return fromBinary(ModelProtoSchema, bytes);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new SottoError("BAD_MODEL", "model", `not an ONNX file, or a damaged one: ${reason}`);
  }
}

/** "ai.onnx" is another way to write the default domain. */
function plainDomain(domain: string): string {
  return domain === "ai.onnx" ? "" : domain;
}

function readInitializers(graph: GraphProto, strings: StringTable): Map<string, Tensor> {
  const initializers = new Map<string, Tensor>();
  for (const proto of graph.initializer) {
    if (initializers.has(proto.name)) {
      throw new SottoError("BAD_MODEL", proto.name, "the initializer is defined twice");
    }
    initializers.set(proto.name, readTensor(proto, proto.name, strings));
  }
  return initializers;
}

/** An output; what a ZipMap gives is no tensor in ONNX, and here a matrix of scores. */
function readOutput(
  output: ValueInfoProto,
  nodes: readonly ModelNode[],
  strings: readonly string[],
): GraphValue {
  const { name, type } = output;
  const isTensor = type?.value.case === "tensorType";
  const zipMap = nodes.find((node) => node.opType === "ZipMap" && node.outputs.includes(name));
  if (isTensor || zipMap?.domain !== "ai.onnx.ml") return readValue(output, strings);
  return { name, dtype: "float32", shape: [null, null] };
}

function readValue({ name, type }: ValueInfoProto, strings: readonly string[]): GraphValue {
  if (type?.value.case !== "tensorType") {
    const got = type?.value.case ?? "no type";
    throw new SottoError("BAD_MODEL", name, `expected a tensor, got ${got}`);
  }
  const { elemType, shape } = type.value.value;
  const sizes = (shape?.dim ?? []).map(({ value }) => {
    if (value.case === "dimValue") return toInteger(value.value);
    return value.case === "dimParam" && value.value !== "" ? value.value : null;
  });
  if (elemType === STRING) return { name, dtype: "int64", shape: sizes, strings };
  return { name, dtype: dtypeOf(elemType, name), shape: sizes };
}

/** Nodes with a name each: exporters leave names out and repeat them. */
function readNodes(protos: readonly NodeProto[], strings: StringTable): ModelNode[] {
  const taken = new Set<string>();
  return protos.map((proto) => {
    const base = proto.name === "" ? proto.opType : proto.name;
    let name = base;
    for (let i = 1; taken.has(name); i++) name = `${base}_${i}`;
    taken.add(name);
    return {
      name,
      opType: proto.opType,
      domain: plainDomain(proto.domain),
      inputs: withoutTail(proto.input),
      outputs: withoutTail(proto.output),
      attributes: Object.fromEntries(
        proto.attribute.map((attribute) => readNamed(attribute, name, strings)),
      ),
    };
  });
}

/** Drops absent operands at the end of a list. */
function withoutTail(names: readonly string[]): readonly string[] {
  return names.slice(0, names.findLastIndex((name) => name !== "") + 1);
}

/** Element types as declared, before widening, of initializers, inputs and values of Constant nodes. */
function typesOf(graph: GraphProto): ReadonlyMap<string, number> {
  const types = new Map<string, number>();
  for (const { name, type } of [...graph.input, ...graph.valueInfo]) {
    if (type?.value.case === "tensorType") types.set(name, type.value.value.elemType);
  }
  for (const { name, dataType } of graph.initializer) types.set(name, dataType);
  for (const { opType, output, attribute } of graph.node) {
    const value = attribute.find(({ name }) => name === "value")?.t;
    if (opType === "Constant" && value) types.set(output[0], value.dataType);
  }
  return types;
}

const UNKNOWN_TYPE = -1;
const STRING: number = DataType.STRING;

/**
 * States the element type of a QuantizeLinear's codes in `output_dtype` (an attribute since opset 21): the type of the
 * zero point decides where codes saturate, and it is lost when integers are widened.
 */
function withCodeType(types: ReadonlyMap<string, number>): (node: ModelNode) => ModelNode {
  return (node) => {
    const { opType, domain, inputs, attributes } = node;
    if (opType !== "QuantizeLinear" || domain !== "" || attributes["output_dtype"]) return node;
    const zeroPoint = inputs.at(2) ?? "";
    const type = zeroPoint === "" ? DataType.UINT8 : (types.get(zeroPoint) ?? UNKNOWN_TYPE);
    return { ...node, attributes: { ...attributes, output_dtype: type } };
  };
}

/** An attribute with its name. String tensors, which only LabelEncoder has, become the lists of strings that it takes too. */
function readNamed(
  proto: AttributeProto,
  where: string,
  strings: StringTable,
): [string, AttributeValue | null] {
  const { name, t } = proto;
  const isList = /^(?:keys|values|default)_tensor$/.test(name);
  if (!isList || t?.dataType !== STRING) return [name, readAttribute(proto, where, strings)];
  const texts = t.stringData.map(readString);
  if (name === "default_tensor") return ["default_string", texts[0] ?? ""];
  return [name.replace("tensor", "strings"), texts];
}

function readAttribute(
  proto: AttributeProto,
  where: string,
  strings: StringTable,
): AttributeValue | null {
  switch (proto.type) {
    case AttributeType.FLOAT:
      return proto.f;
    case AttributeType.INT:
      return toInteger(proto.i);
    case AttributeType.STRING:
      return readString(proto.s);
    case AttributeType.TENSOR:
      return proto.t ? readTensor(proto.t, where, strings) : null;
    case AttributeType.FLOATS:
      return proto.floats;
    case AttributeType.INTS:
      return proto.ints.map(toInteger);
    case AttributeType.STRINGS:
      return proto.strings.map(readString);
    default:
      return null;
  }
}

function readString(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
