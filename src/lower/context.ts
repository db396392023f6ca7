/**
 * What the lowering of one value may look at, and where the elements of lowered values are.
 * @module
 */
import type { Circuit } from "../circuit/ir.ts";
import type { ParameterChoice } from "../parameters/choice.ts";
import type { CircuitConstraint } from "../parameters/constraints.ts";
import type { EncodingPlan } from "../parameters/encoding-plan.ts";
import type { Instruction, TensorId } from "./program.ts";

/** Where a circuit value's elements are: a tensor, and the tensor element of each circuit element (null: the same). */
export interface Located {
  readonly tensor: TensorId;
  readonly order: Int32Array | null;
}

/** Everything the lowering of one value may look at. */
export interface Context {
  readonly circuit: Circuit;
  readonly plan: EncodingPlan;
  readonly choice: ParameterChoice;
  readonly constraints: readonly CircuitConstraint[];
  readonly located: Located[];
  /** Number of ciphertexts of each tensor. */
  readonly tensorSizes: number[];
  /** Appends an instruction and returns its tensor. */
  readonly emit: (instruction: Instruction) => TensorId;
}

/** Tensor element of circuit element `index` of a value. */
export function elementOf({ order }: Located, index: number): number {
  return order ? order[index] : index;
}
