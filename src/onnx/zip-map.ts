/**
 * Outputs of classifiers. A ZipMap turns the scores of each row into a dictionary from labels to scores; here the output stays
 * the matrix of scores, and the labels of its columns go with it as `GraphValue.classes`, with or without a ZipMap.
 * @module
 */
import { SottoError } from "../errors.ts";
import type { GraphValue } from "./graph.ts";
import type { Model, ModelNode } from "./proto.ts";

type Labels = readonly (number | string)[];

const ML = "ai.onnx.ml";

/** Operators behind which columns are still those of the same classes. */
const PASSING = new Set(["Cast", "Identity", "ai.onnx.ml.Normalizer", "ai.onnx.ml.ZipMap"]);

function isZipMap({ domain, opType }: Pick<ModelNode, "domain" | "opType">): boolean {
  return domain === ML && opType === "ZipMap";
}

/** The model without its ZipMaps: what they read takes the name of what they give. */
export function removeZipMaps(model: Model): Model {
  const zipMaps = model.nodes.filter(isZipMap);
  if (zipMaps.length === 0) return model;
  const names = new Map(zipMaps.map(({ inputs: [from], outputs: [to] }) => [from, to]));
  const produced = new Set(model.nodes.flatMap(({ outputs }) => outputs));
  const given = new Set(model.outputs.map(({ name }) => name));
  for (const { name, inputs } of zipMaps) {
    if (produced.has(inputs[0]) && !given.has(inputs[0]) && names.size === zipMaps.length) continue;
    const message = "expected scores of a classifier that are no output themselves";
    throw new SottoError("UNSUPPORTED_OPERATOR", name, `ZipMap: ${message}`);
  }
  const rename = (name: string): string => names.get(name) ?? name;
  const nodes = model.nodes
    .filter((node) => !isZipMap(node))
    .map((node) => ({
      ...node,
      inputs: node.inputs.map(rename),
      outputs: node.outputs.map(rename),
    }));
  return { ...model, nodes };
}

/** Outputs with the labels of their columns, where they are the scores of a classifier. */
export function withClasses({ nodes, outputs, strings = [] }: Model): GraphValue[] {
  const producers = new Map(nodes.flatMap((node) => node.outputs.map((name) => [name, node])));
  return outputs.map((output) => {
    const classes = classesOf(output.name, producers, strings);
    return classes ? { ...output, classes } : output;
  });
}

/** Labels of a classifier's columns, by the name of its scores or of what is made of them column by column. */
function classesOf(
  name: string,
  producers: ReadonlyMap<string, ModelNode>,
  strings: readonly string[],
): Labels | undefined {
  const seen = new Set<string>();
  for (let at = name; !seen.has(at);) {
    seen.add(at);
    const node = producers.get(at);
    if (!node) return undefined;
    const labels = labelsOf(node, strings);
    if (isZipMap(node) || (labels && node.outputs[1] === at)) return labels;
    if (!PASSING.has(node.domain === "" ? node.opType : `${node.domain}.${node.opType}`))
      return undefined;
    at = node.inputs[0] ?? "";
  }
  return undefined;
}

function labelsOf(
  { domain, attributes }: ModelNode,
  strings: readonly string[],
): Labels | undefined {
  if (domain !== ML) return undefined;
  const codes = attributes["classlabels_strings"];
  if (Array.isArray(codes) && codes.length > 0) return codes.map((code) => strings[Number(code)]);
  const integers = attributes["classlabels_int64s"] ?? attributes["classlabels_ints"];
  return Array.isArray(integers) && integers.length > 0 ? integers.map(Number) : undefined;
}
