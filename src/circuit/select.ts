/**
 * Functions of single features of a one-hot input, written out: what a table on an input, a comparison of a feature or the
 * feature itself becomes. Each is a weighted sum of the feature's unit vector.
 * @module
 */
import type { SelectOp } from "./ir.ts";

/** One result of a `select`: which coefficients of the one-hot input it weighs, and what each place stands for. */
export interface SelectedBlock {
  /** First coefficient of the feature. */
  readonly start: number;
  /** Result for each place; as many as the feature has coefficients. */
  readonly values: Int32Array;
  /**
   * Taken off the values and added as a constant, since one place of the vector is 1 and the others 0: what is near the
   * mean adds less noise, and a truth value that is mostly 1 has fewer terms.
   */
  readonly centre: number;
}

/** The results of a `select` in their order. */
export function blocksOf({ sizes, features, values }: SelectOp): SelectedBlock[] {
  const starts: number[] = [];
  sizes.reduce((start, size) => (starts.push(start), start + size), 0);
  let at = 0;
  return Array.from(features, (feature) => {
    const block = values.subarray(at, at + sizes[feature]);
    at += sizes[feature];
    const mean = block.reduce((sum, value) => sum + value, 0) / Math.max(1, block.length);
    return { start: starts[feature], values: block, centre: Math.round(mean) };
  });
}
