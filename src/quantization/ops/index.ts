/**
 * The table of quantized operators, by ONNX name.
 * @module
 */
import { SottoError } from "../../errors.ts";
import type { GraphNode } from "../../onnx/graph.ts";
import type { OperatorRule } from "../operation.ts";
import * as binary from "./binary.ts";
import { Conv, ConvTranspose } from "./convolution.ts";
import { BatchNormalization, univariate } from "./elementwise.ts";
import { Gemm, MatMul } from "./linear.ts";
import * as movement from "./movement.ts";
import { AveragePool, MaxPool } from "./pooling.ts";
import * as reduction from "./reduction.ts";
import { Resize } from "./resize.ts";

/** Functions of one tensor, all lowered alike; their other operands are constants. */
const UNIVARIATE = [
  ...["Abs", "Neg", "Sign", "Floor", "Ceil", "Round", "Reciprocal", "Sqrt", "Exp", "Log", "Erf"],
  ...["Relu", "LeakyRelu", "PRelu", "ThresholdedRelu", "Elu", "Selu", "Celu", "Clip", "Shrink"],
  ...["Sigmoid", "HardSigmoid", "HardSwish", "Softplus", "Softsign", "Tanh", "Gelu", "Mish"],
  ...[
    "Sin",
    "Cos",
    "Tan",
    "Asin",
    "Acos",
    "Atan",
    "Sinh",
    "Cosh",
    "Tanh",
    "Asinh",
    "Acosh",
    "Atanh",
  ],
  ...["Not", "Cast", "Identity", "IsNaN", "IsInf"],
] as const;

/** How each operator is lowered, by ONNX name. */
export const operatorRules: ReadonlyMap<string, OperatorRule> = new Map<string, OperatorRule>([
  ...UNIVARIATE.map((name) => [name, univariate] as const),
  ...Object.entries({
    ...{ Add: binary.Add, Sub: binary.Sub, Mul: binary.Mul, Div: binary.Div },
    ...{ Max: binary.Max, Min: binary.Min, Pow: binary.fusedOnly, Mod: binary.fusedOnly },
    ...{ And: binary.And, Or: binary.Or, Xor: binary.Xor, Where: binary.Where },
    ...{ Greater: binary.Greater, GreaterOrEqual: binary.GreaterOrEqual, Equal: binary.Equal },
    ...{ Less: binary.Less, LessOrEqual: binary.LessOrEqual },
    ...{ Gemm, MatMul, Conv, ConvTranspose, Resize, AveragePool, MaxPool, BatchNormalization },
    ...reductionRules(),
    ...movementRules(),
  }),
]);

function reductionRules(): Record<string, OperatorRule> {
  const { ReduceSum, ReduceMean, ReduceMax, ReduceMin, ArgMax, ArgMin, CumSum } = reduction;
  return { ReduceSum, ReduceMean, ReduceMax, ReduceMin, ArgMax, ArgMin, CumSum };
}

function movementRules(): Record<string, OperatorRule> {
  const { Concat, DepthToSpace, Expand, Flatten, Gather, Pad, Reshape, Slice } = movement;
  const { SpaceToDepth, Squeeze, Tile, Transpose, Unsqueeze } = movement;
  return {
    ...{ Concat, DepthToSpace, Expand, Flatten, Gather, Pad, Reshape, Slice },
    ...{ SpaceToDepth, Squeeze, Tile, Transpose, Unsqueeze },
  };
}

/** The rule of a node's operator. Throws UNSUPPORTED_OPERATOR. */
export function ruleOf(node: GraphNode): OperatorRule {
  const rule = operatorRules.get(node.opType);
  if (rule) return rule;
  throw new SottoError(
    "UNSUPPORTED_OPERATOR",
    node.name,
    `expected one of ${[...operatorRules.keys()].join(", ")}, got ${node.opType}`,
  );
}
