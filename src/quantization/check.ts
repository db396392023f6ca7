/**
 * Checks of rows that come from outside, against the inputs of a graph.
 * @module
 */
import { SottoError } from "../errors.ts";
import { type ClientStep, applyStep } from "../onnx/client-steps.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** What the check needs to know of an input. */
export interface InputSignature {
  readonly name: string;
  /** Axis 0 is the batch; null or a name is any size. */
  readonly shape: readonly (number | string | null)[];
}

/** An input with what the client computes on it before it is quantized. */
export interface SteppedInput extends InputSignature {
  readonly step: ClientStep | null;
}

/**
 * Checks that there is one good tensor of rows per input and applies the client's steps to them.
 * Throws EMPTY_CALIBRATION, BAD_DTYPE, BAD_SHAPE or BAD_VALUE.
 */
export function prepareRows(
  inputs: readonly SteppedInput[],
  tensors: readonly Tensor[],
  what: string,
): Tensor[] {
  checkCount(inputs.length, tensors, what);
  return inputs.map(({ name, shape, step }, i) => {
    const where = `${what} ${name}`;
    const isTokens = step?.kind === "oneHot";
    if (isTokens) checkTokens(where, tensors[i]);
    else checkFloat(where, tensors[i]);
    // The last axis of a one-hot tensor is what the step adds.
    checkShape({ name, shape: isTokens ? shape.slice(0, -1) : shape }, tensors[i], what);
    checkFinite(where, tensors[i]);
    return applyStep(step, tensors[i], where);
  });
}

/** One tensor per input, all with the same number of rows, at least one. */
export function checkCount(inputs: number, tensors: readonly Tensor[], what: string): void {
  if (tensors.length !== inputs) {
    throw new SottoError(
      "BAD_SHAPE",
      what,
      `expected ${inputs} tensor(s), one per model input, got ${tensors.length}`,
    );
  }
  if (tensors.some(({ shape }) => shape.length === 0)) {
    throw new SottoError("BAD_SHAPE", what, "expected rows, got a single number; nest it in lists");
  }
  const rows = tensors.map(({ shape }) => shape[0]);
  if (rows.some((count) => count !== rows[0])) {
    throw new SottoError(
      "BAD_SHAPE",
      what,
      `expected the same number of rows in every tensor, got ${rows.join(", ")}`,
    );
  }
  if (rows[0] === 0) {
    const isCalibration = what === "calibration";
    throw new SottoError(
      isCalibration ? "EMPTY_CALIBRATION" : "BAD_SHAPE",
      what,
      `expected at least one row, got none${isCalibration ? "; pass a few hundred typical rows" : ""}`,
    );
  }
}

function checkFloat(where: string, { dtype }: Tensor): void {
  if (dtype !== "float32" && dtype !== "float64") {
    throw new SottoError(
      "BAD_DTYPE",
      where,
      `expected float32 or float64, got ${dtype}; convert it first`,
    );
  }
}

/** Tokens may come as any type that holds whole numbers; their range is checked where they are looked up. */
function checkTokens(where: string, { dtype, data }: Tensor): void {
  const index = data.findIndex((token) => !Number.isInteger(token));
  if (index < 0 && dtype !== "bool") return;
  const got = index < 0 ? dtype : `${data[index]} at element ${index}`;
  throw new SottoError("BAD_DTYPE", where, `expected whole numbers (tokens), got ${got}`);
}

/** All axes but the first must be those of the input. */
export function checkShape(input: InputSignature, { shape }: Tensor, what: string): void {
  const fits =
    shape.length === input.shape.length &&
    input.shape.every((dim, axis) => axis === 0 || typeof dim !== "number" || dim === shape[axis]);
  if (fits) return;
  const expected = ["rows", ...input.shape.slice(1).map((dim) => dim ?? "any")].join(", ");
  throw new SottoError(
    "BAD_SHAPE",
    `${what} ${input.name}`,
    `expected [${expected}], got [${shape.join(", ")}]`,
  );
}

function checkFinite(where: string, { data }: Tensor): void {
  const index = data.findIndex((value) => !Number.isFinite(value));
  if (index >= 0) {
    throw new SottoError(
      "BAD_VALUE",
      where,
      `expected finite numbers, got ${data[index]} at element ${index}; drop or fill such rows`,
    );
  }
}

/** Throws BAD_DTYPE, BAD_SHAPE or BAD_VALUE unless there is one tensor of valid codes per input. */
export function checkCodes(
  inputs: readonly (InputSignature & {
    readonly quantizer: { readonly codeRange: readonly [number, number] };
  })[],
  codes: readonly Tensor[],
): void {
  checkCount(inputs.length, codes, "quantized input");
  inputs.forEach((input, i) => {
    const { dtype, data } = codes[i];
    if (dtype !== "int64") {
      throw new SottoError(
        "BAD_DTYPE",
        `quantized input ${input.name}`,
        `expected int64 codes, got ${dtype}; make them with quantizeInput first`,
      );
    }
    checkShape(input, codes[i], "quantized input");
    const [lo, hi] = input.quantizer.codeRange;
    const index = data.findIndex((code) => !(code >= lo && code <= hi));
    if (index >= 0) {
      throw new SottoError(
        "BAD_VALUE",
        `quantized input ${input.name}`,
        `expected codes from ${lo} to ${hi}, got ${data[index]} at element ${index}`,
      );
    }
  });
}
