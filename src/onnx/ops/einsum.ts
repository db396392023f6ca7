/**
 * Einsum: sums of products, described by one letter per axis.
 * @module
 */
import { SottoError } from "../../errors.ts";
import { offsetsOf } from "../../tensor/strided.ts";
import { allocate, promote, sizeOf, strides } from "../../tensor/tensor.ts";
import type { DType, Shape, Tensor } from "../../tensor/tensor.ts";
import { defineOperator, requiredString, type Operand, type Operator } from "./operator.ts";

/** Products of elements, summed over every letter that the result does not name. */
export const Einsum: Operator = defineOperator({
  minInputs: 1,
  maxInputs: Infinity,
  since: 12,
  attributes: { equation: requiredString() },
  shape(inputs: readonly Operand[], { equation }) {
    const shapes = inputs.map(({ shape }) => shape);
    const { result, sizes } = parse(equation, shapes);
    return [shapeOf(result, sizes)];
  },
  evaluate: (inputs: readonly Tensor[], { equation }) => [einsum(equation, inputs)],
});

interface Equation {
  /** Letters of each operand's axes; those of an ellipsis are written as numbers, counted from its end. */
  readonly operands: readonly (readonly string[])[];
  readonly result: readonly string[];
  readonly sizes: ReadonlyMap<string, number>;
}

function fail(equation: string, reason: string): never {
  throw new SottoError("BAD_MODEL", "Einsum", `equation ${equation}: ${reason}`);
}

function parse(equation: string, shapes: readonly Shape[]): Equation {
  const [left, right] = equation.replaceAll(" ", "").split("->");
  const terms = left.split(",");
  if (terms.length !== shapes.length) {
    fail(equation, `${terms.length} operands, got ${shapes.length} inputs`);
  }
  const operands = terms.map((term, i) => lettersOf(equation, term, shapes[i].length));
  const sizes = new Map<string, number>();
  for (const [i, letters] of operands.entries()) {
    for (const [axis, letter] of letters.entries()) {
      const size = shapes[i][axis];
      const other = sizes.get(letter) ?? 1;
      if (size !== other && size !== 1 && other !== 1) {
        fail(equation, `${letter} has size ${other} and ${size}`);
      }
      sizes.set(letter, Math.max(size, other));
    }
  }
  const broadcast = [...sizes.keys()].filter(isPlace).sort((a, b) => Number(b) - Number(a));
  const result =
    right === undefined
      ? [...broadcast, ...lettersOnce(operands)]
      : right.split("...").flatMap((part, i) => [...(i === 0 ? [] : broadcast), ...part.split("")]);
  const unknown = result.find((letter) => !sizes.has(letter));
  if (unknown !== undefined) fail(equation, `the result names ${unknown}, no operand does`);
  return { operands, result, sizes };
}

/** Letters of one operand, its ellipsis spelled out. */
function lettersOf(equation: string, term: string, rank: number): string[] {
  const [before, after] = term.split("...").map((part) => part.split(""));
  const length = rank - before.length - (after?.length ?? 0);
  if (length < 0 || (after === undefined && length > 0)) {
    fail(equation, `${term} does not fit an input of ${rank} axes`);
  }
  if (after === undefined) return before;
  const places = Array.from({ length }, (_, i) => String(length - 1 - i));
  return [...before, ...places, ...after];
}

function isPlace(letter: string): boolean {
  return letter >= "0" && letter <= "99" && !Number.isNaN(Number(letter));
}

/** Letters that appear once, in alphabetical order: the result that an equation without an arrow means. */
function lettersOnce(operands: readonly (readonly string[])[]): string[] {
  const all = operands.flat().filter((letter) => !isPlace(letter));
  return all.filter((letter) => all.indexOf(letter) === all.lastIndexOf(letter)).sort();
}

function shapeOf(letters: readonly string[], sizes: ReadonlyMap<string, number>): number[] {
  return letters.map((letter) => sizes.get(letter) ?? 1);
}

function einsum(equation: string, inputs: readonly Tensor[]): Tensor {
  const { operands, result, sizes } = parse(
    equation,
    inputs.map(({ shape }) => shape),
  );
  const summed = [...sizes.keys()].filter((letter) => !result.includes(letter));
  const kept = shapeOf(result, sizes);
  const rest = shapeOf(summed, sizes);
  const dtype = inputs.map((input) => input.dtype).reduce((a: DType, b) => promote(a, b));
  const outer = inputs.map(({ shape }, i) =>
    offsetsOf(kept, stepsAlong(result, operands[i], shape)),
  );
  const inner = inputs.map(({ shape }, i) =>
    offsetsOf(rest, stepsAlong(summed, operands[i], shape)),
  );
  const data = allocate(dtype, sizeOf(kept));
  const terms = sizeOf(rest);
  for (let place = 0; place < data.length; place++) {
    let total = 0;
    for (let term = 0; term < terms; term++) {
      let product = 1;
      for (const [i, { data: source }] of inputs.entries()) {
        product *= source[outer[i][place] + inner[i][term]];
      }
      total += product;
    }
    data[place] = total;
  }
  return { dtype, shape: kept, data };
}

/** How far one step of each letter moves in an operand; a letter on two axes moves along their diagonal. */
function stepsAlong(letters: readonly string[], own: readonly string[], shape: Shape): number[] {
  const steps = strides(shape);
  return letters.map((letter) =>
    own.reduce(
      (total, other, axis) => total + (other === letter && shape[axis] > 1 ? steps[axis] : 0),
      0,
    ),
  );
}
