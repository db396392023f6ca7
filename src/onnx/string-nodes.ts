/**
 * Strings in nodes become codes: attributes that hold values of tensors, and the nodes where it matters that a tensor holds
 * strings. Behind this file a string tensor is a tensor of integers.
 * @module
 */
import { SottoError } from "../errors.ts";
import type { ModelNode } from "./proto.ts";
import type { StringTable } from "./strings.ts";

type ModelAttributes = ModelNode["attributes"];

const ML = "ai.onnx.ml";
const STRING = 8;
const INT64 = 7;

/** Attributes whose strings are values of tensors; other string attributes are names of choices. */
const VALUE_ATTRIBUTES = new Set([
  "cats_strings",
  "classlabels_strings",
  "default_string",
  "keys_strings",
  "values_strings",
]);

/** What LabelEncoder gives for a key that it does not have, unless the model says it. */
const UNUSED = "_Unused";

/** Operators whose outputs are numbers though an input holds strings. */
const READERS = new Set(["Equal", "LabelEncoder", "OneHotEncoder", "Shape", "Size"]);

/**
 * Nodes with codes in place of strings. `strings` are the names of tensors that are declared as strings.
 * Throws UNSUPPORTED_OPERATOR for conversions of strings to numbers.
 */
export function encodeNodes(
  nodes: readonly ModelNode[],
  strings: ReadonlySet<string>,
  table: StringTable,
): ModelNode[] {
  const known = new Set(strings);
  return nodes.map((node) => {
    const hasStrings = node.inputs.some((name) => known.has(name));
    const plain = node.domain === ML ? updated(node, hasStrings) : castOf(node, known);
    const [first, ...others] = node.outputs;
    if (givesStrings(plain, hasStrings)) known.add(first);
    // Of several outputs only a classifier's first one can be strings while the rest are not.
    if (node.domain !== ML && hasStrings && !READERS.has(node.opType)) {
      for (const name of others) known.add(name);
    }
    return plain.domain === ML ? { ...plain, attributes: encoded(plain.attributes, table) } : plain;
  });
}

function givesStrings({ opType, domain, attributes }: ModelNode, hasStrings: boolean): boolean {
  if (domain === ML) {
    const has = (name: string): boolean => {
      const value = attributes[name];
      return Array.isArray(value) && value.length > 0;
    };
    return (
      (hasStrings && !READERS.has(opType)) || has("values_strings") || has("classlabels_strings")
    );
  }
  return hasStrings && !READERS.has(opType);
}

/** LabelEncoder as it is since ai.onnx.ml 2, with what it gives for unknown keys. */
function updated(node: ModelNode, hasStrings: boolean): ModelNode {
  if (node.opType !== "LabelEncoder") return node;
  const { classes_strings: classes, default_string: stated, ...rest } = node.attributes;
  if (!Array.isArray(classes)) {
    if (rest["values_strings"] === undefined) return node;
    return { ...node, attributes: { ...rest, default_string: stated ?? UNUSED } };
  }
  const texts = classes.map(String);
  const places = texts.map((_, place) => place);
  const attributes: ModelAttributes = hasStrings
    ? { ...rest, keys_strings: texts, values_int64s: places }
    : { ...rest, keys_int64s: places, values_strings: texts, default_string: stated ?? UNUSED };
  return { ...node, attributes };
}

/** A conversion of strings to strings changes nothing; one to numbers would read them, one to strings would print numbers. */
function castOf(node: ModelNode, strings: ReadonlySet<string>): ModelNode {
  const { opType, inputs, attributes } = node;
  if (opType !== "Cast" && opType !== "CastLike") return node;
  const fromStrings = strings.has(inputs[0]);
  const toStrings = opType === "Cast" ? attributes["to"] === STRING : strings.has(inputs[1]);
  if (fromStrings !== toStrings) {
    const direction = fromStrings ? "strings to numbers" : "numbers to strings";
    const message = `${opType} of ${direction}; expected a model that takes and gives them as they are`;
    throw new SottoError("UNSUPPORTED_OPERATOR", node.name, message);
  }
  const isPlain = !toStrings || opType === "CastLike";
  return isPlain ? node : { ...node, attributes: { ...attributes, to: INT64 } };
}

function encoded(attributes: ModelAttributes, table: StringTable): ModelAttributes {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => {
      if (!VALUE_ATTRIBUTES.has(name) || value === null) return [name, value];
      if (typeof value === "string") return [name, table.codeOf(value)];
      return Array.isArray(value)
        ? [name, value.map((text) => table.codeOf(String(text)))]
        : [name, value];
    }),
  );
}
