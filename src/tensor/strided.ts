/**
 * Kernels that only move elements: a result is described by its shape and by how far to step in the source along
 * each of its axes. A step of 0 repeats (broadcasting); permuted steps transpose.
 * @module
 */
import { SottoError } from "../errors.ts";
import { allocate, sameShape, sizeOf, strides } from "./tensor.ts";
import type { DType, Shape, Tensor } from "./tensor.ts";

/** Reads `input` with one source step per axis of `shape`. */
function gatherStrided<D extends DType>(
  input: Tensor<D>,
  shape: Shape,
  steps: readonly number[],
): Tensor<D> {
  const data = allocate(input.dtype, sizeOf(shape));
  if (data.length === 0) return { dtype: input.dtype, shape, data };
  const source = input.data;
  const runs = mergeAxes(shape, steps);
  const inner = runs.shape[runs.shape.length - 1];
  const innerStep = runs.steps[runs.steps.length - 1];
  let at = 0;
  for (const start of rowStarts(runs.shape, runs.steps)) {
    if (innerStep === 0) data.fill(source[start], at, (at += inner));
    else for (let i = 0; i < inner; i++) data[at++] = source[start + i * innerStep];
  }
  return { dtype: input.dtype, shape, data };
}

/** The same walk with as few axes as possible, at least one: neighbours that step evenly are one axis. */
function mergeAxes(
  shape: Shape,
  steps: readonly number[],
): { readonly shape: readonly number[]; readonly steps: readonly number[] } {
  const merged: { size: number; step: number }[] = [{ size: 1, step: 0 }];
  shape.forEach((size, axis) => {
    const last = merged[merged.length - 1];
    const step = steps[axis];
    if (size === 1) return;
    if (last.size === 1 || last.step === size * step) {
      merged[merged.length - 1] = { size: last.size * size, step };
    } else {
      merged.push({ size, step });
    }
  });
  return { shape: merged.map(({ size }) => size), steps: merged.map(({ step }) => step) };
}

/** Source offset of each row (run along the last axis) of the result. */
function rowStarts(shape: Shape, steps: readonly number[]): Float64Array {
  let starts = new Float64Array(1);
  for (let axis = 0; axis < shape.length - 1; axis++) {
    const size = shape[axis];
    const next = new Float64Array(starts.length * size);
    for (let i = 0; i < next.length; i++) {
      next[i] = starts[Math.floor(i / size)] + (i % size) * steps[axis];
    }
    starts = next;
  }
  return starts;
}

/** Source offset of every element of a result of this shape, in C order, with one source step per axis. */
export function offsetsOf(shape: Shape, steps: readonly number[]): Float64Array {
  const starts = rowStarts(shape, steps);
  if (shape.length === 0) return starts;
  const inner = shape[shape.length - 1];
  const step = steps[shape.length - 1];
  const offsets = new Float64Array(starts.length * inner);
  for (let i = 0; i < offsets.length; i++) {
    offsets[i] = starts[Math.floor(i / inner)] + (i % inner) * step;
  }
  return offsets;
}

/** Repeats a tensor along the axes where `shape` is larger, as numpy's `broadcast_to`. */
export function expand<D extends DType>(input: Tensor<D>, shape: Shape): Tensor<D> {
  if (sameShape(input.shape, shape)) return input;
  const missing = shape.length - input.shape.length;
  const own = strides(input.shape);
  const steps = shape.map((dim, axis) => {
    const size = axis < missing ? 1 : input.shape[axis - missing];
    if (missing < 0 || (size !== dim && size !== 1)) {
      const shapes = `[${input.shape.join(", ")}] to [${shape.join(", ")}]`;
      throw new SottoError("BAD_SHAPE", "expand", `cannot broadcast ${shapes}`);
    }
    return size === 1 ? 0 : own[axis - missing];
  });
  return gatherStrided(input, shape, steps);
}

/** Reorders axes: axis i of the result is axis `permutation[i]` of the input; the default reverses them. */
export function transpose<D extends DType>(
  input: Tensor<D>,
  permutation: readonly number[] = input.shape.map((_, axis) => input.shape.length - 1 - axis),
): Tensor<D> {
  const rank = input.shape.length;
  const isPermutation =
    permutation.length === rank && input.shape.every((_, axis) => permutation.includes(axis));
  if (!isPermutation) {
    const got = `got [${permutation.join(", ")}]`;
    throw new SottoError(
      "BAD_SHAPE",
      "transpose",
      `expected a permutation of ${rank} axes, ${got}`,
    );
  }
  const own = strides(input.shape);
  return gatherStrided(
    input,
    permutation.map((axis) => input.shape[axis]),
    permutation.map((axis) => own[axis]),
  );
}
