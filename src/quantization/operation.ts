/**
 * One ONNX node under quantization: what calibration finds out about it, and the rule that lowers it to integers.
 * A rule is written once against `Target` and serves calibration and the circuit alike.
 * @module
 */
import { type Interval, bitWidth } from "../circuit/interval.ts";
import type { Target } from "../circuit/builder.ts";
import { SottoError } from "../errors.ts";
import type { Attributes, GraphNode } from "../onnx/graph.ts";
import type { PerChannel } from "../tensor/codes.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { QuantizedArray } from "./array.ts";
import type { NBits, Rounding } from "./bits.ts";
import {
  type MinMaxStats,
  type QuantizationOptions,
  type QuantizationParameters,
  UniformQuantizer,
  sameCodes,
} from "./quantizer.ts";

/** A tensor that flows through the graph: floats, possibly their codes, and how they are quantized. */
export interface QuantizedValue<V> {
  /** Float values, `.values` in Concrete ML: fused operators compute on these. */
  readonly floats: V;
  /** Codes, where the value already is a tensor of integers. */
  readonly codes: V | null;
  readonly quantizer: UniformQuantizer;
}

/** A constant operand: its raw values, and its codes unless it is a tensor of integers such as a shape. */
export interface ConstantOperand {
  readonly values: Tensor;
  readonly quantized: QuantizedArray | null;
}

/** An operand of a node: a value that depends on the inputs, or a constant. */
export type Operand<V> =
  | { readonly constant: null; readonly value: QuantizedValue<V> }
  | { readonly constant: ConstantOperand; readonly value: null };

/** What calibration learns about a node. */
export interface Calibrated {
  readonly outputQuantizer: UniformQuantizer;
  /** Ranges of integers before rounding, by the name of the rounding; an accumulator's is "accumulator". */
  readonly accumulators: ReadonlyMap<string, Interval>;
  /** Quantizers of values inside the operator, by name; only what the rule's `measure` gives. */
  readonly inner: ReadonlyMap<string, UniformQuantizer>;
}

/** A node with everything its lowering needs; `calibrated` is null during its own calibration. */
export interface QuantizedOperation {
  readonly node: GraphNode;
  readonly rule: OperatorRule;
  /** Integer tensors that the node's inputs come from, by name. */
  readonly integerProducers: ReadonlySet<string>;
  readonly isFused: boolean;
  readonly isGraphOutput: boolean;
  /** How variable inputs are quantized. */
  readonly inputOptions: QuantizationOptions;
  /** Each input has a sign only if its own values need one. */
  readonly signsPerInput: boolean;
  /** Bits of the result. */
  readonly outputBits: number;
  /** Bits of constants that the rule makes itself. */
  readonly weightBits: number;
  readonly rounding: Rounding | null;
  /** The terms of sums pass through a table first, which takes their noise off. */
  readonly copiesSums: boolean;
  /** Bits that exact rounding takes off, where power-of-two scales make rounding free of error; overrides `rounding`. */
  readonly removedBits?: number;
  readonly calibrated: Calibrated;
}

/** How one ONNX operator is quantized. */
export interface OperatorRule {
  /** Whether the node is evaluated in float inside a table, given how many integer tensors it depends on. */
  canFuse(integerProducers: number): boolean;
  /** Inputs are quantized with `model_outputs` bits instead of `op_inputs`. */
  readonly usesModelOutputBits: boolean;
  /** Codes of inputs have a sign, whatever their values. Default: where a value is negative. */
  readonly hasSignedInputs?: boolean;
  /** Axis of the output channels in the constant weights (operand 1), for operators that have such weights. */
  readonly weightAxis?: (attributes: Attributes) => number;
  /** Inputs as the float reference of calibration takes them; element types decide the last bits of ranges. */
  calibrationInputs?(
    inputs: readonly (Tensor | undefined)[],
    attributes: Attributes,
  ): readonly (Tensor | undefined)[];
  /** Quantizers of values inside the operator, from the calibration data of its inputs. */
  measure?(
    inputs: readonly (Tensor | undefined)[],
    nBits: NBits,
  ): ReadonlyMap<string, UniformQuantizer>;
  /** The float result that its quantizer is measured on, where that is not the result itself. */
  trim?(result: Tensor, inputs: readonly (Tensor | undefined)[]): Tensor;
  /** Emits integer operations for a node that is not fused; an optional operand that is absent is undefined. */
  lower<V>(
    target: Target<V>,
    op: QuantizedOperation,
    operands: readonly (Operand<V> | undefined)[],
  ): QuantizedValue<V>;
}

/** How one input of a node is quantized, given its range. */
export function optionsFor(
  { inputOptions, signsPerInput }: Pick<QuantizedOperation, "inputOptions" | "signsPerInput">,
  { rmin }: MinMaxStats,
): QuantizationOptions {
  return signsPerInput ? { ...inputOptions, isSigned: rmin < 0 } : inputOptions;
}

/** The integer inputs of a node: codes that may be reused, or new ones made from the floats. */
export function prepareInput<V>(
  target: Target<V>,
  op: QuantizedOperation,
  input: QuantizedValue<V>,
): { readonly codes: V; readonly quantizer: UniformQuantizer } {
  const { options, stats, zeroPoint } = input.quantizer;
  // A raw accumulator that is a graph output too has a zero point per output: its integers are no codes.
  const isCoded = typeof zeroPoint === "number";
  const wanted = stats === null ? op.inputOptions : optionsFor(op, stats);
  if (isCoded && (options.isPrecomputedQat || sameCodes(wanted, options))) {
    return {
      codes: input.codes ?? quantize(target, op, input, input.quantizer),
      quantizer: input.quantizer,
    };
  }
  if (stats === null) throw new Error(`internal: ${op.node.name} gets an input without statistics`);
  const { rmin, rmax } = stats;
  const quantizer = new UniformQuantizer({ ...wanted, rmin, rmax }, stats);
  return { codes: quantize(target, op, input, quantizer), quantizer };
}

function quantize<V>(
  target: Target<V>,
  op: QuantizedOperation,
  input: QuantizedValue<V>,
  quantizer: UniformQuantizer,
): V {
  return target.emit({ kind: "quantize", map: codeMapOf(quantizer) }, [input.floats], op.node.name);
}

/** The part of a quantizer that a circuit keeps. */
export function codeMapOf(quantizer: UniformQuantizer): {
  scale: PerChannel;
  zeroPoint: PerChannel;
  codeRange: readonly [number, number];
  noClipping: boolean;
} {
  const { scale, zeroPoint, codeRange, noClipping } = quantizer;
  return { scale, zeroPoint, codeRange, noClipping };
}

/** Rounds integers as the node's options say; graph outputs stay exact. `id` tells a node's roundings apart. */
export function roundAccumulator<V>(
  target: Target<V>,
  op: QuantizedOperation,
  accumulator: V,
  id: string = ACCUMULATOR,
): V {
  if (op.removedBits !== undefined && id === ACCUMULATOR) {
    const round = { kind: "round", lsbs: op.removedBits, method: "exact" } as const;
    return target.emit(round, [accumulator], op.node.name);
  }
  if (op.rounding === null) return accumulator;
  const { nBits, method } = op.rounding;
  const seen = target.intervalOf(accumulator, id);
  if (method === "fit") {
    // In a circuit the interval is left open: bounds inference measures it on the integers that really arise.
    return target.emit(
      { kind: "fit", steps: 2 ** nBits, interval: seen },
      [accumulator],
      op.node.name,
    );
  }
  const interval = seen ?? op.calibrated.accumulators.get(id);
  if (interval === undefined)
    throw new Error(`internal: ${op.node.name} is rounded before it is calibrated`);
  const lsbs = lsbsToRemove(interval, nBits);
  if (lsbs <= 0) return accumulator;
  return target.emit({ kind: "round", lsbs, method }, [accumulator], op.node.name);
}

/** Name of the rounding of an operator's result. */
export const ACCUMULATOR: string = "accumulator";

/** Least significant bits that rounding to `nBits` drops from an accumulator in `interval`; may be negative. */
export function lsbsToRemove(interval: Interval, nBits: number): number {
  return bitWidth(interval) - nBits;
}

/** The float result of a node that is not a graph output, under its calibrated quantizer. */
export function floatResult<V>(op: QuantizedOperation, floats: V): QuantizedValue<V> {
  return { floats, codes: null, quantizer: resultQuantizer(op) };
}

/** Result options are the input options with the result's bits; the codes themselves are always unsigned. */
function resultQuantizer(op: QuantizedOperation): UniformQuantizer {
  // A Quant node states its own.
  if (op.calibrated.outputQuantizer.options.isPrecomputedQat) return op.calibrated.outputQuantizer;
  const { scale, zeroPoint, offset, stats } = op.calibrated.outputQuantizer;
  return new UniformQuantizer(
    {
      ...op.inputOptions,
      isQat: op.isFused ? false : op.inputOptions.isQat,
      nBits: op.outputBits,
      scale,
      zeroPoint,
      offset,
    },
    stats,
  );
}

/** An integer result with exact codes: a raw accumulator at a graph output, or moved codes. */
export function codeResult<V>(
  target: Target<V>,
  op: QuantizedOperation,
  codes: V,
  quantizer: UniformQuantizer,
): QuantizedValue<V> {
  const { scale, zeroPoint } = quantizer;
  const floats = target.emit({ kind: "dequantize", scale, zeroPoint }, [codes], op.node.name);
  return { floats, codes, quantizer };
}

/** Quantizer of a raw accumulator: scale and zero point only, statistics of the float result. */
export function accumulatorQuantizer(
  op: QuantizedOperation,
  parameters: QuantizationParameters,
  stats: MinMaxStats | null = op.calibrated.outputQuantizer.stats,
): UniformQuantizer {
  return new UniformQuantizer({ nBits: op.outputBits, ...parameters }, stats);
}

/** The variable operand of a node that takes exactly one. Throws UNSUPPORTED_OPERATOR. */
export function requireVariable<V>(
  op: QuantizedOperation,
  operand: Operand<V> | undefined,
  what: string,
): QuantizedValue<V> {
  if (operand?.value) return operand.value;
  throw new SottoError(
    "UNSUPPORTED_OPERATOR",
    op.node.name,
    `expected ${what} of ${op.node.opType} to depend on the model's input, got a constant`,
  );
}

/** The constant operand of a node. Throws UNSUPPORTED_OPERATOR. */
export function requireConstant<V>(
  op: QuantizedOperation,
  operand: Operand<V> | undefined,
  what: string,
): QuantizedArray {
  if (operand?.constant?.quantized) return operand.constant.quantized;
  throw new SottoError(
    "UNSUPPORTED_OPERATOR",
    op.node.name,
    `expected ${what} of ${op.node.opType} to be a constant of floats, got a value that depends on the model's input or a constant of integers`,
  );
}
