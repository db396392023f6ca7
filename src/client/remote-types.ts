/**
 * What `sotto serve` answers, as JSON: shared by the server and its client. Safe in browsers.
 * @module
 */

/** One model that the server runs. */
export interface ModelInfo {
  /** Folder that holds it; names it in addresses. */
  readonly name: string;
  /** Hexadecimal, 16 bytes; what inputs and outputs carry. */
  readonly modelId: string;
  /** Hexadecimal SHA-256 of the parameters; what evaluation keys carry. */
  readonly parametersDigest: string;
  /** Exact sizes of what is sent. */
  readonly inputBytes: number;
  readonly evaluationKeyBytes: number;
  /** Lookups of one run, the units of a job's progress. */
  readonly lookups: number;
}

/** Evaluation keys on the server, complete or on their way. */
export interface KeyInfo {
  /** Hexadecimal, 16 bytes. */
  readonly keyId: string;
  /** The SHA-256 that the file ends with, in hexadecimal. */
  readonly digest: string;
  readonly parametersDigest: string;
  /** Size of the whole, and how much of it has arrived. */
  readonly bytes: number;
  readonly offset: number;
  /** All bytes are there and the digest was checked. */
  readonly complete: boolean;
}

/** An error as the server tells it. */
export interface ErrorInfo {
  readonly code: string;
  readonly where: string;
  readonly message: string;
}

export type JobState = "queued" | "running" | "done" | "failed";

/** One run of a model on one set of encrypted inputs. */
export interface JobInfo {
  readonly id: string;
  readonly model: string;
  readonly keyId: string;
  readonly state: JobState;
  /** Lookups finished, and in all. */
  readonly done: number;
  readonly total: number;
  /** When it was accepted, ISO 8601. */
  readonly acceptedAt: string;
  /** Milliseconds that the run took; null until it is done. */
  readonly runMs: number | null;
  /** Why it failed; null unless it did. */
  readonly error: ErrorInfo | null;
}
