/**
 * A cost model that no measurement changes.
 * @module
 */
import { type CostModel, shapeName } from "../../src/parameters/cost.ts";
import { DEFAULT_SPACE, glweShapes } from "../../src/parameters/space.ts";

/** One nanosecond for each operation that the concrete-optimizer counts, and none for memory. */
export const OPERATIONS: CostModel = {
  name: "operations of the concrete-optimizer",
  externalProducts: Object.fromEntries(
    glweShapes(DEFAULT_SPACE).map((shape) => {
      const rows = shape.glweDimension + 1;
      const size = shape.polynomialSize;
      const transforms = rows * (size * Math.log2(size) + size);
      const products = rows * rows * size;
      return [shapeName(shape), [2 * transforms + products, transforms + products]];
    }),
  ),
  keyswitch: 2,
  stream: 0,
  combination: 0,
};
