/**
 * Element-wise operators of two tensors. With one integer producer they are float operations inside a table; between two
 * encrypted tensors they become sums and tables of integers at one scale.
 * @module
 */
import type { Target } from "../../circuit/builder.ts";
import { SottoError } from "../../errors.ts";
import { clamp, mapElements } from "../../tensor/elementwise.ts";
import { roundHalfEven } from "../../tensor/codes.ts";
import { type Tensor, int64 } from "../../tensor/tensor.ts";
import type { NBits } from "../bits.ts";
import {
  type Operand,
  type OperatorRule,
  type QuantizedOperation,
  type QuantizedValue,
  accumulatorQuantizer,
  codeMapOf,
  codeResult,
  floatResult,
  prepareInput,
  requireVariable,
  roundAccumulator,
} from "../operation.ts";
import { UniformQuantizer, measureStats } from "../quantizer.ts";
import {
  type Coded,
  atScale,
  boundedFloats,
  centred,
  constant,
  floatOp,
  integerTable,
  larger,
  multiply,
  rescale,
  scalarZeroPoint,
  shiftBy,
  shiftByTensor,
  smaller,
} from "./integers.ts";

type Operands<V> = readonly (Operand<V> | undefined)[];

const fusesAlone = {
  canFuse: (integerProducers: number): boolean => integerProducers === 1,
  usesModelOutputBits: false,
} as const;

/** The codes of both operands. */
function bothCoded<V>(
  target: Target<V>,
  op: QuantizedOperation,
  operands: Operands<V>,
): readonly [Coded<V>, Coded<V>] {
  const prepare = (i: number): Coded<V> =>
    prepareInput(target, op, requireVariable(op, operands[i], "each operand"));
  return [prepare(0), prepare(1)];
}

/** Both operands at one scale: the finer of theirs where nothing may be lost, else that of the result. */
function atOneScale<V>(
  target: Target<V>,
  op: QuantizedOperation,
  inputs: readonly Coded<V>[],
): { readonly scale: number; readonly codes: readonly V[] } {
  const scale = op.isGraphOutput
    ? Math.min(...inputs.map(({ quantizer }) => quantizer.tensorScale(op.node.name)))
    : op.calibrated.outputQuantizer.tensorScale(op.node.name);
  return { scale, codes: inputs.map((input) => rescale(target, op, input, scale)) };
}

/** A result of integers at a scale. */
function integerResult<V>(
  target: Target<V>,
  op: QuantizedOperation,
  codes: V,
  scale: number,
  zeroPoint = 0,
): QuantizedValue<V> {
  if (op.isGraphOutput) {
    return codeResult(target, op, codes, accumulatorQuantizer(op, { scale, zeroPoint, offset: 0 }));
  }
  const read = { kind: "dequantize", scale, zeroPoint } as const;
  return floatResult(op, target.emit(read, [codes], op.node.name));
}

type Combine = <V>(target: Target<V>, name: string, a: V, b: V) => V;

/** A sum or difference at one scale, of codes, as Concrete ML has it. */
function sumLike(combine: Combine): OperatorRule {
  return {
    ...fusesAlone,
    lower(target, op, operands) {
      const { scale, codes } = atOneScale(target, op, bothCoded(target, op, operands));
      return integerResult(target, op, combine(target, op.node.name, codes[0], codes[1]), scale);
    },
  };
}

export const Add: OperatorRule = sumLike((target, name, a, b) =>
  target.emit({ kind: "add" }, [a, b], name),
);
export const Sub: OperatorRule = sumLike((target, name, a, b) =>
  target.emit({ kind: "sub" }, [a, b], name),
);

/** Both operands as integers nearest to their floats at one scale. */
function bothAt<V>(
  target: Target<V>,
  op: QuantizedOperation,
  operands: Operands<V>,
  scale: number,
): readonly [V, V] {
  const at = (i: number): V => {
    const value = requireVariable(op, operands[i], "each operand");
    return atScale(target, op.node.name, boundedFloats(target, op, value), scale);
  };
  return [at(0), at(1)];
}

/** The larger or smaller of two tensors, at the result's scale. */
function extreme(choose: Combine): OperatorRule {
  return {
    ...fusesAlone,
    lower(target, op, operands) {
      const scale = op.calibrated.outputQuantizer.tensorScale(op.node.name);
      const [a, b] = bothAt(target, op, operands, scale);
      return integerResult(target, op, choose(target, op.node.name, a, b), scale);
    },
  };
}

export const Max: OperatorRule = extreme(larger);
export const Min: OperatorRule = extreme(smaller);

/** Product of the centred codes; the result is off by the product of the zero points while it is rounded. */
export const Mul: OperatorRule = {
  ...fusesAlone,
  lower(target, op, operands) {
    const inputs = bothCoded(target, op, operands);
    const [a, b] = inputs.map((input, i) => {
      const isFit = op.rounding?.method === "fit";
      const codes = isFit ? input.codes : roundAccumulator(target, op, input.codes, `input ${i}`);
      return centred(target, op, { ...input, codes });
    });
    const [x, y] = inputs.map(({ quantizer }) => quantizer);
    return product(target, op, [a, b], {
      scale: x.tensorScale(op.node.name) * y.tensorScale(op.node.name),
      offset: -scalarZeroPoint(x) * scalarZeroPoint(y),
    });
  },
};

/** Multiplies centred codes; rounding sees the product moved by `offset`. */
function product<V>(
  target: Target<V>,
  op: QuantizedOperation,
  [a, b]: readonly V[],
  { scale, offset }: { readonly scale: number; readonly offset: number },
): QuantizedValue<V> {
  const exact = multiply(target, op.node.name, a, b);
  if (op.isGraphOutput) return integerResult(target, op, exact, scale);
  const moved = shiftBy(target, op.node.name, exact, op.rounding === null ? 0 : offset);
  const rounded = roundAccumulator(target, op, moved);
  return integerResult(target, op, rounded, scale, op.rounding === null ? 0 : offset);
}

/** Product of the numerator with the reciprocal of the denominator, which a table gives. */
export const Div: OperatorRule = {
  ...fusesAlone,
  calibrationInputs: ([numerator, divisor]) => [numerator, divisor && withoutZeros(divisor)],
  measure(inputs, { model_outputs }) {
    const [, divisor] = inputs;
    return divisor ? measureReciprocal(withoutZeros(divisor), model_outputs) : new Map();
  },
  lower(target, op, operands) {
    const [numerator, divisor] = bothCoded(target, op, operands);
    const reciprocal = requireInner(op, "reciprocal");
    const { name } = op.node;
    const { scale, zeroPoint } = divisor.quantizer;
    const floats = target.emit({ kind: "dequantize", scale, zeroPoint }, [divisor.codes], name);
    const isZero = target.emit(floatOp("Equal", [null, constant(0)]), [floats], name);
    const smallest = constant(requireInner(op, "divisor").tensorScale(name));
    const nonZero = target.emit(floatOp("Where", [null, smallest, null]), [isZero, floats], name);
    const inverse = target.emit(floatOp("Reciprocal", [null]), [nonZero], name);
    const codes = target.emit({ kind: "quantize", map: codeMapOf(reciprocal) }, [inverse], name);
    const factors = [numerator, { codes, quantizer: reciprocal }];
    return product(
      target,
      op,
      factors.map((factor) => centred(target, op, factor)),
      {
        scale: numerator.quantizer.tensorScale(name) * reciprocal.tensorScale(name),
        offset: scalarZeroPoint(numerator.quantizer) * scalarZeroPoint(reciprocal),
      },
    );
  },
};

/** The element nearest to 0 that is not 0; infinity where all are. */
function nearestToZero({ data }: Tensor): number {
  let nearest = Infinity;
  for (const value of data) {
    if (value !== 0 && Math.abs(value) < Math.abs(nearest)) nearest = value;
  }
  return nearest;
}

/** Calibration data that earlier codes rounded to 0 take the value nearest to 0, as the codes of a circuit do. */
function withoutZeros(divisor: Tensor): Tensor {
  const nearest = nearestToZero(divisor);
  return Number.isFinite(nearest) && divisor.data.includes(0)
    ? mapElements(divisor, (value) => (value === 0 ? nearest : value))
    : divisor;
}

/** The quantizer of 1 / divisor, and, as a scale, the divisor nearest to 0, which stands in where codes round to 0. */
function measureReciprocal(
  divisor: Tensor,
  nBits: NBits["model_outputs"],
): Map<string, UniformQuantizer> {
  const smallest = nearestToZero(divisor);
  if (!Number.isFinite(smallest)) {
    throw new SottoError(
      "BAD_VALUE",
      "Div",
      "expected a denominator that is not always 0 on calibration rows, got 0; add a small constant to it in the model",
    );
  }
  const stats = measureStats(mapElements(divisor, (x) => 1 / x));
  const { rmin, rmax } = stats;
  return new Map([
    ["reciprocal", new UniformQuantizer({ nBits, rmin, rmax }, stats)],
    ["divisor", new UniformQuantizer({ nBits, scale: smallest, zeroPoint: 0, offset: 0 })],
  ]);
}

function requireInner(op: QuantizedOperation, name: string): UniformQuantizer {
  const quantizer = op.calibrated.inner.get(name);
  if (quantizer) return quantizer;
  throw new Error(`internal: ${op.node.name} was not measured for its ${name}`);
}

/** A comparison is a table on the difference, read in steps of the operands' common scale. */
function comparison(opType: string): OperatorRule {
  return {
    ...fusesAlone,
    lower(target, op, operands) {
      const scales = [0, 1].map((i) =>
        ownScale(op, requireVariable(op, operands[i], "each operand")),
      );
      const [a, b] = bothAt(target, op, operands, Math.min(...scales));
      const difference = target.emit({ kind: "sub" }, [a, b], op.node.name);
      return truth(target, op, difference, floatOp(opType, [null, constant(0)]));
    },
  };
}

/** The step of a tensor's codes: that of its quantizer, or of its range where it is an accumulator. */
function ownScale<V>(op: QuantizedOperation, { quantizer }: QuantizedValue<V>): number {
  if (typeof quantizer.zeroPoint === "number") return quantizer.tensorScale(op.node.name);
  const { rmin, rmax } = quantizer.stats ?? { rmin: 0, rmax: 0 };
  return (rmax - rmin) / (2 ** op.inputOptions.nBits - 1) || 1;
}

/** A truth value from integers. */
function truth<V>(
  target: Target<V>,
  op: QuantizedOperation,
  integers: V,
  test: ReturnType<typeof floatOp>,
): QuantizedValue<V> {
  const { name } = op.node;
  if (op.isGraphOutput)
    return integerResult(target, op, integerTable(target, name, integers, [test]), 1);
  const floats = target.emit({ kind: "dequantize", scale: 1, zeroPoint: 0 }, [integers], name);
  return floatResult(op, target.emit(test, [floats], name));
}

export const Greater: OperatorRule = comparison("Greater");
export const GreaterOrEqual: OperatorRule = comparison("GreaterOrEqual");
export const Less: OperatorRule = comparison("Less");
export const LessOrEqual: OperatorRule = comparison("LessOrEqual");
export const Equal: OperatorRule = comparison("Equal");

/** A function of how many of both truth values hold. */
function connective(test: ReturnType<typeof floatOp>): OperatorRule {
  return {
    ...fusesAlone,
    lower(target, op, operands) {
      const [a, b] = bothAt(target, op, operands, 1);
      return truth(target, op, target.emit({ kind: "add" }, [a, b], op.node.name), test);
    },
  };
}

export const And: OperatorRule = connective(floatOp("Equal", [null, constant(2)]));
export const Or: OperatorRule = connective(floatOp("Greater", [null, constant(0)]));
export const Xor: OperatorRule = connective(floatOp("Equal", [null, constant(1)]));

/** `no - c (no - yes)`: the condition, 0 or 1, times the difference of the branches at the result's scale. */
export const Where: OperatorRule = {
  ...fusesAlone,
  lower(target, op, operands) {
    const { name } = op.node;
    const scale = op.calibrated.outputQuantizer.tensorScale(op.node.name);
    const condition = requireVariable(op, operands[0], "the condition");
    const chosen = atScale(target, name, condition.floats, 1);
    const [yes, no] = [1, 2].map((i) => branchAt(target, op, operands[i], scale));
    if (no.constant !== null) {
      // Both constant would be a function of the condition alone, which is fused.
      const difference = shiftByTensor(target, name, requireCodes(yes), negated(no.constant));
      const product = multiply(target, name, chosen, difference);
      return integerResult(target, op, shiftByTensor(target, name, product, no.constant), scale);
    }
    const difference =
      yes.constant !== null
        ? shiftByTensor(target, name, no.codes, negated(yes.constant))
        : target.emit({ kind: "sub" }, [no.codes, yes.codes], name);
    const product = multiply(target, name, chosen, difference);
    return integerResult(
      target,
      op,
      target.emit({ kind: "sub" }, [no.codes, product], name),
      scale,
    );
  },
};

/** A branch of Where in integers at one scale: encrypted, or a constant. */
type Branch<V> =
  | { readonly codes: V; readonly constant: null }
  | { readonly codes: null; readonly constant: Tensor<"int64"> };

function branchAt<V>(
  target: Target<V>,
  op: QuantizedOperation,
  operand: Operand<V> | undefined,
  scale: number,
): Branch<V> {
  if (operand?.constant) {
    const { rmin = 0, rmax = 0 } = op.calibrated.outputQuantizer.stats ?? {};
    const values = clamp(operand.constant.values, Math.min(rmin, 0), Math.max(rmax, 0));
    const codes = Float64Array.from(values.data, (x) => roundHalfEven(x / scale) + 0);
    return { codes: null, constant: int64(values.shape, codes) };
  }
  const floats = boundedFloats(target, op, requireVariable(op, operand, "a branch"));
  return { codes: atScale(target, op.node.name, floats, scale), constant: null };
}

function requireCodes<V>({ codes }: Branch<V>): V {
  if (codes !== null) return codes;
  throw new Error("internal: Where between constants is not fused");
}

function negated(x: Tensor<"int64">): Tensor<"int64"> {
  return mapElements(x, (value) => 0 - value);
}
