/**
 * docs/torch.md lists the operators that are read.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { supportedAten } from "../../../src/torch/aten/index.ts";

test("the list of operators is that of the table", () => {
  const page = readFileSync(new URL("../../../docs/torch.md", import.meta.url), "utf8");
  const [, list = ""] = /```text\n([^`]*)```\s*$/.exec(page) ?? [];
  const names = [...new Set(supportedAten.map((name) => name.slice(0, name.indexOf("."))))];
  expect(list.trim().split(/\s+/)).toEqual(names);
});
