/**
 * How errors become answers: a status for each code, and a body `{code, where, message}` (docs/server.md has the table).
 * @module
 */
import { type ErrorCode, SottoError } from "../errors.ts";
import type { ErrorInfo } from "../client/remote-types.ts";

/** Status of a code that is not told otherwise; codes that are missing here are mistakes of ours, 500. */
const STATUS: Partial<Readonly<Record<ErrorCode, number>>> = {
  BAD_ARGUMENT: 400,
  UNAUTHORIZED: 401,
  NOT_FOUND: 404,
  CONFLICT: 409,
  CANCELLED: 409,
  BAD_BYTES: 422,
  WRONG_KEY: 422,
  WRONG_MODEL: 422,
  WRONG_PARAMETERS: 422,
  LIMIT_EXCEEDED: 429,
  UNAVAILABLE: 503,
  STORAGE_FULL: 507,
};

/** A SottoError that is answered with another status, or with the seconds after which to try again. */
export class Refusal extends SottoError {
  readonly status: number | null;
  readonly retryAfter: number | null;

  constructor(
    error: SottoError,
    { status, retryAfter }: { readonly status?: number; readonly retryAfter?: number } = {},
  ) {
    super(error.code, error.where, textOf(error));
    this.status = status ?? null;
    this.retryAfter = retryAfter ?? null;
  }
}

/** An answer to an error. */
export interface ErrorAnswer {
  readonly status: number;
  readonly retryAfter: number | null;
  readonly body: ErrorInfo;
}

/** What a client is told. Our own mistakes say nothing of what happened: that goes to the log. */
export function answerTo(error: unknown): ErrorAnswer {
  const told = error instanceof SottoError ? error : fromFramework(error);
  if (told instanceof SottoError) {
    const refusal = told instanceof Refusal ? told : null;
    const status = refusal?.status ?? STATUS[told.code];
    if (status !== undefined) {
      return { status, retryAfter: refusal?.retryAfter ?? null, body: infoOf(told) };
    }
  }
  return {
    status: 500,
    retryAfter: null,
    body: { code: "INTERNAL", where: "server", message: "this is a bug in sotto; see the log" },
  };
}

/** An error as JSON. */
export function infoOf(error: SottoError): ErrorInfo {
  return { code: error.code, where: error.where, message: textOf(error) };
}

/** The message without code and place, which SottoError puts in front. */
function textOf({ code, where, message }: SottoError): string {
  return message.slice(`${code} at ${where}: `.length);
}

/** Errors that the HTTP framework raises before a handler runs: all are the client's. */
function fromFramework(error: unknown): SottoError | null {
  if (!(error instanceof Error) || !("statusCode" in error)) return null;
  const status = Number(error.statusCode);
  if (!(status >= 400 && status < 500)) return null;
  if (status === 429) {
    const text = "too many requests; wait as long as Retry-After says";
    return new SottoError("LIMIT_EXCEEDED", "rate", text);
  }
  const where = "validationContext" in error ? String(error.validationContext) : "request";
  const code = status === 404 ? "NOT_FOUND" : "BAD_ARGUMENT";
  return new Refusal(new SottoError(code, where, error.message), { status });
}
