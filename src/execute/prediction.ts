/**
 * Predicted time of a program, instruction by instruction.
 * @module
 */
import type { Instruction, LinearInstruction, Program } from "../lower/program.ts";
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
    const { sources, extensionLog } = instruction;
    const layer = {
      items: sources.length,
      sources: runsOf(sources),
      extension: 2 ** extensionLog,
    };
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

/** Entries that differ from the one before: consecutive lookups of one source share its keyswitch. */
function runsOf(sources: Uint32Array): number {
  let runs = 0;
  for (let i = 0; i < sources.length; i++) runs += i > 0 && sources[i] === sources[i - 1] ? 0 : 1;
  return runs;
}
