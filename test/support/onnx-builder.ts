/**
 * Builds small ONNX models in memory, so that a test shows the model it is about.
 * @module
 */
import { create, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import {
  AttributeProto_AttributeType as AttributeType,
  ModelProtoSchema,
  TensorProto_DataType as DataType,
} from "onnx-buf";
import type { AttributeProtoSchema, NodeProtoSchema, TensorProtoSchema } from "onnx-buf";
import type { ValueInfoProtoSchema } from "onnx-buf";

type Attribute = MessageInitShape<typeof AttributeProtoSchema>;
type Node = MessageInitShape<typeof NodeProtoSchema>;
type TensorInit = MessageInitShape<typeof TensorProtoSchema>;
type Value = MessageInitShape<typeof ValueInfoProtoSchema>;

/** What a test says about a model; everything else has a usual value. */
export interface ModelSpec {
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly nodes: readonly Node[];
  readonly initializers?: readonly TensorInit[];
  /** Opset of ai.onnx. Default: 17. */
  readonly opset?: number;
  /** Further domains that the model imports. Default: none. */
  readonly domains?: readonly { readonly domain: string; readonly version: bigint }[];
}

/** Bytes of a model. */
export function buildModel(spec: ModelSpec): Uint8Array {
  const model = create(ModelProtoSchema, {
    irVersion: 8n,
    opsetImport: [{ domain: "", version: BigInt(spec.opset ?? 17) }, ...(spec.domains ?? [])],
    graph: {
      name: "test",
      input: [...spec.inputs],
      output: [...spec.outputs],
      node: [...spec.nodes],
      initializer: [...(spec.initializers ?? [])],
    },
  });
  return toBinary(ModelProtoSchema, model);
}

/** A float32 input or output; a symbolic size is a string. */
export function value(
  name: string,
  shape: readonly (number | string)[],
  elemType: number = DataType.FLOAT,
): Value {
  const dim = shape.map((size) => ({
    value:
      typeof size === "string"
        ? { case: "dimParam" as const, value: size }
        : { case: "dimValue" as const, value: BigInt(size) },
  }));
  return { name, type: { value: { case: "tensorType", value: { elemType, shape: { dim } } } } };
}

/** A node with one output. */
export function node(
  opType: string,
  input: readonly string[],
  output: string,
  attribute: readonly Attribute[] = [],
): Node {
  return { opType, input: [...input], output: [output], attribute: [...attribute] };
}

/** An integer attribute. */
export function intAttribute(name: string, i: number): Attribute {
  return { name, type: AttributeType.INT, i: BigInt(i) };
}

/** A float attribute. */
export function floatAttribute(name: string, f: number): Attribute {
  return { name, type: AttributeType.FLOAT, f };
}

/** A list of integers as an attribute. */
export function intsAttribute(name: string, ints: readonly number[]): Attribute {
  return { name, type: AttributeType.INTS, ints: ints.map(BigInt) };
}

/** A string attribute. */
export function stringAttribute(name: string, s: string): Attribute {
  return { name, type: AttributeType.STRING, s: new TextEncoder().encode(s) };
}

/** A tensor attribute. */
export function tensorAttribute(name: string, t: TensorInit): Attribute {
  return { name, type: AttributeType.TENSOR, t };
}

/** A float32 initializer in the typed list. */
export function floats(
  name: string,
  dims: readonly number[],
  floatData: readonly number[],
): TensorInit {
  return { name, dims: dims.map(BigInt), dataType: DataType.FLOAT, floatData: [...floatData] };
}

/** An int64 initializer in the typed list. */
export function longs(
  name: string,
  dims: readonly number[],
  int64Data: readonly number[],
): TensorInit {
  return {
    name,
    dims: dims.map(BigInt),
    dataType: DataType.INT64,
    int64Data: int64Data.map(BigInt),
  };
}

/** An initializer of any element type as raw bytes. */
export function rawTensor(
  name: string,
  dataType: DataType,
  dims: readonly number[],
  bytes: readonly number[],
): TensorInit {
  return { name, dims: dims.map(BigInt), dataType, rawData: Uint8Array.from(bytes) };
}
