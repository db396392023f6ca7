/**
 * Options of the compile functions, one documented object; unknown keys and contradictions are refused.
 * @module
 */
import { SottoError, checkKeys } from "./errors.ts";
import type { NBitsOption, RoundingOption } from "./quantization/bits.ts";
import type { QuantizationChoices } from "./quantization/choices.ts";
import type { CostModelOption } from "./calibration/machine.ts";
import { isCostModel } from "./parameters/cost.ts";
import { COST_MODELS } from "./parameters/cost-models.ts";
import type { SearchTarget } from "./parameters/choice.ts";

/** Options of every compile function; each has a default. */
export interface CompileOptions extends SearchTarget {
  /** Bits of weights and activations, one number or one per kind of tensor. Default 8. */
  readonly nBits?: NBitsOption;
  /** Round accumulators to so many bits before a table. Default null: no rounding. */
  readonly roundingThresholdBits?: RoundingOption;
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
   * is that of a value that moves by half of its interval. Default null: a table reads the right step but for pError.
   */
  readonly interiorNoise?: number | null;
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

/** Whether an input is encrypted. */
export type InputEncryption = "encrypted" | "clear";

const KEYS: readonly (keyof CompileOptions)[] = [
  "nBits",
  "roundingThresholdBits",
  "importQat",
  "quantization",
  "inputsEncryptionStatus",
  "reduceSumCopy",
  "pError",
  "log2PError",
  "globalPError",
  "log2GlobalPError",
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
      (typeof interiorNoise === "number" && interiorNoise > 0 && interiorNoise <= 0.25),
    "a number above 0 and up to 0.25, or null",
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
