/**
 * Exact rounding for models with power-of-two scales (PowerOfTwoScalingRoundPBSAdapter in Concrete ML). Between two layers,
 * `Quant(Relu(M * acc))` with M = 2^-l times the next scale depends on the accumulator's high bits alone but for the
 * direction of ties, so the l low bits are rounded off and the table that follows gets narrower. Unlike there, a bias must
 * be an integer of the accumulator or absent: a float added after the rounding would shift codes.
 * @module
 */
import type { PerChannel } from "../tensor/codes.ts";
import type { ConstantOperand, QuantizedOperation } from "./operation.ts";
import { isQuantNode } from "./quant-node.ts";

const LINEAR: ReadonlySet<string> = new Set(["Gemm", "MatMul", "Conv"]);
/** Scales this close to a power of two count as one. */
const TOLERANCE = 0.01;

/** Sets the bits to remove of every linear operator between power-of-two quantizers that the user does not round. */
export function removeLowBits(
  operations: readonly QuantizedOperation[],
  constants: ReadonlyMap<string, ConstantOperand>,
): QuantizedOperation[] {
  const before = predecessors(operations, constants);
  const removed = new Map<QuantizedOperation, number>();
  for (const reader of operations) {
    if (!LINEAR.has(reader.node.opType) || reader.integerProducers.size !== 1) continue;
    const pattern = patternBefore(reader, before);
    if (pattern === null || pattern.linear.rounding !== null) continue;
    const [, weightName, biasName = ""] = pattern.linear.node.inputs;
    const bias = constants.get(biasName)?.quantized?.quantizer;
    if (bias?.options.isPrecomputedQat === false) continue;
    const weights = constants.get(weightName)?.quantized?.quantizer;
    const input = integerLog2(scaleOf(pattern.source));
    const weight = integerLog2(weights?.scale);
    const output = integerLog2(scaleOf(pattern.quant));
    if (input === null || weight === null || output === null) continue;
    const lsbs = output - input - weight;
    if (lsbs > 0) removed.set(pattern.linear, lsbs);
  }
  return operations.map((op) => {
    const removedBits = removed.get(op);
    return removedBits === undefined ? op : { ...op, removedBits };
  });
}

/** Finds the operation that gives an operation's first variable operand. */
type Before = (op: QuantizedOperation) => QuantizedOperation | undefined;

function predecessors(
  operations: readonly QuantizedOperation[],
  constants: ReadonlyMap<string, ConstantOperand>,
): Before {
  const byOutput = new Map(operations.map((op) => [op.node.outputs[0], op]));
  return ({ node }) => {
    const name = node.inputs.find((input) => input !== "" && !constants.has(input));
    return name === undefined ? undefined : byOutput.get(name);
  };
}

/** Quant, linear operator, Relu and Quant in a row before `reader`. */
interface Pattern {
  readonly source: QuantizedOperation;
  readonly linear: QuantizedOperation;
  readonly quant: QuantizedOperation;
}

function patternBefore(reader: QuantizedOperation, before: Before): Pattern | null {
  const quant = before(reader);
  if (!quant || !isQuantNode(quant.node)) return null;
  const relu = before(quant);
  if (relu?.node.opType !== "Relu") return null;
  const linear = before(relu);
  if (!linear || !LINEAR.has(linear.node.opType)) return null;
  const source = before(linear);
  return source && isQuantNode(source.node) ? { source, linear, quant } : null;
}

function scaleOf({ calibrated }: QuantizedOperation): PerChannel {
  return calibrated.outputQuantizer.scale;
}

/** The power of two that a scale is; null if it is none, or differs from channel to channel. */
function integerLog2(scale: PerChannel | undefined): number | null {
  if (typeof scale !== "number" || !(scale > 0)) return null;
  const log2 = Math.round(Math.log2(scale));
  return Math.abs(2 ** log2 - scale) <= 1e-8 + TOLERANCE * scale ? log2 : null;
}
