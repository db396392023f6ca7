/**
 * Tenants and their bearer tokens. The file holds hashes only: whoever reads it can let nobody in.
 * A token is 32 random bytes, so one plain SHA-256 is enough: there is nothing to guess.
 * @module
 */
import { createHash, randomBytes } from "node:crypto";
import { SottoError } from "../errors.ts";

/** Everyone, on a server without tokens. */
export const LOCAL_TENANT = "local";
/** A token under this name reads `/metrics`, and has no keys or jobs. */
export const METRICS_TENANT = "metrics";

const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
const HASH = /^[0-9a-f]{64}$/;
const PREFIX = "sotto_";

/** Tenant of each token's hash. */
export type Tenants = ReadonlyMap<string, string>;

/** Reads the file: a line `NAME SHA256` per token, `#` begins a comment. A tenant may have several. Throws BAD_ARGUMENT. */
export function parseTokens(text: string, where: string): Tenants {
  const tenants = new Map<string, string>();
  text.split("\n").forEach((line, index) => {
    const content = line.replace(/#.*/, "").trim();
    if (content === "") return;
    const [name = "", hash = "", ...rest] = content.split(/\s+/);
    if (!NAME.test(name) || !HASH.test(hash) || rest.length > 0) {
      throw new SottoError(
        "BAD_ARGUMENT",
        `${where}, line ${index + 1}`,
        "expected a tenant's name and a SHA-256 in hexadecimal; make both with `sotto token NAME`",
      );
    }
    tenants.set(hash, name);
  });
  if (tenants.size === 0) {
    throw new SottoError(
      "BAD_ARGUMENT",
      where,
      "expected at least one token, got none; make one with `sotto token NAME`",
    );
  }
  return tenants;
}

/** The tenant that an `Authorization` header names; undefined where it names none. */
export function tenantOf(tenants: Tenants, header: string | undefined): string | undefined {
  const token = /^Bearer ([^\s]+)$/i.exec(header ?? "")?.[1];
  return token === undefined ? undefined : tenants.get(hashOf(token));
}

/** A new token and the line that lets it in. Throws BAD_ARGUMENT. */
export function createToken(name: string): { readonly token: string; readonly line: string } {
  if (!NAME.test(name)) {
    throw new SottoError(
      "BAD_ARGUMENT",
      "tenant",
      "expected 1 to 64 letters, digits, - and _, with a letter or a digit first",
    );
  }
  const token = PREFIX + randomBytes(32).toString("base64url");
  return { token, line: `${name} ${hashOf(token)}` };
}

function hashOf(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}
