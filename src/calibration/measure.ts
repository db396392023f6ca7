/**
 * Fits the cost model to the running CPU: times batches of lookups shape by shape on one thread, with the engine, and
 * solves for the weights. About 20 seconds; nothing else should run meanwhile.
 * @module
 */
import { encodeProgram } from "../format/program.ts";
import type { LinearInstruction } from "../lower/program.ts";
import type { NativeBinding } from "../native/binding.ts";
import {
  batchSize,
  bootstrapBytesPerBit,
  type CostModel,
  externalProductCost,
  KEYSWITCH_WORD_BYTES,
  keyswitchWords,
  shapeName,
} from "../parameters/cost.ts";
import { COST_MODELS } from "../parameters/cost-models.ts";
import { encodeParameters } from "../parameters/encoding.ts";
import { bigDimension, type GlweShape } from "../parameters/noise.ts";
import { type CryptoParameters, WHOLE } from "../parameters/parameters.ts";
import { minimalNoiseStd } from "../parameters/security.ts";
import type { Steps } from "../steps.ts";

/** The part of the engine that measures. */
export type TimingEngine = Pick<
  NativeBinding,
  "generateClientKey" | "newControl" | "parseProgram" | "runSync" | "timeLookups"
>;

/** Name of the stage in progress reports. */
export const CALIBRATION_STAGE = "timing lookups on this CPU";

/** One batch of lookups of the classic form: nanoseconds for each of them. */
export interface LookupTime {
  readonly parameters: CryptoParameters;
  readonly batch: number;
  readonly keyswitch: number;
  readonly rotation: number;
}

/** A small key: what is fitted is the time for each of its bits, and key generation is time lost. */
const LWE_DIMENSION = 480;

/** Digits of the keyswitch where it is measured; larger keys have one level, to be made faster. */
const KEYSWITCH_LEVELS = 3;
const LARGEST_MEASURED_KEYSWITCH = 2048;

/** Shapes whose batches are timed against single lookups, for what the batch shares. */
const STREAMED: readonly string[] = ["4x512", "2x1024", "1x2048"];

/** Everything is timed once, and again as far as this goes; the least time counts, for other work only adds. */
const BUDGET_MS = 20_000;

/** Runs of a program without lookups. */
const PROGRAM_RUNS = 3;

/**
 * A further level repeats part of what the first does: the transforms of its digits and their products, but not the
 * transforms back. A measurement outside of these shares was disturbed.
 */
const FURTHER_LEVEL = { least: 0.25, most: 1 } as const;

/** All that is timed; levels beyond the second are as much more as the second is. */
function plannedTimings(): Omit<LookupTime, "keyswitch" | "rotation">[] {
  const shapes = Object.keys(COST_MODELS.avx2.externalProducts).map(shapeOf);
  return shapes.flatMap((shape) => {
    const batch = batchSize(shape, 1);
    const [one, two] = [1, 2].map((level) => ({ parameters: parametersOf(shape, level), batch }));
    if (!STREAMED.includes(shapeName(shape))) return [one, two];
    return [one, { ...one, batch: 1 }, two];
  });
}

function shapeOf(name: string): GlweShape {
  const [glweDimension, polynomialSize] = name.split("x").map(Number);
  return { glweDimension, polynomialSize };
}

function parametersOf(shape: GlweShape, level: number): CryptoParameters {
  const big = bigDimension(shape);
  return {
    ...shape,
    lweDimension: LWE_DIMENSION,
    bootstrap: { baseLog: 12, level },
    keyswitch: { baseLog: 3, level: big <= LARGEST_MEASURED_KEYSWITCH ? KEYSWITCH_LEVELS : 1 },
    lweNoiseStd: minimalNoiseStd(LWE_DIMENSION),
    glweNoiseStd: minimalNoiseStd(big),
  };
}

/** Times everything and fits a model of that name; a step before each timing, as a percentage of the work. */
export function* calibrateInSteps(engine: TimingEngine, name: string): Steps<CostModel> {
  const start = performance.now();
  const planned = plannedTimings();
  const work = planned.map(
    ({ parameters, batch }) =>
      batch * externalProductCost(parameters, parameters.bootstrap.level, COST_MODELS.avx2),
  );
  const total = 2 * work.reduce((sum, part) => sum + part, 0);
  let done = 0;
  const times: LookupTime[] = [];
  for (const again of [false, true]) {
    for (const [index, timing] of planned.entries()) {
      if (again && performance.now() - start > BUDGET_MS) break;
      yield { stage: CALIBRATION_STAGE, done: Math.floor((100 * done) / total), total: 100 };
      times[index] = timeLookups(engine, timing, times[index]);
      done += work[index];
    }
  }
  const combination = timeCombination(engine);
  yield { stage: CALIBRATION_STAGE, done: 100, total: 100 };
  return fitCostModel(name, times, combination);
}

function timeLookups(
  engine: TimingEngine,
  { parameters, batch }: Omit<LookupTime, "keyswitch" | "rotation">,
  earlier: LookupTime | undefined,
): LookupTime {
  const [keyswitch, rotation] = engine.timeLookups(encodeParameters(parameters), 0, batch);
  return {
    parameters,
    batch,
    keyswitch: Math.min(keyswitch, earlier?.keyswitch ?? Infinity),
    rotation: Math.min(rotation, earlier?.rotation ?? Infinity),
  };
}

/** The model that explains the times. */
export function fitCostModel(
  name: string,
  times: readonly LookupTime[],
  combination: number,
): CostModel {
  const stream = fitStream(times);
  const rotations = times.filter(({ batch, parameters }) => batch === batchSize(parameters, 1));
  const products = new Map<string, [number, number]>();
  for (const { parameters, batch, rotation } of rotations) {
    const { level } = parameters.bootstrap;
    const streamed = (stream * bootstrapBytesPerBit(parameters, level)) / batch;
    const product = Math.max(0, rotation / parameters.lweDimension - streamed);
    const known = products.get(shapeName(parameters)) ?? [0, 0];
    known[level - 1] = product;
    products.set(shapeName(parameters), known);
  }
  const keyswitches = rotations
    .filter(({ parameters }) => parameters.keyswitch.level === KEYSWITCH_LEVELS)
    .map(({ parameters, batch, keyswitch }) => {
      const streamed = (stream * KEYSWITCH_WORD_BYTES) / batch;
      return Math.max(0, keyswitch / keyswitchWords(parameters) - streamed);
    });
  return {
    name,
    externalProducts: Object.fromEntries(
      [...products].map(([shape, [first, second]]) => [
        shape,
        [rounded(first), rounded(first * shareOf(second / first - 1))] as const,
      ]),
    ),
    keyswitch: rounded(median(keyswitches)),
    stream: rounded(stream),
    combination: rounded(combination),
  };
}

function shareOf(further: number): number {
  return Math.min(FURTHER_LEVEL.most, Math.max(FURTHER_LEVEL.least, further));
}

/** Nanoseconds for each byte of key that a full batch reads once and single lookups read each for themselves. */
function fitStream(times: readonly LookupTime[]): number {
  const shares = times.flatMap(({ parameters, batch, rotation: single }) => {
    const full = times.find((time) => time.parameters === parameters && time.batch > batch);
    if (batch !== 1 || full === undefined) return [];
    const { lweDimension, bootstrap } = parameters;
    const bytes = lweDimension * bootstrapBytesPerBit(parameters, bootstrap.level);
    return [(single - full.rotation) / (bytes * (1 - 1 / full.batch))];
  });
  return Math.max(0, median(shares));
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

/** Four digits: more are noise, and the shipped models are read by people. */
function rounded(value: number): number {
  return Number(value.toPrecision(4));
}

/** Size of the combinations that are timed, and how many a long program has more than a short one. */
const ELEMENTS = 64;
const MORE_LAYERS = 8;

/** Nanoseconds for each word and term of integer combinations: a chain of 9 of them less a chain of 1. */
function timeCombination(engine: TimingEngine): number {
  const parameters: CryptoParameters = {
    ...parametersOf({ glweDimension: 1, polynomialSize: 2048 }, 1),
    lweDimension: 0,
    bootstrap: { baseLog: 0, level: 0 },
    keyswitch: { baseLog: 0, level: 0 },
    lweNoiseStd: 0,
  };
  const key = engine.generateClientKey(encodeParameters(parameters));
  const control = engine.newControl(1);
  const timeChain = (length: number): number => {
    const { bytes, modelId } = encodeProgram(chainOf(parameters, length));
    const program = engine.parseProgram(bytes);
    const inputs = key.encrypt(modelId, [new BigUint64Array(ELEMENTS)]);
    const tries = Array.from({ length: PROGRAM_RUNS }, () => {
      const start = performance.now();
      engine.runSync(program, null, inputs, control);
      return performance.now() - start;
    });
    return 1e6 * Math.min(...tries);
  };
  const more = timeChain(1 + MORE_LAYERS) - timeChain(1);
  const terms = (ELEMENTS + 1) * ELEMENTS;
  return Math.max(0, more) / (MORE_LAYERS * terms * (bigDimension(parameters) + 1));
}

/** Matrix products one after the other, without lookups. */
function chainOf(
  parameters: CryptoParameters,
  length: number,
): Parameters<typeof encodeProgram>[0] {
  const layer = (operand: number): LinearInstruction => ({
    kind: "linear",
    operands: [operand],
    groups: 1,
    rows: ELEMENTS,
    positions: 1,
    terms: ELEMENTS,
    weights: Int32Array.from({ length: ELEMENTS * ELEMENTS }, (_, i) => (i % 15) - 7),
    gather: Int32Array.from({ length: ELEMENTS }, (_, i) => i),
    constants: new BigUint64Array(0),
  });
  return {
    parameters,
    inputs: [ELEMENTS],
    instructions: Array.from({ length }, (_, i) => layer(i)),
    origins: [],
    outputs: [length],
    outputForms: [WHOLE],
    outputNoiseStd: [0],
  };
}
