/**
 * What a client needs and all it needs: parameters, encodings and quantizers of inputs and outputs, never weights.
 * The decoder trusts nothing (docs/format.md, kind 2). Safe in browsers.
 * @module
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { SottoError } from "../errors.ts";
import { encodeParameters } from "../parameters/encoding.ts";
import type { CryptoParameters } from "../parameters/parameters.ts";
import { verifySecurity } from "../parameters/security.ts";
import { float64, sizeOf } from "../tensor/tensor.ts";
import { UniformQuantizer } from "../quantization/quantizer.ts";
import { decodeBlob, encodeBlob, noId, toHex } from "./blob.ts";

/** One input or output of the encrypted program. */
export interface ClientPort {
  readonly name: string;
  /** Axis 0 is the batch, of size 1. */
  readonly shape: readonly number[];
  readonly quantizer: UniformQuantizer;
  /** Torus units (of 2^-64) of one integer unit. */
  readonly scale: bigint;
  /** Integer in the middle of the expected range: outputs are decoded around it. */
  readonly middle: number;
}

export interface ClientSpec {
  readonly parameters: CryptoParameters;
  /** 16 bytes; ties the spec to its program. */
  readonly modelId: Uint8Array;
  readonly inputs: readonly ClientPort[];
  readonly outputs: readonly ClientPort[];
  /** Largest failure probability of one lookup or output, and of an inference, as base 2 logarithms. */
  readonly log2PError: number;
  readonly log2GlobalPError: number;
}

const MAX_BYTES = 64 << 20;

/** Encodes a spec; the same spec gives the same bytes on every machine. */
export function encodeClientSpec(spec: ClientSpec): Uint8Array {
  const json = {
    format: 1,
    parameters: spec.parameters,
    log2PError: spec.log2PError,
    log2GlobalPError: spec.log2GlobalPError,
    inputs: spec.inputs.map(portToJson),
    outputs: spec.outputs.map(portToJson),
  };
  const header = {
    kind: "clientSpec",
    parametersDigest: sha256(encodeParameters(spec.parameters)),
    keyId: noId(),
    modelId: spec.modelId,
  } as const;
  return encodeBlob(header, new TextEncoder().encode(JSON.stringify(json)));
}

function portToJson({ name, shape, quantizer, scale, middle }: ClientPort): object {
  const { options, stats, zeroPoint } = quantizer;
  return {
    name,
    shape,
    scale: scale.toString(),
    middle,
    quantizer: {
      ...options,
      scale: quantizer.scale,
      zeroPoint:
        typeof zeroPoint === "number"
          ? zeroPoint
          : { shape: zeroPoint.shape, data: [...zeroPoint.data] },
      offset: quantizer.offset,
      ...(stats ? { rmin: stats.rmin, rmax: stats.rmax } : {}),
    },
  };
}

/** Reads a spec from bytes of unknown origin. Throws BAD_BYTES, or WRONG_PARAMETERS when they are not secure. */
export function decodeClientSpec(bytes: Uint8Array): ClientSpec {
  const { header, payload } = decodeBlob(bytes, "clientSpec", MAX_BYTES);
  const json = parseJson(payload);
  const root = new Reader(json, "client spec");
  const parameters = readParameters(root.field("parameters"));
  if (toHex(sha256(encodeParameters(parameters))) !== toHex(header.parametersDigest)) {
    throw bad("parameters", "they do not match the header's digest");
  }
  verifySecurity(parameters);
  return {
    parameters,
    modelId: header.modelId,
    inputs: root.field("inputs").list().map(readPort),
    outputs: root.field("outputs").list().map(readPort),
    log2PError: root.field("log2PError").number(),
    log2GlobalPError: root.field("log2GlobalPError").number(),
  };
}

function bad(where: string, message: string): SottoError {
  return new SottoError("BAD_BYTES", where, message);
}

function parseJson(payload: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload));
  } catch {
    throw bad("client spec", "expected UTF-8 JSON");
  }
}

/** A cursor over untrusted JSON: every access is checked. */
class Reader {
  readonly #value: unknown;
  readonly #path: string;

  constructor(value: unknown, path: string) {
    this.#value = value;
    this.#path = path;
  }

  field(name: string): Reader {
    const child = this.optional(name);
    if (child === null) throw bad(`${this.#path}.${name}`, "expected a value, got none");
    return child;
  }

  optional(name: string): Reader | null {
    const value = this.#value;
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw bad(this.#path, "expected an object");
    }
    const entry = Object.entries(value).find(([key]) => key === name);
    return entry ? new Reader(entry[1], `${this.#path}.${name}`) : null;
  }

  list(): Reader[] {
    if (!Array.isArray(this.#value)) throw bad(this.#path, "expected a list");
    return this.#value.map((item: unknown, i) => new Reader(item, `${this.#path}[${i}]`));
  }

  number(): number {
    if (typeof this.#value !== "number" || !Number.isFinite(this.#value)) {
      throw bad(this.#path, "expected a finite number");
    }
    return this.#value;
  }

  count(max: number): number {
    const value = this.number();
    if (!Number.isInteger(value) || value < 0 || value > max) {
      throw bad(this.#path, `expected an integer from 0 to ${max}, got ${value}`);
    }
    return value;
  }

  text(): string {
    if (typeof this.#value !== "string") throw bad(this.#path, "expected a string");
    return this.#value;
  }

  flag(): boolean {
    if (typeof this.#value !== "boolean") throw bad(this.#path, "expected true or false");
    return this.#value;
  }

  isNumber(): boolean {
    return typeof this.#value === "number";
  }
}

function readParameters(reader: Reader): CryptoParameters {
  const digits = (name: string): { baseLog: number; level: number } => ({
    baseLog: reader.field(name).field("baseLog").count(64),
    level: reader.field(name).field("level").count(64),
  });
  return {
    lweDimension: reader.field("lweDimension").count(1 << 16),
    glweDimension: reader.field("glweDimension").count(1 << 10),
    polynomialSize: reader.field("polynomialSize").count(1 << 20),
    bootstrap: digits("bootstrap"),
    keyswitch: digits("keyswitch"),
    lweNoiseStd: reader.field("lweNoiseStd").number(),
    glweNoiseStd: reader.field("glweNoiseStd").number(),
  };
}

function readPort(reader: Reader): ClientPort {
  const scale = reader.field("scale").text();
  if (!/^[0-9]{1,20}$/.test(scale) || BigInt(scale) === 0n || BigInt(scale) >= 2n ** 64n) {
    throw bad("client spec scale", "expected an integer from 1 to 2^64 - 1");
  }
  return {
    name: reader.field("name").text(),
    shape: readShape(reader.field("shape")),
    quantizer: readQuantizer(reader.field("quantizer")),
    scale: BigInt(scale),
    middle: Math.trunc(reader.field("middle").number()),
  };
}

function readShape(reader: Reader): number[] {
  const shape = reader.list().map((dim) => dim.count(1 << 24));
  if (shape.length === 0 || shape.length > 8 || shape[0] !== 1 || sizeOf(shape) > 1 << 24) {
    throw bad("client spec shape", "expected a batch axis of size 1 and at most 2^24 elements");
  }
  return shape;
}

function readQuantizer(reader: Reader): UniformQuantizer {
  const zeroPoint = reader.field("zeroPoint");
  const rmin = reader.optional("rmin");
  const rmax = reader.optional("rmax");
  return new UniformQuantizer({
    nBits: reader.field("nBits").count(32),
    isSigned: reader.field("isSigned").flag(),
    isSymmetric: reader.field("isSymmetric").flag(),
    isQat: reader.field("isQat").flag(),
    isNarrow: reader.field("isNarrow").flag(),
    isPrecomputedQat: reader.field("isPrecomputedQat").flag(),
    scale: reader.field("scale").number(),
    zeroPoint: zeroPoint.isNumber() ? zeroPoint.number() : readZeroPoints(zeroPoint),
    offset: reader.field("offset").number(),
    ...(rmin && rmax ? { rmin: rmin.number(), rmax: rmax.number() } : {}),
  });
}

function readZeroPoints(reader: Reader): ReturnType<typeof float64> {
  const shape = reader
    .field("shape")
    .list()
    .map((dim) => dim.count(1 << 24));
  const data = reader
    .field("data")
    .list()
    .map((value) => value.number());
  if (data.length !== sizeOf(shape))
    throw bad("client spec zeroPoint", "expected as many values as its shape has");
  return float64(shape, data);
}
