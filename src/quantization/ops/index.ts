/**
 * The table of quantized operators, by ONNX name.
 * @module
 */
import { SottoError } from "../../errors.ts";
import type { GraphNode } from "../../onnx/graph.ts";
import { isQuantizer, operatorName } from "../../onnx/ops/index.ts";
import type { OperatorRule } from "../operation.ts";
import { Add, Identity, Quant, Relu, Sigmoid } from "./elementwise.ts";
import { Conv, Gemm, MatMul } from "./linear.ts";
import { Flatten, Reshape } from "./shape.ts";

export const operatorRules: ReadonlyMap<string, OperatorRule> = new Map(
  Object.entries({ Add, Conv, Flatten, Gemm, Identity, MatMul, Relu, Reshape, Sigmoid }),
);

/** The rule of a node's operator. Throws UNSUPPORTED_OPERATOR. */
export function ruleOf(node: GraphNode): OperatorRule {
  const name = operatorName(node);
  const rule = isQuantizer(name) ? Quant : operatorRules.get(name);
  if (rule) return rule;
  throw new SottoError(
    "UNSUPPORTED_OPERATOR",
    node.name,
    `expected one of ${[...operatorRules.keys()].join(", ")}, got ${name}`,
  );
}
