/**
 * The `nBits` and `roundingThresholdBits` options, and the width of integer intervals.
 * @module
 */
import { SottoError } from "../errors.ts";

/** Bits of each kind of tensor; `nBits: 6` is short for one such object. */
export interface NBits {
  /** Graph inputs whose first use is not a linear operator. */
  readonly model_inputs: number;
  /** Weights and other constants. */
  readonly op_weights: number;
  /** Inputs of linear operators. */
  readonly op_inputs: number;
  /** Results of operators, and inputs of shape operators. */
  readonly model_outputs: number;
}

/** What a user may pass as `nBits`. */
export type NBitsOption =
  number | ({ readonly op_weights: number; readonly op_inputs: number } & Partial<NBits>);

/** Bits at which model inputs and outputs still look smooth; Concrete ML's default. */
const DEFAULT_MODEL_BITS = 5;
const KEYS = ["model_inputs", "op_weights", "op_inputs", "model_outputs"] as const;

/** Resolves `nBits` to one number per kind of tensor. Throws BAD_ARGUMENT. */
export function getNBitsDict(nBits: NBitsOption): NBits {
  if (typeof nBits === "number") {
    requireBits("nBits", nBits);
    const model = Math.max(DEFAULT_MODEL_BITS, nBits);
    return { model_inputs: model, op_weights: nBits, op_inputs: nBits, model_outputs: model };
  }
  if (nBits === null || typeof nBits !== "object") {
    throw new SottoError(
      "BAD_ARGUMENT",
      "nBits",
      `expected an integer or an object with ${KEYS.join(", ")}, got ${JSON.stringify(nBits)}`,
    );
  }
  const unknown = Object.keys(nBits).find((key) => !KEYS.some((known) => known === key));
  if (unknown !== undefined || nBits.op_weights === undefined || nBits.op_inputs === undefined) {
    throw new SottoError(
      "BAD_ARGUMENT",
      "nBits",
      `expected op_weights and op_inputs, and optionally model_inputs and model_outputs, got ${Object.keys(nBits).join(", ") || "nothing"}`,
    );
  }
  const resolved: NBits = {
    model_inputs: nBits.model_inputs ?? DEFAULT_MODEL_BITS,
    op_weights: nBits.op_weights,
    op_inputs: nBits.op_inputs,
    model_outputs: nBits.model_outputs ?? Math.max(DEFAULT_MODEL_BITS, nBits.op_inputs),
  };
  for (const key of KEYS) requireBits(`nBits.${key}`, resolved[key]);
  if (resolved.model_outputs < resolved.op_inputs) {
    throw new SottoError(
      "BAD_ARGUMENT",
      "nBits.model_outputs",
      `expected at least op_inputs (${resolved.op_inputs}), got ${resolved.model_outputs}`,
    );
  }
  return resolved;
}

/** `nBits` of a quantization-aware model: its nodes state all bits but those of inputs and outputs that tables read. */
export type QatNBitsOption =
  null | number | { readonly model_inputs: number; readonly model_outputs: number };

/** Resolves `nBits` for a quantization-aware model; null is 8. Throws BAD_ARGUMENT. */
export function getQatNBits(nBits: QatNBitsOption | undefined): NBits {
  const given = nBits ?? 8;
  const keys = typeof given === "object" ? Object.keys(given).sort().join() : "";
  if (typeof given === "object" && keys !== "model_inputs,model_outputs") {
    throw new SottoError(
      "BAD_ARGUMENT",
      "nBits",
      `expected a number or an object with model_inputs and model_outputs (the model states all other bits), got ${keys || "nothing"}`,
    );
  }
  const { model_inputs: inputs, model_outputs: outputs } =
    typeof given === "object" ? given : { model_inputs: given, model_outputs: given };
  return getNBitsDict({
    model_inputs: inputs,
    op_weights: inputs,
    op_inputs: inputs,
    model_outputs: outputs,
  });
}

function requireBits(where: string, bits: number): void {
  if (!Number.isInteger(bits) || bits < 1 || bits > 16) {
    throw new SottoError(
      "BAD_ARGUMENT",
      where,
      `expected an integer from 1 to 16, got ${JSON.stringify(bits)}`,
    );
  }
}

/** How accumulators are rounded before a table: exactly, approximately (free), or fitted to their interval. */
export type RoundingMethod = "exact" | "approximate" | "fit";

export interface Rounding {
  readonly nBits: number;
  readonly method: RoundingMethod;
}

/** What a user may pass as `roundingThresholdBits`. */
export type RoundingOption =
  null | number | { readonly nBits: number; readonly method?: RoundingMethod };

/** Resolves `roundingThresholdBits`; a number means exact rounding. Throws BAD_ARGUMENT. */
export function getRounding(option: RoundingOption | undefined): Rounding | null {
  if (option === null || option === undefined) return null;
  const given = typeof option === "number" ? { nBits: option } : option;
  if (typeof given !== "object") {
    throw new SottoError(
      "BAD_ARGUMENT",
      "roundingThresholdBits",
      `expected null, a number or {nBits, method}, got ${JSON.stringify(option)}`,
    );
  }
  const unknown = Object.keys(given).find((key) => key !== "nBits" && key !== "method");
  if (unknown !== undefined) {
    throw new SottoError(
      "BAD_ARGUMENT",
      "roundingThresholdBits",
      `expected nBits and method, got ${unknown}`,
    );
  }
  const { nBits, method = "exact" } = given;
  if (!Number.isInteger(nBits) || nBits < 2 || nBits > 8) {
    throw new SottoError(
      "BAD_ARGUMENT",
      "roundingThresholdBits",
      `expected an integer from 2 to 8, got ${JSON.stringify(nBits)}`,
    );
  }
  if (method !== "exact" && method !== "approximate" && method !== "fit") {
    throw new SottoError(
      "BAD_ARGUMENT",
      "roundingThresholdBits.method",
      `expected "exact", "approximate" or "fit", got ${JSON.stringify(method)}`,
    );
  }
  return { nBits, method };
}
