/**
 * Trees over codes: what is left of a tree once features are codes and leaves are integers. Questions that the path has
 * answered are gone, and so are branches that lead to equal leaves.
 * @module
 */
import { SottoError } from "../../errors.ts";
import type { Branch, Leaf, Tree } from "../../onnx/trees/ensemble.ts";

/** An end, and what it adds to each output. */
export interface End {
  readonly kind: "end";
  readonly values: readonly number[];
}

/** A question to one feature. */
export interface Split {
  readonly kind: "split";
  readonly feature: number;
  /** By code of the feature: 1 goes to `high`. */
  readonly answers: Uint8Array;
  readonly low: Grown;
  readonly high: Grown;
  /** By feature, the codes with which a row gets here (1); features that the path does not ask about are left out. */
  readonly path: ReadonlyMap<number, Uint8Array>;
  /** Features that the path asks about, in order, repeated as they are. */
  readonly trail: readonly number[];
}

export type Grown = End | Split;

/** What a tree is grown with. */
export interface Soil {
  /** The answers of a branch by code. */
  readonly answersOf: (branch: Branch) => Uint8Array;
  readonly valuesOf: (leaf: Leaf) => readonly number[];
  readonly where: string;
}

/** Far above what can run encrypted: a tree whose branches share children grows when they are told apart. */
const MAX_NODES = 2 ** 20;
const MAX_DEPTH = 1000;

/** The tree over codes. Throws UNSUPPORTED_OPERATOR when it is too large. */
export function grow({ nodes }: Tree, { answersOf, valuesOf, where }: Soil): Grown {
  const merged = mergeSets(nodes, answersOf);
  let grown = 0;
  const visit = (
    place: number,
    path: ReadonlyMap<number, Uint8Array>,
    trail: readonly number[],
  ): Grown => {
    if (++grown > MAX_NODES || trail.length > MAX_DEPTH) {
      const message = `expected trees of at most ${MAX_NODES} nodes and ${MAX_DEPTH} levels, got a larger one`;
      throw new SottoError("UNSUPPORTED_OPERATOR", where, message);
    }
    const node = merged[place];
    if (node.kind === "leaf") return { kind: "end", values: valuesOf(node) };
    const { feature, answers, whenTrue, whenFalse } = node;
    const known = path.get(feature) ?? answers.map(() => 1);
    const side = (answer: number): Uint8Array =>
      known.map((isHere, code) => Number(isHere === 1 && answers[code] === answer));
    const [no, yes] = [side(0), side(1)];
    if (!yes.includes(1)) return visit(whenFalse, path, trail);
    if (!no.includes(1)) return visit(whenTrue, path, trail);
    const further = [...trail, feature];
    const low = visit(whenFalse, new Map([...path, [feature, no]]), further);
    const high = visit(whenTrue, new Map([...path, [feature, yes]]), further);
    if (low.kind === "end" && high.kind === "end" && sameValues(low, high)) return low;
    return { kind: "split", feature, answers, low, high, path, trail };
  };
  return visit(0, new Map(), []);
}

function sameValues(a: End, b: End): boolean {
  return a.values.every((value, i) => value === b.values[i]);
}

type Answered =
  | Leaf
  | (Pick<Branch, "kind" | "feature" | "whenTrue" | "whenFalse"> & {
      readonly answers: Uint8Array;
    });

/** Branches that ask for the members of a set one by one become one question. */
function mergeSets(nodes: Tree["nodes"], answersOf: Soil["answersOf"]): Answered[] {
  const merged: Answered[] = [];
  // Children come after their parents, so that they are merged before them.
  for (let place = nodes.length - 1; place >= 0; place--) {
    const node = nodes[place];
    if (node.kind === "leaf") {
      merged[place] = node;
      continue;
    }
    const { kind, feature, whenTrue, whenFalse } = node;
    const answers = answersOf(node);
    const next = merged[whenFalse];
    const isSet = next.kind === "branch" && next.feature === feature && next.whenTrue === whenTrue;
    merged[place] = isSet
      ? { ...next, answers: answers.map((answer, code) => answer | next.answers[code]) }
      : { kind, feature, whenTrue, whenFalse, answers };
  }
  return merged;
}
