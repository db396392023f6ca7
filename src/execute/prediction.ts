/**
 * Predicted time of a program, instruction by instruction.
 * @module
 */
import type {
  Instruction,
  LinearInstruction,
  LookupInstruction,
  Program,
} from "../lower/program.ts";
import { combinationCost, type CostModel, lookupLayerCost } from "../parameters/cost.ts";

/** Nanoseconds of each instruction on `threads` threads that do nothing else. */
export function predictInstructions(
  { parameters, instructions }: Program,
  model: CostModel,
  threads: number,
): Float64Array {
  const cost = (instruction: Instruction): number => {
    if (instruction.kind === "linear") {
      return combinationCost(parameters, termsOf(instruction), model) / threads;
    }
    const layer = { ...workOf(instruction), extension: 2 ** instruction.extensionLog };
    return lookupLayerCost(parameters, layer, model, threads);
  };
  return Float64Array.from(instructions, cost);
}

/** Nanoseconds of a whole run. */
export function predictedTotal(program: Program, model: CostModel, threads: number): number {
  return predictInstructions(program, model, threads).reduce((sum, cost) => sum + cost, 0);
}

/** Ciphertexts that a combination writes, and the terms that it adds up for them. */
function termsOf({ groups, rows, positions, gather }: LinearInstruction): {
  readonly outputs: number;
  readonly terms: number;
} {
  let present = 0;
  for (const element of gather) present += element < 0 ? 0 : 1;
  return { outputs: groups * rows * positions, terms: rows * present };
}

/** Rotations and keyswitches: consecutive lookups of one source share the latter, those of one table too the former. */
function workOf({ sources, tableOf }: LookupInstruction): {
  readonly rotations: number;
  readonly sources: number;
} {
  let rotations = 0;
  let distinct = 0;
  sources.forEach((source, i) => {
    const isNew = i === 0 || source !== sources[i - 1];
    distinct += isNew ? 1 : 0;
    rotations += isNew || tableOf[i] !== tableOf[i - 1] ? 1 : 0;
  });
  return { rotations, sources: distinct };
}
