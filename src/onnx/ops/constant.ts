/**
 * Constant: a value that the model states in a node instead of an initializer.
 * @module
 */
import { SottoError } from "../../errors.ts";
import { float32, int64, scalar, type Shape, type Tensor } from "../../tensor/tensor.ts";
import { defineOperator, isInts, isNumber, isNumbers, isTensor, optional } from "./operator.ts";
import type { Operator } from "./operator.ts";

interface ConstantAttributes {
  readonly value: Tensor | undefined;
  readonly value_float: number | undefined;
  readonly value_floats: readonly number[] | undefined;
  readonly value_int: number | undefined;
  readonly value_ints: readonly number[] | undefined;
}

/** Exactly one of its attributes is the value. */
export const Constant: Operator = defineOperator({
  minInputs: 0,
  maxInputs: 0,
  since: 1,
  attributes: {
    value: optional<Tensor>("tensor", isTensor),
    value_float: optional<number>("float", isNumber),
    value_floats: optional<readonly number[]>("floats", isNumbers),
    value_int: optional<number>("int", Number.isInteger),
    value_ints: optional<readonly number[]>("ints", isInts),
  },
  shape: (_, attributes): Shape[] => [constantValue(attributes).shape],
  evaluate: (_, attributes) => [constantValue(attributes)],
});

function constantValue(attributes: ConstantAttributes): Tensor {
  const { value, value_float, value_floats, value_int, value_ints } = attributes;
  if (value) return value;
  if (value_float !== undefined) return scalar("float32", value_float);
  if (value_floats) return float32([value_floats.length], value_floats);
  if (value_int !== undefined) return scalar("int64", value_int);
  if (value_ints) return int64([value_ints.length], value_ints);
  throw new SottoError("BAD_MODEL", "Constant", "the node states no value");
}
