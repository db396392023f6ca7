/**
 * Sizes of what travels between client and server, known from the client spec alone (docs/format.md). Safe in browsers.
 * @module
 */
import { packedBits } from "../parameters/cost.ts";
import { sizeOf } from "../tensor/tensor.ts";
import { FRAME_BYTES } from "./blob.ts";
import { type ClientSpec, valuesOf } from "./client-spec.ts";

/** Bytes of the encrypted inputs and outputs of one row. */
export function messageBytes({ parameters, inputs, outputs }: ClientSpec): {
  readonly inputBytes: number;
  readonly outputBytes: number;
} {
  const bits = packedBits(64, parameters.glweNoiseStd);
  // One seed for all masks, then the bodies of each input; those that are not encrypted are whole words.
  const bodies = inputs.map((port) =>
    Math.ceil((valuesOf(port) * (port.isEncrypted ? bits : 64)) / 8),
  );
  const answers = outputs.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const ciphertextBytes = (parameters.glweDimension * parameters.polynomialSize + 1) * 8;
  return {
    inputBytes:
      FRAME_BYTES + 4 + 4 * inputs.length + 16 + bodies.reduce((sum, bytes) => sum + bytes, 0),
    outputBytes: FRAME_BYTES + 4 + 4 * outputs.length + ciphertextBytes * answers,
  };
}
