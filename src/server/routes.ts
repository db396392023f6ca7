/**
 * What the server answers under `/v1`. Routes check and hand on; nothing here knows how anything is kept.
 * @module
 */
import type { Readable } from "node:stream";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { SottoError } from "../errors.ts";
import { decodeBlob, toHex } from "../format/blob.ts";
import { checkLength, readExactly } from "./body.ts";
import type { EventStreams } from "./events.ts";
import { jobInfo, type JobStore } from "./jobs.ts";
import type { Announcement, KeyStore } from "./keys.ts";
import type { KeyCache } from "./key-cache.ts";
import type { NativeServerKey } from "../native/binding.ts";
import type { Metrics } from "./metrics.ts";
import type { ServedModel } from "./models.ts";
import { cacheName, type Runner } from "./runner.ts";
import * as schemas from "./schemas.ts";

/** What the routes work with. */
export interface Services {
  readonly models: ReadonlyMap<string, ServedModel>;
  readonly keys: KeyStore;
  readonly jobs: JobStore;
  readonly cache: KeyCache<NativeServerKey>;
  readonly runner: Runner;
  readonly events: EventStreams;
  readonly metrics: Metrics;
}

declare module "fastify" {
  interface FastifyRequest {
    /** Who asks; set before any handler runs. */
    tenant: string;
  }
}

/** Bytes of one piece of an upload; a broken connection costs no more than the piece. */
const MAX_PIECE_BYTES = 64 << 20;

const ok = (schema: object, description: string): object => ({
  description,
  content: { "application/json": { schema } },
});
const bytes = (description: string): object => ({ description, ...schemas.BYTES });

/** Registers all routes. */
export function addRoutes(app: FastifyInstance, services: Services): void {
  addModelRoutes(app, services);
  addKeyRoutes(app, services);
  addUploadRoutes(app, services);
  addSubmission(app, services);
  addJobRoutes(app, services);
}

function addModelRoutes(app: FastifyInstance, { models }: Services): void {
  app.get(
    "/v1/models",
    {
      schema: {
        summary: "The models that this server runs",
        operationId: "listModels",
        response: schemas.answers({ 200: ok(schemas.listOf("models", "Model"), "All models") }),
      },
    },
    () => ({ models: [...models.values()].map(({ info }) => info) }),
  );
  app.get<{ Params: { model: string } }>(
    "/v1/models/:model/client.sotto",
    {
      schema: {
        summary: "What a client needs to encrypt for a model and to decrypt its answers",
        operationId: "getClientSpec",
        params: schemas.modelParameters,
        response: schemas.answers({ 200: bytes("The client spec") }, 404),
      },
    },
    (request, reply) => sendBytes(reply, requireModel(models, request.params.model).clientSpec),
  );
}

function addKeyRoutes(app: FastifyInstance, { keys, jobs, cache }: Services): void {
  app.get(
    "/v1/keys",
    {
      schema: {
        summary: "This tenant's evaluation keys, and uploads that have begun",
        operationId: "listKeys",
        response: schemas.answers({ 200: ok(schemas.listOf("keys", "Key"), "All keys") }),
      },
    },
    (request) => ({ keys: keys.list(request.tenant) }),
  );
  app.get<{ Params: { keyId: string } }>(
    "/v1/keys/:keyId",
    {
      schema: {
        summary: "How an upload stands",
        operationId: "getKey",
        params: schemas.keyParameters,
        response: schemas.answers({ 200: ok(schemas.reference("Key"), "The keys") }, 404),
      },
    },
    (request) => {
      const key = keys.get(request.tenant, request.params.keyId);
      if (key !== undefined) return key;
      throw new SottoError(
        "NOT_FOUND",
        "keys",
        "there are no such evaluation keys; upload them first",
      );
    },
  );
  app.delete<{ Params: { keyId: string } }>(
    "/v1/keys/:keyId",
    {
      schema: {
        summary: "Delete evaluation keys or an upload",
        operationId: "deleteKeys",
        params: schemas.keyParameters,
        response: schemas.answers({ 204: { description: "Gone", type: "null" } }, 404, 409),
      },
    },
    async (request, reply) => {
      const { tenant, params } = request;
      if (jobs.needsKey(tenant, params.keyId)) {
        const text = "jobs that are not done need these keys; wait for them or delete them";
        throw new SottoError("CONFLICT", "keys", text);
      }
      await keys.delete(tenant, params.keyId);
      await cache.forget(cacheName(tenant, params.keyId));
      return reply.code(204).send();
    },
  );
}

function addUploadRoutes(app: FastifyInstance, { keys, metrics }: Services): void {
  app.post<{ Body: Announcement }>(
    "/v1/keys",
    {
      schema: {
        summary: "Begin an upload of evaluation keys, or find where it stands",
        description: "Keys that are there already, by their digest, need not be sent again.",
        operationId: "announceKeys",
        body: schemas.announcement,
        response: schemas.answers(
          { 200: ok(schemas.reference("Key"), "Send what is missing from `offset` on") },
          409,
          422,
          507,
        ),
      },
    },
    (request) => keys.announce(request.tenant, request.body),
  );
  app.patch<{ Params: { keyId: string }; Querystring: { offset: number }; Body: Readable }>(
    "/v1/keys/:keyId",
    {
      schema: {
        summary: "Send the next piece of an upload",
        description: `At most ${MAX_PIECE_BYTES} bytes. What arrives of a piece that breaks off is kept.`,
        operationId: "appendKeys",
        params: schemas.keyParameters,
        querystring: schemas.offsetQuery,
        body: schemas.BYTES,
        response: schemas.answers(
          {
            200: ok(schemas.reference("Key"), "What is there now; `complete` after the last piece"),
          },
          404,
          409,
          422,
          507,
        ),
      },
    },
    async (request) => {
      const { params, query, body, tenant } = request;
      checkLength(request.headers["content-length"], MAX_PIECE_BYTES);
      const key = await keys.append(tenant, params.keyId, query.offset, requireBody(body));
      metrics.uploaded(key.offset - query.offset);
      return key;
    },
  );
}

function addSubmission(app: FastifyInstance, services: Services): void {
  const { models, jobs, runner, metrics } = services;
  app.post<{ Params: { model: string }; Body: Readable }>(
    "/v1/models/:model/jobs",
    {
      schema: {
        summary: "Hand in encrypted inputs",
        description:
          "The job that comes back is on disk: it will be done, once. Its evaluation keys must be there.",
        operationId: "submit",
        params: schemas.modelParameters,
        headers: schemas.idempotencyHeader,
        body: schemas.BYTES,
        response: schemas.answers(
          {
            200: ok(schemas.reference("Job"), "The job that this idempotency key has made before"),
            202: ok(schemas.reference("Job"), "The job, accepted"),
          },
          404,
          409,
          422,
          507,
        ),
      },
    },
    async (request, reply) => {
      const { info } = requireModel(models, request.params.model);
      checkLength(request.headers["content-length"], info.inputBytes);
      const inputs = await readExactly(requireBody(request.body), info.inputBytes);
      const keyId = checkInputs(services, request, inputs);
      const { job, isNew } = await jobs.accept({
        tenant: request.tenant,
        model: info.name,
        keyId,
        inputs,
        total: info.lookups,
        idempotencyKey: idempotencyKey(request),
      });
      if (isNew) {
        metrics.accepted(info.name);
        runner.add(job);
      }
      return reply
        .code(isNew ? 202 : 200)
        .header("location", `/v1/jobs/${job.record.id}`)
        .send(jobInfo(job));
    },
  );
}

function addJobRoutes(app: FastifyInstance, { jobs, runner, events }: Services): void {
  const find = (request: FastifyRequest<{ Params: { id: string } }>) =>
    jobs.get(request.tenant, request.params.id);
  const one = (
    operationId: string,
    summary: string,
    own: Record<number, object>,
    more: number[],
  ) => ({
    schema: {
      summary,
      operationId,
      params: schemas.jobParameters,
      response: schemas.answers(own, 404, ...more),
    },
  });
  app.get(
    "/v1/jobs",
    {
      schema: {
        summary: "This tenant's jobs, in the order in which they were accepted",
        operationId: "listJobs",
        response: schemas.answers({ 200: ok(schemas.listOf("jobs", "Job"), "All jobs") }),
      },
    },
    (request) => ({ jobs: jobs.list(request.tenant).map(jobInfo) }),
  );
  app.get<{ Params: { id: string } }>(
    "/v1/jobs/:id",
    one("getJob", "How a job stands", { 200: ok(schemas.reference("Job"), "The job") }, []),
    (request) => jobInfo(find(request)),
  );
  app.get<{ Params: { id: string } }>(
    "/v1/jobs/:id/events",
    one(
      "followJob",
      "Server-sent events: `data` is the job, at each news of it, until it is done or failed",
      {
        200: {
          description: "Events; the stream may end early when the server restarts",
          content: { "text/event-stream": { schema: {} } },
        },
      },
      [],
    ),
    (request, reply) => {
      const stream = events.follow(find(request));
      // x-accel-buffering: proxies such as nginx must not hold news back.
      return reply
        .header("content-type", "text/event-stream")
        .header("x-accel-buffering", "no")
        .send(stream);
    },
  );
  app.get<{ Params: { id: string } }>(
    "/v1/jobs/:id/result",
    one(
      "getResult",
      "Encrypted outputs; always the same bytes",
      { 200: bytes("The encrypted outputs") },
      [409, 422],
    ),
    async (request, reply) => sendBytes(reply, await jobs.readOutputs(find(request))),
  );
  app.delete<{ Params: { id: string } }>(
    "/v1/jobs/:id",
    one(
      "deleteJob",
      "Delete a job and its result; stop it where it is not done",
      { 204: { description: "Gone", type: "null" } },
      [],
    ),
    async (request, reply) => {
      const job = find(request);
      runner.remove(job);
      await jobs.delete(job);
      return reply.code(204).send();
    },
  );
}

function sendBytes(reply: FastifyReply, body: Uint8Array): FastifyReply {
  return reply.header("content-type", "application/octet-stream").send(Buffer.from(body));
}

function requireModel(models: ReadonlyMap<string, ServedModel>, name: string): ServedModel {
  const model = models.get(name);
  if (model !== undefined) return model;
  throw new SottoError("NOT_FOUND", "models", "there is no such model; GET /v1/models lists all");
}

/** Everything that can be known of inputs before they run; returns the id of their key. */
function checkInputs(
  { models, keys }: Services,
  request: FastifyRequest,
  inputs: Uint8Array,
): string {
  const { model } = request.params as { model: string };
  const { info } = requireModel(models, model);
  const { header } = decodeBlob(inputs, "inputs", info.inputBytes);
  if (toHex(header.modelId) !== info.modelId) {
    throw new SottoError("WRONG_MODEL", "inputs", "they were encrypted for another model");
  }
  if (toHex(header.parametersDigest) !== info.parametersDigest) {
    throw new SottoError(
      "WRONG_PARAMETERS",
      "inputs",
      "they were encrypted under other parameters",
    );
  }
  const keyId = toHex(header.keyId);
  const key = keys.get(request.tenant, keyId);
  if (key?.complete !== true) {
    const text = "the evaluation keys of these inputs are not here; upload them first";
    throw new SottoError("NOT_FOUND", "keys", text);
  }
  if (key.parametersDigest !== info.parametersDigest) {
    throw new SottoError("WRONG_KEY", "inputs", "the evaluation keys with this key id do not fit");
  }
  return keyId;
}

function idempotencyKey({ headers }: FastifyRequest): string | null {
  const key = headers["idempotency-key"];
  return typeof key === "string" ? key : null;
}

function requireBody(body: Readable | undefined | null): Readable {
  if (body) return body;
  const text = "expected a body of type application/octet-stream, got none";
  throw new SottoError("BAD_ARGUMENT", "body", text);
}
