/**
 * Malformed requests against a running server: made from its own OpenAPI document (right shapes with wrong values, wrong
 * shapes, real names of another tenant), and bytes that are hardly HTTP. Every answer must be one that the document
 * states, in the form of an error with a code; the server must live, and no token may show up in an answer or the log.
 * Usage: node bench/malformed-requests.mjs [--count N] [--seed S]
 * Prints a JSON object; its exit status is 1 when something of this does not hold.
 */
import { randomBytes } from "node:crypto";
import { execFileSync } from "node:child_process";
import { Agent, request } from "node:http";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import fc from "fast-check";
import {
  compileFixture,
  localOutputs,
  makeClient,
  remote,
  startServer,
  temporaryFolder,
} from "./serving.mjs";

const { values } = parseArgs({
  options: { count: { type: "string", default: "20000" }, seed: { type: "string", default: "1" } },
});
const count = Number(values.count);
const seed = Number(values.seed);
const LANES = 16;
const NAME = "op_single_linear";
const ANSWER_MS = 20_000;

const folder = temporaryFolder();
const models = `${folder}/models`;
await compileFixture(NAME, models, ["--n-bits", "4"]);
const tokens = `${folder}/tokens.txt`;
const entry = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const makeToken = (tenant) =>
  execFileSync(process.execPath, [entry, "token", tenant, "--tokens", tokens], {
    encoding: "utf8",
  }).trim();
const token = makeToken("attacker");
const victimToken = makeToken("victim");
const server = await startServer(models, {
  data: `${folder}/data`,
  args: ["--tokens", tokens, "--rate", "1000000000", "--max-queued", "50", "--log-level", "debug"],
});
const { hostname, port } = new URL(server.url);

const victim = await makeClient(models, NAME, 1);
const [expected] = await localOutputs(models, victim);
const victimSide = remote(server.url, { token: victimToken });
const victimKey = await victimSide.uploadKeys(victim.evaluationKeys);
const victimJob = await victimSide.submit(NAME, victim.inputs[0]);
await victimSide.follow(victimJob.id);
const own = await makeClient(models, NAME, 1);
const ownSide = remote(server.url, { token });
const [info] = await ownSide.models();
const ownKey = await ownSide.uploadKeys(own.evaluationKeys);
const ownJob = await ownSide.submit(NAME, own.inputs[0]);
await ownSide.follow(ownJob.id);

const document = await (await fetch(`${server.url}/openapi.json`)).json();
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
);

/** Values for a schema: mostly of its shape, at times of another. */
function valueOf(schema) {
  const resolved = schema?.$ref
    ? document.components.schemas[schema.$ref.split("/").pop()]
    : (schema ?? {});
  const shaped = shapedValue(resolved);
  return fc.oneof({ weight: 4, arbitrary: shaped }, { weight: 1, arbitrary: fc.jsonValue() });
}

function shapedValue(schema) {
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if (schema.type === "integer" || schema.type === "number") {
    const sizes = [0, 1, -1, own.evaluationKeys.length, 2 ** 31, 2 ** 53, 1e300, 0.5];
    return fc.oneof(fc.constantFrom(...sizes), fc.integer(), fc.double());
  }
  if (schema.type === "boolean") return fc.boolean();
  if (schema.type === "array") return fc.array(valueOf(schema.items), { maxLength: 5 });
  if (schema.type === "object") {
    const entries = Object.entries(schema.properties ?? {});
    return fc.record(Object.fromEntries(entries.map(([name, value]) => [name, valueOf(value)])), {
      requiredKeys: [],
    });
  }
  return textOf(schema);
}

const ids = [victimKey.keyId, victimKey.digest, victimJob.id, ownKey.keyId, ownJob.id];
const names = [
  info.name,
  info.modelId,
  info.parametersDigest,
  "..",
  "%2e%2e%2f",
  "\0",
  "A".repeat(3000),
];

function textOf(schema) {
  const junk = fc.oneof(fc.constantFrom(...ids, ...names), fc.string({ unit: "binary" }));
  if (schema.pattern === undefined) return junk;
  return fc.oneof(junk, fc.stringMatching(new RegExp(schema.pattern)));
}

/** Announcements that are right but for one field at most: uploads begin, and what is sent to them is damaged. */
const announced = fc
  .tuple(fc.constantFrom(...ids), fc.constantFrom("keyId", "digest", "bytes", "none"), fc.nat(500))
  .map(([id, field, number]) => {
    const { keyId, digest, parametersDigest, bytes } = ownKey;
    const right = { keyId, digest, parametersDigest, bytes };
    if (field === "keyId") right.keyId = id.slice(0, 32);
    if (field === "digest") right.digest = id.repeat(2).slice(0, 64);
    if (field === "bytes") right.bytes = number;
    return Buffer.from(JSON.stringify(right));
  });

/** Bodies: real messages, whole and damaged, and junk. */
function bodyOf(operation) {
  const content = operation.requestBody?.content ?? {};
  const messages = [own.inputs[0], victim.inputs[0], own.evaluationKeys, victim.evaluationKeys];
  const damaged = fc
    .tuple(fc.constantFrom(...messages), fc.nat(), fc.integer({ min: 1, max: 255 }), fc.nat(3))
    .map(([bytes, at, flip, how]) => {
      if (how === 0) return Buffer.from(bytes);
      if (how === 1) return Buffer.from(bytes.subarray(0, at % bytes.length));
      const copy = Buffer.from(how === 2 ? bytes : Buffer.concat([bytes, randomBytes(9)]));
      copy[at % copy.length] ^= flip;
      return copy;
    });
  const junk = fc.uint8Array({ maxLength: 6000 }).map((bytes) => Buffer.from(bytes));
  const schema = content["application/json"]?.schema;
  if (schema === undefined) return fc.oneof(damaged, junk, fc.constant(undefined));
  const json = valueOf(schema).map((value) => Buffer.from(JSON.stringify(value) ?? ""));
  return fc.oneof(
    { weight: 6, arbitrary: json },
    { weight: 3, arbitrary: announced },
    damaged,
    junk,
    fc.constant(undefined),
  );
}

const authorization = fc.oneof(
  { weight: 8, arbitrary: fc.constant(`Bearer ${token}`) },
  fc.constantFrom(undefined, "Bearer ", "Basic YTpi", `Bearer ${token}x`, `Token ${token}`),
);
const contentType = (operation) =>
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.constant(Object.keys(operation.requestBody?.content ?? {})[0]),
    },
    fc.constantFrom(
      "text/plain",
      'application/json; charset="',
      "multipart/form-data",
      "x",
      undefined,
    ),
  );

/** How a value of any type looks in an address or a header. */
function textFrom(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** Names of parameters that lead somewhere. */
const real = {
  model: [info.name],
  keyId: [ownKey.keyId, victimKey.keyId],
  id: [ownJob.id, victimJob.id],
  offset: [0, 1, 80, ownKey.bytes],
  "idempotency-key": ["a", "b", "c"],
};

/** One request of an operation. */
const fromDocument = fc.constantFrom(...operations).chain(({ path, method, operation }) => {
  const parameters = (operation.parameters ?? []).map((parameter) =>
    fc
      .oneof(valueOf(parameter.schema), fc.constantFrom(...(real[parameter.name] ?? [""])))
      .map((value) => ({ ...parameter, value: textFrom(value) })),
  );
  return fc.record({
    kind: fc.constant("document"),
    operation: fc.constant(operation),
    path: fc.constant(path),
    method: fc.oneof(
      { weight: 12, arbitrary: fc.constant(method.toUpperCase()) },
      fc.constantFrom("PUT", "HEAD", "OPTIONS", "POST", "DELETE", "PATCH"),
    ),
    parameters: fc.tuple(...parameters),
    authorization,
    contentType: contentType(operation),
    body: bodyOf(operation),
  });
});

/** Bytes on a socket that are hardly a request. */
const raw = fc
  .oneof(
    fc.uint8Array({ minLength: 1, maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    fc
      .tuple(
        fc.constantFrom("GET", "POST", "PATCH", "G ET", "PRI", "CONNECT", ""),
        fc.oneof(fc.constantFrom("/v1/keys", "*", "http://x/v1/jobs", "/%zz", "//"), fc.string()),
        fc.constantFrom("HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/9", ""),
        fc.array(
          fc.oneof(
            fc.constantFrom(
              "Content-Length: 5",
              "Content-Length: -1",
              "Content-Length: 99999999999999999999",
              "Transfer-Encoding: chunked",
              "Transfer-Encoding: gzip, chunked",
              `Authorization: Bearer ${token}`,
              "Expect: 100-continue",
              "Upgrade: websocket",
              "Connection: close, upgrade",
              `X: ${"y".repeat(20_000)}`,
            ),
            fc.string(),
          ),
          { maxLength: 5 },
        ),
        fc.string(),
      )
      .map(([method, path, version, headers, body]) =>
        Buffer.from(
          `${[`${method} ${path} ${version}`, "Host: x", ...headers].join("\r\n")}\r\n\r\n${body}`,
        ),
      ),
  )
  .map((bytes) => ({ kind: "raw", bytes }));

const problems = [];
const statuses = {};
const agent = new Agent({ keepAlive: true, maxSockets: LANES });

/** Sends a request; resolves to its answer, or to null where the connection was closed without one. */
function send({ method, target, headers, body }) {
  return new Promise((resolve) => {
    const sent = request({ hostname, port, method, path: target, headers, agent }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("error", () => resolve(null));
      response.on("end", () =>
        resolve({
          status: response.statusCode,
          type: response.headers["content-type"] ?? "",
          head: JSON.stringify(response.headers),
          body: Buffer.concat(chunks),
        }),
      );
    });
    sent.setTimeout(ANSWER_MS, () => {
      problems.push(`no answer within ${ANSWER_MS} ms: ${method} ${target}`);
      sent.destroy();
    });
    sent.on("error", () => resolve(null));
    sent.end(body);
  });
}

async function tryDocument({ operation, path, method, parameters, ...rest }) {
  const at = (place) => parameters.filter((parameter) => parameter.in === place);
  let target = path;
  for (const { name, value } of at("path")) {
    target = target.replace(`{${name}}`, () => encodeURIComponent(value.toWellFormed()));
  }
  const query = at("query").map(
    ({ name, value }) => `${name}=${encodeURIComponent(value.toWellFormed())}`,
  );
  if (query.length > 0) target += `?${query.join("&")}`;
  const headers = {};
  if (rest.authorization !== undefined) headers["authorization"] = rest.authorization;
  if (rest.contentType !== undefined) headers["content-type"] = rest.contentType;
  for (const { name, value } of at("header")) {
    headers[name] = value.replace(/[^\t\x20-\x7e\x80-\xff]/g, "?");
  }
  const hasBody = rest.body !== undefined && !["GET", "HEAD"].includes(method);
  const answer = await send({ method, target, headers, body: hasBody ? rest.body : undefined });
  if (answer === null) return note("closed");
  note(answer.status);
  const own = document.paths[path][method.toLowerCase()]?.responses;
  check(
    `${method} ${target.slice(0, 200)}`,
    answer,
    own ?? { ...operation.responses, 404: {} },
    method === "HEAD",
  );
  // Names of keys are each tenant's own, ids of jobs are not: the victim's is known to the victim alone.
  const isForeign = target.startsWith(`/v1/jobs/${victimJob.id}`);
  if (isForeign && ![400, 401, 404, 415].includes(answer.status)) {
    problems.push(`another tenant's: ${method} ${target}: ${answer.status}`);
  }
}

/** What an answer must be: stated, and with a code where it is an error. */
function check(what, { status, type, head, body }, stated, isHead) {
  if (!(String(status) in stated)) problems.push(`${what}: ${status} is not in the document`);
  const text = head + body.toString("latin1");
  if (text.includes(token) || text.includes(victimToken)) problems.push(`${what}: told a token`);
  if (status < 400 || isHead) return;
  let told = {};
  try {
    told = JSON.parse(body.toString());
  } catch {
    // Told below.
  }
  const isError = ["code", "where", "message"].every((name) => typeof told[name] === "string");
  if (!type.startsWith("application/json") || !isError) {
    problems.push(`${what}: ${status} without a code: ${body.toString().slice(0, 200)}`);
  }
}

function tryRaw({ bytes }) {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect({ host: hostname, port: Number(port) });
    const end = () => {
      socket.destroy();
      const status = /^HTTP\/1\.1 (\d{3})/.exec(text)?.[1];
      note(status ?? "closed");
      if (status?.startsWith("5"))
        problems.push(`raw ${bytes.toString("base64")}: ${text.slice(0, 200)}`);
      if (text.includes(token)) problems.push(`raw ${bytes.toString("base64")}: told a token`);
      resolve();
    };
    socket.on("data", (chunk) => (text += chunk.toString("latin1")));
    socket.on("error", () => {});
    socket.on("close", end);
    socket.setTimeout(300, () => socket.destroy());
    socket.write(bytes);
  });
}

function note(status) {
  statuses[status] = (statuses[status] ?? 0) + 1;
}

const arbitrary = fc.oneof({ weight: 9, arbitrary: fromDocument }, { weight: 1, arbitrary: raw });
const requests = fc.sample(arbitrary, { numRuns: count, seed });
let next = 0;
const start = performance.now();
await Promise.all(
  Array.from({ length: LANES }, async () => {
    for (
      let item = requests[next++];
      item !== undefined && server.isAlive();
      item = requests[next++]
    ) {
      // Keys that were deleted are uploaded again, so that some submissions get further.
      if (next % 100 === 0) await ownSide.uploadKeys(own.evaluationKeys).catch(() => undefined);
      await (item.kind === "raw" ? tryRaw(item) : tryDocument(item));
    }
  }),
);
const seconds = (performance.now() - start) / 1000;
agent.destroy();

// The victim has noticed nothing.
if (!server.isAlive()) problems.push(`the server is gone: ${server.log().slice(-2000)}`);
const after = Buffer.from(await victimSide.run(NAME, victim.inputs[0]));
if (!after.equals(expected)) problems.push("the victim's answer changed");
if (JSON.stringify(await victimSide.keys()) !== JSON.stringify([victimKey])) {
  problems.push("the victim's keys changed");
}
const code = await server.stop("SIGTERM");
if (code !== 0) problems.push(`SIGTERM ended the server with ${code}`);
const log = server.log();
for (const secret of [token, victimToken])
  if (log.includes(secret)) problems.push("a token is in the log");
if (/"level":50/.test(log))
  problems.push(`an error in the log: ${/.*"level":50.*/.exec(log)?.[0]}`);
console.log(
  JSON.stringify(
    { count, seconds: Math.round(seconds), statuses, problems: problems.slice(0, 20) },
    null,
    2,
  ),
);
process.exitCode = problems.length > 0 ? 1 : 0;
