/**
 * Which rows calibrate and which rows judge. Nothing is judged on rows that calibrated it: without rows of their own for
 * validation, calibration rows are dealt into three folds.
 * @module
 */
import { SottoError } from "../errors.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";

/** Rows that calibrate, and rows that judge with the true answers where there are some. */
export interface Split {
  /** Splits with equal names have the same calibration rows. */
  readonly name: string;
  readonly calibration: readonly Tensor[];
  readonly rows: readonly Tensor[];
  readonly labels: Tensor | null;
}

/** Rows for a search, and others for the scores of what it found. */
export interface Splits {
  readonly search: Split;
  readonly confirm: readonly Split[];
}

const FOLDS = 3;
/** Fewer rows than this per fold say nothing. */
const LEAST_ROWS = 4;

/** What a caller gives: labels belong to `validation` where it is given, else to the calibration rows. */
export interface GivenRows {
  readonly calibration: readonly Tensor[];
  readonly validation: readonly Tensor[] | null;
  readonly labels: Tensor | null;
  /** Most rows that any split is judged on. */
  readonly maxRows: number;
}

/** Deals rows out. Throws BAD_SHAPE when labels do not fit the rows or when there are too few rows. */
export function splitsOf(given: GivenRows): Splits {
  const { calibration, validation, labels, maxRows } = given;
  const judged = validation ?? calibration;
  const count = judged[0]?.shape[0] ?? 0;
  checkCounts(count, labels, validation !== null);
  const pick = (tensors: readonly Tensor[], keep: (row: number) => boolean): Tensor[] =>
    tensors.map((full) => pickRows(full, keep));
  const split = (name: string, own: readonly Tensor[], judges: Judges): Split => {
    const keep = firstOf(judges, count, maxRows);
    return {
      name,
      calibration: own,
      rows: pick(judged, keep),
      labels: labels === null ? null : pickRows(labels, keep),
    };
  };
  if (validation !== null) {
    return {
      search: split("all", calibration, (row) => row % 2 === 0),
      confirm: [split("all", calibration, (row) => row % 2 === 1)],
    };
  }
  const [search, ...confirm] = Array.from({ length: FOLDS }, (_, fold) =>
    split(
      `without fold ${fold}`,
      pick(calibration, (row) => row % FOLDS !== fold),
      (row) => row % FOLDS === fold,
    ),
  );
  return { search, confirm };
}

type Judges = (row: number) => boolean;

/** Of the rows that may judge the first `most`. */
function firstOf(judges: Judges, count: number, most: number): Judges {
  let left = most;
  const kept = Array.from({ length: count }, (_, row) => judges(row) && left-- > 0);
  return (row) => kept[row];
}

function checkCounts(count: number, labels: Tensor | null, isValidation: boolean): void {
  const what = isValidation ? "tuning.rows" : "calibration";
  const least = LEAST_ROWS * (isValidation ? 2 : FOLDS);
  if (count < least) {
    const advice = isValidation ? "" : ", since a part of them judges; or give tuning.rows";
    const message = `expected at least ${least} rows to judge settings by${advice}, got ${count}`;
    throw new SottoError("BAD_SHAPE", what, message);
  }
  if (labels !== null && labels.shape[0] !== count) {
    const message = `expected one label per row of ${what} (${count}), got ${labels.shape[0] ?? 0}`;
    throw new SottoError("BAD_SHAPE", "tuning.labels", message);
  }
}

/** Some rows of a tensor, in their order. */
export function pickRows({ dtype, shape, data }: Tensor, keep: (row: number) => boolean): Tensor {
  const [count, ...rest] = shape;
  const size = data.length / count;
  const picked = Array.from({ length: count }, (_, row) => row).filter(keep);
  const out = data.slice(0, picked.length * size);
  picked.forEach((row, i) => out.set(data.subarray(row * size, (row + 1) * size), i * size));
  return tensor(dtype, [picked.length, ...rest], out);
}
