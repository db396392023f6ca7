/**
 * Program: what the server executes, a straight list of instructions over tensors of LWE ciphertexts.
 * Tensors 0 .. inputs.length - 1 are the inputs; instruction i defines tensor inputs.length + i.
 * All torus numbers are 64-bit integers (a fraction of 2^64). The byte format is in docs/format.md.
 * @module
 */
import type { ValueId } from "../circuit/ir.ts";
import type { CryptoParameters, OutputForm } from "../parameters/parameters.ts";

/** Index of a tensor of ciphertexts. */
export type TensorId = number;

/**
 * Integer combination of ciphertexts: a blocked matrix product that also serves convolutions and element-wise sums.
 * Output element (g, m, p), in that order, is the sum over t of
 * `weights[(g M + m) K + t] * operands[gather[(g P + p) K + t]] + constants[...]`,
 * where `gather` indexes the operands laid end to end and -1 is an absent term (padding).
 */
export interface LinearInstruction {
  readonly kind: "linear";
  readonly operands: readonly TensorId[];
  /** G, M, P, K: groups, rows per group, positions, terms. */
  readonly groups: number;
  readonly rows: number;
  readonly positions: number;
  readonly terms: number;
  /** G x M x K. */
  readonly weights: Int32Array;
  /** G x P x K. */
  readonly gather: Int32Array;
  /** Torus constants to add: none, one per row (G x M), or one per output (G x M x P). */
  readonly constants: BigUint64Array;
}

/**
 * One programmable bootstrap per item. Item i reads element `sources[i]` of the operand, adds the offset of its table to the
 * body, switches the modulus to 2 N 2^extensionLog and looks the phase up. A table is a step function on the lower half
 * of the torus: box b covers table coefficients starts[b] .. starts[b + 1] - 1 out of N 2^extensionLog; the upper half
 * of the torus reads the negated table (negacyclic). An item may read `degrees[i]` coefficients further on: all items
 * that follow each other with one source and one table take their results from one rotation, and those with one source
 * share keyswitch and switch.
 */
export interface LookupInstruction {
  readonly kind: "lookup";
  readonly operand: TensorId;
  /** log2 of the extension factor; 0 is the classic bootstrap. */
  readonly extensionLog: number;
  readonly boxes: number;
  readonly tables: number;
  /** tables x boxes: first coefficient of each box, ascending from 0. */
  readonly starts: Uint32Array;
  /** tables x boxes: torus value of each box. */
  readonly values: BigUint64Array;
  /** tables: torus constant added to the body before the lookup. */
  readonly offsets: BigUint64Array;
  /** tables: torus constant added to the body of every result of the table. */
  readonly outputOffsets: BigUint64Array;
  /** items: element of the operand that the item reads. */
  readonly sources: Uint32Array;
  /** items: table that the item uses. */
  readonly tableOf: Uint32Array;
  /** items: coefficients to add to the phase, below N 2^extensionLog; 0 for a table of one result. */
  readonly degrees: Uint32Array;
  /** items: standard deviation of the total noise at the lookup's decision, fraction of the torus; simulation only. */
  readonly noiseStd: Float64Array;
}

export type Instruction = LinearInstruction | LookupInstruction;

export interface Program {
  readonly parameters: CryptoParameters;
  /** Number of ciphertexts of each input. */
  readonly inputs: readonly number[];
  readonly instructions: readonly Instruction[];
  /** Circuit value that each instruction works for; reports only, the file does not have it. */
  readonly origins: readonly ValueId[];
  readonly outputs: readonly TensorId[];
  /** How each output travels. */
  readonly outputForms: readonly OutputForm[];
  /** Standard deviation of the noise of each output at decryption, fraction of the torus; simulation only. */
  readonly outputNoiseStd: readonly number[];
}
