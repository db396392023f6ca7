/**
 * The parameter search: exhaustive over GLWE shape, levels, small dimension and the extension factor of each lookup, for
 * the least cost that meets every constraint. Candidates are skipped only when a lower bound of their cost shows that
 * they cannot win, so the answer is the optimum of the model (docs/noise.md, 9).
 * @module
 */
import { SottoError } from "../errors.ts";
import { evaluateChoice, type ChoiceBounds } from "./choice.ts";
import type { NoiseConstraint, ParameterChoice, SearchTarget } from "./choice.ts";
import { DEFAULT_COST_MODEL } from "./cost-models.ts";
import type { CostModel } from "./cost.ts";
import { kappa, splitFailure } from "./failure.ts";
import { explainNoParameters } from "./explain.ts";
import { minimalNoiseStd, minimalNoiseVariance } from "./security.ts";
import { candidatesOf, DEFAULT_SPACE, glweShapes, type SearchSpace } from "./space.ts";
import { requirementsOf, searchRotations, type Winner } from "./scan.ts";

export type { NoiseConstraint, ParameterChoice, SearchTarget } from "./choice.ts";

/** Settings of the search. */
export interface SearchOptions {
  /** The cost to minimise; `DEFAULT_COST_MODEL` when not given. */
  readonly costModel?: CostModel;
  /** Largest evaluation keys, in bytes as sent; no limit when not given. */
  readonly maxKeyBytes?: number;
  /** Candidates; `DEFAULT_SPACE` when not given. */
  readonly space?: SearchSpace;
}

const DEFAULT_LOG2_P_ERROR = -40;

/** Halvings of the interval of local bounds under a global target. */
const GLOBAL_ROUNDS = 10;

/** Finds the cheapest parameters that meet all constraints. Extensions come back in the order of the constraints. */
export function chooseParameters(
  constraints: readonly NoiseConstraint[],
  target: SearchTarget = {},
  options: SearchOptions = {},
): ParameterChoice {
  constraints.forEach(checkConstraint);
  const bounds = readTarget(target);
  const search = (log2Bound: number): ParameterChoice | null =>
    chooseWithin(constraints, { ...bounds, log2Bound }, options);
  const found =
    bounds.log2GlobalBound < 0
      ? searchGlobal(constraints, bounds.log2GlobalBound, search)
      : search(bounds.log2Bound);
  if (found !== null) return found;
  const total = constraints.reduce((sum, constraint) => sum + constraint.count, 0);
  const log2Bound =
    bounds.log2GlobalBound < 0
      ? splitFailure(bounds.log2GlobalBound, Math.max(1, total))
      : bounds.log2Bound;
  const unlimited = { ...options, maxKeyBytes: Infinity };
  const larger = chooseWithin(constraints, { ...bounds, log2Bound }, unlimited);
  throw explainNoParameters(constraints, log2Bound, {
    space: options.space ?? DEFAULT_SPACE,
    keyBytes: larger?.evaluationKeyBytes,
    maxKeyBytes: options.maxKeyBytes,
  });
}

/**
 * A bound for each decision under which all together meet the global target. Splitting the target evenly always does; a
 * looser bound may too, since most decisions end up below theirs. Bisection keeps the cheapest choice that does.
 */
function searchGlobal(
  constraints: readonly NoiseConstraint[],
  log2Global: number,
  search: (log2Bound: number) => ParameterChoice | null,
): ParameterChoice | null {
  const total = constraints.reduce((sum, constraint) => sum + constraint.count, 0);
  let tight = splitFailure(log2Global, Math.max(1, total));
  let loose = log2Global;
  let best: ParameterChoice | null = null;
  const attempt = (log2Bound: number): "met" | "missed" | "impossible" => {
    const choice = search(log2Bound);
    if (choice === null) return "impossible";
    if (choice.log2GlobalFailure > log2Global) return "missed";
    if (best === null || choice.predictedNanoseconds < best.predictedNanoseconds) best = choice;
    return "met";
  };
  if (attempt(loose) === "met") return best;
  attempt(tight);
  for (let round = 0; round < GLOBAL_ROUNDS && loose - tight > 1e-3; round++) {
    const middle = (tight + loose) / 2;
    if (attempt(middle) === "missed") loose = middle;
    else tight = middle; // met: a looser bound may be cheaper; impossible: only a looser one has parameters
  }
  return best;
}

/** The cheapest choice in which no decision fails more often than `bounds.log2Bound`, or null. */
function chooseWithin(
  constraints: readonly NoiseConstraint[],
  bounds: ChoiceBounds,
  options: SearchOptions,
): ParameterChoice | null {
  const model = options.costModel ?? DEFAULT_COST_MODEL;
  const space = options.space ?? DEFAULT_SPACE;
  if (!constraints.some((constraint) => constraint.kind === "lookup")) {
    return chooseWithoutLookups(constraints, bounds, { space, model });
  }
  const requirements = requirementsOf(constraints, kappa(bounds.log2Bound));
  const winner = searchRotations(requirements, candidatesOf(space), {
    space,
    model,
    maxKeyBytes: options.maxKeyBytes ?? Infinity,
  });
  if (winner === null) return null;
  const extensions = constraints.map((constraint, index) => {
    if (constraint.kind === "output") return 1;
    const lookup = requirements.lookupOf[index] ?? 0;
    return winner.extensions[lookup] ?? 1;
  });
  return evaluateChoice(constraints, parametersOf(winner), { extensions, bounds, model });
}

function parametersOf(winner: Winner): ParameterChoice["parameters"] {
  const { rotation, keyswitch, lweDimension } = winner;
  return {
    lweDimension,
    glweDimension: rotation.glweDimension,
    polynomialSize: rotation.polynomialSize,
    bootstrap: { baseLog: rotation.baseLog, level: rotation.level },
    keyswitch,
    lweNoiseStd: minimalNoiseStd(lweDimension),
    glweNoiseStd: minimalNoiseStd(rotation.bigDimension),
  };
}

/** Without lookups there is one key and no evaluation key: the smallest whose fresh noise the outputs bear. */
function chooseWithoutLookups(
  constraints: readonly NoiseConstraint[],
  bounds: ChoiceBounds,
  using: { readonly space: SearchSpace; readonly model: CostModel },
): ParameterChoice | null {
  if (constraints.some((constraint) => constraint.lookupNorm > 0)) {
    throw new Error("internal: an output reads lookups, but there are no lookups");
  }
  const deviations = kappa(bounds.log2Bound);
  const shape = glweShapes(using.space).find(({ glweDimension, polynomialSize }) => {
    const fresh = minimalNoiseVariance(glweDimension * polynomialSize);
    return constraints.every((c) => c.inputNorm * fresh <= (c.margin / deviations) ** 2);
  });
  if (shape === undefined) return null;
  const none = { baseLog: 0, level: 0 };
  const parameters = {
    ...shape,
    lweDimension: 0,
    bootstrap: none,
    keyswitch: none,
    lweNoiseStd: 0,
    glweNoiseStd: minimalNoiseStd(shape.glweDimension * shape.polynomialSize),
  };
  const extensions = constraints.map(() => 1);
  return evaluateChoice(constraints, parameters, { extensions, bounds, model: using.model });
}

/** Reads the one bound that the caller gave. */
function readTarget(target: SearchTarget): ChoiceBounds {
  const given = (
    [
      ["pError", target.pError === undefined ? undefined : Math.log2(target.pError)],
      ["log2PError", target.log2PError],
      [
        "globalPError",
        target.globalPError === undefined ? undefined : Math.log2(target.globalPError),
      ],
      ["log2GlobalPError", target.log2GlobalPError],
    ] as const
  ).filter(([, log2]) => log2 !== undefined);
  if (given.length > 1) {
    const names = given.map(([name]) => name).join(" and ");
    const message = `expected one failure probability, got ${names}; leave one out`;
    throw new SottoError("BAD_ARGUMENT", "chooseParameters", message);
  }
  const [name, log2 = DEFAULT_LOG2_P_ERROR] = given[0] ?? ["pError"];
  if (!(log2 < 0) || log2 < -1000) {
    const range = name.startsWith("log2") ? "from -1000 to below 0" : "from 2^-1000 to below 1";
    const got = target[name];
    throw new SottoError("BAD_ARGUMENT", name, `expected a number ${range}, got ${String(got)}`);
  }
  const isGlobal = name === "globalPError" || name === "log2GlobalPError";
  return isGlobal
    ? { log2Bound: log2, log2GlobalBound: log2 }
    : { log2Bound: log2, log2GlobalBound: 0 };
}

function checkConstraint(constraint: NoiseConstraint): void {
  const { name, count, inputNorm, lookupNorm, margin, misalignment, interior } = constraint;
  const valid =
    Number.isInteger(count) &&
    count >= 1 &&
    [inputNorm, lookupNorm, misalignment].every((value) => value >= 0 && value < Infinity) &&
    margin > 0 &&
    margin <= 0.5 &&
    (interior === undefined || (interior.width > 0 && interior.largest > 0));
  if (!valid) {
    throw new Error(`internal: noise constraint of ${name}: ${JSON.stringify(constraint)}`);
  }
}
