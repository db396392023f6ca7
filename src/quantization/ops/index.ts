/**
 * The table of quantized operators, by ONNX name.
 * @module
 */
import { SottoError } from "../../errors.ts";
import type { GraphNode } from "../../onnx/graph.ts";
import { isElementwise, isQuantizer, operatorName } from "../../onnx/ops/index.ts";
import type { OperatorRule } from "../operation.ts";
import * as binary from "./binary.ts";
import * as convolution from "./convolution.ts";
import { BatchNormalization, Quant, elementwise } from "./elementwise.ts";
import * as linear from "./linear.ts";
import * as movement from "./movement.ts";
import * as pooling from "./pooling.ts";
import * as reduction from "./reduction.ts";
import * as resize from "./resize.ts";

/** Rules of the operators that are not just functions of one tensor, by ONNX name, with what they cost. */
const FAMILIES: readonly (readonly [Readonly<Record<string, unknown>>, string])[] = [
  [linear, "no lookups by constants; two per term between encrypted tensors"],
  [convolution, "no lookups"],
  [resize, "no lookups"],
  [movement, "no lookups"],
  [reduction, "sums: no lookups; extremes: one per term; index of an extreme: three per term"],
  [pooling, "averages: no lookups; maxima: one per term"],
  [binary, "in a table, by constants; sums and tables between encrypted tensors"],
];

/** How each operator is lowered, by ONNX name. */
export const operatorRules: ReadonlyMap<string, OperatorRule> = new Map<string, OperatorRule>([
  ...FAMILIES.flatMap(([family]) => rulesOf(family)),
  ["BatchNormalization", BatchNormalization],
]);

/** What an operator on an encrypted tensor costs; null for one that cannot be computed encrypted. */
export function costOf(name: string): string | null {
  if (isQuantizer(name)) return "in a table";
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
  const name = operatorName(node);
  const rule = isQuantizer(name) ? Quant : operatorRules.get(name);
  if (rule) return rule;
  if (isElementwise(name)) return elementwise;
  throw new SottoError(
    "UNSUPPORTED_OPERATOR",
    node.name,
    `expected one of ${[...operatorRules.keys()].join(", ")}, got ${node.opType}`,
  );
}
