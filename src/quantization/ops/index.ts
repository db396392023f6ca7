/**
 * The table of quantized operators, by ONNX name.
 * @module
 */
import { SottoError } from "../../errors.ts";
import type { GraphNode } from "../../onnx/graph.ts";
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
  const name = operatorName(node);
  const rule = isQuantizer(name) ? Quant : operatorRules.get(name);
  if (rule) return rule;
  throw new SottoError(
    "UNSUPPORTED_OPERATOR",
    node.name,
    `expected one of ${[...operatorRules.keys()].join(", ")}, got ${node.opType}`,
  );
}
