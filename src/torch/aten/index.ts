/**
 * The ATen operators that are read: one row each. To add one, write it in the file of its family.
 * @module
 */
import type { TorchNode } from "../program.ts";
import { arithmetic } from "./arithmetic.ts";
import type { Rule } from "./call.ts";
import { creation } from "./creation.ts";
import { elementwise } from "./elementwise.ts";
import { linear } from "./linear.ts";
import { movement, views } from "./movement.ts";
import { normalization } from "./normalization.ts";
import { pooling } from "./pooling.ts";
import { reduction } from "./reduction.ts";

const families = [
  elementwise,
  arithmetic,
  linear,
  pooling,
  normalization,
  reduction,
  movement,
  creation,
];

const rules: ReadonlyMap<string, Rule> = new Map(
  families
    .flatMap((family) => Object.entries(family))
    .flatMap(([names, rule]) => names.split(" ").map((name) => [name, rule] as const)),
);

/** Names of the operators that are read, each with its overload, sorted. */
export const supportedAten: readonly string[] = [...rules.keys()].sort();

/** What an operator's name says about it. */
export interface AtenName {
  /** Without the underscore of an operator that writes its result over its argument. */
  readonly base: string;
  readonly overload: string;
  readonly isInPlace: boolean;
}

/** The parts of a target such as `torch.ops.aten.relu_.default`; undefined for what is no ATen operator. */
export function parseTarget({ target }: Pick<TorchNode, "target">): AtenName | undefined {
  const match = /^torch\.ops\.aten\.(\w+?)\.(\w+)$/.exec(target);
  if (!match) return undefined;
  const [, name, overload] = match;
  const hasUnderscore = name.endsWith("_") && !name.endsWith("__");
  const base = hasUnderscore ? name.slice(0, -1) : name;
  // Detaching in place forgets gradients only.
  return { base, overload, isInPlace: hasUnderscore && base !== "detach" };
}

/** The rule of an operator, or undefined if it is not read. */
export function findRule(node: Pick<TorchNode, "target">): Rule | undefined {
  const name = parseTarget(node);
  return name && rules.get(`${name.base}.${name.overload}`);
}

/** True if the operator's result may share memory with its argument. */
export function isView(node: Pick<TorchNode, "target">): boolean {
  return views.has(parseTarget(node)?.base ?? "");
}
