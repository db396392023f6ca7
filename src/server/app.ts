/**
 * The HTTP side: who may ask, how much, and how errors are told. What is asked for is in routes.ts.
 * @module
 */
import type { Socket } from "node:net";
import rateLimit from "@fastify/rate-limit";
import fastifyStatic from "@fastify/static";
import swagger from "@fastify/swagger";
import {
  fastify,
  LogController,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from "fastify";
import { SottoError } from "../errors.ts";
import { answerTo, Refusal } from "./refusal.ts";
import { addRoutes, type Services } from "./routes.ts";
import { answers, SHARED } from "./schemas.ts";
import { LOCAL_TENANT, METRICS_TENANT, type Tenants, tenantOf } from "./tenants.ts";

export interface AppOptions {
  /** Null: everyone who reaches the server is one tenant. */
  readonly tenants: () => Tenants | null;
  /** Folder of a web page to serve at `/`; null: none. */
  readonly web: string | null;
  readonly requestsPerMinute: number;
  readonly requestTimeoutMs: number;
  readonly maxConnections: number;
  /** True once the server is shutting down. */
  readonly isStopping: () => boolean;
  /** `silent`, or the least that is logged. */
  readonly logLevel: string;
  readonly version: string;
}

const MAX_JSON_BYTES = 4096;

/** For answers that are no page: nothing may run, be framed or be guessed. */
const API_POLICY = "default-src 'none'; frame-ancestors 'none'";
/** For pages: own scripts, styles and workers only, and WebAssembly. */
const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** The application, ready to listen. */
export async function buildApp(options: AppOptions, services: Services): Promise<FastifyInstance> {
  const app = fastify({
    bodyLimit: MAX_JSON_BYTES,
    logController: new LogController({ disableRequestLogging: true }),
    requestTimeout: options.requestTimeoutMs,
    // Node looks at the timeout given here when it decides how to look for slow requests.
    http: {
      requestTimeout: options.requestTimeoutMs,
      connectionsCheckingInterval: Math.min(5000, options.requestTimeoutMs),
    },
    logger: { level: options.logLevel },
    exposeHeadRoutes: false,
    ajv: { customOptions: { removeAdditional: false, allErrors: false } },
    frameworkErrors: (error: Error, _request: FastifyRequest, reply: FastifyReply) => {
      const { status, body } = answerTo(error);
      void reply.code(status).send(body);
    },
    clientErrorHandler: (error, socket) => answerBrokenRequest(error, socket),
  });
  app.server.maxConnections = options.maxConnections;
  for (const schema of SHARED) app.addSchema(schema);
  addBodies(app);
  addAnswers(app, services);
  addHostCheck(app, options);
  await app.register(swagger, documentOf(options));
  await app.register(rateLimit, {
    max: options.requestsPerMinute,
    timeWindow: 60_000,
    keyGenerator: (request) => request.tenant || request.ip,
  });
  if (options.web !== null) {
    await app.register(fastifyStatic, { root: options.web, cacheControl: false });
  }
  // The gate belongs to the routes and not to an address: a router reads more than one spelling of it.
  await app.register((scope, _options, done) => {
    addGate(scope, options);
    addRoutes(scope, services);
    done();
  });
  await app.register((scope, _options, done) => {
    addOperations(scope, options, services);
    done();
  });
  await app.ready();
  return app;
}

/** Bytes are handed to routes as streams: a route knows how many it expects. */
function addBodies(app: FastifyInstance): void {
  app.removeContentTypeParser("text/plain");
  app.addContentTypeParser("application/octet-stream", (_request, payload, done) =>
    done(null, payload),
  );
}

function addAnswers(app: FastifyInstance, { metrics }: Services): void {
  app.setErrorHandler((error, request, reply) => {
    const { status, body, retryAfter } = answerTo(error);
    if (status === 500) request.log.error({ err: error }, "a request met a bug");
    if (retryAfter !== null) void reply.header("retry-after", retryAfter);
    if (status === 401) void reply.header("www-authenticate", "Bearer");
    // A body that was not read to its end would hold the connection.
    if (!request.raw.complete) void reply.header("connection", "close");
    return reply.code(status).send(body);
  });
  app.setNotFoundHandler(() => {
    throw new SottoError("NOT_FOUND", "address", "there is nothing here; see /openapi.json");
  });
  app.addHook("onSend", async (request, reply, payload) => {
    const route = request.routeOptions.url ?? "";
    const isApi = route.startsWith("/v1/") || reply.statusCode >= 400;
    void reply
      .header("x-content-type-options", "nosniff")
      .header("referrer-policy", "no-referrer")
      .header("cross-origin-opener-policy", "same-origin")
      .header("cross-origin-embedder-policy", "require-corp")
      .header("cross-origin-resource-policy", "same-origin")
      .header("content-security-policy", isApi ? API_POLICY : PAGE_POLICY)
      .header("cache-control", isApi ? "no-store" : "no-cache");
    return payload;
  });
  app.addHook("onResponse", async (request, reply) => {
    // The route and not the address: what a client writes there by mistake stays out of the log.
    const route = request.routeOptions.url ?? "unknown";
    const { statusCode: status, elapsedTime: ms } = reply;
    metrics.request(request.method, route, status, ms);
    const fields = { method: request.method, route, status, ms: Math.round(ms) };
    request.log.info({ ...fields, tenant: request.tenant }, "request");
  });
}

function addHostCheck(app: FastifyInstance, { tenants }: AppOptions): void {
  app.decorateRequest("tenant", "");
  app.addHook("onRequest", async (request) => {
    if (tenants() === null) checkHost(request);
  });
}

/** Runs before any handler of a scope's routes and before any body is read. */
function addGate(scope: FastifyInstance, { tenants, isStopping }: AppOptions): void {
  scope.addHook("onRequest", async (request) => {
    const known = tenants();
    const tenant = known === null ? LOCAL_TENANT : tenantOf(known, request.headers.authorization);
    if (tenant === undefined || tenant === METRICS_TENANT) {
      const text = "expected `Authorization: Bearer TOKEN` with a token of this server";
      throw new SottoError("UNAUTHORIZED", "authorization", text);
    }
    request.tenant = tenant;
    if (isStopping() && request.method !== "GET") {
      const text = "the server is shutting down; try again soon";
      throw new Refusal(new SottoError("UNAVAILABLE", "server", text), { retryAfter: 2 });
    }
  });
}

/** Without tokens, a web page elsewhere must not reach in under a name of its own (DNS rebinding). */
function checkHost({ headers }: FastifyRequest): void {
  const host = (headers.host ?? "").replace(/:\d+$/, "");
  if (["localhost", "127.0.0.1", "[::1]"].includes(host)) return;
  const text = "expected localhost: a server without --tokens answers this machine alone";
  throw new SottoError("BAD_ARGUMENT", "host", text);
}

function addOperations(app: FastifyInstance, options: AppOptions, { metrics }: Services): void {
  const text = (operationId: string, summary: string, ...errors: number[]) => ({
    schema: {
      summary,
      operationId,
      security: [],
      response: answers(
        { 200: { description: "Yes", content: { "text/plain": { schema: { type: "string" } } } } },
        ...errors,
      ),
    },
    config: { rateLimit: false as const },
  });
  app.get("/healthz", text("health", "Whether the process lives"), (_request, reply) =>
    reply.type("text/plain").send("ok\n"),
  );
  app.get("/readyz", text("ready", "Whether it takes work"), (_request, reply) => {
    if (options.isStopping()) {
      throw new SottoError("UNAVAILABLE", "server", "the server is shutting down");
    }
    return reply.type("text/plain").send("ok\n");
  });
  app.get(
    "/metrics",
    text("metrics", `Numbers for Prometheus; asks for a token of the tenant \`${METRICS_TENANT}\``),
    async (request, reply) => {
      const known = options.tenants();
      if (known !== null && tenantOf(known, request.headers.authorization) !== METRICS_TENANT) {
        const why = `expected a token of the tenant ${METRICS_TENANT}`;
        throw new SottoError("UNAUTHORIZED", "authorization", why);
      }
      return reply.type(metrics.contentType).send(await metrics.text());
    },
  );
  app.get("/openapi.json", { schema: { hide: true } }, () => app.swagger());
}

function documentOf({ version, tenants }: AppOptions) {
  return {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "sotto",
        description: "Runs models on encrypted inputs. The server sees ciphertexts only.",
        version,
      },
      components: {
        securitySchemes: { bearer: { type: "http" as const, scheme: "bearer" } },
      },
      security: tenants() === null ? [] : [{ bearer: [] }],
    },
    refResolver: {
      buildLocalReference: (
        json: { readonly $id?: unknown },
        _base: unknown,
        _part: string,
        index: number,
      ) => (typeof json.$id === "string" ? json.$id : `schema-${index}`),
    },
  };
}

/** What reaches us is no HTTP, or came too slowly: there is no request to answer, only a connection. */
function answerBrokenRequest(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, reason] = statusOfBroken(error.code ?? "");
  const message = status === 408 ? "the request took too long" : "this is not a request of HTTP";
  const body = JSON.stringify({ code: "BAD_ARGUMENT", where: "request", message });
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\nconnection: close\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

function statusOfBroken(code: string): [number, string] {
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return [408, "Request Timeout"];
  if (code === "HPE_HEADER_OVERFLOW") return [431, "Request Header Fields Too Large"];
  return [400, "Bad Request"];
}
