/**
 * Sizes of what travels between client and server, known from the client spec alone (docs/format.md). Safe in browsers.
 * @module
 */
import { packedBits } from "../parameters/cost.ts";
import { WHOLE, outputBytes } from "../parameters/parameters.ts";
import { FRAME_BYTES } from "./blob.ts";
import { type ClientSpec, valuesOf } from "./client-spec.ts";

/** Bytes of the encrypted inputs and outputs of one row. */
export function messageBytes({ parameters, inputs, outputs }: ClientSpec): {
  readonly inputBytes: number;
  readonly outputBytes: number;
} {
  const bits = packedBits(64, parameters.glweNoiseStd);
  const bodies = inputs.reduce(
    (sum, port) => sum + Math.ceil((valuesOf(port) * (port.isEncrypted ? bits : 64)) / 8),
    0,
  );
  const words = outputs.reduce(
    (sum, port) => sum + outputBytes(parameters, port.form ?? WHOLE, valuesOf(port)),
    0,
  );
  return {
    inputBytes: FRAME_BYTES + 4 + 4 * inputs.length + 16 + bodies,
    outputBytes: FRAME_BYTES + 4 + 12 * outputs.length + words,
  };
}
