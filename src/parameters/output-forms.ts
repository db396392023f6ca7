/**
 * How outputs travel: as few bits of each word, and under the key with the shorter ciphertexts, as the failure probability
 * allows. Rounding words adds noise like a modulus switch (docs/noise.md, 5), and what outputs may fail is left to spend.
 * @module
 */
import {
  type NoiseConstraint,
  type ParameterChoice,
  evaluateChoice,
  toleratedStd,
} from "./choice.ts";
import { kappa } from "./failure.ts";
import { bigDimension, outputVariance, roundingVariance } from "./noise.ts";
import {
  type CryptoParameters,
  type OutputForm,
  WHOLE,
  outputBytes,
  wordBits,
} from "./parameters.ts";

/** Outputs that are not certain to the integer get this share of their noise more, 3 % of its standard deviation. */
const SHARE = 1 / 16;

/** The same parameters with the shortest outputs that keep every bound of the choice. */
export function compressOutputs(
  constraints: readonly NoiseConstraint[],
  choice: ParameterChoice,
): ParameterChoice {
  const { parameters, extensions, log2Bound, log2GlobalBound, costModel: model } = choice;
  const bounds = { log2Bound, log2GlobalBound };
  const deviations = kappa(log2Bound);
  // Under a bound on the whole inference, outputs may be allowed less than each is allowed alone.
  for (const isSmallAllowed of [true, false]) {
    for (let spare = 0; spare < WHOLE.bits; spare++) {
      const forms = constraints.map((constraint) =>
        shortestForm(parameters, constraint, { deviations, spare, isSmallAllowed }),
      );
      const compressed = evaluateChoice(constraints, parameters, {
        extensions,
        forms,
        bounds,
        model,
      });
      if (compressed.log2GlobalFailure <= log2GlobalBound) return compressed;
    }
  }
  return choice;
}

interface Allowance {
  readonly deviations: number;
  /** Bits that are kept beyond those that a single output needs. */
  readonly spare: number;
  readonly isSmallAllowed: boolean;
}

function shortestForm(
  p: CryptoParameters,
  constraint: NoiseConstraint,
  { deviations, spare, isSmallAllowed }: Allowance,
): OutputForm {
  if (constraint.kind === "lookup") return WHOLE;
  const keys = isSmallAllowed && p.lweDimension > 0 ? [false, true] : [false];
  const forms = keys.flatMap((isSmall) => {
    const most = wordBits({ isSmall, bits: 0 });
    const room = roomOf(p, constraint, deviations) - addedBySwitch(p, constraint, isSmall);
    if (room <= 0) return [];
    const dimension = isSmall ? p.lweDimension : bigDimension(p);
    const bits = Math.ceil(Math.log2(roundingVariance(dimension, 0) / room) / 2) + spare;
    return [{ isSmall, bits: Math.min(most, Math.max(1, bits)) }];
  });
  const bytes = (form: OutputForm): number => outputBytes(p, form, constraint.count);
  return forms.reduce((best, form) => (bytes(form) < bytes(best) ? form : best), WHOLE);
}

/** Variance that may be added to an output before it fails more often than it may. */
function roomOf(p: CryptoParameters, constraint: NoiseConstraint, deviations: number): number {
  const present = outputVariance(p, constraint, WHOLE);
  const tolerated = toleratedStd(constraint, Infinity, deviations) ** 2 - present;
  // An output that may be off by some integers is mostly right: that is not given up for a few bytes.
  const { unit = 2 * constraint.margin } = constraint;
  const certain = (Math.min(constraint.margin, unit / 2) / deviations) ** 2 - present;
  return Math.min(tolerated, Math.max(certain, SHARE * present));
}

function addedBySwitch(p: CryptoParameters, constraint: NoiseConstraint, isSmall: boolean): number {
  const unrounded = { isSmall, bits: wordBits({ isSmall, bits: 0 }) };
  return outputVariance(p, constraint, unrounded) - outputVariance(p, constraint, WHOLE);
}
