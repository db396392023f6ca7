/**
 * Readable text of a quantized module: its options, one line per input and output, one line per operation.
 * @module
 */
import type { Rounding } from "./bits.ts";
import type { QuantizedModule, QuantizedPort } from "./module.ts";
import { ACCUMULATOR, type QuantizedOperation } from "./operation.ts";
import type { UniformQuantizer } from "./quantizer.ts";

/** The module as text. */
export function print({ nBits, inputs, operations, outputs }: QuantizedModule): string {
  const bits = Object.entries(nBits).map(([kind, count]) => `${kind} ${count}`);
  return [
    `module ${bits.join(", ")} {`,
    ...inputs.map((port) => `  ${printPort("input", port)}`),
    ...operations.map((op) => `  ${printOperation(op)}`),
    ...outputs.map((port) => `  ${printPort("output", port)}`),
    "}",
  ].join("\n");
}

function printPort(kind: string, { name, shape, quantizer }: QuantizedPort): string {
  return `${kind} ${name} : [${shape.join(", ")}] ${printQuantizer(quantizer)}`;
}

function printOperation(op: QuantizedOperation): string {
  const { node, isFused, inputOptions, calibrated } = op;
  const facts = [
    isFused ? "fused" : `${printCodes(inputOptions)} inputs`,
    printQuantizer(calibrated.outputQuantizer),
    ...printAccumulator(op),
  ];
  const operands = node.inputs.filter((name) => name !== "").join(", ");
  return `${node.outputs[0]} = ${node.opType}(${operands}) : ${facts.join("; ")}  # ${node.name}`;
}

/** Graph outputs are never rounded, and operators without accumulator have nothing to round. */
function printAccumulator({ calibrated, rounding, isGraphOutput }: QuantizedOperation): string[] {
  const accumulator = calibrated.accumulators.get(ACCUMULATOR);
  if (isGraphOutput) return ["graph output"];
  if (accumulator === undefined) return [];
  return [`accumulator [${accumulator.lo}, ${accumulator.hi}]`, printRounding(rounding)];
}

function printRounding(rounding: Rounding | null): string {
  return rounding === null
    ? "not rounded"
    : `rounded to ${rounding.nBits} bits (${rounding.method})`;
}

function printQuantizer({ options, scale, zeroPoint }: UniformQuantizer): string {
  const zero =
    typeof zeroPoint === "number" ? `${zeroPoint}` : `per output ${zeroPoint.data.length}`;
  const step = typeof scale === "number" ? `${scale}` : `per channel ${scale.data.length}`;
  return `${printCodes(options)} scale ${step} zero ${zero}`;
}

function printCodes({
  nBits,
  isSigned,
}: {
  readonly nBits: number;
  readonly isSigned: boolean;
}): string {
  return `${isSigned ? "int" : "uint"}${nBits}`;
}
