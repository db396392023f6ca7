/**
 * Checks of rows that come from outside, against the inputs of a graph.
 * @module
 */
import { SottoError } from "../errors.ts";
import { evaluate } from "../onnx/evaluate.ts";
import type { Graph } from "../onnx/graph.ts";
import { type DType, type Tensor, cast } from "../tensor/tensor.ts";

/** What the check needs to know of an input. */
export interface InputSignature {
  readonly name: string;
  /** Axis 0 is the batch; null or a name is any size. */
  readonly shape: readonly (number | string | null)[];
}

/**
 * Checks that there is one good tensor of rows per input of the client's first graph, and runs that: floats to be quantized.
 * Those named in `treeInputs` are read by trees: they may hold NaN, and float32 ones are compared in float32, whatever the rows
 * come as. Throws EMPTY_CALIBRATION, BAD_DTYPE, BAD_SHAPE or BAD_VALUE.
 */
export function prepareRows(
  before: Graph,
  tensors: readonly Tensor[],
  what: string,
  treeInputs: ReadonlySet<string> = new Set(),
): Tensor[] {
  checkCount(before.inputs.length, tensors, what);
  const isPassing = before.nodes.length === 0;
  const rows = before.inputs.map(({ name, dtype }, i) => {
    const where = `${what} ${name}`;
    checkShape({ name, shape: before.shapes.get(name) ?? [] }, tensors[i], what);
    if (dtype !== "float32" && dtype !== "float64") return wholeNumbers(where, tensors[i], dtype);
    checkFloat(where, tensors[i]);
    if (isPassing) checkFinite(where, tensors[i], treeInputs.has(name));
    return tensors[i];
  });
  return evaluate(before, rows).map((result, i) => {
    // Missing values may be what the client's first steps are there to fill.
    const { name, dtype } = before.outputs[i];
    if (!isPassing) checkFinite(`${what} ${name}`, result, treeInputs.has(name));
    const isFloat = result.dtype === "float32" || result.dtype === "float64";
    const isSingle = !isFloat || (dtype === "float32" && treeInputs.has(name));
    return isSingle ? cast(result, "float32") : result;
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

/** Whole numbers may come as any type; their range is checked where they are used. */
function wholeNumbers(where: string, x: Tensor, dtype: DType): Tensor {
  const index = x.data.findIndex((element) => !Number.isInteger(element));
  if (index < 0 && (x.dtype === "bool") === (dtype === "bool")) return cast(x, dtype);
  const got = index < 0 ? x.dtype : `${x.data[index]} at element ${index}`;
  throw new SottoError("BAD_DTYPE", where, `expected whole numbers (${dtype}), got ${got}`);
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

function checkFinite(where: string, { data }: Tensor, treeInputs: boolean): void {
  const index = data.findIndex(
    (value) => !Number.isFinite(value) && !(treeInputs && Number.isNaN(value)),
  );
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
