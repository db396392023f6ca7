/**
 * Functions of one-hot features as sums: a result reads the coefficients of its feature whose weight is not zero.
 * @module
 */
import type { CircuitValue, SelectOp } from "../circuit/ir.ts";
import { type SelectedBlock, blocksOf } from "../circuit/select.ts";
import { toTorus } from "./boxes.ts";
import { type Context, type Located, elementOf } from "./context.ts";

/** Coefficients that a result adds up, and the weight of each. */
interface Sum {
  readonly elements: readonly number[];
  readonly weights: readonly number[];
}

export function lowerSelect(
  context: Context,
  op: SelectOp,
  { inputs: [input] }: CircuitValue,
): Located {
  const source = context.located[input];
  const blocks = blocksOf(op);
  const sums = blocks.map(sumOf);
  const count = sums.length;
  const terms = sums.reduce((most, { weights }) => Math.max(most, weights.length), 1);
  const gather = new Int32Array(count * terms).fill(-1);
  sums.forEach(({ elements }, r) =>
    elements.forEach((element, t) => (gather[r * terms + t] = elementOf(source, element))),
  );
  // One table on all elements is one row of weights at many positions, anything else a row for each result.
  const isOneRow = sums.every(({ weights }) => sameNumbers(weights, sums[0].weights));
  const rows = isOneRow ? sums.slice(0, 1) : sums;
  const weights = new Int32Array(rows.length * terms);
  rows.forEach((row, r) => weights.set(row.weights, r * terms));
  const scale = context.plan.scales[input];
  const constants = BigUint64Array.from(blocks, ({ centre }) => toTorus(centre, scale));
  const tensor = context.emit({
    kind: "linear",
    operands: [source.tensor],
    groups: rows.length,
    rows: 1,
    positions: count / rows.length,
    terms,
    weights,
    gather,
    constants: constants.some((constant) => constant !== 0n) ? constants : new BigUint64Array(0),
  });
  return { tensor, order: null };
}

function sumOf({ start, values, centre }: SelectedBlock): Sum {
  const elements: number[] = [];
  const weights: number[] = [];
  values.forEach((value, j) => {
    if (value === centre) return;
    elements.push(start + j);
    weights.push(value - centre);
  });
  return { elements, weights };
}

function sameNumbers(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((x, i) => x === b[i]);
}
