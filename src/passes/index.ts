/**
 * The passes, in order; each turns a circuit into one with the same meaning.
 * @module
 */
import type { Circuit } from "../circuit/ir.ts";
import { verify } from "../circuit/verify.ts";
import { absorbRounding } from "./absorb-rounding.ts";
import { composeTables } from "./compose-tables.ts";
import { type Steps, finish } from "../steps.ts";
import { expandExactRoundingInSteps } from "./expand-exact-rounding.ts";
import { fuseTables } from "./fuse-tables.ts";
import { type BoundsContext, inferBoundsInSteps } from "./infer-bounds.ts";
import { readInputsOneHot } from "./one-hot-inputs.ts";
import { shareValues } from "./share-values.ts";

/** Runs every pass and checks the circuit after each. */
export function runPasses(built: Circuit, context: BoundsContext): Circuit {
  return finish(runPassesInSteps(built, context));
}

/** The same with a step per value of bounds inference, which takes nearly all the time. */
export function* runPassesInSteps(built: Circuit, context: BoundsContext): Steps<Circuit> {
  verify(built, "built");
  const rewritten = [
    fuseTables, // a float region with one integer producer becomes one table
    shareValues, // equal tables of one value become one
    absorbRounding, // a rounding becomes the input grid of the table that reads it
    composeTables, // a table that only feeds another table disappears into it
    readInputsOneHot, // a table on an input becomes a sum over the unit vectors of its codes
  ].reduce((circuit, pass) => {
    const next = pass(circuit);
    verify(next, "fused");
    return next;
  }, built);
  const bounded = yield* inferBoundsInSteps(rewritten, context); // before bits are taken off: their number follows from the bounds
  verify(bounded, "bounded");
  const expanded = yield* expandExactRoundingInSteps(bounded, context);
  verify(expanded, "bounded");
  return expanded;
}
