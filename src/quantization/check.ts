/**
 * Checks of rows that come from outside, against the inputs of a graph.
 * @module
 */
import { SottoError } from "../errors.ts";
import type { Graph } from "../onnx/graph.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** What the check needs to know of an input. */
export interface InputSignature {
  readonly name: string;
  /** Axis 0 is the batch; null or a name is any size. */
  readonly shape: readonly (number | string | null)[];
}

/** Throws EMPTY_CALIBRATION, BAD_DTYPE, BAD_SHAPE or BAD_VALUE unless there is one good tensor of rows per input. */
export function checkRows(
  { inputs }: Pick<Graph, "inputs"> | { readonly inputs: readonly InputSignature[] },
  tensors: readonly Tensor[],
  what: string,
): void {
  checkCount(inputs.length, tensors, what);
  inputs.forEach((input, i) => {
    checkFloat(input.name, tensors[i], what);
    checkShape(input, tensors[i], what);
    checkFinite(input.name, tensors[i], what);
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

function checkFloat(name: string, { dtype }: Tensor, what: string): void {
  if (dtype !== "float32" && dtype !== "float64") {
    throw new SottoError(
      "BAD_DTYPE",
      `${what} ${name}`,
      `expected float32 or float64, got ${dtype}; convert it first`,
    );
  }
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

function checkFinite(name: string, { data }: Tensor, what: string): void {
  const index = data.findIndex((value) => !Number.isFinite(value));
  if (index >= 0) {
    throw new SottoError(
      "BAD_VALUE",
      `${what} ${name}`,
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
