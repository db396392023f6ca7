/**
 * Graph: a float model as an immutable value. Nodes are in an order in which every name is defined before it is used, and
 * each name is defined once (by an input, a constant or a node). The first axis of every input is the batch; `shapes`
 * are those of a batch of 1, and every graph can be evaluated on a batch of any size.
 * @module
 */
import type { DType, Shape, Tensor } from "../tensor/tensor.ts";

/** What an attribute can hold once it is read. */
export type AttributeValue = number | string | readonly number[] | readonly string[] | Tensor;

/** Attributes by their ONNX name; only those that the model states. */
export type Attributes = Readonly<Record<string, AttributeValue>>;

/** A graph input or output: a symbolic size is a name, an unknown one null. */
export interface GraphValue {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly (number | string | null)[];
  /** Where the model has strings: what the int64 elements, which are places in this list, stand for (see `strings.ts`). */
  readonly strings?: readonly string[];
  /** Of the scores of a classifier: the label of each column. */
  readonly classes?: readonly (number | string)[];
}

/** One operator applied to names; `""` in `inputs` is an optional input that is absent. */
export interface GraphNode {
  readonly name: string;
  readonly opType: string;
  /** "" is ai.onnx. */
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Attributes;
}

/** A model read from ONNX. */
export interface Graph {
  readonly name: string;
  /** Operator set version of each domain the model imports; "" is ai.onnx. */
  readonly opset: ReadonlyMap<string, number>;
  readonly inputs: readonly GraphValue[];
  readonly outputs: readonly GraphValue[];
  readonly nodes: readonly GraphNode[];
  readonly constants: ReadonlyMap<string, Tensor>;
  /** Shape of every name for a batch of 1. */
  readonly shapes: ReadonlyMap<string, Shape>;
}

/** A graph in three parts: the outputs of each are the inputs of the next. */
export interface SplitGraph {
  /** What the client computes before encryption: from the model's inputs to what is encrypted. */
  readonly before: Graph;
  /** What is computed encrypted. */
  readonly graph: Graph;
  /** What the client computes after decryption: from what is decrypted to the model's outputs. */
  readonly after: Graph;
}

/**
 * A node of a classical model in two: the part to be computed encrypted gives raw scores, and the client makes of them what
 * the node gave (null where that is the same).
 */
export interface Core {
  readonly scores: GraphNode;
  /** Columns of the raw scores; null where their name and shape are the node's own. */
  readonly width: number | null;
  readonly finish: GraphNode | null;
}
