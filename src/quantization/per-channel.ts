/**
 * Weights with one scale per output channel: a channel of small weights keeps all its levels beside one of large weights.
 * It costs nothing in the circuit, because the accumulator of each channel is de-quantized with its own scale.
 * @module
 */
import { type Tensor, float64, sizeOf } from "../tensor/tensor.ts";
import { QuantizedArray } from "./array.ts";

/** Signed symmetric codes of `nBits` bits, with a scale for each index of `axis`; a channel of zeros has scale 1. */
export function quantizePerChannel(nBits: number, values: Tensor, axis: number): QuantizedArray {
  const channels = values.shape[axis];
  const inner = sizeOf(values.shape.slice(axis + 1));
  const largest = new Float64Array(channels);
  values.data.forEach((value, i) => {
    const channel = Math.floor(i / inner) % channels;
    largest[channel] = Math.max(largest[channel], Math.abs(value));
  });
  const highest = 2 ** (nBits - 1) - 1;
  const shape = values.shape.map((dim, i) => (i === axis ? dim : 1));
  const scale = float64(
    shape,
    largest.map((limit) => (limit === 0 ? 1 : limit / highest)),
  );
  return new QuantizedArray(nBits, values, {
    isSigned: true,
    isSymmetric: true,
    scale,
    zeroPoint: 0,
    offset: 2 ** (nBits - 1),
  });
}
