/**
 * Errors of a server's answers as SottoError. Safe in browsers.
 * @module
 */
import { type ErrorCode, SottoError } from "../errors.ts";

/** Every code once: the type asks for each. */
const CODES: Readonly<Record<ErrorCode, true>> = {
  BAD_ARGUMENT: true,
  BAD_BYTES: true,
  BAD_DTYPE: true,
  BAD_MODEL: true,
  BAD_SHAPE: true,
  BAD_VALUE: true,
  CANCELLED: true,
  CONFLICT: true,
  EMPTY_CALIBRATION: true,
  FILE_NOT_FOUND: true,
  LIMIT_EXCEEDED: true,
  NATIVE_MISSING: true,
  NOT_FOUND: true,
  NO_PARAMETERS: true,
  STORAGE_FULL: true,
  TABLE_TOO_WIDE: true,
  UNAUTHORIZED: true,
  UNAVAILABLE: true,
  UNSUPPORTED_OPERATOR: true,
  WRONG_KEY: true,
  WRONG_MODEL: true,
  WRONG_PARAMETERS: true,
};

/** Whether a text from outside is one of our codes. */
export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === "string" && Object.hasOwn(CODES, code);
}

/** The error that a response tells; something in between that speaks no JSON is UNAVAILABLE. */
export async function toError(response: Response): Promise<Error> {
  const told: unknown = await response.json().catch(() => null);
  const { code, where, message } = fieldsOf(told);
  if (isErrorCode(code)) return new SottoError(code, where, message);
  if (code === "INTERNAL") return new Error(`internal: server: ${message}`);
  return new SottoError(
    "UNAVAILABLE",
    new URL(response.url).origin,
    `got status ${response.status} that is not from sotto; is a proxy in between?`,
  );
}

function fieldsOf(told: unknown): { code: unknown; where: string; message: string } {
  if (typeof told !== "object" || told === null) return { code: null, where: "", message: "" };
  const code = "code" in told ? told.code : null;
  const where = "where" in told ? String(told.where) : "server";
  const message = "message" in told ? String(told.message) : "no message";
  return { code, where, message };
}

/** What to throw where nobody answers. */
export function unreachable(url: string, error: unknown): SottoError {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new SottoError("UNAVAILABLE", url, `no answer (${why}); is the server running?`);
}
