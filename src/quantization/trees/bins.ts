/**
 * The bins of an ensemble: an edge at every threshold that some branch uses, so that no comparison loses anything. Only where a
 * column has more thresholds than codes, neighbours become one edge, first those with the fewest calibration rows between.
 * @module
 */
import type { Branch, TreeEnsemble } from "../../onnx/trees/ensemble.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { BinQuantizer, type ColumnBins, countUpTo } from "../bin-quantizer.ts";

/** Bins for the columns of `rows`, [rows, columns], of at most 2^nBits codes each, missing values left aside. */
export function binsOf(
  ensembles: readonly TreeEnsemble[],
  rows: Tensor,
  nBits: number,
): BinQuantizer {
  const [, columns] = rows.shape;
  const branches: Branch[][] = Array.from({ length: columns }, () => []);
  for (const { trees } of ensembles) {
    for (const { nodes } of trees) {
      for (const node of nodes) if (node.kind === "branch") branches[node.feature].push(node);
    }
  }
  return new BinQuantizer(
    branches.map((own, column) => {
      const stated = [...new Set(own.flatMap(edgesOf))].filter(Number.isFinite);
      const values = rows.data.filter((x, i) => i % columns === column && !Number.isNaN(x));
      const edges = keepEdges(Float64Array.from(stated).sort(), values, 2 ** nBits - 1);
      return { edges, missing: missingCode(own, edges) };
    }),
  );
}

/** The values at which a branch's answer changes. */
function edgesOf({ comparison, threshold }: Branch): number[] {
  const above = nextAbove(threshold);
  switch (comparison) {
    case "<":
    case ">=":
      return [threshold];
    case "<=":
    case ">":
      return [above];
    case "==":
    case "!=":
      return [threshold, above];
    default:
      throw new Error("internal: a comparison that does not exist");
  }
}

/** The least float64 above x: what lies above a threshold begins there, in float32 as well. */
function nextAbove(x: number): number {
  if (!Number.isFinite(x)) return x;
  if (x === 0) return Number.MIN_VALUE;
  const word = new BigInt64Array(1);
  const float = new Float64Array(word.buffer);
  float[0] = x;
  word[0] += x > 0 ? 1n : -1n;
  return float[0];
}

/** At most `most` of the edges: while there are more, the two neighbouring bins with the fewest rows become one. */
function keepEdges(edges: Float64Array, values: ArrayLike<number>, most: number): Float64Array {
  const counts = Array.from({ length: edges.length + 1 }, () => 0);
  for (let i = 0; i < values.length; i++) counts[countUpTo(edges, values[i])]++;
  const kept = [...edges];
  while (kept.length > most) {
    let least = 0;
    for (let i = 1; i < kept.length; i++) {
      if (counts[i] + counts[i + 1] < counts[least] + counts[least + 1]) least = i;
    }
    kept.splice(least, 1);
    counts.splice(least, 2, counts[least] + counts[least + 1]);
  }
  return Float64Array.from(kept);
}

/** A bin in which every branch goes where missing values go, or a code of their own. */
function missingCode(branches: readonly Branch[], edges: Float64Array): number {
  const tests = branches.map((branch) => ({ isTrue: testOf(branch, edges), branch }));
  for (let code = 0; code <= edges.length; code++) {
    if (tests.every(({ isTrue, branch }) => isTrue(code) === branch.missingIsTrue)) return code;
  }
  return edges.length + 1;
}

/** The answer of a branch for every code of its column. */
export function answersOf(branch: Branch, { edges, missing }: ColumnBins): Uint8Array {
  const codes = Math.max(edges.length, missing) + 1;
  const isTrue = testOf(branch, edges);
  return Uint8Array.from({ length: codes }, (_, code) =>
    Number(code > edges.length ? branch.missingIsTrue : isTrue(code)),
  );
}

/** Whether a branch is true for the values of a bin. */
function testOf(branch: Branch, edges: Float64Array): (code: number) => boolean {
  const [first, last = first] = edgesOf(branch).map((edge) => rankOf(edge, edges));
  switch (branch.comparison) {
    case "<":
    case "<=":
      return (code) => code < first;
    case ">":
    case ">=":
      return (code) => code >= first;
    case "==":
      return (code) => code >= first && !(code >= last);
    case "!=":
      return (code) => !(code >= first && !(code >= last));
    default:
      throw new Error("internal: a comparison that does not exist");
  }
}

/**
 * The first code whose values are at or above an edge, or above the kept one that is nearest: 0 for minus infinity, infinite
 * for infinity, NaN for NaN, which nothing is below or above.
 */
function rankOf(edge: number, edges: Float64Array): number {
  if (!Number.isFinite(edge)) return edge === -Infinity ? 0 : edge;
  const below = countUpTo(edges, edge);
  if (below === edges.length || edges[below - 1] === edge) return below;
  if (below === 0) return 1;
  return edge - edges[below - 1] <= edges[below] - edge ? below : below + 1;
}
