/**
 * The one error type users meet, with a stable code; our own bugs are plain Errors that start with "internal:".
 * @module
 */

/** Stable error codes; the text may improve, the code does not change. */
export type ErrorCode =
  | "BAD_ARGUMENT" // an option or a command-line argument has a wrong type or value
  | "BAD_BYTES" // a file or message is truncated, altered, oversized or of another kind
  | "BAD_DTYPE" // a tensor has the wrong element type
  | "BAD_MODEL" // an ONNX file or a PyTorch archive that is not a valid model
  | "BAD_SHAPE" // a tensor has the wrong shape
  | "BAD_VALUE" // NaN, infinity or a number out of range in data
  | "CANCELLED" // an AbortSignal fired
  | "CONFLICT" // the server holds something else under this name, or it is in use
  | "EMPTY_CALIBRATION" // no calibration rows
  | "FILE_NOT_FOUND" // a path that cannot be read
  | "LIMIT_EXCEEDED" // a quota or a rate of the server is used up; wait or delete something
  | "NATIVE_MISSING" // the engine is not built; clear and simulate still work
  | "NOT_FOUND" // the server has no such model, key or job for this tenant
  | "NO_PARAMETERS" // no cryptographic parameters meet the circuit's needs
  | "STORAGE_FULL" // the server's disk is full; nothing was accepted
  | "TABLE_TOO_WIDE" // a table lookup would need more bits than any parameters can serve
  | "UNAUTHORIZED" // the server asks for a bearer token, or does not know this one
  | "UNAVAILABLE" // the server cannot be reached, or is shutting down
  | "UNSUPPORTED_OPERATOR" // an ONNX or ATen operator, attribute or opset that is not supported
  | "WRONG_KEY" // a ciphertext or key that belongs to another key
  | "WRONG_MODEL" // a ciphertext that belongs to another model
  | "WRONG_PARAMETERS"; // keys or ciphertexts made for other cryptographic parameters

/** A mistake that the caller can mend: stable `code`, `where` it happened, and a message that says what to do. */
export class SottoError extends Error {
  readonly code: ErrorCode;
  readonly where: string;

  constructor(code: ErrorCode, where: string, message: string) {
    super(`${code} at ${where}: ${message}`);
    this.name = "SottoError";
    this.code = code;
    this.where = where;
  }
}

/** Marks a switch as exhaustive: a new kind of value breaks the build here. */
export function unreachable(value: never): never {
  throw new Error(`internal: unexpected value ${JSON.stringify(value)}`);
}

/** Throws BAD_ARGUMENT when an object has a key that is not among `known`: a misspelt option must not be ignored. */
export function checkKeys(options: object, known: readonly string[]): void {
  const unknown = Object.keys(options).find((key) => !known.includes(key));
  if (unknown !== undefined) {
    throw new SottoError(
      "BAD_ARGUMENT",
      unknown,
      `expected one of ${known.join(", ")}, got ${unknown}`,
    );
  }
}
