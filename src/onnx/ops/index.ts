/**
 * The operators sotto understands. To add one, export it from the file of its family.
 * @module
 */
import { SottoError } from "../../errors.ts";
import type { Attributes, GraphNode } from "../graph.ts";
import * as activations from "./activations.ts";
import * as arithmetic from "./arithmetic.ts";
import * as einsum from "./einsum.ts";
import * as generators from "./generators.ts";
import * as indexing from "./indexing.ts";
import * as linear from "./linear.ts";
import * as logic from "./logic.ts";
import * as mlFeatures from "./ml-features.ts";
import { LinearClassifier, LinearRegressor, SVMClassifier, SVMRegressor } from "./ml-linear.ts";
import { TreeEnsemble, TreeEnsembleClassifier, TreeEnsembleRegressor } from "./ml-trees.ts";
import * as movement from "./movement.ts";
import { CDist, TopK } from "./neighbors.ts";
import * as normalization from "./normalization.ts";
import * as pooling from "./pooling.ts";
import * as reduction from "./reduction.ts";
import * as resize from "./resize.ts";
import * as softmax from "./softmax.ts";
import * as trigonometric from "./trigonometric.ts";
import { NeighbourVotes } from "./votes.ts";
import {
  BipolarQuant,
  BrevitasQuant,
  DequantizeLinear,
  QonnxQuant,
  QuantizeLinear,
} from "./quantization.ts";
import type { Operator } from "./operator.ts";

/** The families: operators by their ONNX names; the dialects of quantization-aware models name their domains. */
export const operatorFamilies: Readonly<Record<string, Readonly<Record<string, Operator>>>> = {
  arithmetic,
  activations,
  trigonometric,
  logic,
  linear,
  einsum,
  pooling,
  reduction,
  normalization,
  softmax,
  movement,
  indexing,
  "nearest neighbours": {
    TopK,
    "com.microsoft.CDist": CDist,
    "sotto.NeighbourVotes": NeighbourVotes,
  },
  resize,
  generators,
  quantization: {
    DequantizeLinear,
    QuantizeLinear,
    "finn.custom_op.general.BipolarQuant": BipolarQuant,
    "finn.custom_op.general.Quant": QonnxQuant,
    "onnx.brevitas.BipolarQuant": BipolarQuant,
    "onnx.brevitas.Quant": BrevitasQuant,
    "qonnx.custom_op.general.BipolarQuant": BipolarQuant,
    "qonnx.custom_op.general.IntQuant": QonnxQuant,
    "qonnx.custom_op.general.Quant": QonnxQuant,
  },
  "features and labels": inMl(mlFeatures),
  "linear models": inMl({ LinearClassifier, LinearRegressor, SVMClassifier, SVMRegressor }),
  "tree ensembles": inMl({ TreeEnsemble, TreeEnsembleClassifier, TreeEnsembleRegressor }),
};

/** Operators under their names in ai.onnx.ml. */
function inMl(family: Readonly<Record<string, Operator>>): Readonly<Record<string, Operator>> {
  return Object.fromEntries(
    Object.entries(family).map(([name, operator]) => [`ai.onnx.ml.${name}`, operator]),
  );
}

/** Operators by name; those of a domain other than ai.onnx are named `domain.Operator`. */
const operators: ReadonlyMap<string, Operator> = new Map(
  Object.values(operatorFamilies).flatMap((family) => Object.entries(family)),
);

/** Names of the supported operators, sorted. */
export const supportedOperators: readonly string[] = [...operators.keys()].sort();

/** What a node's operator needs of the node: a node of a graph, or one made up by a later stage. */
export interface OperatorUse {
  readonly opType: string;
  readonly attributes: Attributes;
  /** Default: "" (ai.onnx). */
  readonly domain?: string;
  /** Shown in errors. Default: the operator's name. */
  readonly name?: string;
}

/** Name of a node's operator, with its domain unless that is ai.onnx. */
export function operatorName({
  opType,
  domain = "",
}: Pick<OperatorUse, "opType" | "domain">): string {
  return domain === "" ? opType : `${domain}.${opType}`;
}

/** The operator of a node, or undefined if it is not supported. */
export function findOperator(use: Pick<OperatorUse, "opType" | "domain">): Operator | undefined {
  return operators.get(operatorName(use));
}

/** The operator of a node; UNSUPPORTED_OPERATOR if there is none. */
export function operatorOf(use: OperatorUse): Operator {
  const operator = findOperator(use);
  if (operator) return operator;
  const message = `operator ${operatorName(use)} is not supported; supported operators: ${supportedOperators.join(", ")}`;
  throw new SottoError("UNSUPPORTED_OPERATOR", use.name ?? use.opType, message);
}

/** True if each output element of the operator depends only on the elements at its place in the inputs. */
export function isElementwise(opType: string): boolean {
  return operators.get(opType)?.elementwise ?? false;
}

/** True if the operator says how values are quantized, by its name. */
export function isQuantizer(name: string): boolean {
  return operators.get(name)?.isQuantizer ?? false;
}

/** Checks a node's number of inputs and outputs. */
export function checkArity(node: GraphNode): void {
  const { minInputs, maxInputs, maxOutputs } = operatorOf(node);
  const count = node.inputs.length;
  // Of any number of inputs none is optional.
  const required = maxInputs === Infinity ? count : minInputs;
  const isAbsent = node.inputs.slice(0, required).includes("");
  if (count < minInputs || count > maxInputs || isAbsent) {
    const expected = describeCount(minInputs, maxInputs);
    const got = `[${node.inputs.join(", ")}]`;
    const message = `${operatorName(node)} expects ${expected} inputs, got ${got}`;
    throw new SottoError("BAD_MODEL", node.name, message);
  }
  if (node.outputs.length < 1 || node.outputs.length > maxOutputs) {
    const expected = `${describeCount(1, maxOutputs)} output${maxOutputs === 1 ? "" : "s"}`;
    const message = `${operatorName(node)} expects ${expected}, got ${node.outputs.length}`;
    throw new SottoError("UNSUPPORTED_OPERATOR", node.name, message);
  }
}

/** A number of inputs or outputs in words: `2`, `1 to 3`, `1 or more`. */
export function describeCount(least: number, most: number): string {
  if (least === most) return String(least);
  return most === Infinity ? `${least} or more` : `${least} to ${most}`;
}

/** Runs a function of a node's operator; errors name the node. */
export function atNode<T>(use: OperatorUse, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof SottoError)) throw error;
    const where = use.name ?? use.opType;
    const detail = error.message.slice(`${error.code} at ${error.where}: `.length);
    const inside = where === use.opType ? "" : `${operatorName(use)}: `;
    throw new SottoError(error.code, where, `${inside}${detail}`);
  }
}
