/**
 * A secret key under a passphrase: PBKDF2-HMAC-SHA-256 and AES-256-GCM of the platform (docs/format.md, kind 8).
 * Safe in browsers, but for pages that were not loaded over HTTPS or from localhost: those have no WebCrypto.
 * @module
 */
import { SottoError } from "../errors.ts";
import { decodeBlob, decodeHeader, encodeBlob } from "../format/blob.ts";

/** OWASP's number of 2023 for PBKDF2 with SHA-256: about 0.2 s. */
const ITERATIONS = 600_000;
/** More would hang the reader, fewer were never written. */
const MAX_ITERATIONS = 10_000_000;
const MAX_BYTES = 1 << 21;
const KDF_PBKDF2_SHA256 = 1;
const KIND_OFFSET = 6;
const SALT = { start: 8, end: 24 } as const;
const NONCE = { start: 24, end: 36 } as const;
const TAG_BYTES = 16;

/** Whether bytes say that they are a key under a passphrase. */
export function isProtectedKey(bytes: Uint8Array): boolean {
  return bytes[KIND_OFFSET] === 8;
}

/** Encrypts a secret key's blob. Throws BAD_ARGUMENT for an empty passphrase. */
export async function protectKey(secretKey: Uint8Array, passphrase: string): Promise<Uint8Array> {
  const { parametersDigest, keyId, modelId } = decodeHeader(secretKey, "secretKey");
  const head = new Uint8Array(NONCE.end);
  const view = new DataView(head.buffer);
  view.setUint32(0, KDF_PBKDF2_SHA256, true);
  view.setUint32(4, ITERATIONS, true);
  crypto.getRandomValues(head.subarray(SALT.start));
  const key = await deriveKey(passphrase, head.slice(SALT.start, SALT.end), ITERATIONS);
  const sealed = await subtle().encrypt(
    {
      name: "AES-GCM",
      iv: head.slice(NONCE.start, NONCE.end),
      additionalData: boundTo(parametersDigest, keyId, head),
    },
    key,
    Uint8Array.from(secretKey),
  );
  const payload = new Uint8Array(head.length + sealed.byteLength);
  payload.set(head);
  payload.set(new Uint8Array(sealed), head.length);
  return encodeBlob({ kind: "protectedKey", parametersDigest, keyId, modelId }, payload);
}

/** The secret key's blob. Throws BAD_BYTES, BAD_ARGUMENT without a passphrase, WRONG_KEY with a wrong one. */
export async function unprotectKey(
  bytes: Uint8Array,
  passphrase: string | undefined,
): Promise<Uint8Array> {
  const { header, payload } = decodeBlob(bytes, "protectedKey", MAX_BYTES);
  const bad = (message: string): SottoError => new SottoError("BAD_BYTES", "protectedKey", message);
  if (payload.length < NONCE.end + TAG_BYTES) throw bad("truncated");
  const head = payload.slice(0, NONCE.end);
  const view = new DataView(head.buffer);
  const method = view.getUint32(0, true);
  if (method !== KDF_PBKDF2_SHA256)
    throw bad(`expected method ${KDF_PBKDF2_SHA256}, got ${method}; update sotto`);
  const iterations = view.getUint32(4, true);
  if (iterations < ITERATIONS || iterations > MAX_ITERATIONS)
    throw bad(`expected ${ITERATIONS} to ${MAX_ITERATIONS} iterations, got ${iterations}`);
  if (passphrase === undefined) {
    throw new SottoError(
      "BAD_ARGUMENT",
      "passphrase",
      "this key is under a passphrase; expected it, got none",
    );
  }
  const key = await deriveKey(passphrase, head.slice(SALT.start, SALT.end), iterations);
  const opened = await subtle()
    .decrypt(
      {
        name: "AES-GCM",
        iv: head.slice(NONCE.start, NONCE.end),
        additionalData: boundTo(header.parametersDigest, header.keyId, head),
      },
      key,
      payload.slice(NONCE.end),
    )
    .catch(() => null);
  if (opened === null) {
    throw new SottoError("WRONG_KEY", "passphrase", "this is not the passphrase of this key");
  }
  return new Uint8Array(opened);
}

async function deriveKey(
  passphrase: string,
  salt: Uint8Array<ArrayBuffer>,
  iterations: number,
): Promise<CryptoKey> {
  if (passphrase === "") {
    throw new SottoError("BAD_ARGUMENT", "passphrase", "expected some characters, got none");
  }
  // The same characters may be typed as different code points on another keyboard.
  const secret = new TextEncoder().encode(passphrase.normalize("NFKC"));
  const base = await subtle().importKey("raw", secret, "PBKDF2", false, ["deriveKey"]);
  return subtle().deriveKey(
    { name: "PBKDF2", hash: "SHA-256", salt, iterations },
    base,
    { name: "AES-GCM", length: 256 },
    false,
    ["encrypt", "decrypt"],
  );
}

/** What the ciphertext is tied to: altered, it does not open. */
function boundTo(
  parametersDigest: Uint8Array,
  keyId: Uint8Array,
  head: Uint8Array,
): Uint8Array<ArrayBuffer> {
  return Uint8Array.from([...parametersDigest, ...keyId, ...head]);
}

function subtle(): SubtleCrypto {
  // Undefined in pages that are not secure contexts, whatever the types say.
  const available: SubtleCrypto | undefined = globalThis.crypto.subtle;
  if (available !== undefined) return available;
  throw new SottoError(
    "BAD_ARGUMENT",
    "passphrase",
    "this page has no WebCrypto; load it over HTTPS or from localhost, or save the key without passphrase",
  );
}
