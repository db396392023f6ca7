/**
 * The frame around everything that leaves a process: magic, kind, version, digests, length (docs/format.md).
 * Readers check limits and the digest before they look inside. Safe in browsers.
 * @module
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { SottoError } from "../errors.ts";

/** What a blob holds; the numbers are on the wire. */
export const BlobKind = {
  program: 1,
  clientSpec: 2,
  secretKey: 3,
  evaluationKeys: 4,
  inputs: 5,
  outputs: 6,
  quantizedModule: 7,
  protectedKey: 8,
} as const;
export type BlobKindName = keyof typeof BlobKind;

const MAGIC = [0x53, 0x4f, 0x54, 0x54, 0x4f, 0x00]; // "SOTTO" and a zero byte

/** Format versions that this code reads and writes. */
const VERSIONS: Readonly<Record<BlobKindName, number>> = {
  program: 2,
  clientSpec: 2,
  secretKey: 1,
  evaluationKeys: 1,
  inputs: 2,
  outputs: 2,
  quantizedModule: 1,
  protectedKey: 1,
};

const HEADER = 80;
const DIGEST = 32;

/** Bytes of a blob around its payload. */
export const FRAME_BYTES: number = HEADER + DIGEST;

export interface BlobHeader {
  readonly kind: BlobKindName;
  /** 32 bytes. */
  readonly parametersDigest: Uint8Array;
  /** 16 bytes; zero where the blob belongs to no key. */
  readonly keyId: Uint8Array;
  /** 16 bytes; zero where the blob belongs to no model. */
  readonly modelId: Uint8Array;
}

/** An id of 16 zero bytes: no key, or no model. */
export function noId(): Uint8Array {
  return new Uint8Array(16);
}

/** SHA-256 of some bytes. */
export type Digest = (bytes: Uint8Array) => Uint8Array;

/** Frames a payload. */
export function encodeBlob(
  header: BlobHeader,
  payload: Uint8Array,
  digest: Digest = sha256,
): Uint8Array {
  const bytes = new Uint8Array(HEADER + payload.length + DIGEST);
  bytes.set(MAGIC, 0);
  bytes[6] = BlobKind[header.kind];
  bytes[7] = VERSIONS[header.kind];
  bytes.set(header.parametersDigest, 8);
  bytes.set(header.keyId, 40);
  bytes.set(header.modelId, 56);
  new DataView(bytes.buffer).setBigUint64(72, BigInt(payload.length), true);
  bytes.set(payload, HEADER);
  bytes.set(digest(bytes.subarray(0, HEADER + payload.length)), HEADER + payload.length);
  return bytes;
}

/**
 * Checks the header of a blob of `totalBytes`, of which `bytes` may be the first ones only: what can be known before the
 * rest has arrived. Throws BAD_BYTES.
 */
export function decodeHeader(
  bytes: Uint8Array,
  kind: BlobKindName,
  totalBytes: number = bytes.length,
): BlobHeader {
  const bad = (message: string): SottoError => new SottoError("BAD_BYTES", kind, message);
  if (totalBytes < HEADER + DIGEST || bytes.length < HEADER)
    throw bad(`expected at least ${HEADER + DIGEST} bytes, got ${totalBytes}`);
  if (MAGIC.some((byte, i) => bytes[i] !== byte))
    throw bad("expected a sotto file, got something else");
  if (bytes[6] !== BlobKind[kind])
    throw bad(`expected kind ${BlobKind[kind]}, got ${bytes[6]}; is it another file?`);
  if (bytes[7] !== VERSIONS[kind])
    throw bad(
      `expected format version ${VERSIONS[kind]}, got ${bytes[7]}; use one version of sotto`,
    );
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getBigUint64(72, true);
  const available = totalBytes - HEADER - DIGEST;
  if (length !== BigInt(available))
    throw bad(`expected ${length} bytes of payload, got ${available}; truncated?`);
  return {
    kind,
    parametersDigest: bytes.slice(8, 40),
    keyId: bytes.slice(40, 56),
    modelId: bytes.slice(56, 72),
  };
}

/** Checks a frame and returns its header and payload. Throws BAD_BYTES. */
export function decodeBlob(
  bytes: Uint8Array,
  kind: BlobKindName,
  maxBytes: number,
): { readonly header: BlobHeader; readonly payload: Uint8Array } {
  const bad = (message: string): SottoError => new SottoError("BAD_BYTES", kind, message);
  if (bytes.length > maxBytes) throw bad(`expected at most ${maxBytes} bytes, got ${bytes.length}`);
  const header = decodeHeader(bytes, kind);
  const end = bytes.length - DIGEST;
  const digest = sha256(bytes.subarray(0, end));
  if (digest.some((byte, i) => byte !== bytes[end + i])) {
    throw bad("the digest does not match; the file was altered or damaged");
  }
  return { header, payload: bytes.slice(HEADER, end) };
}

/** The first bytes of a payload, unchecked: for a reader that hands the whole blob on to be checked. */
export function peekPayload(bytes: Uint8Array, length: number): Uint8Array {
  return bytes.slice(HEADER, HEADER + length);
}

/** Lower-case hexadecimal of an id. */
export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
