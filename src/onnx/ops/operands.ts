/**
 * Reading of operands that an operator needs as numbers before it runs: axes, sizes, repeats. Operator sets of different
 * age state them by an attribute or by an input.
 * @module
 */
import { SottoError } from "../../errors.ts";
import { broadcastShapes, sameShape, type Shape, type Tensor } from "../../tensor/tensor.ts";
import type { Operand } from "./operator.ts";

/** A tensor as an operand whose value is known. */
export function known(value: Tensor): Operand {
  return { shape: value.shape, value };
}

/** The numbers of an operand; UNSUPPORTED_OPERATOR if they depend on the model's inputs. */
export function numbersOf(operator: string, name: string, operand: Operand): readonly number[] {
  if (operand.value) return [...operand.value.data];
  const message = `${name} is computed from the model's inputs; only a constant is supported`;
  throw new SottoError("UNSUPPORTED_OPERATOR", operator, message);
}

/** The numbers of an operand as sizes: integers of at least 0. */
export function sizesOf(operator: string, name: string, operand: Operand): readonly number[] {
  const sizes = numbersOf(operator, name, operand);
  if (sizes.every((size) => Number.isInteger(size) && size >= 0)) return sizes;
  const message = `${name}: expected integers of at least 0, got [${sizes.join(", ")}]`;
  throw new SottoError("BAD_SHAPE", operator, message);
}

// Far above any axis that can run encrypted; keeps a damaged file from asking for all the memory.
const mostEntries = 2 ** 22;

/** A list with one entry per place of an axis; BAD_SHAPE if it would be too long. */
export function entries(
  operator: string,
  length: number,
  entryAt: (place: number) => number,
): number[] {
  if (length <= mostEntries) return Array.from({ length }, (_, place) => entryAt(place));
  throw new SottoError("BAD_SHAPE", operator, `an axis of ${length} elements is too large`);
}

/** The shape of x, with which a parameter must broadcast without enlarging it. */
export function broadcastInto(operator: string, x: Shape, parameter: Shape): Shape {
  const shape = broadcastShapes(x, parameter);
  if (sameShape(shape, x)) return x;
  const message = `a parameter of shape [${parameter.join(", ")}] does not broadcast to [${x.join(", ")}]`;
  throw new SottoError("BAD_SHAPE", operator, message);
}

/** Numbers from an input if it is there, otherwise from an attribute. */
export function numbersFrom(
  operator: string,
  name: string,
  operand: Operand | undefined,
  attribute: readonly number[] | undefined,
): readonly number[] | undefined {
  return operand ? numbersOf(operator, name, operand) : attribute;
}

/** Axes counted from the beginning; BAD_SHAPE if one is outside the rank or named twice. */
export function wrapAxes(operator: string, axes: readonly number[], rank: number): number[] {
  const wrapped = axes.map((axis) => wrapAxis(operator, axis, rank));
  if (new Set(wrapped).size === wrapped.length) return wrapped;
  throw new SottoError("BAD_SHAPE", operator, `axes [${axes.join(", ")}] name an axis twice`);
}

/** One axis counted from the beginning. */
export function wrapAxis(operator: string, axis: number, rank: number): number {
  if (Number.isInteger(axis) && axis >= -rank && axis < rank) return axis < 0 ? axis + rank : axis;
  const message = `axis ${axis} is outside [${-rank}, ${rank - 1}]`;
  throw new SottoError("BAD_SHAPE", operator, message);
}

/** Throws BAD_MODEL because a node lacks what its operator needs. */
export function missing(operator: string, name: string): never {
  throw new SottoError("BAD_MODEL", operator, `${name} is missing`);
}
