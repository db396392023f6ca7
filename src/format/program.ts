/**
 * Program to bytes (docs/format.md, kind 1). The engine reads them; nothing in TypeScript does.
 * @module
 */
import { sha256 } from "@noble/hashes/sha2.js";
import type { Instruction, Program } from "../lower/program.ts";
import { encodeParameters } from "../parameters/encoding.ts";
import { type Digest, encodeBlob, noId } from "./blob.ts";

/** The bytes that a server loads, and the id that ties inputs and outputs to them. */
export interface EncodedProgram {
  readonly bytes: Uint8Array;
  /** 16 bytes. */
  readonly modelId: Uint8Array;
}

/**
 * Encodes a program; the same program gives the same bytes on every machine. Large programs want a faster SHA-256 than the
 * portable one.
 */
export function encodeProgram(program: Program, digest: Digest = sha256): EncodedProgram {
  const parameters = encodeParameters(program.parameters);
  const writer = new Writer();
  writer.raw(parameters);
  writer.u32(program.inputs.length).u32(...program.inputs);
  writer.u32(program.outputs.length);
  program.outputs.forEach((tensor, i) => {
    const { isSmall, bits } = program.outputForms[i];
    writer.u32(tensor, isSmall ? 1 : 0, bits);
  });
  writer.u32(program.instructions.length);
  for (const instruction of program.instructions) {
    const body = encodeInstruction(instruction);
    writer
      .u8(instruction.kind === "linear" ? 1 : 2)
      .u32(body.length)
      .raw(body);
  }
  const payload = writer.finish();
  const modelId = digest(payload).slice(0, 16);
  const header = {
    kind: "program",
    parametersDigest: digest(parameters),
    keyId: noId(),
    modelId,
  } as const;
  return { bytes: encodeBlob(header, payload, digest), modelId };
}

function encodeInstruction(instruction: Instruction): Uint8Array {
  const writer = new Writer();
  if (instruction.kind === "linear") {
    const { operands, groups, rows, positions, terms, weights, gather, constants } = instruction;
    writer.u32(operands.length).u32(...operands);
    writer.u32(groups, rows, positions, terms, constants.length);
    return writer.words(weights).words(gather).longs(constants).finish();
  }
  const {
    operand,
    extensionLog,
    boxes,
    tables,
    starts,
    values,
    offsets,
    outputOffsets,
    sources,
    tableOf,
    degrees,
  } = instruction;
  writer.u32(operand, extensionLog, boxes, tables, sources.length);
  writer.words(starts).longs(values).longs(offsets).longs(outputOffsets);
  return writer.words(sources).words(tableOf).words(degrees).finish();
}

/** Collects little-endian chunks. */
class Writer {
  readonly #chunks: Uint8Array[] = [];

  u8(value: number): this {
    return this.raw(Uint8Array.of(value));
  }

  u32(...values: readonly number[]): this {
    return this.words(Uint32Array.from(values));
  }

  words(values: Int32Array | Uint32Array): this {
    const bytes = new Uint8Array(values.length * 4);
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < values.length; i++) view.setUint32(i * 4, values[i] >>> 0, true);
    return this.raw(bytes);
  }

  longs(values: BigUint64Array): this {
    const bytes = new Uint8Array(values.length * 8);
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < values.length; i++) view.setBigUint64(i * 8, values[i], true);
    return this.raw(bytes);
  }

  raw(bytes: Uint8Array): this {
    this.#chunks.push(bytes);
    return this;
  }

  finish(): Uint8Array {
    const out = new Uint8Array(this.#chunks.reduce((sum, { length }) => sum + length, 0));
    let offset = 0;
    for (const chunk of this.#chunks) {
      out.set(chunk, offset);
      offset += chunk.length;
    }
    return out;
  }
}
