/**
 * Pieces of a tree: some splits below a root that hang together, and the code that tells their outcomes apart, which is a
 * sum of one digit per feature. Splits of one feature share a digit.
 * @module
 */
import type { Grown, Split } from "./grow.ts";

/** Splits that hang together, the first above the others, and what they lead to. */
export interface Shape {
  readonly splits: readonly Split[];
  readonly exits: readonly Grown[];
  /** Number of codes. */
  readonly size: number;
}

/** The digit of a feature in the code of a piece. */
export interface Digit {
  readonly feature: number;
  /** By code of the feature; 0 for codes with which no row gets to the piece. */
  readonly digits: Uint16Array;
  readonly count: number;
  /** A code of the feature for each digit. */
  readonly examples: readonly number[];
}

/** More splits than this are only taken together where they are a whole subtree. */
const MOST_SPLITS = 5;

/**
 * The digits of a piece, by feature: codes of a feature that give the same answers to all of its splits share one. Equal
 * questions have equal digits, in whatever order trees ask them.
 */
export function digitsOf([root, ...others]: readonly Split[]): Digit[] {
  const byFeature = new Map<number, Split[]>([[root.feature, [root]]]);
  for (const split of others) {
    const known = byFeature.get(split.feature);
    if (known) known.push(split);
    else byFeature.set(split.feature, [split]);
  }
  const inOrder = [...byFeature].sort(([a], [b]) => a - b);
  return inOrder.map(([feature, splits]) => {
    const possible = root.path.get(feature);
    const digits = new Uint16Array(splits[0].answers.length);
    const places = new Map<string | number, number>();
    const examples: number[] = [];
    const [first] = splits;
    digits.forEach((_, code) => {
      if (possible && possible[code] === 0) return;
      const isAlone = splits.length === 1;
      const answers = isAlone
        ? first.answers[code]
        : splits.map((split) => split.answers[code]).join("");
      const digit = places.get(answers) ?? places.size;
      if (digit === places.size) examples.push(code);
      places.set(answers, digit);
      digits[code] = digit;
    });
    return { feature, digits, count: places.size, examples };
  });
}

/** Codes of a piece of so many digits. */
export function sizeOfDigits(digits: readonly Digit[]): number {
  return digits.reduce((size, { count }) => size * count, 1);
}

/** The pieces below a root that have at most `most` codes: all small ones, and the whole subtree. */
export function shapesBelow(root: Split, most: number): Shape[] {
  const shapes: Shape[] = [];
  const extend = (
    splits: readonly Split[],
    size: number,
    open: readonly Grown[],
    exits: readonly Grown[],
  ): void => {
    const [next, ...rest] = open;
    if (next === undefined) {
      shapes.push({ splits, exits, size });
      return;
    }
    extend(splits, size, rest, [...exits, next]);
    if (next.kind === "end" || splits.length === MOST_SPLITS) return;
    const larger = [...splits, next];
    // A feature that nobody asked before has two digits: no question is asked whose answer is known.
    const isNew = splits.every(({ feature }) => feature !== next.feature);
    const largerSize = isNew ? 2 * size : sizeOfDigits(digitsOf(larger));
    if (largerSize <= most) extend(larger, largerSize, [...rest, next.low, next.high], exits);
  };
  if (most >= 2) extend([root], 2, [root.low, root.high], []);
  const whole = splitsBelow(root, most);
  if (whole !== null && whole.length > MOST_SPLITS) {
    const size = sizeOfDigits(digitsOf(whole));
    const exits = whole
      .flatMap(({ low, high }) => [low, high])
      .filter(({ kind }) => kind === "end");
    if (size <= most) shapes.push({ splits: whole, exits, size });
  }
  return shapes;
}

/** All splits from a root down; null where there are more than codes, so that they cannot be one piece. */
function splitsBelow(root: Split, most: number): Split[] | null {
  const found = [root];
  // The list grows while it is read.
  for (const { low, high } of found) {
    for (const child of [low, high]) if (child.kind === "split") found.push(child);
    if (found.length >= most) return null;
  }
  return found;
}

/** All splits from a root down that ask about its feature alone; null where there are others. */
export function oneFeatureBelow(root: Split): Split[] | null {
  const found = [root];
  for (const { low, high } of found) {
    for (const child of [low, high]) {
      if (child.kind === "end") continue;
      if (child.feature !== root.feature) return null;
      found.push(child);
    }
  }
  return found;
}
