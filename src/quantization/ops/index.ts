/**
 * The table of quantized operators, by ONNX name.
 * @module
 */
import { SottoError } from "../../errors.ts";
import type { Graph, GraphNode } from "../../onnx/graph.ts";
import {
  isElementwise,
  isQuantizer,
  operatorName,
  supportedOperators,
} from "../../onnx/ops/index.ts";
import { compoundOperators } from "../../onnx/rewrite/decompose.ts";
import type { OperatorRule } from "../operation.ts";
import * as binary from "./binary.ts";
import * as convolution from "./convolution.ts";
import { BatchNormalization, Quant, elementwise } from "./elementwise.ts";
import * as linear from "./linear.ts";
import { LinearRegressor } from "./linear-model.ts";
import * as movement from "./movement.ts";
import * as pooling from "./pooling.ts";
import * as reduction from "./reduction.ts";
import * as resize from "./resize.ts";
import { NeighbourVotes } from "./votes.ts";
import { treeRules } from "./trees.ts";

/** Rules of the operators that are not just functions of one tensor, by ONNX name, with what they cost. */
const FAMILIES: readonly (readonly [Readonly<Record<string, unknown>>, string])[] = [
  [linear, "no lookups by constants; two per term between encrypted tensors"],
  [convolution, "no lookups"],
  [resize, "no lookups"],
  [movement, "no lookups"],
  [reduction, "sums: no lookups; extremes: one per term; index of an extreme: three per term"],
  [pooling, "averages: no lookups; maxima: one per term"],
  [binary, "in a table, by constants; sums and tables between encrypted tensors"],
  [{ "ai.onnx.ml.LinearRegressor": LinearRegressor }, "no lookups"],
  [{ "sotto.NeighbourVotes": NeighbourVotes }, "six per point, and a few to count"],
];

/** How each operator is lowered, by ONNX name. */
export const operatorRules: ReadonlyMap<string, OperatorRule> = new Map<string, OperatorRule>([
  ...supportedOperators.filter(isFunction).map((name) => [name, elementwise] as const),
  ...FAMILIES.flatMap(([family]) => rulesOf(family)),
  ["BatchNormalization", BatchNormalization],
  ...treeRules,
]);

/** Functions of single elements that reach quantization as they are. */
function isFunction(name: string): boolean {
  return isElementwise(name) && !isQuantizer(name) && !compoundOperators.includes(name);
}

/** What an operator on an encrypted tensor costs; null for one that cannot be computed encrypted. */
export function costOf(name: string): string | null {
  if (isQuantizer(name)) return "in a table";
  if (treeRules.has(name)) return "one per up to three splits behind two or more features";
  const family = FAMILIES.find(([rules]) => rulesOf(rules).some(([rule]) => rule === name));
  return family?.[1] ?? (isElementwise(name) ? "in a table" : null);
}

/** The exported rules of a family, which are named after their operators. */
function rulesOf(family: Readonly<Record<string, unknown>>): [string, OperatorRule][] {
  return Object.entries(family).flatMap(([name, rule]) => (isRule(rule) ? [[name, rule]] : []));
}

function isRule(member: unknown): member is OperatorRule {
  return typeof member === "object" && member !== null && "lower" in member;
}

/** The rule of a node's operator: its own, or that of functions of one tensor. Throws UNSUPPORTED_OPERATOR. */
export function ruleOf(node: GraphNode): OperatorRule {
  const rule = findRule(node);
  if (rule) return rule;
  throw unsupported([node]);
}

/** Refuses a graph with all the operators that have no rule in one error; what is constant is folded and needs none. */
export function requireRules({ nodes, constants }: Pick<Graph, "nodes" | "constants">): void {
  const folded = new Set(constants.keys());
  const missing = nodes.filter((node) => {
    const names = node.inputs.filter((name) => name !== "");
    if (names.length > 0 && names.every((name) => folded.has(name))) {
      for (const name of node.outputs) folded.add(name);
      return false;
    }
    return findRule(node) === undefined;
  });
  if (missing.length > 0) throw unsupported(missing);
}

function findRule(node: GraphNode): OperatorRule | undefined {
  const name = operatorName(node);
  if (isQuantizer(name)) return Quant;
  return operatorRules.get(name);
}

function unsupported(nodes: readonly GraphNode[]): SottoError {
  const names = nodes.map((node) => `${operatorName(node)} (${node.name})`);
  return new SottoError(
    "UNSUPPORTED_OPERATOR",
    nodes[0].name,
    `expected operators that can be quantized, got ${names.join(", ")}; docs/operators.md lists those that can`,
  );
}
