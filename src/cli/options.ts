/**
 * The options of each verb, and the parsers that make them out of command-line text. A parser either returns a checked
 * value or throws BAD_ARGUMENT with the option as `where`; the verbs never see text that was not checked.
 * @module
 */
import type { CostModelOption } from "../calibration/machine.ts";
import { SottoError } from "../errors.ts";
import type { ServeVerbOptions, TokenOptions } from "./serve-options.ts";
import type { AutoRounding } from "../options.ts";
import { COST_MODELS } from "../parameters/cost-models.ts";
import { completeChoices, type QuantizationChoices } from "../quantization/choices.ts";
import {
  getNBitsDict,
  getQatNBits,
  getRounding,
  type NBitsOption,
  type QatNBitsOption,
  type RoundingOption,
} from "../quantization/bits.ts";

/** How `predict` and `bench` run a model. */
export type Mode = "clear" | "simulate" | "encrypted";

/** What every verb gets: Ctrl-C aborts the signal. */
export interface CommonOptions {
  readonly signal: AbortSignal;
}

/** Options of the compiler; absent ones are the compiler's defaults. */
export interface CompilerSettings {
  readonly nBits?: NBitsOption | ModelBits | "auto";
  readonly roundingThresholdBits?: RoundingOption | AutoRounding;
  readonly interiorNoise?: number | "auto" | null;
  readonly pError?: number;
  readonly globalPError?: number;
  readonly importQat?: boolean;
  readonly quantization?: QuantizationChoices;
  readonly maxMilliseconds?: number;
  readonly maxLookups?: number;
  readonly maxKeyBytes?: number;
  readonly costModel?: CostModelOption;
}

/** What a search for settings takes and leaves; given without "auto" they are refused. */
export interface TuningSettings {
  /** Path of an array of right answers, for the validation rows or else for the calibration rows. */
  readonly labels?: string;
  /** Paths of arrays of rows to judge by, one per graph input. */
  readonly validation?: readonly string[];
  readonly maxLoss?: number;
  /** Path to write the front to. */
  readonly front?: string;
}

/** A model and what it is compiled with. */
export interface ModelOptions extends CommonOptions {
  /** Path of the ONNX file or the PyTorch archive. */
  readonly model: string;
  /** Paths of calibration arrays, one per graph input. */
  readonly calibration: readonly string[];
  readonly compiler: CompilerSettings;
  readonly tuning?: TuningSettings;
}

export interface InspectOptions extends CommonOptions {
  readonly model: string;
}

export interface PredictOptions extends ModelOptions {
  /** Paths of input arrays, one per graph input. */
  readonly input: readonly string[];
  readonly mode: Mode;
  /** Use only the first rows. */
  readonly limit?: number;
  /** Folder where keys are kept and found again. */
  readonly keys?: string;
  /** Absent: all cores. */
  readonly threads?: number;
  /** A file, or `-` for stdout. */
  readonly json?: string;
}

export interface CompileVerbOptions extends ModelOptions {
  /** Folder for server.sotto, client.sotto and report.html. */
  readonly output: string;
}

export interface KeygenOptions extends CommonOptions {
  /** Path of client.sotto. */
  readonly client: string;
  /** Folder for secret.sotto and evaluation.sotto. */
  readonly output: string;
  readonly threads?: number;
}

export interface EncryptOptions extends CommonOptions {
  readonly client: string;
  readonly keys: string;
  readonly input: readonly string[];
  /** Which row of the input to encrypt, from 0. */
  readonly row: number;
  readonly output: string;
}

export interface RunOptions extends CommonOptions {
  /** Path of server.sotto. */
  readonly server: string;
  /** Path of encrypted inputs. */
  readonly inputs: string;
  /** Path of evaluation.sotto, or the folder that holds it; a program without lookups needs none. */
  readonly keys?: string;
  readonly output: string;
  readonly threads?: number;
}

export interface DecryptOptions extends CommonOptions {
  readonly client: string;
  readonly keys: string;
  /** Path of encrypted outputs. */
  readonly outputs: string;
  readonly json?: string;
}

export interface BenchOptions extends ModelOptions {
  readonly input: readonly string[];
  readonly limit?: number;
  readonly threads?: number;
  readonly json?: string;
  /** Path of report.html with measured times. */
  readonly report?: string;
}

export interface CalibrateOptions extends CommonOptions {
  /** A file, or `-` for stdout. */
  readonly json?: string;
}

/** One function per verb. */
export interface Verbs {
  readonly inspect: (options: InspectOptions) => Promise<void>;
  readonly predict: (options: PredictOptions) => Promise<void>;
  readonly compile: (options: CompileVerbOptions) => Promise<void>;
  readonly keygen: (options: KeygenOptions) => Promise<void>;
  readonly encrypt: (options: EncryptOptions) => Promise<void>;
  readonly run: (options: RunOptions) => Promise<void>;
  readonly decrypt: (options: DecryptOptions) => Promise<void>;
  readonly bench: (options: BenchOptions) => Promise<void>;
  readonly calibrate: (options: CalibrateOptions) => Promise<void>;
  readonly serve: (options: ServeVerbOptions) => Promise<void>;
  readonly token: (options: TokenOptions) => Promise<void>;
}

function bad(option: string, expected: string, got: string): SottoError {
  return new SottoError("BAD_ARGUMENT", option, `expected ${expected}, got ${JSON.stringify(got)}`);
}

/** `--n-bits`: a number, or JSON with op_inputs and op_weights (camelCase is accepted too). */
export function parseNBits(text: string): NBitsOption | ModelBits | "auto" {
  if (text === "auto") return text;
  const value = parseJson(
    "--n-bits",
    text,
    'a number, auto or a JSON object such as {"op_inputs": 5, "op_weights": 5}',
  );
  const option = typeof value === "number" ? value : renameKeys(value, snakeCase);
  // The compiler's own check decides what is valid; until it has passed, the type is a claim.
  if (isModelBits(option)) return withOption("--n-bits", () => (getQatNBits(option), option));
  const nBits = option as NBitsOption;
  return withOption("--n-bits", () => (getNBitsDict(nBits), nBits));
}

type ModelBits = Exclude<QatNBitsOption, null | number>;

/** Bits of inputs and outputs alone, all that a quantization-aware model leaves open. */
function isModelBits(option: unknown): option is ModelBits {
  if (typeof option !== "object" || option === null) return false;
  return Object.keys(option).sort().join() === "model_inputs,model_outputs";
}

/** Bits as the compiler takes them. Throws BAD_ARGUMENT when they are of the other kind of model. */
export function bitsOf({
  nBits,
  importQat = false,
}: CompilerSettings): NBitsOption | "auto" | undefined {
  if (importQat && (nBits === undefined || typeof nBits === "number" || isModelBits(nBits))) {
    return getQatNBits(nBits);
  }
  if (nBits === undefined || !isModelBits(nBits)) return nBits;
  const message = "expected op_inputs and op_weights too, unless --import-qat is given";
  throw new SottoError("BAD_ARGUMENT", "--n-bits", message);
}

/** `--quantization`: JSON with finer choices (camelCase, or snake_case). */
export function parseQuantization(text: string): QuantizationChoices {
  const option = "--quantization";
  const expected = 'a JSON object such as {"perChannelWeights": true, "calibration": "mse"}';
  const value = parseJson(option, text, expected);
  if (typeof value === "number") throw bad(option, expected, text);
  const choices = renameKeys(value, camelCase) as QuantizationChoices;
  return withOption(option, () => (completeChoices(choices), choices));
}

/**
 * `--rounding-threshold-bits`: a number, or JSON with nBits (or n_bits, which may be "auto") and method; `none` for no
 * rounding, `auto` for a search.
 */
export function parseRounding(text: string): RoundingOption | AutoRounding {
  if (text === "none" || text === "null") return null;
  if (text === "auto") return { nBits: "auto" };
  const option = "--rounding-threshold-bits";
  const expected = 'a number or a JSON object such as {"nBits": 4, "method": "fit"}';
  const value = parseJson(option, text, expected);
  const given = typeof value === "number" ? value : lowerMethod(renameKeys(value, camelCase));
  if (typeof given === "object" && isAutoRounding(given)) {
    return withOption(option, () => (getRounding({ ...given, nBits: 2 }), given));
  }
  const rounding = given as RoundingOption;
  return withOption(option, () => (getRounding(rounding), rounding));
}

function isAutoRounding(given: object): given is AutoRounding {
  return "nBits" in given && given.nBits === "auto";
}

/** A number from 0 on. */
export function parseAmount(option: string, text: string): number {
  const value = /^\d*\.?\d+(?:e[+-]?\d+)?$/i.test(text.trim()) ? Number(text) : NaN;
  if (!(value < Infinity)) throw bad(option, "a number from 0 on", text);
  return value;
}

/** Refuses options of a search where nothing is searched for. */
export function checkTuning(settings: CompilerSettings, tuning: TuningSettings): void {
  const { nBits, roundingThresholdBits: rounding, interiorNoise } = settings;
  const isRounding = typeof rounding === "object" && rounding !== null;
  if (nBits === "auto" || interiorNoise === "auto") return;
  if (isRounding && isAutoRounding(rounding)) return;
  const [first] = Object.keys(tuning);
  if (first === undefined) return;
  const option = `--${first.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  const message = "expected --n-bits auto with it, got fixed bits; leave one of them out";
  throw new SottoError("BAD_ARGUMENT", option, message);
}

/** `--interior-noise`: a fraction of a table's interval, `auto` for a search, or `none`, also where others are searched for. */
export function parseInteriorNoise(text: string): number | "auto" | null {
  if (text === "auto") return text;
  if (text === "none") return null;
  const value = Number(text);
  if (!(value > 0 && value <= 0.25)) {
    throw bad("--interior-noise", "a number above 0 and up to 0.25, auto or none", text);
  }
  return value;
}

/** `--cost-model`: a shipped class of CPU, or this machine. */
export function parseCostModel(text: string): CostModelOption {
  const names = [...Object.keys(COST_MODELS), "machine"];
  if (!names.includes(text)) throw bad("--cost-model", `one of ${names.join(", ")}`, text);
  return text as CostModelOption;
}

/** A probability between 0 and 1: `1e-12`, `0.01`, `2^-40` or `2**-40`. */
export function parseProbability(option: string, text: string): number {
  const power = /^2(?:\^|\*\*)(-?\d+(?:\.\d+)?)$/.exec(text.trim());
  const plain = /^\d*\.?\d+(?:e[+-]?\d+)?$/i.test(text.trim()) ? Number(text) : NaN;
  const value = power === null ? plain : 2 ** Number(power[1]);
  if (!(value > 0 && value < 1)) {
    throw bad(option, "a probability between 0 and 1 such as 1e-12 or 2^-40", text);
  }
  return value;
}

/** An integer from `least` on. */
export function parseInteger(option: string, text: string, least: number): number {
  const value = /^\d{1,15}$/.test(text.trim()) ? Number(text) : NaN;
  if (!(value >= least)) throw bad(option, `an integer from ${least} on`, text);
  return value;
}

/** `--mode`, with Concrete ML's `disable` and `execute` as other names. */
export function parseMode(text: string): Mode {
  switch (text) {
    case "clear":
    case "disable":
      return "clear";
    case "simulate":
      return "simulate";
    case "encrypted":
    case "execute":
      return "encrypted";
    default:
      throw bad("--mode", "clear, simulate or encrypted", text);
  }
}

/** Refuses both failure probabilities at once: one follows from the other. */
export function checkProbabilities(settings: CompilerSettings): void {
  if (settings.pError !== undefined && settings.globalPError !== undefined) {
    throw new SottoError(
      "BAD_ARGUMENT",
      "--global-p-error",
      "expected --p-error (per lookup) or --global-p-error (per inference), got both; leave one out",
    );
  }
}

function parseJson(option: string, text: string, expected: string): number | object {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw bad(option, expected, text);
  }
  if (typeof value === "number") return value;
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw bad(option, expected, text);
}

function renameKeys(value: object, rename: (key: string) => string): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [rename(key), item]));
}

/** Concrete ML writes methods in capitals, too. */
function lowerMethod(value: Record<string, unknown>): Record<string, unknown> {
  const { method } = value;
  return typeof method === "string" ? { ...value, method: method.toLowerCase() } : value;
}

function camelCase(key: string): string {
  return key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function snakeCase(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Errors of the compiler's checks, told with the option that the user typed. */
function withOption<T>(option: string, check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof SottoError)) throw error;
    const message = error.message.replace(`${error.code} at ${error.where}: `, "");
    throw new SottoError(error.code, option, message);
  }
}
