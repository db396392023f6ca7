/**
 * How good outputs are: a loss for every row, so that two settings are compared row by row. The reference is what the user
 * labelled, or the float model itself.
 * @module
 */
import { SottoError } from "../errors.ts";
import { type Tensor, sizeOf } from "../tensor/tensor.ts";

/**
 * "accuracy": share of largest outputs (along the last axis) at the place that the label names, or at the float model's
 * place where there are no labels. "error": mean distance to the labels or the float model's outputs, as a share of
 * their mean deviation from their mean.
 */
export type MetricName = "accuracy" | "error";

/** Judges outputs on fixed rows. */
export interface Judge {
  readonly metric: MetricName;
  /** Losses of the float model, one per row; 0 where it is the reference. */
  readonly floatLosses: Float64Array;
  /** One loss per row; 0 is perfect. */
  losses(outputs: readonly Tensor[]): Float64Array;
  /** Mean distance to the float model's outputs, as "error" counts it: finer than right and wrong. */
  distance(outputs: readonly Tensor[]): number;
}

/** The judge of some rows, given the float model's outputs for them. Throws BAD_SHAPE on labels that fit no output. */
export function judgeOf(
  wanted: MetricName | "auto",
  floats: readonly Tensor[],
  labels: Tensor | null,
): Judge {
  const metric = wanted === "auto" ? metricFor(floats, labels) : wanted;
  const losses = metric === "accuracy" ? accuracyLoss(floats, labels) : errorLoss(floats, labels);
  const toFloats = errorLoss(floats, null);
  return {
    metric,
    floatLosses: losses(floats),
    losses,
    distance: (outputs) => mean(toFloats(outputs)),
  };
}

/** Arithmetic mean; 0 of nothing. */
export function mean(values: Float64Array): number {
  return values.length === 0 ? 0 : values.reduce((sum, x) => sum + x, 0) / values.length;
}

/** Scores are compared where one output has several columns, unless labels have as many; distances elsewhere. */
function metricFor(floats: readonly Tensor[], labels: Tensor | null): MetricName {
  const [first, ...others] = floats;
  const columns = first.shape[first.shape.length - 1];
  if (others.length > 0 || first.shape.length < 2 || columns < 2) return "error";
  return labels === null || labels.data.length === first.data.length / columns
    ? "accuracy"
    : "error";
}

type Losses = (outputs: readonly Tensor[]) => Float64Array;

function accuracyLoss(floats: readonly Tensor[], labels: Tensor | null): Losses {
  const [first] = floats;
  const columns = first.shape[first.shape.length - 1] ?? 1;
  const places = first.data.length / columns;
  const rows = first.shape[0];
  if (floats.length > 1 || columns < 2 || (labels && labels.data.length !== places)) {
    const got = floats.map(({ shape }) => `[${shape.join(", ")}]`).join(" and ");
    const label = labels ? ` and labels of shape [${labels.shape.join(", ")}]` : "";
    throw new SottoError(
      "BAD_SHAPE",
      "tuning.metric",
      `expected one output with a column per class and one label per row for "accuracy", got outputs ${got}${label}; use "error"`,
    );
  }
  const right = labels?.data ?? largest(first, columns);
  return ([output]) => {
    const found = largest(output, columns);
    const losses = new Float64Array(rows);
    const share = rows / places;
    found.forEach((place, i) => {
      if (place !== right[i]) losses[Math.floor(i * share)] += share;
    });
    return losses;
  };
}

/** Index of the largest element of every group of `columns`; the first of equal ones. */
function largest({ data }: Tensor, columns: number): Float64Array {
  const places = new Float64Array(data.length / columns);
  for (let i = 0; i < places.length; i++) {
    let best = 0;
    for (let c = 1; c < columns; c++) {
      if (data[i * columns + c] > data[i * columns + best]) best = c;
    }
    places[i] = best;
  }
  return places;
}

function errorLoss(floats: readonly Tensor[], labels: Tensor | null): Losses {
  const targets = labels === null ? floats : [labels];
  const sizes = floats.map(({ shape }) => sizeOf(shape));
  if (labels !== null && (floats.length > 1 || sizeOf(labels.shape) !== sizes[0])) {
    throw new SottoError(
      "BAD_SHAPE",
      "tuning.labels",
      `expected one value per value of the model's only output (${sizes.join(" and ")}), got ${sizeOf(labels.shape)}`,
    );
  }
  const spreads = targets.map((target, i) => spreadOf(target, floats[i].shape[0]));
  const rows = floats[0].shape[0];
  return (outputs) => {
    const losses = new Float64Array(rows);
    outputs.forEach(({ data }, i) => {
      const width = data.length / rows;
      const share = 1 / (width * outputs.length * spreads[i]);
      data.forEach((x, at) => {
        losses[Math.floor(at / width)] += Math.abs(x - targets[i].data[at]) * share;
      });
    });
    return losses;
  };
}

/** Mean distance of values to the mean of their column; 1 where all rows are equal. */
function spreadOf({ data }: Tensor, rows: number): number {
  const width = data.length / rows;
  const means = new Float64Array(width);
  data.forEach((x, at) => {
    means[at % width] += x / rows;
  });
  let sum = 0;
  data.forEach((x, at) => {
    sum += Math.abs(x - means[at % width]);
  });
  return sum > 0 ? sum / data.length : 1;
}
