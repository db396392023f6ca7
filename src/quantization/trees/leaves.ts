/**
 * What leaves are worth as integers, so that trees can be added up: one scale per output, spread over its largest weight, as
 * Concrete ML has it. Base values and averages are the client's, in the scale and zero point.
 * @module
 */
import type { Leaf, TreeEnsemble } from "../../onnx/trees/ensemble.ts";
import { SottoError } from "../../errors.ts";
import { roundHalfEven } from "../../tensor/codes.ts";
import { type Tensor, float64 } from "../../tensor/tensor.ts";

/** Integers of leaves and how sums of them are read. */
export interface LeafCodes {
  /** What a leaf adds to each output. */
  readonly of: (leaf: Leaf) => number[];
  /** Score of one unit, per output: [1, outputs]. */
  readonly scale: Tensor<"float64">;
  /** The sum that stands for a score of 0, per output. */
  readonly zeroPoint: Tensor<"float64">;
  /**
   * Where the weights of every leaf add up to the same, as those of class shares do, the sum of the last output is this
   * less the others: nothing needs to be looked up for it. null otherwise.
   */
  readonly total: number | null;
}

/** How far sums of float32 weights may differ and still be meant to be equal. */
const SAME = 1e-5;

/** Integers of at most `nBits` for the leaves of an ensemble. Throws UNSUPPORTED_OPERATOR for extremes of several trees. */
export function leafCodes(ensemble: TreeEnsemble, nBits: number, where: string): LeafCodes {
  const { trees, outputCount, aggregate, baseValues } = ensemble;
  if ((aggregate === "MIN" || aggregate === "MAX") && trees.length > 1) {
    const message = `expected trees that are added up or averaged, got ${aggregate} of ${trees.length} trees`;
    throw new SottoError("UNSUPPORTED_OPERATOR", where, message);
  }
  const weights = trees.map(({ nodes }) =>
    nodes.flatMap((node) => (node.kind === "leaf" ? [weightsOf(node, ensemble)] : [])),
  );
  const totals = outputCount > 1 ? weights.map(commonTotal) : [null];
  const isShare = totals.every((total) => total !== null);
  const columns = Array.from({ length: outputCount }, (_, output) =>
    weights.flatMap((leaves) => leaves.map((leaf) => leaf[output])),
  );
  const steps = isShare
    ? columns.map(() => stepOf(columns.flat(), nBits))
    : columns.map((column) => stepOf(column, nBits));
  const divisor = aggregate === "AVERAGE" ? trees.length : 1;
  const scale = steps.map((step) => step / divisor);
  return {
    of: (leaf) => weightsOf(leaf, ensemble).map((w, i) => roundHalfEven(w / steps[i]) + 0),
    scale: float64([1, outputCount], scale),
    zeroPoint: float64(
      [1, outputCount],
      scale.map((step, i) => -(baseValues[i] ?? 0) / step + 0),
    ),
    total: isShare
      ? roundHalfEven(totals.reduce((sum, total) => sum + (total ?? 0), 0) / steps[0])
      : null,
  };
}

function weightsOf({ weights }: Leaf, { outputCount, aggregate }: TreeEnsemble): number[] {
  const sums = Array.from({ length: outputCount }, () => 0);
  const isExtreme = aggregate === "MIN" || aggregate === "MAX";
  const named = new Set<number>();
  for (const { output, weight } of weights) {
    if (!Number.isFinite(weight)) {
      throw new SottoError("BAD_MODEL", "trees", `expected finite weights, got ${weight}`);
    }
    const isFirst = !isExtreme || !named.has(output);
    const better =
      aggregate === "MIN" ? Math.min(sums[output], weight) : Math.max(sums[output], weight);
    sums[output] = isFirst ? sums[output] + weight : better;
    named.add(output);
  }
  return sums;
}

/** What the weights of every leaf add up to, null where they differ. */
function commonTotal(leaves: readonly (readonly number[])[]): number | null {
  const sums = leaves.map((weights) => weights.reduce((sum, weight) => sum + weight, 0));
  const [first] = sums;
  const size = Math.max(...leaves.flat().map(Math.abs));
  return sums.every((sum) => Math.abs(sum - first) <= SAME * size) ? first : null;
}

/** The score of one unit: the largest weight takes all bits, one of them for the sign if any weight is negative. */
function stepOf(weights: readonly number[], nBits: number): number {
  let largest = 0;
  let isSigned = false;
  for (const weight of weights) {
    largest = Math.max(largest, Math.abs(weight));
    isSigned ||= weight < 0;
  }
  const most = isSigned ? Math.max(1, 2 ** (nBits - 1) - 1) : 2 ** nBits - 1;
  return largest === 0 ? 1 : largest / most;
}
