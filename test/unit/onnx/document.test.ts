/**
 * The page of operators is made of the operator table.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { documentOperators } from "../../../src/onnx/document.ts";
import { encryptedColumn } from "../../../src/quantization/document.ts";
import { supportedOperators } from "../../../src/onnx/ops/index.ts";

const page = readFileSync(new URL("../../../docs/operators.md", import.meta.url), "utf8");

test("docs/operators.md is what node scripts/write-operators.mjs writes", () => {
  expect(page).toBe(documentOperators(encryptedColumn()));
});

test("the page names every operator once", () => {
  const names = [...page.matchAll(/^\| `([\w.]+)` /gm)].map(([, name]) => name);
  expect(names.sort()).toEqual(supportedOperators);
});

test("an extra column says something of the operators it knows", () => {
  const text = documentOperators({ Encrypted: new Map([["Relu", "table"]]) });
  expect(text).toMatch(/\| Encrypted \|/);
  expect(text).toMatch(/^\| `Relu` .*\| table +\|$/m);
  expect(text).toMatch(/^\| `Tanh` .*\| +\|$/m);
});
