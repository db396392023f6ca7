/**
 * The recorded models of scikit-learn, XGBoost and LightGBM in test/fixtures/sklearn: a file, rows of every input and what
 * onnxruntime or the library itself gives for them.
 * @module
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import type { Graph, GraphValue } from "../../src/onnx/graph.ts";
import { decodeStrings, encodeStrings } from "../../src/onnx/strings.ts";
import { tensor, type DType, type Tensor } from "../../src/tensor/tensor.ts";

const root = new URL("../fixtures/sklearn/", import.meta.url);

/** An array as make.py writes it: numbers, or "nan", "inf" and "-inf", or texts. */
export interface RecordedArray {
  readonly dtype: DType | "string";
  readonly shape: readonly number[];
  readonly data: readonly (number | string)[];
}

/** What case.json and booster.json hold. */
export interface RecordedCase {
  readonly operators: readonly string[];
  readonly inputs: Readonly<Record<string, RecordedArray>>;
  readonly outputs: Readonly<Record<string, RecordedArray>>;
  readonly classes: Readonly<Record<string, readonly (number | string)[]>>;
}

/** What operators.json holds of each node. */
export interface RecordedNode {
  readonly name: string;
  readonly model: string;
  readonly inputs: Readonly<Record<string, RecordedArray>>;
  readonly outputs: Readonly<Record<string, RecordedArray>>;
}

/** What booster.json holds. */
export interface RecordedBooster {
  readonly inputs: { readonly X: RecordedArray };
  /** Raw scores. */
  readonly margins: RecordedArray;
  readonly labels?: RecordedArray;
  readonly scores: RecordedArray;
}

/** Names of the recorded models that have a file. */
export function sklearnFixtures(file: string): string[] {
  return readdirSync(root)
    .filter((name) => existsSync(new URL(`${name}/${file}`, root)))
    .sort();
}

/** Bytes of a file of a recorded model. */
export function readSklearnFile(name: string, file: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(`${name}/${file}`, root)));
}

/** Reads case.json or booster.json. */
export function readRecorded<T extends RecordedCase | RecordedBooster>(
  name: string,
  file: string,
): T {
  return JSON.parse(readFileSync(new URL(`${name}/${file}`, root), "utf8")) as T;
}

/** The recorded random nodes: each with its model in base64. */
export function readRandomNodes(): RecordedNode[] {
  return JSON.parse(readFileSync(new URL("operators.json", root), "utf8")) as RecordedNode[];
}

/** A recorded array as the tensor that an input takes. */
export function inputTensor(value: GraphValue, { dtype, shape, data }: RecordedArray): Tensor {
  if (dtype === "string") return encodeStrings(value, shape, data.map(String));
  return tensor(dtype, shape, data.map(readNumber));
}

/** One tensor per input of a graph. */
export function inputTensors(graph: Graph, { inputs }: Pick<RecordedCase, "inputs">): Tensor[] {
  return graph.inputs.map((value) => inputTensor(value, inputs[value.name]));
}

/** Elements of a result as they are recorded: texts where the output has strings. */
export function elementsOf(value: GraphValue, result: Tensor): (number | string)[] {
  return value.strings ? decodeStrings(value, result) : [...result.data];
}

/** A recorded number. */
export function readNumber(recorded: number | string): number {
  if (typeof recorded === "number") return recorded;
  const special: Readonly<Record<string, number>> = { nan: NaN, inf: Infinity, "-inf": -Infinity };
  return special[recorded];
}
