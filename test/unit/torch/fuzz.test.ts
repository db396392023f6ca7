/**
 * Altered archives: every one gives a valid graph or an error with a code, and neither a crash nor a hang.
 */
import { expect, test } from "vitest";
import { SottoError } from "../../../src/errors.ts";
import { verify } from "../../../src/onnx/verify.ts";
import { importTorch } from "../../../src/torch/import.ts";
import { randomNumbers } from "../../support/random-models.ts";
import { readTorchFile } from "../../support/torch-fixtures.ts";
import { unzip, zip } from "../../support/zip.ts";

const seeds: readonly (readonly [string, string])[] = [
  ["mlp", "model.pt2"],
  ["mlp", "model_old.pt2"],
  ["dtypes", "model_mid.pt2"],
  ["cnn", "model.pt2"],
  ["in_place", "model_old.pt2"],
  ["attention", "model.pt2"],
  ["movement", "model.pt2"],
];

/** How many archives `npm test` alters; SOTTO_FUZZ asks for more. */
const rounds = Number(process.env["SOTTO_FUZZ"] ?? 350);

type Random = (below: number) => number;

const words = [
  "as_int",
  "as_name",
  "-1",
  "0",
  "9223372036854775807",
  "null",
  "1e400",
  '"x"',
  "[]",
  "{}",
  "true",
  "999",
];

/** A few bytes changed, inserted or taken out. */
function mutateBytes(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = [...bytes];
  for (let i = random(4) + 1; i > 0; i--) {
    const at = random(copy.length + 1);
    const kind = random(4);
    if (kind === 0) copy.splice(at, random(40));
    else if (kind === 1) copy.splice(at, 0, random(256), random(256));
    else copy[Math.min(at, copy.length - 1)] = random(256);
  }
  return Uint8Array.from(copy);
}

/** A number, a string or a list of a JSON text replaced by another value. */
function mutateJson(bytes: Uint8Array, random: Random): Uint8Array {
  let json = new TextDecoder().decode(bytes);
  for (let i = random(3) + 1; i > 0; i--) {
    const tokens = [...json.matchAll(/"[^"]*"|-?\d+(?:\.\d+)?|true|false|null|\[\]/g)];
    if (tokens.length === 0) break;
    const token = tokens[random(tokens.length)];
    const other = tokens[random(tokens.length)];
    const value = random(2) === 0 ? other[0] : words[random(words.length)];
    json = json.slice(0, token.index) + value + json.slice(token.index + token[0].length);
  }
  return new TextEncoder().encode(json);
}

/** An archive with one file altered in a way that keeps the zip intact, or altered as a whole. */
function mutateArchive(bytes: Uint8Array, random: Random): Uint8Array {
  if (random(8) === 0) return mutateBytes(bytes, random);
  const files = unzip(bytes);
  const names = [...files.keys()].filter(
    (name) => !name.includes("sample") && !name.includes("example"),
  );
  const json = names.filter((name) => name.endsWith(".json"));
  const name = random(3) > 0 ? json[random(json.length)] : names[random(names.length)];
  const file = files.get(name) ?? new Uint8Array();
  if (name.endsWith(".json")) files.set(name, mutateJson(file, random));
  else if (name.endsWith(".pt")) files.set(name, mutateCheckpoint(file, random));
  else files.set(name, mutateBytes(file, random));
  if (random(20) === 0) files.delete(names[random(names.length)]);
  return zip(files);
}

/** The pickle of a `.pt` file altered, the zip around it intact. */
function mutateCheckpoint(bytes: Uint8Array, random: Random): Uint8Array {
  const files = unzip(bytes);
  const pickle = [...files.keys()].find((name) => name.endsWith("data.pkl")) ?? "";
  files.set(pickle, mutateBytes(files.get(pickle) ?? new Uint8Array(), random));
  return zip(files);
}

test(
  `${rounds} altered archives give a valid graph or a coded error`,
  { timeout: 3_600_000 },
  () => {
    const uniform = randomNumbers(1);
    const random: Random = (below) => Math.floor(uniform() * below);
    const outcomes = new Map<string, number>();
    for (let i = 0; i < rounds; i++) {
      const [name, file] = seeds[i % seeds.length];
      const altered = mutateArchive(readTorchFile(name, file), random);
      let outcome = "graph";
      try {
        verify(importTorch(altered));
      } catch (error) {
        if (!(error instanceof SottoError))
          throw new Error(`round ${i}, ${name}/${file}`, { cause: error });
        expect(error.message).not.toContain("internal:");
        outcome = error.code;
      }
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    // Both must happen, or the alterations are too small or too large to say anything.
    expect(outcomes.get("graph") ?? 0).toBeGreaterThan(rounds / 20);
    expect(outcomes.get("BAD_MODEL") ?? 0).toBeGreaterThan(rounds / 5);
    expect([...outcomes.keys()].filter((code) => !codes.has(code))).toEqual([]);
  },
);

/** What importing may end in. */
const codes = new Set([
  "graph",
  "BAD_MODEL",
  "BAD_SHAPE",
  "BAD_ARGUMENT",
  "BAD_VALUE",
  "BAD_DTYPE",
  "UNSUPPORTED_OPERATOR",
]);
