/**
 * What a client needs and all it needs: parameters, encodings and quantizers of inputs and outputs, what is computed before
 * and after them, never the weights of the model.
 * The decoder trusts nothing (docs/format.md, kind 2). Safe in browsers.
 * @module
 */
import { sha256 } from "@noble/hashes/sha2.js";
import type { Graph } from "../onnx/graph.ts";
import { decodeParameters, encodeParameters } from "../parameters/encoding.ts";
import {
  type CryptoParameters,
  type OutputForm,
  WHOLE,
  wordBits,
} from "../parameters/parameters.ts";
import { verifySecurity } from "../parameters/security.ts";
import type { PerChannel } from "../tensor/codes.ts";
import { float64, sameShape, sizeOf } from "../tensor/tensor.ts";
import { BinQuantizer } from "../quantization/bin-quantizer.ts";
import { UniformQuantizer } from "../quantization/quantizer.ts";
import { binsFrom, binsToJson } from "./bins.ts";
import { decodeBlob, encodeBlob, noId, toHex } from "./blob.ts";
import { clientGraphFrom, graphToJson, tensorToJson } from "./graph.ts";
import { Reader, bad, parseJson } from "./json-reader.ts";

/**
 * An input whose codes are encrypted as unit vectors laid end to end: code c of element f is a 1 at place `c - lowest` of
 * the `sizes[f]` values of f, the others are 0. An element of size 0 is not sent.
 */
export interface OneHotEncoding {
  readonly lowest: number;
  /** One for each element of a row. */
  readonly sizes: readonly number[];
}

/** One input or output of the encrypted program. */
export interface ClientPort {
  readonly name: string;
  /** Axis 0 is the batch, of size 1. */
  readonly shape: readonly number[];
  readonly quantizer: UniformQuantizer;
  /** False for an input that the server may see; outputs are always encrypted. */
  readonly isEncrypted: boolean;
  /** How an input's codes become the values that are encrypted; null: as they are, which is so for outputs too. */
  readonly oneHot: OneHotEncoding | null;
  /** How an output's ciphertexts travel; null for inputs. */
  readonly form: OutputForm | null;
  /** Torus units (of 2^-64) of one integer unit. */
  readonly scale: bigint;
  /** Integer in the middle of the expected range: outputs are decoded around it. */
  readonly middle: number;
}

/** Values of one row that are encrypted or decrypted. */
export function valuesOf({ oneHot, shape }: Pick<ClientPort, "oneHot" | "shape">): number {
  return oneHot === null ? sizeOf(shape) : oneHot.sizes.reduce((sum, size) => sum + size, 0);
}

export interface ClientSpec {
  readonly parameters: CryptoParameters;
  /** 16 bytes; ties the spec to its program. */
  readonly modelId: Uint8Array;
  /** What the client computes before it quantizes: from the model's inputs to those of the program. */
  readonly before: Graph;
  readonly inputs: readonly ClientPort[];
  readonly outputs: readonly ClientPort[];
  /** What the client computes after it de-quantizes: from the outputs of the program to those of the model. */
  readonly after: Graph;
  /** Bound on the failure probability of one lookup or output, and what an inference reaches; base 2 logarithms. */
  readonly log2PError: number;
  readonly log2FailureProbability: number;
}

const MAX_BYTES = 64 << 20;
/** Most values of a row, and so of what is encrypted for it. */
const MAX_VALUES = 1 << 24;

/** Encodes a spec; the same spec gives the same bytes on every machine. */
export function encodeClientSpec(spec: ClientSpec): Uint8Array {
  const json = {
    format: 2,
    parameters: parametersToJson(spec.parameters),
    log2PError: logarithmToJson(spec.log2PError),
    log2FailureProbability: logarithmToJson(spec.log2FailureProbability),
    before: graphToJson(spec.before, tensorToJson),
    inputs: spec.inputs.map(portToJson),
    outputs: spec.outputs.map(portToJson),
    after: graphToJson(spec.after, tensorToJson),
  };
  const header = {
    kind: "clientSpec",
    parametersDigest: sha256(encodeParameters(spec.parameters)),
    keyId: noId(),
    modelId: spec.modelId,
  } as const;
  return encodeBlob(header, new TextEncoder().encode(JSON.stringify(json)));
}

/** Field by field: the order in which somebody built the object must not show in the bytes. */
function parametersToJson(p: CryptoParameters): object {
  const digits = ({ baseLog, level }: CryptoParameters["bootstrap"]) => ({ baseLog, level });
  return {
    lweDimension: p.lweDimension,
    glweDimension: p.glweDimension,
    polynomialSize: p.polynomialSize,
    bootstrap: digits(p.bootstrap),
    keyswitch: digits(p.keyswitch),
    lweNoiseStd: p.lweNoiseStd,
    glweNoiseStd: p.glweNoiseStd,
  };
}

/** What cannot fail has the logarithm -Infinity, which JSON lacks: null. */
function logarithmToJson(log2: number): number | null {
  return log2 === -Infinity ? null : log2;
}

function portToJson({
  name,
  shape,
  quantizer,
  isEncrypted,
  oneHot,
  form,
  scale,
  middle,
}: ClientPort): object {
  return {
    name,
    shape,
    scale: scale.toString(),
    middle,
    ...(isEncrypted ? {} : { isEncrypted }),
    ...(form ? { form: { isSmall: form.isSmall, bits: form.bits } } : {}),
    ...(oneHot ? { oneHot: { lowest: oneHot.lowest, sizes: oneHot.sizes } } : {}),
    quantizer: quantizer instanceof BinQuantizer ? binsToJson(quantizer) : uniformToJson(quantizer),
  };
}

function uniformToJson({ options, stats, scale, zeroPoint, offset }: UniformQuantizer): object {
  return {
    nBits: options.nBits,
    isSigned: options.isSigned,
    isSymmetric: options.isSymmetric,
    isQat: options.isQat,
    isNarrow: options.isNarrow,
    isPrecomputedQat: options.isPrecomputedQat,
    scale: perChannelToJson(scale),
    zeroPoint: perChannelToJson(zeroPoint),
    offset,
    ...(stats ? { rmin: stats.rmin, rmax: stats.rmax } : {}),
  };
}

function perChannelToJson(value: PerChannel): number | object {
  return typeof value === "number" ? value : { shape: value.shape, data: [...value.data] };
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
  const inputs = readPorts(root.field("inputs"), readInput);
  const outputs = readPorts(root.field("outputs"), (port) => readOutput(port, parameters));
  const before = clientGraphFrom(root.field("before"), MAX_VALUES);
  const after = clientGraphFrom(root.field("after"), MAX_VALUES);
  requireJoint("before", before, before.outputs, inputs);
  requireJoint("after", after, after.inputs, outputs);
  return {
    parameters,
    modelId: header.modelId,
    before,
    inputs,
    outputs,
    after,
    log2PError: root.field("log2PError").logarithm(),
    log2FailureProbability: root.field("log2FailureProbability").logarithm(),
  };
}

function readParameters(reader: Reader): CryptoParameters {
  const digits = (name: string): { baseLog: number; level: number } => ({
    baseLog: reader.field(name).field("baseLog").count(64),
    level: reader.field(name).field("level").count(64),
  });
  // Through the block that every file carries: its reader knows what an engine can work with.
  const block = encodeParameters({
    lweDimension: reader.field("lweDimension").count(1 << 16),
    glweDimension: reader.field("glweDimension").count(1 << 10),
    polynomialSize: reader.field("polynomialSize").count(1 << 20),
    bootstrap: digits("bootstrap"),
    keyswitch: digits("keyswitch"),
    lweNoiseStd: reader.field("lweNoiseStd").number(),
    glweNoiseStd: reader.field("glweNoiseStd").number(),
  });
  return decodeParameters(block);
}

/** Every model has an input and an output. */
function readPorts(reader: Reader, read: (port: Reader) => ClientPort): ClientPort[] {
  const ports = reader.list();
  if (ports.length === 0) throw bad("client spec ports", "expected at least one, got none");
  return ports.map(read);
}

/** What a graph gives or takes must be the ports, in their order. */
function requireJoint(
  where: string,
  { shapes }: Graph,
  values: Graph["inputs"],
  ports: readonly ClientPort[],
): void {
  const fits =
    values.length === ports.length &&
    values.every(({ name }, i) => {
      const { name: expected, shape } = ports[i];
      return name === expected && sameShape(shapes.get(name) ?? [], shape);
    });
  if (!fits)
    throw bad(`client spec.${where}`, "expected values like the ports that it is joined to");
}

/** Inputs are quantized with bins per column, or with one scale and one zero point for all elements. */
function readInput(reader: Reader): ClientPort {
  const bins = binsFrom(reader.field("quantizer"));
  if (bins !== null) {
    const port = readPort(reader, () => bins);
    if (sameShape(port.shape, [1, bins.columns.length])) return withOneHot(port, reader);
    throw bad("client spec quantizer", "expected bins for every column of the input");
  }
  for (const name of ["scale", "zeroPoint"]) {
    if (!reader.field("quantizer").field(name).isNumber()) {
      throw bad(`client spec ${name}`, "expected one number for an input");
    }
  }
  return withOneHot(readPort(reader), reader);
}

function withOneHot(port: ClientPort, reader: Reader): ClientPort {
  const oneHot = reader.optional("oneHot");
  return oneHot === null ? port : { ...port, oneHot: readOneHot(oneHot, port.shape) };
}

function readOutput(reader: Reader, { lweDimension }: CryptoParameters): ClientPort {
  const stated = reader.field("form");
  const form = {
    isSmall: stated.field("isSmall").flag(),
    bits: stated.field("bits").count(WHOLE.bits),
  };
  if (form.bits === 0 || form.bits > wordBits(form) || (form.isSmall && lweDimension === 0)) {
    throw bad(stated.path, "expected bits of a word under a key that there is");
  }
  return { ...readPort(reader), form };
}

function readOneHot(reader: Reader, shape: readonly number[]): OneHotEncoding {
  const sizes = reader
    .field("sizes")
    .list()
    .map((size) => size.count(MAX_VALUES));
  const oneHot = { lowest: reader.field("lowest").integer(), sizes };
  const total = valuesOf({ oneHot, shape });
  if (sizes.length !== sizeOf(shape) || total === 0 || total > MAX_VALUES) {
    throw bad(reader.path, "expected a size for each element, 1 to 2^24 in all");
  }
  return oneHot;
}

function readPort(
  reader: Reader,
  quantizerFrom: (quantizer: Reader, shape: readonly number[]) => UniformQuantizer = readQuantizer,
): ClientPort {
  const scale = reader.field("scale").text();
  if (!/^[0-9]{1,20}$/.test(scale) || BigInt(scale) === 0n || BigInt(scale) >= 2n ** 64n) {
    throw bad("client spec scale", "expected an integer from 1 to 2^64 - 1");
  }
  const shape = readShape(reader.field("shape"));
  return {
    name: reader.field("name").text(),
    shape,
    quantizer: quantizerFrom(reader.field("quantizer"), shape),
    isEncrypted: reader.optional("isEncrypted")?.flag() ?? true,
    oneHot: null,
    form: null,
    scale: BigInt(scale),
    middle: reader.field("middle").integer(),
  };
}

function readShape(reader: Reader): number[] {
  const shape = reader.list().map((dim) => dim.count(1 << 24));
  const size = sizeOf(shape);
  if (shape.length === 0 || shape.length > 8 || shape[0] !== 1 || size === 0 || size > MAX_VALUES) {
    throw bad("client spec shape", "expected a batch axis of size 1 and 1 to 2^24 elements");
  }
  return shape;
}

function readQuantizer(reader: Reader, shape: readonly number[]): UniformQuantizer {
  const rmin = reader.optional("rmin");
  const rmax = reader.optional("rmax");
  const nBits = reader.field("nBits").count(32);
  const isSigned = reader.field("isSigned").flag();
  const isSymmetric = reader.field("isSymmetric").flag();
  const isQat = reader.field("isQat").flag();
  const scale = readPerChannel(reader.field("scale"), shape);
  const isZero = typeof scale === "number" ? scale === 0 : scale.data.includes(0);
  if (nBits === 0 || isZero || (isSymmetric && (!isSigned || isQat))) {
    throw bad("client spec quantizer", "expected bits, a scale and flags that go together");
  }
  return new UniformQuantizer({
    nBits,
    isSigned,
    isSymmetric,
    isQat,
    isNarrow: reader.field("isNarrow").flag(),
    isPrecomputedQat: reader.field("isPrecomputedQat").flag(),
    scale,
    zeroPoint: readPerChannel(reader.field("zeroPoint"), shape),
    offset: reader.field("offset").count(2 ** 31),
    ...(rmin && rmax ? { rmin: rmin.number(), rmax: rmax.number() } : {}),
  });
}

/** One number for all, one per element of the output, or one per part of it that broadcasts. */
function readPerChannel(reader: Reader, shape: readonly number[]): PerChannel {
  if (reader.isNumber()) return reader.number();
  const own = reader
    .field("shape")
    .list()
    .map((dim) => dim.count(1 << 24));
  const data = reader
    .field("data")
    .list()
    .map((value) => value.number());
  const missing = shape.length - own.length;
  const fits = missing >= 0 && own.every((dim, i) => dim === 1 || dim === shape[i + missing]);
  if (!fits || data.length !== sizeOf(own)) {
    throw bad(reader.path, "expected a shape that fits the output, and its values");
  }
  return float64(own, data);
}
