/**
 * The table of quantized operators, by ONNX name.
 * @module
 */
import { SottoError } from "../../errors.ts";
import type { Graph, GraphNode } from "../../onnx/graph.ts";
import { isQuantizer, operatorName } from "../../onnx/ops/index.ts";
import type { OperatorRule } from "../operation.ts";
import * as binary from "./binary.ts";
import * as convolution from "./convolution.ts";
import { BatchNormalization, Quant, univariate } from "./elementwise.ts";
import * as linear from "./linear.ts";
import * as movement from "./movement.ts";
import * as pooling from "./pooling.ts";
import * as reduction from "./reduction.ts";
import * as resize from "./resize.ts";

/** Functions of one tensor, all lowered alike; their other operands are constants. */
const UNIVARIATE =
  "Abs Acos Acosh Asin Asinh Atan Atanh Cast Ceil Celu Clip Cos Cosh Elu Erf Exp Floor Gelu HardSigmoid HardSwish " +
  "Identity IsInf IsNaN LeakyRelu Log Mish Neg Not PRelu Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh " +
  "Softplus Softsign Sqrt Tan Tanh ThresholdedRelu";

/** How each operator is lowered, by ONNX name. */
export const operatorRules: ReadonlyMap<string, OperatorRule> = new Map<string, OperatorRule>([
  ...UNIVARIATE.split(" ").map((name) => [name, univariate] as const),
  ...[binary, convolution, linear, movement, pooling, reduction, resize].flatMap(rulesOf),
  ["BatchNormalization", BatchNormalization],
]);

/** The exported rules of a family, which are named after their operators. */
function rulesOf(family: Readonly<Record<string, unknown>>): [string, OperatorRule][] {
  return Object.entries(family).flatMap(([name, rule]) => (isRule(rule) ? [[name, rule]] : []));
}

function isRule(member: unknown): member is OperatorRule {
  return typeof member === "object" && member !== null && "lower" in member;
}

/** The rule of a node's operator. Throws UNSUPPORTED_OPERATOR. */
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
  return isQuantizer(name) ? Quant : operatorRules.get(name);
}

function unsupported(nodes: readonly GraphNode[]): SottoError {
  const names = nodes.map((node) => `${operatorName(node)} (${node.name})`);
  return new SottoError(
    "UNSUPPORTED_OPERATOR",
    nodes[0].name,
    `expected operators that can be quantized, got ${names.join(", ")}; replace them by these: ${[...operatorRules.keys()].sort().join(", ")}`,
  );
}
