/**
 * The `nBits` and `roundingThresholdBits` options, and the width of integer intervals.
 * @module
 */
import { SottoError, checkKeys } from "../errors.ts";

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

/** Bits of one linear operator, where they are not those of the others. */
export type NodeBits = Partial<Pick<NBits, "op_weights" | "op_inputs">>;

/** What a user may pass as `nBits`; `nodes` is mixed precision, by the names of nodes that a quantized module prints. */
export type NBitsOption =
  | number
  | ({ readonly op_weights: number; readonly op_inputs: number } & Partial<NBits> & {
        readonly nodes?: Readonly<Record<string, NodeBits>>;
      });

/** Bits at which model inputs and outputs still look smooth; Concrete ML's default. */
const DEFAULT_MODEL_BITS = 5;
const KEYS = ["model_inputs", "op_weights", "op_inputs", "model_outputs"] as const;
const NODE_KEYS = ["op_weights", "op_inputs"] as const;

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
  const known: readonly string[] = [...KEYS, "nodes"];
  const unknown = Object.keys(nBits).find((key) => !known.includes(key));
  if (unknown !== undefined || nBits.op_weights === undefined || nBits.op_inputs === undefined) {
    throw new SottoError(
      "BAD_ARGUMENT",
      "nBits",
      `expected op_weights and op_inputs, and optionally model_inputs, model_outputs and nodes, got ${Object.keys(nBits).join(", ") || "nothing"}`,
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

/**
 * Bits of the nodes that `nBits` names, each complete. Throws BAD_ARGUMENT on a node that is not among the names of
 * the model's operators with weights.
 */
export function getNodeBits(
  nBits: NBitsOption,
  namesOfModel: () => readonly string[],
): ReadonlyMap<string, NBits> {
  const common = getNBitsDict(nBits);
  const nodes: unknown = typeof nBits === "number" ? undefined : nBits.nodes;
  if (nodes === undefined) return new Map();
  if (nodes === null || typeof nodes !== "object") {
    const got = JSON.stringify(nodes);
    throw new SottoError("BAD_ARGUMENT", "nBits.nodes", `expected an object, got ${got}`);
  }
  const names = namesOfModel();
  return new Map(
    Object.entries(nodes).map(([name, bits]: [string, unknown]) => {
      const where = `nBits.nodes[${JSON.stringify(name)}]`;
      if (!names.includes(name)) {
        const message = `expected a node with weights: ${names.join(", ") || "there is none"}`;
        throw new SottoError("BAD_ARGUMENT", where, message);
      }
      return [name, { ...common, ...checkNodeBits(where, bits, common.model_outputs) }];
    }),
  );
}

function checkNodeBits(where: string, bits: unknown, modelOutputs: number): NodeBits {
  if (bits === null || typeof bits !== "object") {
    const message = `expected an object with ${NODE_KEYS.join(", ")}, got ${JSON.stringify(bits)}`;
    throw new SottoError("BAD_ARGUMENT", where, message);
  }
  checkKeys(bits, NODE_KEYS);
  const own: NodeBits = bits;
  for (const key of NODE_KEYS) {
    const count = own[key];
    if (count !== undefined) requireBits(`${where}.${key}`, count);
  }
  if ((own.op_inputs ?? 0) > modelOutputs) {
    const message = `expected at most model_outputs (${modelOutputs}), got ${own.op_inputs}; raise nBits.model_outputs`;
    throw new SottoError("BAD_ARGUMENT", `${where}.op_inputs`, message);
  }
  return own;
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
