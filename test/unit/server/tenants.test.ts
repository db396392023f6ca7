/** Tokens: who is let in. */
import { describe, expect, test } from "vitest";
import { createToken, parseTokens, tenantOf } from "../../../src/server/tenants.ts";
import { errorOf } from "../../support/errors.ts";

const alice = createToken("alice");
const bob = createToken("bob-2");

describe("the file", () => {
  test("has comments, empty lines, and several tokens of a tenant", () => {
    const more = createToken("alice");
    const text = `# ours\n${alice.line}\n\n${more.line} # new\r\n${bob.line}`;
    const tenants = parseTokens(text, "tokens");
    const names = [alice, more, bob].map(({ token }) => tenantOf(tenants, `Bearer ${token}`));
    expect(names).toEqual(["alice", "alice", "bob-2"]);
  });

  test("holds no token", () => {
    expect(alice.line).not.toContain(alice.token);
  });

  test.each([
    ["", "tokens"],
    ["# nothing", "tokens"],
    [`../x ${"0".repeat(64)}`, "tokens, line 1"],
    [`\nalice ${"0".repeat(63)}`, "tokens, line 2"],
    [`${alice.line} more`, "tokens, line 1"],
  ])("%j is refused", (text, where) => {
    expect(errorOf(() => parseTokens(text, "tokens"))).toMatchObject({
      code: "BAD_ARGUMENT",
      where,
    });
  });
});

test.each(["", "-x", "a/b", "a".repeat(65), "ä"])("%j is no name of a tenant", (name) => {
  expect(errorOf(() => createToken(name))).toMatchObject({ code: "BAD_ARGUMENT" });
});

test("nobody else is let in", () => {
  const tenants = parseTokens(alice.line, "tokens");
  const { token } = alice;
  const wrong = [undefined, "", token, `Basic ${token}`, `Bearer ${token}x`, `Bearer  ${token}`];
  expect([...wrong, `Bearer ${bob.token}`].map((header) => tenantOf(tenants, header))).toEqual(
    Array.from({ length: wrong.length + 1 }, () => undefined),
  );
  expect(tenantOf(tenants, `bearer ${token}`)).toBe("alice");
});
