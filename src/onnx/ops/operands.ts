/**
 * Reading of operands that an operator needs as numbers before it runs: axes, sizes, repeats. Operator sets of different
 * age state them by an attribute or by an input.
 * @module
 */
import { SottoError } from "../../errors.ts";
import type { Tensor } from "../../tensor/tensor.ts";
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
  if (axis >= -rank && axis < rank) return axis < 0 ? axis + rank : axis;
  const message = `axis ${axis} is outside [${-rank}, ${rank - 1}]`;
  throw new SottoError("BAD_SHAPE", operator, message);
}

/** Throws BAD_MODEL because a node lacks what its operator needs. */
export function missing(operator: string, name: string): never {
  throw new SottoError("BAD_MODEL", operator, `${name} is missing`);
}
