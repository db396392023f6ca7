/**
 * Poolings: each result element is made of one window of one channel.
 * @module
 */
import { gatherWindows, type Window } from "./conv.ts";
import { allocate, sizeOf } from "./tensor.ts";
import type { DType, Shape, Tensor } from "./tensor.ts";

/**
 * The window with the pads at the end enlarged so that a last, incomplete step of it counts too, unless it would start in
 * the padding: what ONNX calls `ceil_mode`.
 */
export function ceilWindow(spatial: Shape, window: Window): Window {
  const { kernel, strides, dilations } = window;
  const rank = spatial.length;
  const pads = [...window.pads];
  for (const [axis, size] of spatial.entries()) {
    const extent = (kernel[axis] - 1) * dilations[axis] + 1;
    const stride = strides[axis];
    const padded = size + pads[axis] + pads[axis + rank];
    let positions = Math.ceil((padded - extent) / stride) + 1;
    if ((positions - 1) * stride >= size + pads[axis]) positions -= 1;
    const reach = (positions - 1) * stride + extent;
    pads[axis + rank] = Math.max(reach - size - pads[axis], 0);
  }
  return { ...window, pads };
}

/** Applies `reduce` to the elements of each window of `input` [batch, channels, ...spatial], without those in the padding. */
export function pool<D extends DType>(
  input: Tensor<D>,
  window: Window,
  reduce: (elements: Float64Array) => number,
): Tensor<D> {
  const [batch, channels, ...spatial] = input.shape;
  const { positions, indices } = gatherWindows(spatial, window);
  const shape = [batch, channels, ...positions];
  const points = sizeOf(positions);
  const pixels = sizeOf(spatial);
  const taps = sizeOf(window.kernel);
  const data = allocate(input.dtype, sizeOf(shape));
  const elements = new Float64Array(taps);
  for (let i = 0; i < data.length; i++) {
    const position = i % points;
    const start = Math.floor(i / points) * pixels;
    let count = 0;
    for (let tap = 0; tap < taps; tap++) {
      const index = indices[tap * points + position];
      if (index >= 0) elements[count++] = input.data[start + index];
    }
    data[i] = reduce(elements.subarray(0, count));
  }
  return { dtype: input.dtype, shape, data };
}
