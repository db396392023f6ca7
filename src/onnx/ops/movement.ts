/**
 * Operators that give the same elements another shape or order.
 * @module
 */
import { SottoError } from "../../errors.ts";
import { expand, transpose } from "../../tensor/strided.ts";
import { take } from "../../tensor/take.ts";
import { allocate, broadcastShapes, promote, reshape, sizeOf } from "../../tensor/tensor.ts";
import type { DType, Shape as Sizes, Tensor } from "../../tensor/tensor.ts";
import { entries, known, missing, numbersFrom, sizesOf, wrapAxes, wrapAxis } from "./operands.ts";
import { defineOperator, int, optionalInts, requiredInt, string } from "./operator.ts";
import type { Operand, Operator } from "./operator.ts";

/** The input itself. */
export const Identity: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 1,
  since: 1,
  attributes: {},
  elementwise: true,
  shape: ([x]: readonly [Operand]) => [x.shape],
  evaluate: ([x]: readonly [Tensor]) => [x],
});

/** Merges the axes before `axis` into one and the others into a second. */
export const Flatten: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 1,
  since: 1,
  attributes: { axis: int(1) },
  shape: ([x]: readonly [Operand], { axis }) => [flatten(x.shape, axis)],
  evaluate: ([x]: readonly [Tensor], { axis }) => [reshape(x, flatten(x.shape, axis))],
});

function flatten(shape: Sizes, axis: number): Sizes {
  const rank = shape.length;
  if (axis < -rank || axis > rank) {
    const message = `axis ${axis} is outside [${-rank}, ${rank}]`;
    throw new SottoError("BAD_SHAPE", "Flatten", message);
  }
  const split = axis < 0 ? axis + rank : axis;
  return [sizeOf(shape.slice(0, split)), sizeOf(shape.slice(split))];
}

/** Another shape for the same elements: -1 is inferred, 0 keeps the size of that axis unless `allowzero`. */
export const Reshape: Operator = defineOperator({
  minInputs: 2,
  maxInputs: 2,
  since: 5,
  attributes: { allowzero: int(0) },
  shape([x, target]: readonly [Operand, Operand], { allowzero }) {
    if (target.value) return [reshapeTo(x.shape, target.value, allowzero)];
    const message = "the target shape is not a constant";
    throw new SottoError("UNSUPPORTED_OPERATOR", "Reshape", message);
  },
  evaluate: ([x, target]: readonly [Tensor, Tensor], { allowzero }) => [
    reshape(x, reshapeTo(x.shape, target, allowzero)),
  ],
});

function reshapeTo(shape: Sizes, target: Tensor, allowzero: number): Sizes {
  const wanted = Array.from(target.data, (dim, axis) =>
    dim === 0 && !allowzero ? (shape[axis] ?? -2) : dim,
  );
  const unknown = wanted.indexOf(-1);
  if (unknown >= 0) {
    const known = sizeOf(wanted.filter((_, axis) => axis !== unknown));
    wanted[unknown] = known > 0 ? sizeOf(shape) / known : 0;
  }
  const isValid = wanted.every((dim) => Number.isInteger(dim) && dim >= 0);
  if (target.shape.length === 1 && isValid && sizeOf(wanted) === sizeOf(shape)) return wanted;
  const shapes = `[${shape.join(", ")}] to [${target.data.join(", ")}]`;
  throw new SottoError("BAD_SHAPE", "Reshape", `cannot reshape ${shapes}`);
}

/** Drops axes of size 1: those named, by an input or before opset 13 an attribute, or all of them. */
export const Squeeze: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 2,
  since: 1,
  attributes: { axes: optionalInts() },
  shape: ([x, list]: readonly [Operand, Operand?], { axes }) => [squeeze(x.shape, list, axes)],
  evaluate: ([x, list]: readonly [Tensor, Tensor?], { axes }) => [
    reshape(x, squeeze(x.shape, list && known(list), axes)),
  ],
  // at batch 1 the axes to drop are known; at another batch size the first axis would no longer be one of them
  resolve: ([x, list]: readonly [Operand, Operand?], { axes }): { axes?: readonly number[] } => {
    if (list) return {};
    return { axes: axes ?? x.shape.flatMap((size, axis) => (size === 1 ? [axis] : [])) };
  },
});

function squeeze(
  shape: Sizes,
  list: Operand | undefined,
  axes: readonly number[] | undefined,
): Sizes {
  const stated = numbersFrom("Squeeze", "axes", list, axes);
  if (!stated) return shape.filter((size) => size !== 1);
  const dropped = wrapAxes("Squeeze", stated, shape.length);
  const large = dropped.find((axis) => shape[axis] !== 1);
  if (large === undefined) return shape.filter((_, axis) => !dropped.includes(axis));
  const message = `axis ${large} of [${shape.join(", ")}] is not of size 1`;
  throw new SottoError("BAD_SHAPE", "Squeeze", message);
}

/** Adds axes of size 1 at the places that `axes` names in the result. */
export const Unsqueeze: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 2,
  since: 1,
  attributes: { axes: optionalInts() },
  shape: ([x, list]: readonly [Operand, Operand?], { axes }) => [unsqueeze(x.shape, list, axes)],
  evaluate: ([x, list]: readonly [Tensor, Tensor?], { axes }) => [
    reshape(x, unsqueeze(x.shape, list && known(list), axes)),
  ],
});

function unsqueeze(
  shape: Sizes,
  list: Operand | undefined,
  axes: readonly number[] | undefined,
): Sizes {
  const stated =
    numbersFrom("Unsqueeze", "axes", list, axes) ?? missing("Unsqueeze", "the list of axes");
  const rank = shape.length + stated.length;
  const added = wrapAxes("Unsqueeze", stated, rank);
  const rest = [...shape];
  return Array.from({ length: rank }, (_, axis) =>
    added.includes(axis) ? 1 : (rest.shift() ?? 1),
  );
}

/** Reorders axes; by default reverses them. */
export const Transpose: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 1,
  since: 1,
  attributes: { perm: optionalInts() },
  shape([x]: readonly [Operand], { perm }) {
    const order = perm ?? x.shape.map((_, axis) => x.shape.length - 1 - axis);
    const wrapped = wrapAxes("Transpose", order, x.shape.length);
    if (wrapped.length === x.shape.length) return [wrapped.map((axis) => x.shape[axis])];
    const message = `expected a permutation of ${x.shape.length} axes, got [${order.join(", ")}]`;
    throw new SottoError("BAD_SHAPE", "Transpose", message);
  },
  evaluate: ([x]: readonly [Tensor], { perm }) => [transpose(x, perm)],
});

/** Broadcasts to the common shape of the input and the target. */
export const Expand: Operator = defineOperator({
  minInputs: 2,
  maxInputs: 2,
  since: 8,
  attributes: {},
  shape: ([x, target]: readonly [Operand, Operand]) => [
    broadcastShapes(x.shape, sizesOf("Expand", "the target shape", target)),
  ],
  evaluate: ([x, target]: readonly [Tensor, Tensor]) => [
    expand(x, broadcastShapes(x.shape, [...target.data])),
  ],
});

/** Joins tensors along an axis. */
export const Concat: Operator = defineOperator({
  minInputs: 1,
  maxInputs: Infinity,
  since: 4,
  attributes: { axis: requiredInt() },
  shape: (inputs: readonly Operand[], { axis }) => [
    joinedShape(
      inputs.map(({ shape }) => shape),
      axis,
    ),
  ],
  evaluate: (inputs: readonly Tensor[], { axis }) => [join(inputs, axis)],
});

function joinedShape(shapes: readonly Sizes[], stated: number): number[] {
  const [first] = shapes;
  const axis = wrapAxis("Concat", stated, first.length);
  const isJoinable = shapes.every(
    (shape) =>
      shape.length === first.length && shape.every((size, i) => i === axis || size === first[i]),
  );
  if (!isJoinable) {
    const list = shapes.map((shape) => `[${shape.join(", ")}]`).join(", ");
    throw new SottoError("BAD_SHAPE", "Concat", `cannot join ${list} along axis ${axis}`);
  }
  const length = shapes.reduce((total, shape) => total + shape[axis], 0);
  return first.map((size, i) => (i === axis ? length : size));
}

function join(tensors: readonly Tensor[], stated: number): Tensor {
  const shape = joinedShape(
    tensors.map((tensor) => tensor.shape),
    stated,
  );
  const axis = wrapAxis("Concat", stated, shape.length);
  const dtype = tensors.map((tensor) => tensor.dtype).reduce((a: DType, b) => promote(a, b));
  const data = allocate(dtype, sizeOf(shape));
  const row = sizeOf(shape.slice(axis));
  let column = 0;
  for (const { shape: own, data: source } of tensors) {
    const length = sizeOf(own.slice(axis));
    for (let from = 0, to = column; from < source.length; from += length, to += row) {
      data.set(source.subarray(from, from + length), to);
    }
    column += length;
  }
  return { dtype, shape, data };
}

/** Cuts a tensor along an axis, into parts of given lengths or into `num_outputs` parts as equal as possible. */
export const Split: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 2,
  maxOutputs: Infinity,
  since: 2,
  attributes: { axis: int(0), split: optionalInts(), num_outputs: int(undefined) },
  shape([x, list]: readonly [Operand, Operand?], attributes) {
    const axis = wrapAxis("Split", attributes.axis, x.shape.length);
    const lengths = splitLengths(x.shape[axis], list, attributes);
    return lengths.map((length) => x.shape.map((size, i) => (i === axis ? length : size)));
  },
  evaluate([x, list]: readonly [Tensor, Tensor?], attributes) {
    const axis = wrapAxis("Split", attributes.axis, x.shape.length);
    const lengths = splitLengths(x.shape[axis], list && known(list), attributes);
    let start = 0;
    return lengths.map((length) => {
      const indices = Array.from({ length }, (_, i) => start + i);
      start += length;
      return take(x, axis, indices);
    });
  },
  resolve(
    [, list]: readonly [Operand, Operand?],
    { axis, split, num_outputs },
    { outputCount },
  ): Record<string, number | readonly number[]> {
    if (list) return { axis };
    return split ? { axis, split } : { axis, num_outputs: num_outputs ?? outputCount };
  },
});

function splitLengths(
  size: number,
  list: Operand | undefined,
  {
    split,
    num_outputs: count,
  }: { split: readonly number[] | undefined; num_outputs?: number | undefined },
): readonly number[] {
  const lengths = numbersFrom("Split", "split", list, split) ?? equalLengths(size, count);
  const isValid = lengths.every((length) => length >= 0);
  if (isValid && lengths.reduce((a, b) => a + b, 0) === size) return lengths;
  const message = `cannot split ${size} elements into [${lengths.join(", ")}]`;
  throw new SottoError("BAD_SHAPE", "Split", message);
}

function equalLengths(size: number, count: number | undefined): readonly number[] {
  if (count === undefined || count < 1) return missing("Split", "the number of parts");
  const length = Math.ceil(size / count);
  return entries("Split", count, (i) => Math.max(Math.min(length, size - i * length), 0));
}

/** Moves blocks of channels into space: `mode` says whether a channel's block (DCR) or the channel (CRD) comes first. */
export const DepthToSpace: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 1,
  since: 1,
  attributes: { blocksize: requiredInt(), mode: string("DCR") },
  shape([x]: readonly [Operand], { blocksize, mode }) {
    if (mode !== "DCR" && mode !== "CRD") {
      throw new SottoError("BAD_MODEL", "DepthToSpace", `mode ${mode}; expected DCR or CRD`);
    }
    const [batch, channels, height, width] = imageShape("DepthToSpace", x.shape);
    checkBlocks("DepthToSpace", channels, blocksize * blocksize);
    return [[batch, channels / blocksize ** 2, height * blocksize, width * blocksize]];
  },
  evaluate([x]: readonly [Tensor], { blocksize: b, mode }) {
    const [n, c, h, w] = imageShape("DepthToSpace", x.shape);
    const depth = c / (b * b);
    const ordered =
      mode === "DCR"
        ? transpose(reshape(x, [n, b, b, depth, h, w]), [0, 3, 4, 1, 5, 2])
        : transpose(reshape(x, [n, depth, b, b, h, w]), [0, 1, 4, 2, 5, 3]);
    return [reshape(ordered, [n, depth, h * b, w * b])];
  },
});

/** Moves blocks of pixels into channels. */
export const SpaceToDepth: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 1,
  since: 1,
  attributes: { blocksize: requiredInt() },
  shape([x]: readonly [Operand], { blocksize }) {
    const [batch, channels, height, width] = imageShape("SpaceToDepth", x.shape);
    checkBlocks("SpaceToDepth", height, blocksize);
    checkBlocks("SpaceToDepth", width, blocksize);
    return [[batch, channels * blocksize ** 2, height / blocksize, width / blocksize]];
  },
  evaluate([x]: readonly [Tensor], { blocksize: b }) {
    const [n, c, h, w] = imageShape("SpaceToDepth", x.shape);
    const blocks = reshape(x, [n, c, h / b, b, w / b, b]);
    return [reshape(transpose(blocks, [0, 3, 5, 1, 2, 4]), [n, c * b * b, h / b, w / b])];
  },
});

function imageShape(operator: string, shape: Sizes): Sizes {
  if (shape.length === 4) return shape;
  const message = `expected 4 axes, got [${shape.join(", ")}]`;
  throw new SottoError("BAD_SHAPE", operator, message);
}

function checkBlocks(operator: string, size: number, block: number): void {
  if (block >= 1 && size % block === 0) return;
  throw new SottoError("BAD_SHAPE", operator, `${size} is not a multiple of ${block}`);
}
