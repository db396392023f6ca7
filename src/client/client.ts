/**
 * The client's side: quantize, encrypt, decrypt, de-quantize with a client spec and a secret key.
 * Takes the engine as an interface, so that Node passes the native one. Safe in browsers.
 * @module
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { SottoError } from "../errors.ts";
import { type ClientSpec, decodeClientSpec } from "../format/client-spec.ts";
import type { NativeBinding, NativeClientKey, NativeControl } from "../native/binding.ts";
import { evaluate } from "../onnx/evaluate.ts";
import { encodeParameters } from "../parameters/encoding.ts";
import { binnedPorts } from "../quantization/bin-quantizer.ts";
import { checkCodes, prepareRows } from "../quantization/check.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { decodePhases, encodeCodes } from "./codec.ts";

/** The part of the engine that a client uses. */
export type ClientEngine = Pick<
  NativeBinding,
  "generateClientKey" | "loadClientKey" | "newControl"
>;

/** A client of one model; holds the secret key. */
export class Client {
  readonly spec: ClientSpec;
  readonly #engine: ClientEngine;
  readonly #parameters: Uint8Array;
  #key: NativeClientKey | null = null;

  constructor(spec: ClientSpec, engine: ClientEngine) {
    this.spec = spec;
    this.#engine = engine;
    this.#parameters = encodeParameters(spec.parameters);
  }

  /** Reads a spec from bytes. Throws BAD_BYTES. */
  static load(bytes: Uint8Array, engine: ClientEngine): Client {
    return new Client(decodeClientSpec(bytes), engine);
  }

  /** SHA-256 of the parameters block: keys and ciphertexts must carry the same. */
  get parametersDigest(): Uint8Array {
    return sha256(this.#parameters);
  }

  /** Draws a new secret key; `seed` (16 bytes) makes it reproducible and is for tests only. */
  generateKey(seed?: Uint8Array): void {
    this.#key =
      seed === undefined
        ? this.#engine.generateClientKey(this.#parameters)
        : this.#engine.generateClientKey(this.#parameters, seed);
  }

  /** Uses a saved secret key. Throws BAD_BYTES or WRONG_PARAMETERS. */
  loadKey(bytes: Uint8Array): void {
    this.#key = this.#engine.loadClientKey(bytes, this.#parameters);
  }

  /** The secret key's bytes; keep them on this machine. */
  saveKey(): Uint8Array {
    return this.#requireKey().toBytes();
  }

  /** The key id that ciphertexts and evaluation keys carry, 16 bytes. */
  get keyId(): Uint8Array {
    return this.#requireKey().keyId;
  }

  /** Evaluation keys as sent to the server. */
  evaluationKeys(control: NativeControl): Promise<Uint8Array> {
    return this.#requireKey().evaluationKeys(control);
  }

  /** The same, on this thread. */
  evaluationKeysSync(control: NativeControl): Uint8Array {
    return this.#requireKey().evaluationKeysSync(control);
  }

  /** Codes of float rows, one tensor per input. Throws BAD_DTYPE, BAD_SHAPE or BAD_VALUE. */
  quantize(rows: readonly Tensor[]): Tensor<"int64">[] {
    return prepareRows(this.spec.before, rows, "input", binnedPorts(this.spec.inputs)).map(
      (tensor, i) => this.spec.inputs[i].quantizer.quant(tensor),
    );
  }

  /** Encrypts one row of codes, one tensor per input; inputs that are declared clear are sent as they are. */
  encrypt(codes: readonly Tensor[]): Uint8Array {
    checkCodes(this.spec.inputs, codes);
    if (codes[0].shape[0] !== 1) {
      throw new SottoError(
        "BAD_SHAPE",
        "encrypt",
        `expected one row, got ${codes[0].shape[0]}; encrypt row by row`,
      );
    }
    const plaintexts = codes.map((tensor, i) => encodeCodes(this.spec.inputs[i], tensor));
    const clear = this.spec.inputs.flatMap(({ isEncrypted }, i) => (isEncrypted ? [] : [i]));
    return this.#requireKey().encrypt(this.spec.modelId, plaintexts, clear);
  }

  /** Decrypts an answer to codes, one tensor per output. Throws BAD_BYTES, WRONG_KEY or WRONG_MODEL. */
  decrypt(outputs: Uint8Array): Tensor<"int64">[] {
    const phases = this.#requireKey().decrypt(this.spec.modelId, outputs);
    return decodeOutputs(this.spec, phases);
  }

  /** Values of output codes, after what the client computes last (probabilities, labels): one tensor per output of the model. */
  dequantize(codes: readonly Tensor[]): Tensor[] {
    const floats = codes.map((tensor, i) => this.spec.outputs[i].quantizer.dequant(tensor));
    return [...evaluate(this.spec.after, floats)];
  }

  #requireKey(): NativeClientKey {
    if (this.#key) return this.#key;
    throw new SottoError(
      "BAD_ARGUMENT",
      "client",
      "expected a key, got none; make one (keygen, generateKey) or load one (loadKey) first",
    );
  }
}

/** Integers of decrypted phases, one tensor per output. Throws BAD_BYTES when their number is wrong. */
export function decodeOutputs(
  spec: ClientSpec,
  phases: readonly BigUint64Array[],
): Tensor<"int64">[] {
  return spec.outputs.map((port, i) => {
    const expected = port.shape.reduce((size, dim) => size * dim, 1);
    const got = phases[i]?.length ?? 0;
    if (phases.length !== spec.outputs.length || got !== expected) {
      throw new SottoError(
        "BAD_BYTES",
        `output ${port.name}`,
        `expected ${expected} ciphertexts, got ${got}`,
      );
    }
    return decodePhases(port, phases[i]);
  });
}
