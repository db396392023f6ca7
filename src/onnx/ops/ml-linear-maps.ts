/**
 * What linear models and support vector machines of ai.onnx.ml state, read as linear maps: with a linear kernel a support
 * vector machine is one too.
 * @module
 */
import { SottoError } from "../../errors.ts";
import { postTransformOf, type PostTransform } from "../trees/scores.ts";

/** `x W' + b` with W stored row by row, one row per output. */
export interface LinearMap {
  readonly outputs: number;
  readonly coefficients: readonly number[];
  readonly intercepts: readonly number[] | undefined;
}

export function fail(where: string, message: string): never {
  throw new SottoError("BAD_MODEL", where, message);
}

/** Labels of classes; codes stand for strings. */
function labelsOf(
  where: string,
  strings: readonly number[] | undefined,
  integers: readonly number[] | undefined,
): readonly number[] {
  return (strings?.length ? strings : integers) ?? fail(where, "it has no class labels");
}

export function linearClassifier(attributes: {
  readonly classlabels_ints: readonly number[] | undefined;
  readonly classlabels_strings: readonly number[] | undefined;
  readonly coefficients: readonly number[];
  readonly intercepts: readonly number[] | undefined;
  readonly post_transform: string;
}): {
  map: LinearMap;
  labels: readonly number[];
  transform: PostTransform;
} {
  const where = "LinearClassifier";
  const { classlabels_strings: strings, classlabels_ints: integers } = attributes;
  const { coefficients, intercepts, post_transform } = attributes;
  const labels = labelsOf(where, strings, integers);
  const outputs = intercepts?.length ?? labels.length;
  if (outputs !== labels.length && !(outputs === 1 && labels.length === 2)) {
    fail(where, `expected an intercept per class, got ${outputs} for ${labels.length} labels`);
  }
  const transform = postTransformOf(post_transform, where);
  return { map: { outputs, coefficients, intercepts }, labels, transform };
}

/** Refuses every kernel but the linear one. */
export function requireLinear(where: string, kernel: string): void {
  if (kernel === "LINEAR") return;
  const message = `kernel ${kernel}; expected LINEAR: train with kernel="linear"`;
  throw new SottoError("UNSUPPORTED_OPERATOR", where, message);
}

/** Linear kernels: a support machine's function is itself linear, its coefficients are sums over support vectors. */
function weightsOf(
  where: string,
  supportVectors: readonly number[],
  factors: readonly number[],
): number[] {
  const features = supportVectors.length / factors.length;
  if (!Number.isInteger(features)) {
    fail(where, `${supportVectors.length} numbers are no ${factors.length} support vectors`);
  }
  const weights = new Float64Array(features);
  for (const [vector, factor] of factors.entries()) {
    for (let i = 0; i < features; i++) weights[i] += factor * supportVectors[vector * features + i];
  }
  return [...weights];
}

export function machine(attributes: {
  readonly coefficients: readonly number[];
  readonly n_supports: number;
  readonly rho: readonly number[];
  readonly support_vectors: readonly number[] | undefined;
}): LinearMap {
  const { coefficients, n_supports, rho, support_vectors = [] } = attributes;
  if (n_supports > 0 && coefficients.length !== n_supports) {
    fail("SVMRegressor", `expected ${n_supports} coefficients, got ${coefficients.length}`);
  }
  const weights =
    n_supports > 0 ? weightsOf("SVMRegressor", support_vectors, coefficients) : coefficients;
  return { outputs: 1, coefficients: weights, intercepts: rho.slice(0, 1) };
}

export function svmClassifier(attributes: {
  readonly classlabels_ints: readonly number[] | undefined;
  readonly classlabels_strings: readonly number[] | undefined;
  readonly coefficients: readonly number[];
  readonly kernel_type: string;
  readonly post_transform: string;
  readonly prob_a: readonly number[] | undefined;
  readonly rho: readonly number[];
  readonly support_vectors: readonly number[] | undefined;
  readonly vectors_per_class: readonly number[] | undefined;
}): {
  map: LinearMap;
  labels: readonly number[];
  isPairwise: boolean;
  transform: PostTransform;
} {
  const where = "SVMClassifier";
  requireLinear(where, attributes.kernel_type);
  if (attributes.prob_a?.length) {
    const message = "probabilities (prob_a); train with probability=False";
    throw new SottoError("UNSUPPORTED_OPERATOR", where, message);
  }
  const { classlabels_strings: strings, classlabels_ints: integers } = attributes;
  const labels = labelsOf(where, strings, integers);
  const transform = postTransformOf(attributes.post_transform, where);
  const { coefficients, rho, support_vectors = [], vectors_per_class: counts = [] } = attributes;
  if (counts.every((count) => count === 0)) {
    const intercepts = labels.map(() => rho[0] ?? fail(where, "rho is empty"));
    const map = { outputs: labels.length, coefficients, intercepts };
    return { map, labels, isPairwise: false, transform };
  }
  const vectors = counts.reduce((sum, count) => sum + count, 0);
  const pairs = (labels.length * (labels.length - 1)) / 2;
  const isWhole = counts.every((count) => count >= 0) && counts.length === labels.length;
  const isComplete = coefficients.length === (labels.length - 1) * vectors && rho.length === pairs;
  if (!isWhole || !isComplete || pairs === 0) {
    const sizes = `${coefficients.length} coefficients and ${rho.length} rho`;
    fail(where, `${sizes} do not fit ${labels.length} classes with [${counts.join(", ")}] vectors`);
  }
  const rows = pairFactors(counts, vectors, coefficients).map((factors) =>
    weightsOf(where, support_vectors, factors),
  );
  const map = { outputs: pairs, coefficients: rows.flat(), intercepts: rho };
  return { map, labels, isPairwise: true, transform };
}

/**
 * What each support vector contributes to each pair of classes. A vector of class c has a coefficient against every other
 * class: row k of the coefficients holds those against class k, or k + 1 from k = c on.
 */
function pairFactors(
  counts: readonly number[],
  vectors: number,
  coefficients: readonly number[],
): number[][] {
  const starts = counts.map((_, c) => counts.slice(0, c).reduce((sum, count) => sum + count, 0));
  return counts.flatMap((_, i) =>
    counts.slice(i + 1).map((_, offset) => {
      const j = i + 1 + offset;
      const factors = Array.from({ length: vectors }, () => 0);
      for (let v = starts[i]; v < starts[i] + counts[i]; v++) {
        factors[v] = coefficients[(j - 1) * vectors + v];
      }
      for (let v = starts[j]; v < starts[j] + counts[j]; v++) {
        factors[v] = coefficients[i * vectors + v];
      }
      return factors;
    }),
  );
}
