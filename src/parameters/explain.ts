/**
 * Why no parameters exist: the constraint that comes furthest from being met, what it needs, and what to change.
 * @module
 */
import { SottoError } from "../errors.ts";
import { type NoiseConstraint, toleratedStd } from "./choice.ts";
import { kappa } from "./failure.ts";
import { modulusSwitchVariancePerBit } from "./noise.ts";
import { candidatesOf, type RotationCandidate, type SearchSpace } from "./space.ts";

/** What the search was allowed. */
export interface Limits {
  readonly space: SearchSpace;
  readonly maxKeyBytes: number | undefined;
  /** Keys of the cheapest parameters without that limit, if any exist. */
  readonly keyBytes: number | undefined;
}

/** The error to throw when the search finds nothing. */
export function explainNoParameters(
  constraints: readonly NoiseConstraint[],
  log2Bound: number,
  limits: Limits,
): SottoError {
  if (limits.keyBytes !== undefined) {
    const advice =
      "no parameters within this limit meet the circuit's needs; raise it, or use fewer bits or rounding";
    return new SottoError(
      "NO_PARAMETERS",
      "maxKeyBytes",
      `expected at least ${limits.keyBytes} bytes of evaluation keys, which the cheapest parameters need, got ${limits.maxKeyBytes ?? 0}: ${advice}`,
    );
  }
  const failing = constraints.map((constraint) => {
    const { needed, reached } = nearest(constraint, log2Bound, limits.space);
    return { constraint, needed, reached, gap: Math.log2(reached) - Math.log2(needed) };
  });
  const tightest = failing.reduce((worst, entry) => (entry.gap > worst.gap ? entry : worst));
  const { constraint, needed, reached } = tightest;
  const { table, probability, advice } = demandOf(constraint, log2Bound);
  const noise =
    needed > 0
      ? `expected noise of at most 2^${Math.log2(needed).toFixed(2)} of the torus`
      : "expected boxes wider than one coefficient of the largest table";
  const alone =
    tightest.gap > 0
      ? `got 2^${Math.log2(reached).toFixed(2)} from the quietest parameters`
      : "got parameters that meet it alone, but none that meet the other constraints too";
  return new SottoError(
    "NO_PARAMETERS",
    constraint.name,
    `${constraint.kind} with ${table}: ${noise} ${probability}, ${alone}; ` +
      `use fewer bits (nBits), set roundingThresholdBits, or allow a larger ${advice}`,
  );
}

/** What the constraint asks, in words. */
function demandOf(
  { margin, interior }: NoiseConstraint,
  log2Bound: number,
): { readonly table: string; readonly probability: string; readonly advice: string } {
  const probability = `at a failure probability of 2^${log2Bound.toFixed(1)}`;
  if (interior !== undefined && interior.largest * interior.width < margin / kappa(log2Bound)) {
    const share = (100 * interior.largest).toFixed(2);
    const table = `an interior noise of ${share} % of 2^${Math.log2(interior.width).toFixed(2)}`;
    return { table, probability: "as standard deviation", advice: "interiorNoise" };
  }
  const bits = -Math.log2(margin) - 2;
  const table = `a margin of 2^-${(bits + 2).toFixed(2)} (about ${bits.toFixed(1)} bits)`;
  return { table, probability, advice: "pError" };
}

/** Tolerated and least attainable noise where the two come closest. */
function nearest(
  constraint: NoiseConstraint,
  log2Bound: number,
  space: SearchSpace,
): { needed: number; reached: number } {
  const deviations = kappa(log2Bound);
  let best = { needed: 0, reached: 1 };
  let bestRatio = Infinity;
  for (const rotation of candidatesOf(space).rotations) {
    for (const extension of constraint.kind === "output" ? [1] : space.extensions) {
      const size = rotation.polynomialSize * extension;
      const needed = toleratedStd(constraint, size, deviations);
      const reached = Math.sqrt(leastVariance(constraint, rotation, { space, extension }));
      if (needed > 0 && reached / needed < bestRatio) {
        bestRatio = reached / needed;
        best = { needed, reached };
      }
    }
  }
  return best;
}

/** Least variance over all keyswitches and small dimensions. */
function leastVariance(
  constraint: NoiseConstraint,
  rotation: RotationCandidate,
  at: { readonly space: SearchSpace; readonly extension: number },
): number {
  const [first, last] = at.space.lweDimension;
  const floor = candidatesOf(at.space).keyswitchFloor;
  const perBit = modulusSwitchVariancePerBit(rotation.polynomialSize, at.extension);
  let least = Infinity;
  for (let dimension = first; dimension <= last; dimension++) {
    const linear =
      constraint.inputNorm * rotation.freshVariance +
      constraint.lookupNorm * dimension * rotation.stepVariance;
    const decision =
      constraint.kind === "output"
        ? 0
        : dimension * perBit + rotation.bigDimension * (floor[dimension - first] ?? 0);
    least = Math.min(least, linear + decision);
  }
  return least;
}
