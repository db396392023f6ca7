/**
 * JSON schemas of what goes in and out: requests are checked against them, answers are written by them, and the OpenAPI
 * document is made of them. Shapes of answers are those of src/client/remote-types.ts.
 * @module
 */

const hex = (bytes: number, description: string): object => ({
  type: "string",
  pattern: `^[0-9a-f]{${2 * bytes}}$`,
  description,
});
const count = (description: string): object => ({ type: "integer", minimum: 0, description });
const orNull = (schema: object): object => ({ anyOf: [schema, { type: "null" }] });

function record(id: string, properties: Readonly<Record<string, object>>): object {
  return {
    $id: id,
    type: "object",
    properties,
    required: Object.keys(properties),
    additionalProperties: false,
  };
}

const keyId = hex(16, "Key id: 16 bytes in hexadecimal, `client.keyId`");
const parametersDigest = hex(32, "SHA-256 of the parameters block");
const digest = hex(32, "The SHA-256 that the file of evaluation keys ends with");
const keyBytes = { type: "integer", minimum: 1, description: "Size of the file in bytes" };
const modelName = { type: "string", description: "Name of a model", maxLength: 64 };
const jobId = { type: "string", pattern: "^[0-9a-f]{32}$", description: "Name of a job" };

/** Named in the document, and referred to by `reference`. */
export const SHARED: readonly object[] = [
  record("Error", {
    code: { type: "string", description: "Stable: programs decide by it" },
    where: { type: "string" },
    message: { type: "string", description: "For people: expected, got, what to do" },
  }),
  record("Model", {
    name: modelName,
    modelId: hex(16, "What inputs and outputs carry"),
    parametersDigest,
    inputBytes: count("Exact size of encrypted inputs"),
    evaluationKeyBytes: count("Exact size of evaluation keys"),
    lookups: count("Lookups of a run, the units of progress"),
  }),
  record("Key", {
    keyId,
    digest,
    parametersDigest,
    bytes: keyBytes,
    offset: count("Bytes that have arrived; an upload goes on here"),
    complete: { type: "boolean", description: "All bytes are there and were checked" },
  }),
  record("Job", {
    id: jobId,
    model: modelName,
    keyId,
    state: { type: "string", enum: ["queued", "running", "done", "failed"] },
    done: count("Lookups finished"),
    total: count("Lookups in all"),
    acceptedAt: { type: "string", format: "date-time" },
    runMs: orNull({ type: "number", description: "Milliseconds of the run, once it is done" }),
    error: orNull({ $ref: "Error#" }),
  }),
];

/** A schema by its name. */
export function reference(id: "Error" | "Model" | "Key" | "Job"): object {
  return { $ref: `${id}#` };
}

/** An object that holds a list. */
export function listOf(name: string, id: "Model" | "Key" | "Job"): object {
  return {
    type: "object",
    properties: { [name]: { type: "array", items: reference(id) } },
    required: [name],
  };
}

/** Bytes; how many is checked while they are read. */
export const BYTES: object = { content: { "application/octet-stream": { schema: {} } } };

/** Path and query parameters. */
export const modelParameters: object = parameters({ model: modelName });
export const keyParameters: object = parameters({ keyId });
export const jobParameters: object = parameters({ id: jobId });
export const offsetQuery: object = parameters({
  offset: { ...count("Where the piece begins: the upload's `offset`"), maximum: 2 ** 43 },
});

function parameters(properties: Readonly<Record<string, object>>): object {
  return {
    type: "object",
    properties,
    required: Object.keys(properties),
    additionalProperties: false,
  };
}

/** Body that announces evaluation keys. */
export const announcement: object = parameters({
  keyId,
  digest,
  parametersDigest,
  bytes: { ...keyBytes, maximum: 2 ** 43 },
});

/** Headers of a submission. */
export const idempotencyHeader: object = {
  type: "object",
  properties: {
    "idempotency-key": {
      type: "string",
      minLength: 1,
      maxLength: 255,
      description: "The same value gives the same job, however often it is sent",
    },
  },
};

const MEANING: Readonly<Record<number, string>> = {
  400: "BAD_ARGUMENT: not a request of this document",
  401: "UNAUTHORIZED: no bearer token, or an unknown one",
  404: "NOT_FOUND: this tenant has no such thing",
  408: "BAD_ARGUMENT: the request took too long",
  409: "CONFLICT: the state does not allow it now",
  413: "BAD_BYTES: more bytes than expected",
  414: "BAD_ARGUMENT: a part of the address is too long",
  415: "BAD_ARGUMENT: another content type is expected",
  422: "BAD_BYTES, WRONG_KEY, WRONG_MODEL or WRONG_PARAMETERS: bytes that do not fit",
  429: "LIMIT_EXCEEDED: a rate, the queue or a quota; with Retry-After where waiting helps",
  500: "INTERNAL: a bug; the log says more",
  503: "UNAVAILABLE: the server is shutting down",
  507: "STORAGE_FULL: the server's disk is full; nothing was accepted",
};

/** Answers of a route: its own, and the errors that it or the server can give. */
export function answers(
  own: Readonly<Record<number, object>>,
  ...errors: readonly (keyof typeof MEANING)[]
): Record<number, object> {
  const statuses = [400, 401, 408, 413, 414, 415, 429, 500, 503, ...errors];
  return {
    ...Object.fromEntries(
      statuses.map((status) => [
        status,
        {
          description: MEANING[status],
          content: { "application/json": { schema: reference("Error") } },
        },
      ]),
    ),
    ...own,
  };
}
