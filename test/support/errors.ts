/**
 * What a call throws, for tests that look at its code and message.
 * @module
 */
import { SottoError } from "../../src/errors.ts";

/** The error of a call. Fails on no error, on another type, and on a message of several lines. */
export function errorOf(call: () => unknown): SottoError {
  try {
    call();
  } catch (error) {
    return requireUserError(error);
  }
  throw new Error("expected an error, got none");
}

/** The same for a promise. */
export async function rejectionOf(call: () => Promise<unknown>): Promise<SottoError> {
  try {
    await call();
  } catch (error) {
    return requireUserError(error);
  }
  throw new Error("expected an error, got none");
}

function requireUserError(error: unknown): SottoError {
  if (!(error instanceof SottoError)) throw error;
  if (error.message.includes("\n")) throw new Error(`several lines: ${error.message}`);
  return error;
}
