/**
 * Tables written out: the result of every box for every combination of the constants that may differ from channel to
 * channel.
 * @module
 */
import { applyOp, applyTable } from "./apply.ts";
import { measureInterval } from "./builder.ts";
import { type TableEncoding, type TableOp, gridOf } from "./ir.ts";
import { type Tensor, allocate, float64, int64, sizeOf } from "../tensor/tensor.ts";

/** Axes along which a table's constants vary, as a shape with 1 elsewhere; the batch axis is always 1. */
export function constantShape(op: TableOp): { readonly shape: readonly number[] } {
  let shape: number[] = [1];
  const widen = (other: readonly number[]): void => {
    const rank = Math.max(shape.length, other.length);
    const at = (dims: readonly number[], axis: number): number =>
      dims[axis - (rank - dims.length)] ?? 1;
    shape = Array.from({ length: rank }, (_, axis) => Math.max(at(shape, axis), at(other, axis)));
  };
  widen(shiftsOf(op.encoding).shape);
  for (const { op: step } of op.steps) {
    if (step.kind === "list") widen([1, ...step.results.shape.slice(1)]);
    if (step.kind === "dequantize" || step.kind === "quantize") {
      const { scale, zeroPoint } = step.kind === "quantize" ? step.map : step;
      if (typeof scale !== "number") widen(scale.shape);
      if (typeof zeroPoint !== "number") widen(zeroPoint.shape);
    }
    if (step.kind === "float")
      for (const operand of step.operands) if (operand) widen(operand.shape);
  }
  return { shape };
}

/** What a table takes off its input before it reads it; 0 for most. */
export function shiftsOf(encoding: TableEncoding): Tensor {
  return (encoding.kind === "fit" ? encoding.shifts : undefined) ?? int64([1], [0]);
}

/** Which combination of constants each element of a tensor uses: its index in the constants' shape. */
export function constantIndices(
  shape: readonly number[],
  constants: readonly number[],
): Uint32Array {
  const aligned = shape.map((_, axis) => constants[axis - (shape.length - constants.length)] ?? 1);
  return Uint32Array.from({ length: sizeOf(shape) }, (_, element) => {
    let index = 0;
    let stride = 1;
    let rest = element;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const position = rest % shape[axis];
      rest = Math.floor(rest / shape[axis]);
      if (aligned[axis] > 1) index += position * stride;
      stride *= aligned[axis];
    }
    return index;
  });
}

/**
 * The table's results at the representatives of `boxes` boxes from box `first` on, for every combination of constants:
 * shape [boxes, ...constant shape without batch]. `rank` is that of the tensor, whose first axis is the batch.
 */
export function tabulate(op: TableOp, first: number, boxes: number, rank: number): Tensor {
  const { representative, step } = gridOf(op.encoding);
  const shifts = shiftsOf(op.encoding);
  const points = Float64Array.from(
    { length: boxes },
    (_, b) => representative + (first + b) * step,
  );
  if (shifts.data.length === 1)
    return tabulateAt(
      op,
      points.map((x) => x + shifts.data[0]),
      rank,
    );
  const rest = constantsOf(op, rank);
  const shiftOf = constantIndices(rest, shifts.shape.slice(-rest.length));
  const shifted = new Float64Array(boxes * shiftOf.length);
  for (let b = 0, at = 0; b < boxes; b++) {
    for (const c of shiftOf) shifted[at++] = points[b] + shifts.data[c];
  }
  return applyTable(op, float64([boxes, ...rest], shifted));
}

/**
 * The table's results for a tensor of integers. Where many integers share few boxes, each box is computed once: the same
 * numbers, in a fraction of the time.
 */
export function readTable(op: TableOp, x: Tensor): Tensor {
  const { origin, step } = gridOf(op.encoding);
  const shifts = shiftsOf(op.encoding);
  const [integers, shift] = [measureInterval(x), measureInterval(shifts)];
  const boxOf = (value: number): number => Math.floor((value - origin) / step);
  const first = boxOf(integers.lo - shift.hi);
  const boxes = boxOf(integers.hi - shift.lo) - first + 1;
  const rank = x.shape.length;
  const rest = constantsOf(op, rank);
  const classes = sizeOf(rest);
  const isSmall = 2 * boxes * classes <= x.data.length;
  // Between passes a table may read what a fit rounding gives, which are no integers.
  if (!isSmall || x.dtype !== "int64") return applyOp(op, [x]);
  const table = tabulate(op, first, boxes, rank);
  const row = [1, ...x.shape.slice(1)];
  const classOf = constantIndices(row, [1, ...rest]);
  const shiftOf = Float64Array.from(constantIndices(row, shifts.shape), (i) => shifts.data[i]);
  const data = allocate(table.dtype, x.data.length);
  for (let i = 0, at = 0; i < data.length; i++, at = at + 1 === classOf.length ? 0 : at + 1) {
    data[i] = table.data[(boxOf(x.data[i] - shiftOf[at]) - first) * classes + classOf[at]];
  }
  return { dtype: table.dtype, shape: x.shape, data };
}

/** The table's function at points, for every combination of constants: shape [points, ...constant shape without batch]. */
export function tabulateAt(op: TableOp, points: Float64Array, rank: number): Tensor {
  const rest = constantsOf(op, rank);
  const classes = sizeOf(rest);
  const repeated = new Float64Array(points.length * classes);
  points.forEach((x, i) => repeated.fill(x, i * classes, (i + 1) * classes));
  return applyTable(op, float64([points.length, ...rest], repeated));
}

/** Shape of the constants behind the batch axis of a tensor of `rank` axes. */
function constantsOf(op: TableOp, rank: number): readonly number[] {
  const { shape } = constantShape(op);
  return [...Array.from({ length: Math.max(0, rank - shape.length) }, () => 1), ...shape].slice(1);
}
