/**
 * Options of the compile functions, one documented object; unknown keys and contradictions are refused.
 * @module
 */
import { type Budgets, checkBudgets } from "./parameters/budgets.ts";
import { SottoError, checkKeys } from "./errors.ts";
import type { NBitsOption, RoundingMethod, RoundingOption } from "./quantization/bits.ts";
import type { QuantizationChoices } from "./quantization/choices.ts";
import type { CostModelOption } from "./calibration/machine.ts";
import { isCostModel } from "./parameters/cost.ts";
import { COST_MODELS } from "./parameters/cost-models.ts";
import type { SearchTarget } from "./parameters/choice.ts";
import type { SearchOptions } from "./parameters/search.ts";
import { type TuningOptions, completeTuning } from "./tune/options.ts";

/** Options of every compile function; each has a default. */
export interface CompileOptions extends SearchTarget, Budgets {
  /**
   * Bits of weights and activations, one number or one per kind of tensor. "auto" searches for them, and for all that is
   * left out of rounding, quantization and failure probability. Default 8.
   */
  readonly nBits?: NBitsOption | "auto";
  /** Round accumulators to so many bits before a table, or to as many as a search finds. Default null: no rounding. */
  readonly roundingThresholdBits?: RoundingOption | AutoRounding;
  /** How "auto" judges settings and how long it searches; refused without "auto". */
  readonly tuning?: TuningOptions;
  /** The model was trained with quantization: use the quantizers it states. Default false. */
  readonly importQat?: boolean;
  /** Finer choices of post-training quantization. Default: as Concrete ML. */
  readonly quantization?: QuantizationChoices;
  /** Which inputs are encrypted, one "encrypted" or "clear" each; the server sees the clear ones. Default: all are. */
  readonly inputsEncryptionStatus?: readonly InputEncryption[];
  /** Pass every term of a sum through a lookup of its own first, which takes its noise off. Default false. */
  readonly reduceSumCopy?: boolean;
  /** Take table widths from calibration (default, with spare codes as headroom) or from interval arithmetic. */
  readonly bounds?: "calibrated" | "guaranteed";
  /**
   * Noise that tables with rounding ("approximate" or "fit") bear: its largest standard deviation as a fraction of the
   * interval that a table reads, above 0 and up to 0.25. Their steps then cost next to nothing, and the failure probability
   * is that of a value that moves by half of its interval. "auto" searches for it. Default null: a table reads the right step but for pError.
   */
  readonly interiorNoise?: number | "auto" | null;
  /**
   * What the parameters are the cheapest by: a shipped class of CPU, "machine" (the running CPU, measured once in about 20
   * seconds and kept), or own weights. Default: a shipped one, always the same, so that all machines compile to the same bytes.
   */
  readonly costModel?: CostModelOption;
  /** Print each stage to stderr. Default false. */
  readonly verbose?: boolean;
  /** Print the program to stderr. Default false. */
  readonly showProgram?: boolean;
  /** Folder to write server.sotto, client.sotto, report.html and the printed stages to. Default null. */
  readonly artifacts?: string | null;
  /** Path to copy the ONNX model to. Default null. */
  readonly onnxFile?: string | null;
  /** Aborting it stops the compilation at the next node with error CANCELLED. */
  readonly signal?: AbortSignal;
  /** Called with the stage and how far it is, in nodes or values, whenever one of them is done. */
  readonly onProgress?: (stage: string, done: number, total: number) => void;
}

/** Steps of tables are searched for; the method is too unless it is given. */
export interface AutoRounding {
  readonly nBits: "auto";
  readonly method?: RoundingMethod;
}

/** Options without "auto". */
export interface FixedOptions extends Omit<
  CompileOptions,
  "nBits" | "roundingThresholdBits" | "interiorNoise"
> {
  readonly nBits?: NBitsOption;
  readonly roundingThresholdBits?: RoundingOption;
  readonly interiorNoise?: number | null;
}

/** Whether an input is encrypted. */
export type InputEncryption = "encrypted" | "clear";

const KEYS: readonly (keyof CompileOptions)[] = [
  "nBits",
  "roundingThresholdBits",
  "tuning",
  "importQat",
  "quantization",
  "inputsEncryptionStatus",
  "reduceSumCopy",
  "pError",
  "log2PError",
  "globalPError",
  "log2GlobalPError",
  "maxMilliseconds",
  "maxLookups",
  "maxKeyBytes",
  "bounds",
  "interiorNoise",
  "costModel",
  "verbose",
  "showProgram",
  "artifacts",
  "onnxFile",
  "signal",
  "onProgress",
];

/** Throws BAD_ARGUMENT on an unknown option or a bad `bounds`; the other options are checked where they are used. */
export function checkOptions(options: CompileOptions): void {
  checkKeys(options, KEYS);
  checkBudgets(options);
  completeTuning(options.tuning);
  const { bounds = "calibrated", artifacts = null, onnxFile = null } = options;
  const { interiorNoise = null, quantization, signal, onProgress } = options;
  check(
    "bounds",
    bounds,
    bounds === "calibrated" || bounds === "guaranteed",
    '"calibrated" or "guaranteed"',
  );
  checkCostModel(options.costModel);
  check(
    "interiorNoise",
    interiorNoise,
    interiorNoise === null ||
      interiorNoise === "auto" ||
      (typeof interiorNoise === "number" && interiorNoise > 0 && interiorNoise <= 0.25),
    'a number above 0 and up to 0.25, "auto" or null',
  );
  check(
    "artifacts",
    artifacts,
    artifacts === null || typeof artifacts === "string",
    "a folder or null",
  );
  check("onnxFile", onnxFile, onnxFile === null || typeof onnxFile === "string", "a path or null");
  check(
    "quantization",
    quantization,
    quantization === undefined || (typeof quantization === "object" && quantization !== null),
    "an object",
  );
  if (options.importQat === true && quantization !== undefined) {
    throw new SottoError(
      "BAD_ARGUMENT",
      "quantization",
      "expected importQat or quantization, got both; a model trained with quantization decides these choices itself",
    );
  }
  for (const key of ["verbose", "showProgram", "reduceSumCopy", "importQat"] as const) {
    check(
      key,
      options[key],
      ["boolean", "undefined"].includes(typeof options[key]),
      "true or false",
    );
  }
  check("signal", signal, signal === undefined || signal instanceof AbortSignal, "an AbortSignal");
  check(
    "onProgress",
    onProgress,
    ["function", "undefined"].includes(typeof onProgress),
    "a function",
  );
}

function check(where: string, value: unknown, isValid: boolean, expected: string): void {
  if (isValid) return;
  throw new SottoError("BAD_ARGUMENT", where, `expected ${expected}, got ${JSON.stringify(value)}`);
}

function checkCostModel(model: CostModelOption | undefined): void {
  const names = [...Object.keys(COST_MODELS), "machine"];
  const isValid =
    model === undefined || (typeof model === "string" ? names.includes(model) : isCostModel(model));
  check("costModel", model, isValid, `one of ${names.join(", ")}, or a cost model`);
}

/** Throws BAD_ARGUMENT unless there is one status per input, and one that is encrypted. */
export function checkEncryption(
  status: CompileOptions["inputsEncryptionStatus"],
  inputs: number,
): void {
  if (status === undefined) return;
  const isValid =
    Array.isArray(status) &&
    status.length === inputs &&
    status.every((item) => item === "encrypted" || item === "clear") &&
    status.includes("encrypted");
  const expected = `one "encrypted" or "clear" per input (${inputs}), at least one of them "encrypted"`;
  check("inputsEncryptionStatus", status, isValid, expected);
}

/** The part of the options that the parameter search takes. */
export function searchTarget(options: CompileOptions): SearchTarget {
  const { pError, log2PError, globalPError, log2GlobalPError } = options;
  return {
    ...(pError === undefined ? {} : { pError }),
    ...(log2PError === undefined ? {} : { log2PError }),
    ...(globalPError === undefined ? {} : { globalPError }),
    ...(log2GlobalPError === undefined ? {} : { log2GlobalPError }),
  };
}

/** The part of the options that limits what the parameter search may find. */
export function searchLimits({ maxKeyBytes }: CompileOptions): SearchOptions {
  return maxKeyBytes === undefined ? {} : { maxKeyBytes };
}
