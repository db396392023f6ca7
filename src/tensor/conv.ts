/**
 * Convolution over any number of spatial axes, as a matrix product of the kernels with the input's windows laid out as
 * columns (im2col). The terms of one sum run over input channels first, then over the kernel in C order.
 * @module
 */
import { SottoError } from "../errors.ts";
import { multiplyInto } from "./matmul.ts";
import { transpose } from "./strided.ts";
import { allocate, cast, promote, sizeOf, tensor } from "./tensor.ts";
import type { Shape, Tensor } from "./tensor.ts";

/** A sliding window; every list has one entry per spatial axis, `pads` first all begins and then all ends. */
export interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly pads: readonly number[];
  readonly dilations: readonly number[];
}

/** Where each element of each window comes from. */
export interface WindowGather {
  /** Number of window positions along each spatial axis. */
  readonly positions: Shape;
  /**
   * Element `tap * sizeOf(positions) + position` is the spatial index that the tap of the kernel reads at that
   * position, -1 in the padding.
   */
  readonly indices: Int32Array;
}

// Far above any model that can run encrypted; keeps a damaged file from asking for all the memory.
const mostTaps = 2 ** 23;

/** Number of positions of a window along each spatial axis. Throws BAD_SHAPE when it fits nowhere, or far too often. */
export function windowPositions(spatial: Shape, window: Window): number[] {
  const rank = spatial.length;
  const positions = spatial.map((size, axis) => {
    const extent = (window.kernel[axis] - 1) * window.dilations[axis] + 1;
    const padded = size + window.pads[axis] + window.pads[axis + rank];
    if (padded < extent) {
      const got = `a window of ${extent} does not fit ${padded} along spatial axis ${axis}`;
      throw new SottoError("BAD_SHAPE", "window", got);
    }
    return Math.floor((padded - extent) / window.strides[axis]) + 1;
  });
  if (sizeOf(window.kernel) * sizeOf(positions) <= mostTaps) return positions;
  const got = `a window of [${window.kernel.join(", ")}] at [${positions.join(", ")}] positions is too large`;
  throw new SottoError("BAD_SHAPE", "window", got);
}

/** Lays out the windows over a spatial shape, at `positions` per axis if they are not all those that fit. */
export function gatherWindows(
  spatial: Shape,
  window: Window,
  positions: Shape = windowPositions(spatial, window),
): WindowGather {
  let indices: Int32Array = Int32Array.of(0);
  let taken = 1;
  for (let axis = 0; axis < spatial.length; axis++) {
    const line = gatherAxis(spatial, window, axis, positions[axis]);
    indices = crossAxis(indices, taken, line, { size: spatial[axis], steps: positions[axis] });
    taken *= positions[axis];
  }
  return { positions, indices };
}

/** Index read by each tap (major) at each position (minor) along one axis. */
function gatherAxis(spatial: Shape, window: Window, axis: number, positions: number): Int32Array {
  const line = new Int32Array(window.kernel[axis] * positions);
  for (let i = 0; i < line.length; i++) {
    const tap = Math.floor(i / positions) * window.dilations[axis];
    const index = (i % positions) * window.strides[axis] + tap - window.pads[axis];
    line[i] = index >= 0 && index < spatial[axis] ? index : -1;
  }
  return line;
}

/** Extends the indices over the leading axes (`taken` positions per tap) by one more axis. */
function crossAxis(
  outer: Int32Array,
  taken: number,
  line: Int32Array,
  { size, steps }: { size: number; steps: number },
): Int32Array {
  const crossed = new Int32Array(outer.length * line.length);
  const lineTaps = line.length / steps;
  for (let o = 0; o < outer.length; o++) {
    const tap = Math.floor(o / taken);
    for (let l = 0; l < line.length; l++) {
      const at =
        ((tap * lineTaps + Math.floor(l / steps)) * taken + (o % taken)) * steps + (l % steps);
      crossed[at] = outer[o] < 0 || line[l] < 0 ? -1 : outer[o] * size + line[l];
    }
  }
  return crossed;
}

/** How a convolution slides over its input; the kernel's size is that of its weights. */
export interface ConvOptions extends Omit<Window, "kernel"> {
  /** Channels are split into this many groups, each with its own share of the filters. */
  readonly group: number;
  /** One number per filter, added after the sum. Default: none. */
  readonly bias?: Tensor | undefined;
}

/** Convolution of `input` [batch, channels, ...spatial] with `weights` [filters, channels / group, ...kernel]. */
export function conv(input: Tensor, weights: Tensor, options: ConvOptions): Tensor {
  const { group, bias } = options;
  const [batch, channels, ...spatial] = input.shape;
  const [filters, perGroup, ...kernel] = weights.shape;
  if (channels !== perGroup * group || filters % group !== 0) {
    const got = `${channels} channels, ${filters} filters of ${perGroup} channels, ${group} groups`;
    throw new SottoError("BAD_SHAPE", "conv", `channels do not match: ${got}`);
  }
  const product = promote(input.dtype, weights.dtype);
  const dtype = bias ? promote(product, bias.dtype) : product;
  const { positions, indices } = gatherWindows(spatial, { ...options, kernel });
  const shape = [batch, filters, ...positions];
  const points = sizeOf(positions);
  const pixels = sizeOf(spatial);
  const terms = perGroup * sizeOf(kernel);
  const rows = filters / group;
  const source = cast(input, dtype).data;
  const kernels = cast(weights, dtype).data;
  const data = allocate(dtype, sizeOf(shape));
  const columns = allocate(dtype, terms * points);
  for (let block = 0; block < batch * group; block++) {
    const first = block * perGroup * pixels;
    layOut(columns, source.subarray(first, first + perGroup * pixels), indices, pixels);
    const start = (block % group) * rows * terms;
    const kernel = kernels.subarray(start, start + rows * terms);
    const out = data.subarray(block * rows * points, (block + 1) * rows * points);
    multiplyInto(out, kernel, columns, terms, points);
  }
  if (bias) addPerChannel(data, cast(bias, dtype).data, points);
  return tensor(dtype, shape, data);
}

/** Fills `columns` with the windows of each channel in turn. */
function layOut(
  columns: Float32Array | Float64Array,
  source: Float32Array | Float64Array,
  indices: Int32Array,
  pixels: number,
): void {
  for (let start = 0, at = 0; at < columns.length; start += pixels) {
    for (let i = 0; i < indices.length; i++) {
      columns[at++] = indices[i] < 0 ? 0 : source[start + indices[i]];
    }
  }
}

/** Adds bias[channel] to every run of `points` elements. */
function addPerChannel(
  data: Float32Array | Float64Array,
  bias: Float32Array | Float64Array,
  points: number,
): void {
  for (let i = 0, at = 0; at < data.length; i = (i + 1) % bias.length) {
    for (let p = 0; p < points; p++) data[at++] += bias[i];
  }
}

/** How a transposed convolution slides over its result. */
export interface ConvTransposeOptions extends ConvOptions {
  /** Sizes of the result's spatial axes. */
  readonly result: Shape;
}

/**
 * Transposed convolution of `input` [batch, channels, ...positions] with `weights` [channels, filters / group, ...kernel]:
 * each element adds its multiple of a kernel to the window at its position in the result.
 */
export function convTranspose(
  input: Tensor,
  weights: Tensor,
  options: ConvTransposeOptions,
): Tensor {
  const { group, bias, result } = options;
  const [batch, channels, ...positions] = input.shape;
  const [, filters, ...kernel] = weights.shape;
  const product = promote(input.dtype, weights.dtype);
  const dtype = bias ? promote(product, bias.dtype) : product;
  const { indices } = gatherWindows(result, { ...options, kernel }, positions);
  const points = sizeOf(positions);
  const pixels = sizeOf(result);
  const terms = filters * sizeOf(kernel);
  const rows = channels / group;
  const source = cast(input, dtype).data;
  const kernels = cast(weights, dtype).data;
  const shape = [batch, filters * group, ...result];
  const data = allocate(dtype, sizeOf(shape));
  for (let block = 0; block < batch * group; block++) {
    const start = (block % group) * rows;
    const flipped = transpose(
      tensor(dtype, [rows, terms], kernels.subarray(start * terms, (start + rows) * terms)),
    );
    const columns = allocate(dtype, terms * points);
    const from = source.subarray(block * rows * points, (block + 1) * rows * points);
    multiplyInto(columns, flipped.data, from, rows, points);
    const out = data.subarray(block * filters * pixels, (block + 1) * filters * pixels);
    scatter(out, columns, indices, pixels);
  }
  if (bias) addPerChannel(data, cast(bias, dtype).data, pixels);
  return tensor(dtype, shape, data);
}

/** Adds the windows of each channel in turn to where they lie in `target`. */
function scatter(
  target: Float32Array | Float64Array,
  columns: Float32Array | Float64Array,
  indices: Int32Array,
  pixels: number,
): void {
  for (let start = 0, at = 0; at < columns.length; start += pixels) {
    for (let i = 0; i < indices.length; i++, at++) {
      if (indices[i] >= 0) target[start + indices[i]] += columns[at];
    }
  }
}
