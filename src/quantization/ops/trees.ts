/**
 * Tree ensembles: raw scores, base values included. The client makes of them what the operator gives.
 * @module
 */
import { SottoError } from "../../errors.ts";
import { treeEnsembleOf } from "../../onnx/ops/ml-trees.ts";
import type { TreeEnsemble as Ensemble } from "../../onnx/trees/ensemble.ts";
import { BinQuantizer } from "../bin-quantizer.ts";
import {
  type Operand,
  type OperatorRule,
  type QuantizedOperation,
  type QuantizedValue,
  accumulatorQuantizer,
  codeResult,
  requireVariable,
} from "../operation.ts";
import { answersOf } from "../trees/bins.ts";
import { forestOf } from "../trees/forest.ts";
import { grow } from "../trees/grow.ts";
import { leafCodes } from "../trees/leaves.ts";
import { lowerForest } from "../trees/lower.ts";
import type { Target } from "../../circuit/builder.ts";

function ensembleOf({ node }: QuantizedOperation): Ensemble {
  const ensemble = treeEnsembleOf(node);
  if (ensemble) return ensemble;
  throw new Error(`internal: ${node.name} is no tree ensemble`);
}

function lower<V>(
  target: Target<V>,
  op: QuantizedOperation,
  operands: readonly (Operand<V> | undefined)[],
): QuantizedValue<V> {
  requireResult(op);
  const ensemble = ensembleOf(op);
  const { name, opType, domain, attributes } = op.node;
  const input = requireVariable(op, operands[0], "the features");
  const leaves = leafCodes(ensemble, op.weightBits, name);
  const { scale, zeroPoint } = leaves;
  const quantizer = accumulatorQuantizer(op, { scale, zeroPoint, offset: 0 });
  if (!(input.quantizer instanceof BinQuantizer)) {
    // During calibration inputs have no bins yet; only the range of scores is asked for.
    const score = {
      kind: "float",
      opType: `${domain}.${opType}`,
      attributes,
      operands: [null],
    } as const;
    const map = { scale, zeroPoint, codeRange: [0, 0], noClipping: true } as const;
    const floats = target.emit(score, [input.floats], name);
    return codeResult(
      target,
      op,
      target.emit({ kind: "quantize", map }, [floats], name),
      quantizer,
    );
  }
  if (input.codes === null) throw new Error(`internal: ${name} reads features without codes`);
  const { columns, sizes } = input.quantizer;
  const soil = {
    answersOf: (branch: Parameters<typeof answersOf>[0]) =>
      answersOf(branch, columns[branch.feature]),
    valuesOf: leaves.of,
    where: name,
  };
  const trees = ensemble.trees.map((tree) => grow(tree, soil));
  const forest = forestOf(trees, ensemble.outputCount);
  const sums = lowerForest(target, input.codes, { sizes, forest, total: leaves.total, name });
  return codeResult(target, op, sums, quantizer);
}

const trees: OperatorRule = {
  canFuse: () => false,
  usesModelOutputBits: false,
  lower,
};

/** Rules by the operator's full name. */
export const treeRules: ReadonlyMap<string, OperatorRule> = new Map(
  ["TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor"].map((name) => [
    `ai.onnx.ml.${name}`,
    trees,
  ]),
);

/** Refuses scores that are no result: what else is computed from them would need their codes to have one scale. */
function requireResult(op: QuantizedOperation): void {
  if (op.isGraphOutput) return;
  throw new SottoError(
    "UNSUPPORTED_OPERATOR",
    op.node.name,
    "expected scores of trees to be results of the model, got an operator that computes further on them",
  );
}
