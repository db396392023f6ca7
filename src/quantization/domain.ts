/**
 * Where a function is not defined on all numbers, tables still have boxes beyond its domain: quantization rounds values
 * a little out of it, and spare boxes lie farther out. Arguments are moved to the nearest one that has a result.
 * @module
 */
import type { GraphNode } from "../onnx/graph.ts";
import { clamp } from "../tensor/elementwise.ts";
import type { Tensor } from "../tensor/tensor.ts";

const INSIDE = 1 - 2 ** -53;

/** Smallest and largest argument, by operator. Concrete ML has the one of Log. */
const DOMAINS: Readonly<Record<string, readonly [number, number]>> = {
  Acos: [-1, 1],
  Acosh: [1, Infinity],
  Asin: [-1, 1],
  Atanh: [-INSIDE, INSIDE],
  Log: [1e-8, Infinity],
  Sqrt: [0, Infinity],
};

/** The arguments that a node's function has results for; null where it has one for every number. */
export function domainOf({
  opType,
  domain,
}: Pick<GraphNode, "opType" | "domain">): readonly [number, number] | null {
  return domain === "" ? (DOMAINS[opType] ?? null) : null;
}

/** A node's inputs with the first one moved into its domain. */
export function intoDomain(
  node: Pick<GraphNode, "opType" | "domain">,
  inputs: readonly (Tensor | undefined)[],
): readonly (Tensor | undefined)[] {
  const domain = domainOf(node);
  const [x, ...others] = inputs;
  return domain && x ? [clamp(x, ...domain), ...others] : inputs;
}
