/**
 * Arithmetic between encrypted integers, made of sums and tables: brought to one scale, multiplied, compared.
 * @module
 */
import type { Target } from "../../circuit/builder.ts";
import type { FloatOp } from "../../circuit/ir.ts";
import { expand } from "../../tensor/strided.ts";
import {
  type Tensor,
  broadcastShapes,
  float64,
  sameShape,
  scalar,
  sizeOf,
} from "../../tensor/tensor.ts";
import type { QuantizedOperation, QuantizedValue } from "../operation.ts";
import type { UniformQuantizer } from "../quantizer.ts";

/** Integers with the quantizer that reads them. */
export interface Coded<V> {
  readonly codes: V;
  readonly quantizer: UniformQuantizer;
}

/** A float operation whose null operands are variables. */
export function floatOp(opType: string, operands: FloatOp["operands"]): FloatOp {
  return { kind: "float", opType, attributes: {}, operands };
}

/** A float64 constant of a table's function. */
export function constant(value: number): Tensor {
  return scalar("float64", value);
}

/** Codes at another scale with zero point 0, unclipped, as Concrete ML adds: one table per element. */
export function rescale<V>(
  target: Target<V>,
  op: QuantizedOperation,
  { codes, quantizer }: Coded<V>,
  scale: number,
): V {
  const { name } = op.node;
  const read = {
    kind: "dequantize",
    scale: quantizer.scale,
    zeroPoint: quantizer.zeroPoint,
  } as const;
  return atScale(target, name, target.emit(read, [codes], name), scale);
}

/** Integers nearest to floats at a scale, unclipped: one table per element, and one rounding. */
export function atScale<V>(target: Target<V>, name: string, floats: V, scale: number): V {
  const map = { scale, zeroPoint: 0, codeRange: [0, 0], noClipping: true } as const;
  return target.emit({ kind: "quantize", map }, [floats], name);
}

/** A value's floats within three times its calibrated range, so that infinities and strays have integers too. */
export function boundedFloats<V>(
  target: Target<V>,
  op: QuantizedOperation,
  { floats, quantizer }: QuantizedValue<V>,
): V {
  if (quantizer.stats === null) return floats;
  const { rmin, rmax } = quantizer.stats;
  const span = rmax - rmin;
  const clip = floatOp("Clip", [null, constant(rmin - span), constant(rmax + span)]);
  return target.emit(clip, [floats], op.node.name);
}

/** A table from integers to integers, given as float operations on the integer itself. */
export function integerTable<V>(
  target: Target<V>,
  name: string,
  input: V,
  steps: readonly FloatOp[],
  scale = 1,
): V {
  let value = target.emit({ kind: "dequantize", scale, zeroPoint: 0 }, [input], name);
  for (const step of steps) {
    const variables = step.operands.filter((operand) => operand === null);
    value = target.emit(
      step,
      variables.map(() => value),
      name,
    );
  }
  return atScale(target, name, value, 1);
}

/** `floor(x^2 / 4)`. */
export function quarterSquare<V>(target: Target<V>, name: string, x: V): V {
  return integerTable(
    target,
    name,
    x,
    [floatOp("Mul", [null, null]), floatOp("Floor", [null])],
    0.5,
  );
}

/** The product of integers, exactly: `floor((a + b)^2 / 4) - floor((a - b)^2 / 4)`, two tables per element. */
export function multiply<V>(target: Target<V>, name: string, a: V, b: V): V {
  const sum = quarterSquare(target, name, target.emit({ kind: "add" }, [a, b], name));
  const difference = quarterSquare(target, name, target.emit({ kind: "sub" }, [a, b], name));
  return target.emit({ kind: "sub" }, [sum, difference], name);
}

/** The larger of integers at one scale: `b + max(a - b, 0)`, one table per element. */
export function larger<V>(target: Target<V>, name: string, a: V, b: V): V {
  const excess = excessOf(target, name, a, b);
  return target.emit({ kind: "add" }, [b, excess], name);
}

/** The smaller of integers at one scale: `a - max(a - b, 0)`. */
export function smaller<V>(target: Target<V>, name: string, a: V, b: V): V {
  const excess = excessOf(target, name, a, b);
  return target.emit({ kind: "sub" }, [a, excess], name);
}

function excessOf<V>(target: Target<V>, name: string, a: V, b: V): V {
  const difference = target.emit({ kind: "sub" }, [a, b], name);
  return integerTable(target, name, difference, [floatOp("Relu", [null])]);
}

/** Codes with their zero point taken off. */
export function centred<V>(
  target: Target<V>,
  op: QuantizedOperation,
  { codes, quantizer }: Coded<V>,
): V {
  const zeroPoint = scalarZeroPoint(quantizer);
  return shiftBy(target, op.node.name, codes, -zeroPoint);
}

/** Adds a constant; nothing where it is 0. */
export function shiftBy<V>(target: Target<V>, name: string, codes: V, by: number): V {
  return by === 0 ? codes : target.emit({ kind: "shift", by }, [codes], name);
}

/** The zero point of codes that an operator prepared, which is one number. */
export function scalarZeroPoint({ zeroPoint }: UniformQuantizer): number {
  if (typeof zeroPoint === "number") return zeroPoint;
  throw new Error("internal: codes with a zero point per output");
}

/** Adds a constant per element, repeating the integers where the constant has the larger shape. */
export function shiftByTensor<V>(
  target: Target<V>,
  name: string,
  codes: V,
  by: Tensor<"int64">,
): V {
  const shape = broadcastShapes(target.shapeOf(codes), by.shape);
  return target.emit({ kind: "shift", by }, [repeatTo(target, name, codes, shape)], name);
}

/** Repeats integers to a larger shape, as numpy broadcasts. */
export function repeatTo<V>(
  target: Target<V>,
  name: string,
  codes: V,
  shape: readonly number[],
): V {
  const own = target.shapeOf(codes);
  const row = [1, ...shape.slice(1)];
  if (sameShape([1, ...own.slice(1)], row)) return codes;
  const elements = float64([1, ...own.slice(1)], indexRange(sizeOf(own.slice(1))));
  const indices = Int32Array.from(expand(elements, row).data);
  return target.emit({ kind: "gather", shape: row, indices, fill: 0 }, [codes], name);
}

/** 0, 1, 2 ... */
export function indexRange(length: number): Float64Array {
  return Float64Array.from({ length }, (_, i) => i);
}
