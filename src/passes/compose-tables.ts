/**
 * Merges a table into the table that reads it when nobody else does: one lookup instead of two, the same integers.
 * A reshape or a move of elements between them goes below, where it costs nothing. Where others read it too, such as the
 * convolution beside a shortcut, the two stay two lookups, but on one ciphertext: its result need not have a scale at
 * which a table can read it, and both share a keyswitch. That pays where the inner table rounds, so that it has few boxes.
 * @module
 */
import {
  type Circuit,
  type CircuitValue,
  type TableOp,
  type TableStep,
  type ValueId,
  countReaders,
  dropDead,
} from "../circuit/ir.ts";
import type { PerChannel } from "../tensor/codes.ts";

/** Composes tables until none feeds another one alone, or rounds and feeds another one. Constants of the outer table must not vary over elements. */
export function composeTables(circuit: Circuit): Circuit {
  let current = circuit;
  for (;;) {
    const next = composeOne(current);
    if (next === null) return current;
    current = next;
  }
}

function composeOne(circuit: Circuit): Circuit | null {
  const readers = countReaders(circuit);
  for (let i = 0; i < circuit.values.length; i++) {
    const outer = circuit.values[i];
    if (outer.op.kind !== "table" || outer.op.encoding.kind !== "each") continue;
    const between = circuit.values[outer.inputs[0]];
    const moved = movesWhole(between);
    const innerId = moved ? between.inputs[0] : outer.inputs[0];
    const inner = circuit.values[innerId];
    const alone = readers[innerId] === 1 && (!moved || readers[outer.inputs[0]] === 1);
    if (inner.op.kind !== "table" || (moved && hasVaryingConstants(outer.op))) continue;
    if (!alone && (moved || !rounds(inner.op))) continue;
    const composed: CircuitValue = {
      ...outer,
      name: alone ? inner.name : outer.name,
      op: compose(inner.op, outer.op),
      inputs: inner.inputs,
      shape: inner.shape,
    };
    const values = [...circuit.values];
    if (!moved) {
      values[i] = composed;
      return dropDead({ ...circuit, values });
    }
    // The composed table takes the inner one's place and the reshape takes the outer one's.
    values[innerId] = composed;
    values[i] = { ...between, shape: outer.shape, inputs: [innerId] as ValueId[] };
    return dropDead({ ...circuit, values });
  }
  return null;
}

/** A value that holds elements of one other value and nothing else. */
function movesWhole({ op, inputs }: CircuitValue): boolean {
  if (op.kind === "gather") return inputs.length === 1 && !op.indices.includes(-1);
  return op.kind === "reshape";
}

function rounds({ encoding }: TableOp): boolean {
  return encoding.kind === "fit" || encoding.kind === "approximate";
}

function compose(inner: TableOp, outer: TableOp): TableOp {
  const base = inner.steps.length;
  const shifted: TableStep[] = outer.steps.map(({ op, inputs }) => ({
    op,
    inputs: inputs.map((j) => (j === -1 ? base - 1 : j + base)),
  }));
  return { ...inner, steps: [...inner.steps, ...shifted] };
}

function hasVaryingConstants({ steps }: TableOp): boolean {
  return steps.some(({ op }) => {
    if (op.kind === "dequantize") return isVarying(op.scale) || isVarying(op.zeroPoint);
    if (op.kind === "quantize") return isVarying(op.map.scale) || isVarying(op.map.zeroPoint);
    if (op.kind === "float")
      return op.operands.some((operand) => operand && operand.data.length > 1);
    if (op.kind === "list") return op.results.data.length > op.results.shape[0];
    return false;
  });
}

function isVarying(value: PerChannel): boolean {
  return typeof value !== "number" && value.data.length > 1;
}
