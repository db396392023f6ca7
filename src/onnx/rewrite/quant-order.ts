/**
 * Quantizers before moves: `Quant(Flatten(x))` becomes `Flatten(Quant(x))`, the same values, because a quantizer with one
 * scale treats every element alike. Behind the quantizer only codes move, which costs nothing; before it the move would
 * need codes of its own. A MaxPool gets the quantizer before it and keeps the one behind it: quantizers keep order, and
 * what is quantized twice alike is what it was.
 * @module
 */
import { sizeOf } from "../../tensor/tensor.ts";
import type { GraphNode, GraphValue } from "../graph.ts";
import { isQuantizer, operatorName } from "../ops/index.ts";
import type { Parts } from "./builder.ts";
import { countReads } from "./fuse.ts";

/** Operators that move elements without changing them: codes can follow. */
export const codeMoves: ReadonlySet<string> = new Set([
  "Flatten",
  "Identity",
  "Reshape",
  "Squeeze",
  "Transpose",
  "Unsqueeze",
]);

/** Exchanges every such pair, until a quantizer reads something that is computed. */
export function quantizeBeforeMoves(parts: Parts, outputs: readonly GraphValue[]): Parts {
  for (let current = parts; ;) {
    const nodes = exchangeOne(current, outputs);
    if (nodes === null) return current;
    current = { ...current, nodes };
  }
}

function exchangeOne(
  { nodes, constants }: Parts,
  outputs: readonly GraphValue[],
): GraphNode[] | null {
  const reads = countReads(nodes, outputs);
  for (const quant of nodes) {
    if (!isQuantizer(operatorName(quant))) continue;
    const [input, ...parameters] = quant.inputs;
    const move = nodes.find((node) => node.outputs[0] === input);
    const isShared = parameters.some((name) => sizeOf(constants.get(name)?.shape ?? [2]) > 1);
    if (!move || move.outputs.length > 1 || isShared || reads.get(input) !== 1) continue;
    const [source, ...rest] = move.inputs;
    const isPool = operatorName(move) === "MaxPool";
    const isQuantized = nodes.some(
      (node) => node.outputs[0] === source && isQuantizer(operatorName(node)),
    );
    if (!(isPool ? !isQuantized : codeMoves.has(operatorName(move))) || constants.has(source))
      continue;
    const [output] = quant.outputs;
    const between = `${output}/before_${move.opType}`;
    const before = { ...quant, inputs: [source, ...parameters], outputs: [between] };
    const exchanged = isPool
      ? [{ ...before, name: between }, { ...move, inputs: [between, ...rest] }, quant]
      : [before, { ...move, inputs: [between, ...rest], outputs: [output] }];
    return nodes.flatMap((node) => (node === move ? [] : node === quant ? exchanged : [node]));
  }
  return null;
}
