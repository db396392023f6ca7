/**
 * How element-wise operators are declared: each is one function of numbers. It is computed in double precision and
 * rounded once to the element type of the operands.
 * @module
 */
import { combine, mapElements, relate, test } from "../../tensor/elementwise.ts";
import { broadcastShapes, type Shape, type Tensor } from "../../tensor/tensor.ts";
import { defineOperator, type AttributesOf, type AttributeSpec } from "./operator.ts";
import type { Operand, Operator } from "./operator.ts";

/** An operator that applies one function to each element. */
export function unary(op: (x: number) => number, since = 1): Operator {
  return unaryWith({}, () => op, since);
}

/** The same with attributes, from which the function is made. */
export function unaryWith<A extends Readonly<Record<string, AttributeSpec<unknown>>>>(
  attributes: A,
  opOf: (attributes: AttributesOf<A>) => (x: number) => number,
  since = 1,
): Operator {
  return defineOperator({
    minInputs: 1,
    maxInputs: 1,
    since,
    attributes,
    elementwise: true,
    shape: ([x]: readonly [Operand]) => [x.shape],
    evaluate: ([x]: readonly [Tensor], values) => [mapElements(x, opOf(values))],
  });
}

/** An operator that combines two tensors element by element, with broadcasting. */
export function binary(op: (x: number, y: number) => number, since = 1): Operator {
  return pairwise((a, b) => combine(a, b, op), since);
}

/** An operator on two tensors with broadcasting, given as a whole. */
export function pairwise(op: (a: Tensor, b: Tensor) => Tensor, since = 1): Operator {
  return defineOperator({
    minInputs: 2,
    maxInputs: 2,
    since,
    attributes: {},
    elementwise: true,
    shape: ([a, b]: readonly [Operand, Operand]) => [broadcastShapes(a.shape, b.shape)],
    evaluate: ([a, b]: readonly [Tensor, Tensor]) => [op(a, b)],
  });
}

/** An operator whose elements are true or false. */
export function relation(op: (x: number, y: number) => boolean, since = 1): Operator {
  return pairwise((a, b) => relate(a, b, op), since);
}

/** An operator that asks each element a question. */
export function predicate<A extends Readonly<Record<string, AttributeSpec<unknown>>>>(
  attributes: A,
  opOf: (attributes: AttributesOf<A>) => (x: number) => boolean,
  since = 1,
): Operator {
  return defineOperator({
    minInputs: 1,
    maxInputs: 1,
    since,
    attributes,
    elementwise: true,
    shape: ([x]: readonly [Operand]) => [x.shape],
    evaluate: ([x]: readonly [Tensor], values) => [test(x, opOf(values))],
  });
}

/** An operator that folds any number of tensors, at least one, with broadcasting. */
export function variadic(fold: (tensors: readonly Tensor[]) => Tensor, since = 1): Operator {
  return defineOperator({
    minInputs: 1,
    maxInputs: Infinity,
    since,
    attributes: {},
    elementwise: true,
    shape: (inputs: readonly Operand[]): Shape[] => [
      inputs.map(({ shape }) => shape).reduce((a, b) => broadcastShapes(a, b)),
    ],
    evaluate: (inputs: readonly Tensor[]) => [fold(inputs)],
  });
}
