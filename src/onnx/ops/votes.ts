/**
 * Votes of the nearest neighbours: what the importer makes of the distances, sorting and counting that skl2onnx writes for a
 * classifier (see `../neighbours.ts`). No model states it itself.
 * @module
 */
import { SottoError } from "../../errors.ts";
import { allocate, type Shape, type Tensor } from "../../tensor/tensor.ts";
import { CDist, TopK } from "./neighbors.ts";
import { known } from "./operands.ts";
import { defineOperator, requiredInt, type Operand, type Operator } from "./operator.ts";

/** The operator's name and domain. */
export const VOTES = { opType: "NeighbourVotes", domain: "sotto" } as const;

function votesShape([x, points, labels]: readonly Operand[], classes: number): Shape {
  const isFit =
    x.shape.length === 2 &&
    points.shape.length === 2 &&
    points.shape[1] === x.shape[1] &&
    labels.shape.length === 1 &&
    labels.shape[0] === points.shape[0];
  if (isFit) return [x.shape[0], classes];
  const shapes = [x, points, labels].map(({ shape }) => `[${shape.join(", ")}]`).join(", ");
  const message = `expected rows, points of their width and a label per point, got ${shapes}`;
  throw new SottoError("BAD_SHAPE", "NeighbourVotes", message);
}

/**
 * From rows [rows, features], points [n, features], the class of each point and k: how many of the k points nearest to a row,
 * the first of equal ones first, belong to each class.
 */
export const NeighbourVotes: Operator = defineOperator({
  minInputs: 4,
  maxInputs: 4,
  since: 1,
  attributes: { classes: requiredInt() },
  shape: (inputs: readonly [Operand, Operand, Operand, Operand], { classes }) => [
    votesShape(inputs, classes),
  ],
  evaluate([x, points, labels, k]: readonly [Tensor, Tensor, Tensor, Tensor], { classes }) {
    const shape = votesShape([known(x), known(points), known(labels)], classes);
    const [distances] = CDist.evaluate([x, points], {});
    const [, nearest] = TopK.evaluate([distances, k], { axis: 1, largest: 0 });
    const dtype = x.dtype === "float64" ? "float64" : "float32";
    const data = allocate(dtype, x.shape[0] * classes);
    const count = nearest.shape[1];
    for (const [i, point] of nearest.data.entries()) {
      data[Math.floor(i / count) * classes + labels.data[point]]++;
    }
    return [{ dtype, shape, data }];
  },
});
