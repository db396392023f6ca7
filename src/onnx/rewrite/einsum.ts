/**
 * Einsum as transposes, sums and one matrix product.
 * @module
 */
import { SottoError } from "../../errors.ts";
import { int64, sizeOf } from "../../tensor/tensor.ts";
import type { Replacement } from "./builder.ts";

/** A tensor under construction: its name, and the label and size of each axis. */
interface Labelled {
  readonly name: string;
  readonly labels: readonly string[];
  readonly sizes: ReadonlyMap<string, number>;
}

/** Rewrites an equation of one or two operands without repeated labels in an operand. */
export function einsum(r: Replacement): void {
  const { operands, result } = parse(r);
  const [a, b] = operands.map((operand, i) =>
    withoutLonely(
      r,
      operand,
      operands.flatMap(({ labels }, j) => (i === j ? [] : labels)).concat(result),
    ),
  );
  const product = b ? contract(r, a, b, result) : a;
  const perm = result.map((label) => product.labels.indexOf(label));
  r.result("Transpose", [product.name], { perm });
}

function parse(r: Replacement): { operands: Labelled[]; result: string[] } {
  const stated = r.node.attributes["equation"];
  const equation = typeof stated === "string" ? stated.replaceAll(" ", "") : "";
  const [left, right] = equation.split("->");
  const terms = left.split(",").map((term) => term.split(""));
  const counts = new Map<string, number>();
  for (const label of terms.flat()) counts.set(label, (counts.get(label) ?? 0) + 1);
  const implied = [...counts].filter(([, count]) => count === 1).map(([label]) => label);
  const result = right === undefined ? implied.sort() : right.split("");
  const isSimple =
    terms.length === r.node.inputs.length &&
    terms.length <= 2 &&
    !equation.includes(".") &&
    [...terms, result].every((labels) => new Set(labels).size === labels.length);
  if (!isSimple) {
    throw new SottoError(
      "UNSUPPORTED_OPERATOR",
      r.node.name,
      `expected an Einsum of one or two operands, each label once in an operand, got "${equation}"; write it as products and transposes`,
    );
  }
  const rows = terms.filter((_, i) => !r.isFixed(i)).map(([first]) => first);
  if (rows.some((first) => first !== result[0])) {
    throw new SottoError(
      "UNSUPPORTED_OPERATOR",
      r.node.name,
      `expected the batch, the first label of every operand, to be the first of the result, got "${equation}"`,
    );
  }
  const operands = terms.map((labels, i) => {
    const shape = r.shape(i);
    return {
      name: r.node.inputs[i],
      labels,
      sizes: new Map(labels.map((label, axis) => [label, shape[axis]])),
    };
  });
  return { operands, result };
}

/** Sums over the axes that neither the other operand nor the result has. */
function withoutLonely(r: Replacement, x: Labelled, wanted: readonly string[]): Labelled {
  const axes = x.labels.flatMap((label, axis) => (wanted.includes(label) ? [] : [axis]));
  if (axes.length === 0) return x;
  const name = r.add("ReduceSum", [x.name], { axes, keepdims: 0 });
  return { ...x, name, labels: x.labels.filter((label) => wanted.includes(label)) };
}

/**
 * Product over shared labels: those in the result index a stack of matrices, the others are summed. The first axis of a
 * value is the batch and stays in front; an operand without it is the same for all rows.
 */
function contract(r: Replacement, a: Labelled, b: Labelled, result: readonly string[]): Labelled {
  const shared = a.labels.filter((label) => b.labels.includes(label));
  const batch = [result[0]].filter((label) => !shared.includes(label));
  const stack = shared.filter((label) => result.includes(label));
  const terms = shared.filter((label) => !result.includes(label));
  const own = (x: Labelled): string[] =>
    x.labels.filter((label) => !shared.includes(label) && !batch.includes(label));
  const [rows, columns] = [own(a), own(b)];
  const lead = (x: Labelled): string[] => batch.filter((label) => x.labels.includes(label));
  const sizes = new Map([...a.sizes, ...b.sizes]);
  const left = asMatrices(r, a, [...lead(a), ...stack], [rows, terms]);
  const right = asMatrices(r, b, [...lead(b), ...stack], [terms, columns]);
  const product = r.add("MatMul", [left, right]);
  const labels = [...batch, ...stack, ...rows, ...columns];
  const shape = labels.map((label) => sizes.get(label) ?? 1);
  return { name: reshaped(r, product, shape), labels, sizes };
}

/** Moves axes into the order stack, then the two groups, and merges each group into one axis. */
function asMatrices(
  r: Replacement,
  x: Labelled,
  stack: readonly string[],
  [first, second]: readonly [readonly string[], readonly string[]],
): string {
  const order = [...stack, ...first, ...second];
  const perm = order.map((label) => x.labels.indexOf(label));
  const isInOrder = perm.every((axis, i) => axis === i);
  const moved = isInOrder ? x.name : r.add("Transpose", [x.name], { perm });
  const merged = (labels: readonly string[]): number =>
    sizeOf(labels.map((label) => x.sizes.get(label) ?? 1));
  const shape = [...stack.map((label) => merged([label])), merged(first), merged(second)];
  if (isInOrder && first.length === 1 && second.length === 1) return moved;
  return reshaped(r, moved, shape);
}

/** A Reshape that keeps the batch: a first axis of size 1 is the batch of a value. */
function reshaped(r: Replacement, name: string, shape: readonly number[]): string {
  return r.add("Reshape", [name, r.constant(int64([shape.length], shape))]);
}
