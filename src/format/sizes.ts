/**
 * Sizes of what travels between client and server, known from the client spec alone (docs/format.md). Safe in browsers.
 * @module
 */
import { packedBits } from "../parameters/cost.ts";
import { WHOLE, outputBytes as wordBytes } from "../parameters/parameters.ts";
import { FRAME_BYTES } from "./blob.ts";
import { type ClientSpec, valuesOf } from "./client-spec.ts";

/** Bytes of the encrypted inputs of one row: header, digest, counts, the seed of all masks, and the bodies. */
export function inputBytes({ parameters, inputs }: ClientSpec): number {
  const bits = packedBits(64, parameters.glweNoiseStd);
  const bodies = inputs.map((port) =>
    Math.ceil((valuesOf(port) * (port.isEncrypted ? bits : 64)) / 8),
  );
  return FRAME_BYTES + 4 + 4 * inputs.length + 16 + bodies.reduce((sum, bytes) => sum + bytes, 0);
}

/** Bytes of the encrypted outputs of one row: header, digest, counts and forms, and the words of the ciphertexts. */
export function outputBytes({ parameters, outputs }: ClientSpec): number {
  const bytes = outputs.map((port) => wordBytes(parameters, port.form ?? WHOLE, valuesOf(port)));
  return FRAME_BYTES + 4 + 12 * outputs.length + bytes.reduce((sum, size) => sum + size, 0);
}
