/**
 * Operators that choose elements by their index.
 * @module
 */
import { SottoError } from "../../errors.ts";
import { gatherWindows, windowPositions, type Window } from "../../tensor/conv.ts";
import { take, takeAxes, takeOffsets, takeShape, wrapIndex } from "../../tensor/take.ts";
import type { TakePlan } from "../../tensor/take.ts";
import {
  allocate,
  reshape,
  sizeOf,
  strides,
  type Shape,
  type Tensor,
} from "../../tensor/tensor.ts";
import { entries, known, missing, numbersFrom, numbersOf, wrapAxes, wrapAxis } from "./operands.ts";
import { defineOperator, float, int, optionalInts, requiredInts, string } from "./operator.ts";
import type { Operand, Operator } from "./operator.ts";
import { resolveWindow } from "./window.ts";

type Maybe<T> = T | undefined;
type SliceInputs<T> = readonly [T, Maybe<T>?, Maybe<T>?, Maybe<T>?, Maybe<T>?];

interface SliceAttributes {
  readonly axes: readonly number[] | undefined;
  readonly ends: readonly number[] | undefined;
  readonly starts: readonly number[] | undefined;
}

/** Ranges of indices along axes; stated by inputs, or by attributes before opset 10. */
export const Slice: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 5,
  since: 1,
  attributes: { axes: optionalInts(), ends: optionalInts(), starts: optionalInts() },
  shape: (inputs: SliceInputs<Operand>, attributes) => [
    takeShape(inputs[0].shape, slicePlan(inputs, attributes)),
  ],
  evaluate: (inputs: SliceInputs<Tensor>, attributes) => {
    const [x, ...operands] = inputs;
    const [starts, ends, axes, steps] = operands.map((operand) => operand && known(operand));
    return [takeAxes(x, slicePlan([known(x), starts, ends, axes, steps], attributes))];
  },
});

function slicePlan(
  [x, startList, endList, axisList, stepList]: SliceInputs<Operand>,
  attributes: SliceAttributes,
): TakePlan {
  const starts =
    numbersFrom("Slice", "starts", startList, attributes.starts) ?? missing("Slice", "starts");
  const ends = numbersFrom("Slice", "ends", endList, attributes.ends) ?? missing("Slice", "ends");
  const stated = numbersFrom("Slice", "axes", axisList, attributes.axes);
  const axes = wrapAxes("Slice", stated ?? starts.map((_, i) => i), x.shape.length);
  const steps = numbersFrom("Slice", "steps", stepList, undefined) ?? axes.map(() => 1);
  if ([ends, axes, steps].some((list) => list.length !== starts.length) || steps.includes(0)) {
    const message = "starts, ends, axes and steps differ in length, or a step is 0";
    throw new SottoError("BAD_MODEL", "Slice", message);
  }
  const plan: (readonly number[] | undefined)[] = x.shape.map(() => undefined);
  for (const [i, axis] of axes.entries()) {
    plan[axis] = sliceRange(x.shape[axis], starts[i], ends[i], steps[i]);
  }
  return plan;
}

/** Indices from `start` to before `end`: negative ones count from the end, those outside are moved to the border. */
function sliceRange(size: number, start: number, end: number, step: number): number[] {
  const clamp = (index: number, least: number, most: number): number =>
    Math.min(Math.max(index < 0 ? index + size : index, least), most);
  const first = step > 0 ? clamp(start, 0, size) : clamp(start, 0, size - 1);
  const last = step > 0 ? clamp(end, 0, size) : clamp(end, -1, size - 1);
  const length = Math.max(Math.ceil((last - first) / step), 0);
  return entries("Slice", length, (i) => first + i * step);
}

/** Entries along an axis at the places of a tensor of indices, whose axes take the place of that one. */
export const Gather: Operator = defineOperator({
  minInputs: 2,
  maxInputs: 2,
  since: 1,
  attributes: { axis: int(0) },
  shape: ([x, indices]: readonly [Operand, Operand], { axis }) => [
    gatherShape(x.shape, indices.shape, axis),
  ],
  evaluate([x, indices]: readonly [Tensor, Tensor], { axis: stated }) {
    const axis = wrapAxis("Gather", stated, x.shape.length);
    const wrapped = indices.data.map((index) => wrapIndex(index, x.shape[axis]));
    return [reshape(take(x, axis, wrapped), gatherShape(x.shape, indices.shape, axis))];
  },
});

function gatherShape(x: Shape, indices: Shape, stated: number): number[] {
  const axis = wrapAxis("Gather", stated, x.length);
  return [...x.slice(0, axis), ...indices, ...x.slice(axis + 1)];
}

/** The element at each place, with its coordinate along `axis` replaced by an index. */
export const GatherElements: Operator = defineOperator({
  minInputs: 2,
  maxInputs: 2,
  since: 11,
  attributes: { axis: int(0) },
  shape([x, indices]: readonly [Operand, Operand], { axis }) {
    wrapAxis("GatherElements", axis, x.shape.length);
    if (indices.shape.length === x.shape.length) return [indices.shape];
    const message = `expected indices of ${x.shape.length} axes, got [${indices.shape.join(", ")}]`;
    throw new SottoError("BAD_SHAPE", "GatherElements", message);
  },
  evaluate([x, indices]: readonly [Tensor, Tensor], { axis: stated }) {
    const axis = wrapAxis("GatherElements", stated, x.shape.length);
    const own = strides(x.shape);
    const steps = strides(indices.shape);
    const offsets = indices.data.map((index, i) =>
      steps.reduce((offset, step, j) => {
        const coordinate = Math.floor(i / step) % indices.shape[j];
        return offset + (j === axis ? wrapIndex(index, x.shape[j]) : coordinate) * own[j];
      }, 0),
    );
    return [takeOffsets(x, offsets, indices.shape)];
  },
});

/** The parts of a tensor at index tuples along its leading axes, after `batch_dims` shared ones. */
export const GatherND: Operator = defineOperator({
  minInputs: 2,
  maxInputs: 2,
  since: 11,
  attributes: { batch_dims: int(0) },
  shape: ([x, indices]: readonly [Operand, Operand], { batch_dims }) => [
    gatherNdShape(x.shape, indices.shape, batch_dims),
  ],
  evaluate([x, indices]: readonly [Tensor, Tensor], { batch_dims: shared }) {
    const shape = gatherNdShape(x.shape, indices.shape, shared);
    const width = indices.shape[indices.shape.length - 1];
    const own = strides(x.shape);
    const part = sizeOf(x.shape.slice(shared + width));
    const perBatch = sizeOf(indices.shape.slice(shared, -1));
    const batchStep = sizeOf(x.shape.slice(shared));
    const offsets = Array.from({ length: sizeOf(shape) }, (_, i) => {
      const tuple = Math.floor(i / part);
      let offset = Math.floor(tuple / perBatch) * batchStep + (i % part);
      for (let j = 0; j < width; j++) {
        const axis = shared + j;
        offset += wrapIndex(indices.data[tuple * width + j], x.shape[axis]) * own[axis];
      }
      return offset;
    });
    return [takeOffsets(x, offsets, shape)];
  },
});

function gatherNdShape(x: Shape, indices: Shape, shared: number): number[] {
  const width = indices.at(-1) ?? 0;
  const isShared = x.slice(0, shared).every((size, axis) => size === indices[axis]);
  if (isShared && shared < indices.length && shared + width <= x.length) {
    return [...indices.slice(0, -1), ...x.slice(shared + width)];
  }
  const message = `indices [${indices.join(", ")}] do not fit [${x.join(", ")}]`;
  throw new SottoError("BAD_SHAPE", "GatherND", message);
}

type PadInputs<T> = readonly [T, Maybe<T>?, Maybe<T>?, Maybe<T>?];

/** Adds elements around a tensor (or removes them, with negative pads); older opsets state pads and value by attributes. */
export const Pad: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 4,
  since: 2,
  attributes: { mode: string("constant"), pads: optionalInts(), value: float(0) },
  shape: ([x, pads, , axes]: PadInputs<Operand>, attributes) => [
    takeShape(x.shape, padPlan(x.shape, { pads, axes }, attributes)),
  ],
  evaluate([x, pads, value, axes]: PadInputs<Tensor>, attributes) {
    const lists = { pads: pads && known(pads), axes: axes && known(axes) };
    const fill = value?.data[0] ?? attributes.value;
    return [takeAxes(x, padPlan(x.shape, lists, attributes), fill)];
  },
});

function padPlan(
  shape: Shape,
  lists: { readonly pads: Operand | undefined; readonly axes: Operand | undefined },
  { mode, pads: attribute }: { mode: string; pads: readonly number[] | undefined },
): TakePlan {
  const pads = numbersFrom("Pad", "pads", lists.pads, attribute) ?? missing("Pad", "pads");
  const stated = lists.axes ? numbersOf("Pad", "axes", lists.axes) : shape.map((_, axis) => axis);
  const axes = wrapAxes("Pad", stated, shape.length);
  if (pads.length !== 2 * axes.length) {
    const message = `expected ${2 * axes.length} pads, got [${pads.join(", ")}]`;
    throw new SottoError("BAD_MODEL", "Pad", message);
  }
  const plan: (readonly number[] | undefined)[] = shape.map(() => undefined);
  for (const [i, axis] of axes.entries()) {
    const [begin, end] = [pads[i], pads[i + axes.length]];
    const size = shape[axis];
    const length = Math.max(size + begin + end, 0);
    // an axis without pads stays as it is, whatever its size: a batch has any
    if (begin === 0 && end === 0) continue;
    plan[axis] = entries("Pad", length, (at) => paddedIndex(at - begin, size, mode));
  }
  return plan;
}

/** The index in the input that a place outside it takes its element from; -1 for the constant. */
function paddedIndex(at: number, size: number, mode: string): number {
  const isInside = at >= 0 && at < size;
  switch (mode) {
    case "constant":
      return isInside ? at : -1;
    case "edge":
      return Math.min(Math.max(at, 0), size - 1);
    case "reflect": {
      const period = Math.max(2 * (size - 1), 1);
      const place = ((at % period) + period) % period;
      return Math.min(place, period - place);
    }
    case "wrap":
      return ((at % size) + size) % size;
    default: {
      const message = `mode ${mode}; expected constant, edge, reflect or wrap`;
      throw new SottoError("BAD_MODEL", "Pad", message);
    }
  }
}

/** Repeats a tensor along each axis. */
export const Tile: Operator = defineOperator({
  minInputs: 2,
  maxInputs: 2,
  since: 6,
  attributes: {},
  shape: ([x, repeats]: readonly [Operand, Operand]) => [takeShape(x.shape, tilePlan(x, repeats))],
  evaluate: ([x, repeats]: readonly [Tensor, Tensor]) => [
    takeAxes(x, tilePlan(known(x), known(repeats))),
  ],
});

function tilePlan(x: Operand, repeats: Operand): TakePlan {
  const counts = numbersOf("Tile", "repeats", repeats);
  if (counts.length !== x.shape.length || counts.some((count) => count < 0)) {
    const message = `expected ${x.shape.length} repeats of at least 0, got [${counts.join(", ")}]`;
    throw new SottoError("BAD_MODEL", "Tile", message);
  }
  return x.shape.map((size, axis) =>
    counts[axis] === 1 ? undefined : entries("Tile", size * counts[axis], (i) => i % size),
  );
}

/** Keeps the upper or lower triangle of each matrix, from the k-th diagonal on. */
export const Trilu: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 2,
  since: 14,
  attributes: { upper: int(1) },
  shape: ([x]: readonly [Operand, Operand?]) => [x.shape],
  evaluate([x, diagonal]: readonly [Tensor, Tensor?], { upper }) {
    const [rows = 1, columns = 1] = x.shape.slice(-2);
    const k = diagonal?.data[0] ?? 0;
    const data = allocate(x.dtype, x.data.length);
    for (const [i, value] of x.data.entries()) {
      const offset = (i % columns) - (Math.floor(i / columns) % rows);
      data[i] = (upper ? offset >= k : offset <= k) ? value : 0;
    }
    return [{ dtype: x.dtype, shape: x.shape, data }];
  },
});

/**
 * The windows of an image as columns: [batch, channels * window size, positions]. Not part of ONNX; Concrete ML's exports
 * of torch.nn.Unfold hold it.
 */
export const Unfold: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 1,
  since: 1,
  attributes: { kernel_shape: requiredInts(), pads: optionalInts(), strides: optionalInts() },
  shape([x]: readonly [Operand], attributes) {
    const [batch, channels] = x.shape;
    const positions = windowPositions(x.shape.slice(2), unfoldWindow(x.shape, attributes));
    return [[batch, channels * sizeOf(attributes.kernel_shape), sizeOf(positions)]];
  },
  evaluate([x]: readonly [Tensor], attributes) {
    const [batch, channels, ...spatial] = x.shape;
    const { positions, indices } = gatherWindows(spatial, unfoldWindow(x.shape, attributes));
    const planes = reshape(x, [batch, channels, sizeOf(spatial)]);
    const shape = [batch, channels * sizeOf(attributes.kernel_shape), sizeOf(positions)];
    return [reshape(take(planes, 2, indices), shape)];
  },
});

function unfoldWindow(
  shape: Shape,
  attributes: {
    readonly kernel_shape: readonly number[];
    readonly pads: readonly number[] | undefined;
    readonly strides: readonly number[] | undefined;
  },
): Window {
  const { kernel_shape: kernel, pads, strides: steps } = attributes;
  const stated = { auto_pad: "NOTSET", dilations: undefined, pads, strides: steps };
  return resolveWindow("Unfold", shape.slice(2), kernel, stated);
}
