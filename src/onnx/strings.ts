/**
 * Strings of a model. Tensors hold numbers only, so a string is the place of its text in one list that the model has: equal
 * strings have equal codes, and that is all that operators ask of them. Inputs and outputs that a model declares as
 * strings carry the list (`GraphValue.strings`), with which callers go from texts to codes and back.
 * @module
 */
import { SottoError } from "../errors.ts";
import { int64, type Shape, type Tensor } from "../tensor/tensor.ts";
import type { GraphValue } from "./graph.ts";

/** The list while a model is read: every text that occurs gets the next code. */
export class StringTable {
  readonly texts: string[] = [];
  private readonly codes = new Map<string, number>();

  /** Begins with the texts of another list. */
  constructor(texts: readonly string[] = []) {
    for (const text of texts) this.codeOf(text);
  }

  codeOf(text: string): number {
    const known = this.codes.get(text);
    if (known !== undefined) return known;
    this.codes.set(text, this.texts.length);
    return this.texts.push(text) - 1;
  }
}

/** What stands for texts that the model does not know. */
const UNKNOWN = -1;

function textsOf({ name, strings }: Pick<GraphValue, "name" | "strings">): readonly string[] {
  if (strings) return strings;
  throw new SottoError("BAD_DTYPE", name, "it holds numbers, not strings");
}

/**
 * The codes that stand for texts in an input; -1 for a text that the model does not know, which it treats as any other such
 * text. Throws BAD_DTYPE for an input of numbers and BAD_SHAPE for a shape that does not hold the texts.
 */
export function encodeStrings(
  input: Pick<GraphValue, "name" | "strings">,
  shape: Shape,
  texts: readonly string[],
): Tensor<"int64"> {
  const codes = new Map(textsOf(input).map((text, code) => [text, code]));
  return int64(
    shape,
    texts.map((text) => codes.get(text) ?? UNKNOWN),
  );
}

/** The texts that an output's codes stand for, in C order. Throws BAD_DTYPE for an output of numbers. */
export function decodeStrings(
  output: Pick<GraphValue, "name" | "strings">,
  codes: Tensor,
): string[] {
  const texts = textsOf(output);
  return Array.from(codes.data, (code) => texts[code] ?? "");
}
