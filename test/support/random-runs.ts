/**
 * Random networks compiled at random bits, and what their executions must agree on.
 * @module
 */
import { evaluate } from "../../src/circuit/evaluate.ts";
import { gridOf, valueId } from "../../src/circuit/ir.ts";
import { placementOf } from "../../src/parameters/constraints.ts";
import { compileOnnxModel } from "../../src/compile.ts";
import { SottoError } from "../../src/errors.ts";
import { FheCircuit, splitRows } from "../../src/execute/circuit.ts";
import { encodeProgram } from "../../src/format/program.ts";
import { lower } from "../../src/lower/lower.ts";
import { evaluateChoice, verify } from "../../src/parameters/choice.ts";
import { DEFAULT_COST_MODEL } from "../../src/parameters/cost-models.ts";
import { chooseParameters } from "../../src/parameters/search.ts";
import type { CompiledModule } from "../../src/execute/module.ts";
import type { CompileOptions } from "../../src/options.ts";
import type { Rounding } from "../../src/quantization/bits.ts";
import { tensorsOf } from "../../src/tensor/list.ts";
import { type Tensor, int64, sizeOf } from "../../src/tensor/tensor.ts";
import { randomNetwork } from "./random-networks.ts";

/** A compiled random network with rows of codes that stay within its bounds. */
export interface RandomRun {
  readonly seed: number;
  readonly operators: readonly string[];
  readonly options: CompileOptions;
  readonly compiled: CompiledModule;
  /** Single rows: rows[row][input]. */
  readonly rows: readonly (readonly Tensor[])[];
}

/** Ways of rounding to draw from; null is none. */
type Method = Rounding["method"] | null;

/**
 * Compiles the network of a seed at bits and one of the roundings that follow from it too; the code of the error if it is
 * refused.
 */
export async function randomRun(
  seed: number,
  methods: readonly Method[],
): Promise<RandomRun | string> {
  const { bytes, calibration, operators, random } = randomNetwork(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)];
  const method = pick(methods);
  const nBits = method === null ? pick([2, 3]) : pick([2, 3, 4, 5]);
  const rounding: Rounding | null = method === null ? null : { nBits: pick([3, 4, 5]), method };
  const bounds = pick(["calibrated", "guaranteed"] as const);
  const options = { nBits, roundingThresholdBits: rounding, bounds };
  try {
    const compiled = await compileOnnxModel(bytes, calibration, options);
    const rows =
      bounds === "calibrated"
        ? splitRows(tensorsOf(compiled.quantizeInput<Tensor[]>(calibration)))
        : Array.from({ length: 8 }, () => anyCodes(compiled, random));
    return { seed, operators, options, compiled, rows };
  } catch (error) {
    if (error instanceof SottoError) return error.code;
    throw new Error(`seed ${seed}: ${operators.join(" ")} ${JSON.stringify(options)}`, {
      cause: error,
    });
  }
}

/** One row of codes from all over the inputs' ranges. */
function anyCodes({ module }: CompiledModule, random: () => number): Tensor[] {
  return module.inputs.map(({ shape, quantizer }) => {
    const [lo, hi] = quantizer.codeRange;
    const own = [1, ...shape.slice(1)];
    return int64(
      own,
      Array.from({ length: sizeOf(own) }, () => lo + Math.floor(random() * (hi - lo + 1))),
    );
  });
}

/**
 * Whether the clear integers of a row keep away from the edges of all boxes, by `coefficients` of their tables: nearer
 * ones may be read as either box, even without noise.
 */
export function isClearOfEdges(
  { circuit, constraints }: CompiledModule,
  row: readonly Tensor[],
  coefficients = 1,
): boolean {
  const { circuit: values, plan, choice } = circuit.parts;
  const results: Tensor[] = [];
  let isClear = true;
  evaluate(values, row, {
    after({ op, inputs }, result, index) {
      results.push(result);
      if (op.kind !== "table") return;
      const { scale } = placementOf(plan, valueId(index));
      const at = constraints.findIndex(({ kind, id }) => kind === "lookup" && id === index);
      const size = choice.parameters.polynomialSize * choice.extensions[at];
      const reach = ((2 ** 63 / Number(scale)) * coefficients) / size;
      if (results[inputs[0]].data.some((x) => distanceToEdge(x, op) < reach)) isClear = false;
    },
  });
  return isClear;
}

function distanceToEdge(
  x: number,
  { encoding }: { readonly encoding: Parameters<typeof gridOf>[0] },
): number {
  const { origin, step } = gridOf(encoding);
  const place = (x - origin) / step;
  return Math.abs(place - Math.round(place)) * step;
}

/** Whether every table reads its integers exactly, so that noise within its bounds changes nothing. */
export function isExact({ circuit }: CompiledModule): boolean {
  return circuit.parts.circuit.values.every(
    ({ op }) =>
      op.kind !== "table" || op.encoding.kind === "each" || op.encoding.kind === "rounded",
  );
}

/** Names of values, for messages. */
export function describeRun({ seed, operators, options }: RandomRun): string {
  return `seed ${seed}: ${operators.join(" ")} at ${JSON.stringify(options)}`;
}

/**
 * The circuits of some runs under one set of parameters that serves all of them, so that they can share their keys, whose
 * generation takes longer than the lookups of a small network.
 */
export function underSharedParameters(runs: readonly RandomRun[]): FheCircuit[] {
  const { parameters, extensions, log2Bound, log2GlobalBound } = chooseParameters(
    runs.flatMap(({ compiled }) => compiled.constraints),
  );
  const bounds = { log2Bound, log2GlobalBound };
  let first = 0;
  return runs.map(({ compiled: { circuit, constraints } }) => {
    const { parts } = circuit;
    const own = extensions.slice(first, (first += constraints.length));
    const using = { extensions: own, bounds, model: DEFAULT_COST_MODEL };
    const choice = evaluateChoice(constraints, parameters, using);
    verify(choice, constraints);
    const program = lower(parts.circuit, parts.plan, constraints, choice);
    const { bytes, modelId } = encodeProgram(program);
    const spec = { ...parts.spec, parameters, modelId };
    return new FheCircuit({ ...parts, program, programBytes: bytes, spec, choice });
  });
}
