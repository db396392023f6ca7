/**
 * Percentiles by selection against the same by sorting.
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { percentile } from "../../../src/quantization/percentile.ts";
import { float64 } from "../../../src/tensor/tensor.ts";

const few = fc.integer({ min: -4, max: 4 }); // many equal ones
const any = fc.double({ min: -1e6, max: 1e6, noNaN: true });
const lists = fc.array(fc.oneof(few, any), { minLength: 1, maxLength: 200 });

/** numpy's linear interpolation on sorted values. */
function bySorting(values: readonly number[], p: number): number {
  const sorted = Float64Array.from(values).sort();
  const position = (p / 100) * (sorted.length - 1);
  const rank = Math.floor(position);
  const [below, above] = [sorted[rank], sorted[Math.min(rank + 1, sorted.length - 1)]];
  const t = position - rank;
  return t < 0.5 ? below + (above - below) * t : above - (above - below) * (1 - t);
}

test("a percentile needs no sorting, and leaves the values as they are", () => {
  fc.assert(
    fc.property(lists, fc.integer({ min: 0, max: 100 }), (values, p) => {
      const given = float64([values.length], values);
      expect(percentile(given, p) + 0).toBe(bySorting(values, p) + 0);
      expect([...given.data]).toEqual(values);
    }),
    { numRuns: 500 },
  );
});
