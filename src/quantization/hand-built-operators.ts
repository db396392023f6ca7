/**
 * The quantized operators by name: one for each that has a rule, and two by the names that PyTorch has for them. A test
 * holds this list to the table of rules.
 * @module
 */
import { scalar } from "../tensor/tensor.ts";
import { operatorRules } from "./ops/index.ts";
import { QuantizedOperator, type QuantizedOperatorInit } from "./hand-built.ts";

/** The class of one operator. */
export type QuantizedOperatorClass = new (init: QuantizedOperatorInit) => QuantizedOperator;

/** A class whose operator is fixed; `preset` is what its options have unless stated. */
function classOf(
  opType: string,
  preset: Partial<QuantizedOperatorInit> = {},
): QuantizedOperatorClass {
  return class extends QuantizedOperator {
    constructor(init: QuantizedOperatorInit) {
      super(opType, { ...preset, ...init });
    }
  };
}

/** The quantized form of every operator that has one, by ONNX name. */
export const quantizedOperators: ReadonlyMap<string, QuantizedOperatorClass> = new Map(
  [...operatorRules.keys()].sort().map((name) => [name, classOf(name)]),
);

function operator(opType: string): QuantizedOperatorClass {
  const known = quantizedOperators.get(opType);
  if (known) return known;
  throw new Error(`internal: ${opType} has no rule`);
}

export const QuantizedAbs: QuantizedOperatorClass = operator("Abs");
export const QuantizedAcos: QuantizedOperatorClass = operator("Acos");
export const QuantizedAcosh: QuantizedOperatorClass = operator("Acosh");
export const QuantizedAdd: QuantizedOperatorClass = operator("Add");
export const QuantizedAnd: QuantizedOperatorClass = operator("And");
export const QuantizedArgMax: QuantizedOperatorClass = operator("ArgMax");
export const QuantizedArgMin: QuantizedOperatorClass = operator("ArgMin");
export const QuantizedAsin: QuantizedOperatorClass = operator("Asin");
export const QuantizedAsinh: QuantizedOperatorClass = operator("Asinh");
export const QuantizedAtan: QuantizedOperatorClass = operator("Atan");
export const QuantizedAtanh: QuantizedOperatorClass = operator("Atanh");
export const QuantizedAveragePool: QuantizedOperatorClass = operator("AveragePool");
export const QuantizedBatchNormalization: QuantizedOperatorClass = operator("BatchNormalization");
export const QuantizedCast: QuantizedOperatorClass = operator("Cast");
export const QuantizedCeil: QuantizedOperatorClass = operator("Ceil");
export const QuantizedCelu: QuantizedOperatorClass = operator("Celu");
export const QuantizedClip: QuantizedOperatorClass = operator("Clip");
export const QuantizedConcat: QuantizedOperatorClass = operator("Concat");
export const QuantizedConv: QuantizedOperatorClass = operator("Conv");
export const QuantizedConvTranspose: QuantizedOperatorClass = operator("ConvTranspose");
export const QuantizedCos: QuantizedOperatorClass = operator("Cos");
export const QuantizedCosh: QuantizedOperatorClass = operator("Cosh");
export const QuantizedCumSum: QuantizedOperatorClass = operator("CumSum");
export const QuantizedDepthToSpace: QuantizedOperatorClass = operator("DepthToSpace");
export const QuantizedDiv: QuantizedOperatorClass = operator("Div");
export const QuantizedElu: QuantizedOperatorClass = operator("Elu");
export const QuantizedEqual: QuantizedOperatorClass = operator("Equal");
export const QuantizedErf: QuantizedOperatorClass = operator("Erf");
export const QuantizedExp: QuantizedOperatorClass = operator("Exp");
export const QuantizedExpand: QuantizedOperatorClass = operator("Expand");
export const QuantizedFlatten: QuantizedOperatorClass = operator("Flatten");
export const QuantizedFloor: QuantizedOperatorClass = operator("Floor");
export const QuantizedGather: QuantizedOperatorClass = operator("Gather");
export const QuantizedGelu: QuantizedOperatorClass = operator("Gelu");
export const QuantizedGemm: QuantizedOperatorClass = operator("Gemm");
export const QuantizedGreater: QuantizedOperatorClass = operator("Greater");
export const QuantizedGreaterOrEqual: QuantizedOperatorClass = operator("GreaterOrEqual");
export const QuantizedHardSigmoid: QuantizedOperatorClass = operator("HardSigmoid");
export const QuantizedHardSwish: QuantizedOperatorClass = operator("HardSwish");
export const QuantizedIdentity: QuantizedOperatorClass = operator("Identity");
export const QuantizedIsInf: QuantizedOperatorClass = operator("IsInf");
export const QuantizedIsNaN: QuantizedOperatorClass = operator("IsNaN");
export const QuantizedLeakyRelu: QuantizedOperatorClass = operator("LeakyRelu");
export const QuantizedLess: QuantizedOperatorClass = operator("Less");
export const QuantizedLessOrEqual: QuantizedOperatorClass = operator("LessOrEqual");
export const QuantizedLog: QuantizedOperatorClass = operator("Log");
export const QuantizedMatMul: QuantizedOperatorClass = operator("MatMul");
export const QuantizedMax: QuantizedOperatorClass = operator("Max");
export const QuantizedMaxPool: QuantizedOperatorClass = operator("MaxPool");
export const QuantizedMin: QuantizedOperatorClass = operator("Min");
export const QuantizedMish: QuantizedOperatorClass = operator("Mish");
export const QuantizedMod: QuantizedOperatorClass = operator("Mod");
export const QuantizedMul: QuantizedOperatorClass = operator("Mul");
export const QuantizedNeg: QuantizedOperatorClass = operator("Neg");
export const QuantizedNot: QuantizedOperatorClass = operator("Not");
export const QuantizedOr: QuantizedOperatorClass = operator("Or");
export const QuantizedPRelu: QuantizedOperatorClass = operator("PRelu");
export const QuantizedPad: QuantizedOperatorClass = operator("Pad");
export const QuantizedPow: QuantizedOperatorClass = operator("Pow");
export const QuantizedReciprocal: QuantizedOperatorClass = operator("Reciprocal");
export const QuantizedReduceMax: QuantizedOperatorClass = operator("ReduceMax");
export const QuantizedReduceMean: QuantizedOperatorClass = operator("ReduceMean");
export const QuantizedReduceMin: QuantizedOperatorClass = operator("ReduceMin");
export const QuantizedReduceSum: QuantizedOperatorClass = operator("ReduceSum");
export const QuantizedRelu: QuantizedOperatorClass = operator("Relu");
export const QuantizedReshape: QuantizedOperatorClass = operator("Reshape");
export const QuantizedResize: QuantizedOperatorClass = operator("Resize");
export const QuantizedRound: QuantizedOperatorClass = operator("Round");
export const QuantizedSelu: QuantizedOperatorClass = operator("Selu");
export const QuantizedShrink: QuantizedOperatorClass = operator("Shrink");
export const QuantizedSigmoid: QuantizedOperatorClass = operator("Sigmoid");
export const QuantizedSign: QuantizedOperatorClass = operator("Sign");
export const QuantizedSin: QuantizedOperatorClass = operator("Sin");
export const QuantizedSinh: QuantizedOperatorClass = operator("Sinh");
export const QuantizedSlice: QuantizedOperatorClass = operator("Slice");
export const QuantizedSoftplus: QuantizedOperatorClass = operator("Softplus");
export const QuantizedSoftsign: QuantizedOperatorClass = operator("Softsign");
export const QuantizedSpaceToDepth: QuantizedOperatorClass = operator("SpaceToDepth");
export const QuantizedSqrt: QuantizedOperatorClass = operator("Sqrt");
export const QuantizedSqueeze: QuantizedOperatorClass = operator("Squeeze");
export const QuantizedSub: QuantizedOperatorClass = operator("Sub");
export const QuantizedTan: QuantizedOperatorClass = operator("Tan");
export const QuantizedTanh: QuantizedOperatorClass = operator("Tanh");
export const QuantizedThresholdedRelu: QuantizedOperatorClass = operator("ThresholdedRelu");
export const QuantizedTile: QuantizedOperatorClass = operator("Tile");
export const QuantizedTranspose: QuantizedOperatorClass = operator("Transpose");
export const QuantizedUnsqueeze: QuantizedOperatorClass = operator("Unsqueeze");
export const QuantizedWhere: QuantizedOperatorClass = operator("Where");
export const QuantizedXor: QuantizedOperatorClass = operator("Xor");

/** Operands null, weights [inputs, outputs] and bias; `transB: 1` takes PyTorch's [outputs, inputs]. */
export const QuantizedLinear: QuantizedOperatorClass = classOf("Gemm", { name: "Linear" });

/** Between 0 and 6. */
export const QuantizedReLU6: QuantizedOperatorClass = classOf("Clip", {
  name: "ReLU6",
  operands: [null, scalar("float32", 0), scalar("float32", 6)],
});
