/**
 * Simulation: the program itself, run on plaintext phases. Without noise it gives exactly what the encrypted program
 * gives, overflow included; with noise every decision gets a gaussian error of the predicted standard deviation.
 * Phases are float64 fractions of the torus.
 * @module
 */
import { multiplyInto } from "../tensor/matmul.ts";
import type {
  Instruction,
  LinearInstruction,
  LookupInstruction,
  Program,
  TensorId,
} from "../lower/program.ts";
import { type Steps, finish } from "../steps.ts";

export interface SimulationOptions {
  /** Sample noise (default true). */
  readonly noise?: boolean;
  /** Source of uniform numbers in [0, 1); default Math.random, since nothing here is secret. */
  readonly random?: () => number;
}

/** Runs a program on torus plaintexts, one array per input; returns the phases of each output. */
export function simulate(
  program: Program,
  inputs: readonly BigUint64Array[],
  options: SimulationOptions = {},
): BigUint64Array[] {
  return finish(simulateInSteps(program, inputs, options));
}

/** The same with a step per instruction. A tensor is let go after its last reader. */
export function* simulateInSteps(
  program: Program,
  inputs: readonly BigUint64Array[],
  { noise = true, random = Math.random }: SimulationOptions = {},
): Steps<BigUint64Array[]> {
  const gauss = noise ? gaussian(random) : () => 0;
  const tensors: Float64Array[] = inputs.map((input) => Float64Array.from(input, signedFraction));
  const lastReader = lastReaders(program);
  const total = program.instructions.length;
  for (const [done, instruction] of program.instructions.entries()) {
    yield { stage: "simulate", done, total };
    if (instruction.kind === "linear") {
      tensors.push(simulateLinear(instruction, tensors));
    } else {
      tensors.push(simulateLookup(instruction, tensors[instruction.operand], program, gauss));
    }
    for (const id of operandsOf(instruction)) {
      if (lastReader.get(id) === done) tensors[id] = new Float64Array(0);
    }
  }
  yield { stage: "simulate", done: total, total };
  return program.outputs.map((id, i) =>
    BigUint64Array.from(tensors[id], (phase) =>
      toTorusInteger(phase + gauss() * program.outputNoiseStd[i]),
    ),
  );
}

/** Index of the last instruction that reads each tensor; none for outputs. */
function lastReaders({ instructions, outputs }: Program): Map<TensorId, number> {
  const last = new Map<TensorId, number>();
  for (const [index, instruction] of instructions.entries()) {
    for (const id of operandsOf(instruction)) last.set(id, index);
  }
  for (const id of outputs) last.delete(id);
  return last;
}

function operandsOf(instruction: Instruction): readonly TensorId[] {
  return instruction.kind === "linear" ? instruction.operands : [instruction.operand];
}

const TORUS = 2 ** 64;

/** A torus integer as a fraction in [-1/2, 1/2). */
function signedFraction(value: bigint): number {
  return Number(BigInt.asIntN(64, value)) / TORUS;
}

function toTorusInteger(phase: number): bigint {
  const reduced = phase - Math.floor(phase);
  return BigInt.asUintN(64, BigInt(Math.round(reduced * 2 ** 53)) << 11n);
}

function simulateLinear(
  { operands, groups, rows, positions, terms, weights, gather, constants }: LinearInstruction,
  tensors: readonly Float64Array[],
): Float64Array {
  const source = concat(operands.map((id) => tensors[id]));
  const out = new Float64Array(groups * rows * positions);
  const kernels = Float64Array.from(weights);
  const columns = new Float64Array(terms * positions);
  for (let group = 0; group < groups; group++) {
    const first = group * positions * terms;
    layOut(columns, source, gather.subarray(first, first + positions * terms), terms);
    const sums = out.subarray(group * rows * positions, (group + 1) * rows * positions);
    const kernel = kernels.subarray(group * rows * terms, (group + 1) * rows * terms);
    multiplyInto(sums, kernel, columns, terms, positions);
  }
  const repeat = out.length / constants.length;
  for (let c = 0, at = 0; c < constants.length; c++) {
    const constant = signedFraction(constants[c]);
    for (const end = (c + 1) * repeat; at < end; at++) out[at] += constant;
  }
  return out;
}

/** Fills `columns` (terms x positions) with what each position gathers; an absent term is 0. */
function layOut(
  columns: Float64Array,
  source: Float64Array,
  gather: Int32Array,
  terms: number,
): void {
  const positions = columns.length / terms;
  for (let t = 0, at = 0; t < terms; t++) {
    for (let from = t; at < (t + 1) * positions; from += terms) {
      const index = gather[from];
      columns[at++] = index < 0 ? 0 : source[index];
    }
  }
}

function concat(parts: readonly Float64Array[]): Float64Array {
  if (parts.length === 1) return parts[0];
  const out = new Float64Array(parts.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
}

/** Constants of a lookup as fractions of the torus. */
interface LookupConstants {
  readonly shifts: Float64Array;
  readonly middles: Float64Array;
  readonly results: Float64Array;
}

/** They are the same for every row, and take as long to convert as a row takes. */
const knownConstants = new WeakMap<LookupInstruction, LookupConstants>();

function constantsOf(lookup: LookupInstruction): LookupConstants {
  const known = knownConstants.get(lookup);
  if (known) return known;
  const constants = {
    shifts: Float64Array.from(lookup.outputOffsets, signedFraction),
    middles: Float64Array.from(lookup.offsets, signedFraction),
    results: Float64Array.from(lookup.values, signedFraction),
  };
  knownConstants.set(lookup, constants);
  return constants;
}

function simulateLookup(
  lookup: LookupInstruction,
  source: Float64Array,
  { parameters }: Program,
  gauss: () => number,
): Float64Array {
  const { boxes, starts, sources, tableOf, degrees, noiseStd, extensionLog } = lookup;
  const size = parameters.polynomialSize * 2 ** extensionLog;
  const { shifts, middles, results } = constantsOf(lookup);
  const out = new Float64Array(sources.length);
  let noise = 0;
  for (let i = 0; i < sources.length; i++) {
    const table = tableOf[i];
    // Items of one source share its switched ciphertext, noise included.
    if (i === 0 || sources[i] !== sources[i - 1]) noise = gauss() * noiseStd[i];
    const phase = source[sources[i]] + middles[table] + noise;
    const turned = Math.floor((phase - Math.floor(phase)) * 2 * size) + degrees[i];
    const coefficient = turned % (2 * size);
    const isNegated = coefficient >= size;
    const box = boxAt(starts, table * boxes, boxes, isNegated ? coefficient - size : coefficient);
    const value = results[table * boxes + box];
    out[i] = (isNegated ? -value : value) + shifts[table];
  }
  return out;
}

/** Index of the last box that starts at or before the coefficient. */
function boxAt(starts: Uint32Array, first: number, boxes: number, coefficient: number): number {
  let low = 0;
  let high = boxes - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (starts[first + middle] <= coefficient) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Standard normal numbers by Box and Muller. */
function gaussian(random: () => number): () => number {
  let spare: number | null = null;
  return () => {
    if (spare !== null) {
      const value = spare;
      spare = null;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - random()));
    const angle = 2 * Math.PI * random();
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
}
