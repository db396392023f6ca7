/**
 * What a model in a file is: which kind of model, of classes or of numbers, and where its labels and probabilities are.
 * @module
 */
import { coresOf } from "../onnx/cores.ts";
import type { Graph, GraphNode, GraphValue } from "../onnx/graph.ts";
import { operatorName } from "../onnx/ops/index.ts";
import { decodeStrings } from "../onnx/strings.ts";
import { int64 } from "../tensor/tensor.ts";

/** What computes the scores. */
export type Family = "linear" | "trees" | "neighbours" | "network";

/** A class as the model names it. */
export type Label = number | string;

/** What is known of a model's graph. */
export interface ModelDescription {
  readonly family: Family;
  /** null for a regression. */
  readonly classes: readonly Label[] | null;
  /** Place among the outputs of the label; null where the model gives none. */
  readonly labelOutput: number | null;
  /** Place among the outputs of the probabilities or scores per class, or of the values of a regression. */
  readonly valueOutput: number;
}

/**
 * Describes a graph. Without labels among its outputs it is a regression, unless it is of plain operators, which do not say,
 * and `isClassifier`.
 */
export function describeModel(graph: Graph, isClassifier: boolean): ModelDescription {
  const labelOutput = graph.outputs.findIndex(isLabel);
  const valueOutput = Math.max(
    graph.outputs.findIndex((output) => !isLabel(output)),
    0,
  );
  const columns = graph.shapes.get(graph.outputs[valueOutput].name)?.[1] ?? 1;
  const isPlain = graph.nodes.every(({ domain }) => domain !== "ai.onnx.ml");
  const isOfClasses = labelOutput >= 0 || (isClassifier && isPlain);
  return {
    family: familyOf(graph),
    classes: isOfClasses ? classesOf(graph, labelOutput, columns) : null,
    labelOutput: labelOutput >= 0 ? labelOutput : null,
    valueOutput,
  };
}

function isLabel({ dtype }: GraphValue): boolean {
  return dtype === "int64";
}

/** What the scores come from: the operators that are computed encrypted. */
function familyOf(graph: Graph): Family {
  if (graph.nodes.some(({ opType }) => NEIGHBOURS.has(opType))) return "neighbours";
  const cores = [...(coresOf(graph)?.values() ?? [])].map(({ scores }) => operatorName(scores));
  if (cores.length === 0) return "network";
  if (cores.every((name) => name === "ai.onnx.ml.LinearRegressor")) return "linear";
  return cores.every((name) => name.startsWith("ai.onnx.ml.TreeEnsemble")) ? "trees" : "network";
}

const NEIGHBOURS = new Set(["CDist", "KNeighbors"]);

/** Labels in the order of the scores, from the first place that states them; 0, 1, ... where none does. */
function classesOf(graph: Graph, labelOutput: number, columns: number): Label[] {
  const named = graph.outputs.find(({ classes }) => classes)?.classes;
  if (named) return [...named];
  const count = Math.max(columns, 2);
  const stated = graph.nodes.map(labelsOf).find((labels) => labels !== null);
  const chosen = stated ?? chosenLabels(graph) ?? Array.from({ length: count }, (_, i) => i);
  const output = graph.outputs[labelOutput];
  return output?.strings ? decodeStrings(output, int64([chosen.length], chosen)) : [...chosen];
}

function labelsOf({ attributes }: GraphNode): readonly number[] | null {
  const lists = [
    attributes["classlabels_strings"],
    attributes["classlabels_int64s"],
    attributes["classlabels_ints"],
  ];
  const found = lists.find((list) => Array.isArray(list) && list.length > 0);
  return Array.isArray(found) ? found.map(Number) : null;
}

/** Labels that are picked from a constant by the place of the winner. */
function chosenLabels({ nodes, constants }: Graph): readonly number[] | null {
  const winners = new Set(
    nodes.flatMap(({ opType, outputs }) => (opType === "ArgMax" ? outputs : [])),
  );
  const pick = nodes.find(
    ({ opType, inputs }) => opType === "ArrayFeatureExtractor" && winners.has(inputs[1]),
  );
  const labels = pick && constants.get(pick.inputs[0]);
  return labels ? [...labels.data] : null;
}
