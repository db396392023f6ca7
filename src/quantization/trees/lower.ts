/**
 * A forest as circuit operations. One-hot codes become the answers to "is the code at least e?", of which every function of a
 * feature is a sum with few terms; lookups read sums of those, and outputs are sums of lookups.
 * @module
 */
import type { Target } from "../../circuit/builder.ts";
import { type Tensor, int64 } from "../../tensor/tensor.ts";
import type { Forest, ForestLookup, Parts } from "./forest.ts";

/** What the outputs of a forest are computed from. */
export interface Lowering {
  /** Codes of every column. */
  readonly sizes: readonly number[];
  readonly forest: Forest;
  /** What all outputs add up to, where that is known (`LeafCodes.total`). */
  readonly total: number | null;
  readonly name: string;
}

/** Boxes up to which lookups take no extension. */
const SMALL = 32;

/** Whole numbers [rows, outputs] from codes [rows, columns]. */
export function lowerForest<V>(target: Target<V>, codes: V, lowering: Lowering): V {
  const { forest, total, name, sizes } = lowering;
  const outputs = forest.base.length;
  // The last output follows from the others where their total is known.
  const computed = total === null ? outputs : outputs - 1;
  const constants = forest.base.map((value, output) =>
    output < computed ? value : (total ?? 0) - sumOf(forest.base.slice(0, computed)),
  );
  const answers = sizes.some((size) => size > 0) ? askAll(target, codes, sizes, name) : null;
  const terms: V[] = [];
  if (answers !== null) {
    terms.push(...lookUp(target, answers, { ...lowering, outputs, computed }));
    const weights = weightsOf(forest.sums.slice(0, computed), answers);
    if (weights.some((row) => row.some((weight) => weight !== 0))) {
      const rows = [...weights, ...remainder(weights, outputs)];
      terms.push(multiply(target, answers.value, columnsOf(rows), name));
    }
  }
  const [first, ...others] = terms;
  if (first === undefined) return constant(target, codes, constants, name);
  const sum = others.reduce((a, b) => target.emit({ kind: "add" }, [a, b], name), first);
  return shift(target, sum, constants, name);
}

/** Answers, 0 or 1, in one row: to "at least e?" for e = 1 .. size - 1 of each column, one column after the other. */
interface Answers<V> {
  readonly value: V;
  readonly count: number;
  /** Place of the first answer of each column. */
  readonly starts: readonly number[];
}

function askAll<V>(
  target: Target<V>,
  codes: V,
  sizes: readonly number[],
  name: string,
): Answers<V> {
  const bins = target.emit({ kind: "oneHot", sizes }, [codes], name);
  const starts: number[] = [];
  const features: number[] = [];
  const values: number[] = [];
  sizes.forEach((size, feature) => {
    starts.push(features.length);
    for (let least = 1; least < size; least++) {
      features.push(feature);
      for (let code = 0; code < size; code++) values.push(Number(code >= least));
    }
  });
  const questions = { features: Int32Array.from(features), values: Int32Array.from(values) };
  const value = target.emit({ kind: "select", sizes, ...questions }, [bins], name);
  return { value, count: features.length, starts };
}

function lookUp<V>(
  target: Target<V>,
  answers: Answers<V>,
  { forest, name, outputs, computed }: Lowering & Widths,
): V[] {
  const sums: V[] = [];
  const indicators = new Map<number, number>();
  let known: V = answers.value;
  let count = answers.count;
  for (const layer of layersOf(forest.lookups)) {
    const found: V[] = [];
    for (const group of layer) {
      const lookups = group.map((index) => forest.lookups[index]);
      const read = readAll(target, known, lookups, { answers, indicators, name });
      const [{ kind }] = lookups;
      const boxes = Math.max(...lookups.map((lookup) => lookup.boxes));
      if (kind === "outputs") {
        sums.push(...outputTables(target, read, lookups, { name, outputs, computed }));
      } else {
        const results = range(0, boxes).map((box) => Number(box === 0));
        found.push(lookUpEach(target, read, int64([boxes], results), name));
        group.forEach((index, i) => indicators.set(index, count + i));
        count += group.length;
      }
    }
    if (found.length > 0) known = join(target, [known, ...found], count, name);
  }
  return sums;
}

/** Number of outputs, and of those that are computed themselves. */
interface Widths {
  readonly outputs: number;
  readonly computed: number;
}

/** What lookups of one number of boxes add to the outputs: a table for each output, of the lookups that matter to it. */
function outputTables<V>(
  target: Target<V>,
  read: V,
  lookups: readonly ForestLookup[],
  { name, outputs, computed }: Widths & Pick<Lowering, "name">,
): V[] {
  return range(0, computed).flatMap((output) => {
    const columns = lookups.map((lookup) =>
      lookup.kind === "outputs" ? lookup.results.map((result) => result[output]) : [],
    );
    const rows = range(0, lookups.length).filter((row) => columns[row].some((x) => x !== 0));
    if (rows.length === 0) return [];
    const boxes = Math.max(...lookups.map((lookup) => lookup.boxes));
    const results = range(0, boxes).flatMap((box) => rows.map((row) => columns[row][box] ?? 0));
    const own =
      rows.length === lookups.length ? read : move(target, [read], [1, rows.length], rows, name);
    const table = lookUpEach(target, own, int64([boxes, rows.length], results), name);
    const unit = range(0, computed).map((other) => rows.map(() => Number(other === output)));
    return [multiply(target, table, columnsOf([...unit, ...remainder(unit, outputs)]), name)];
  });
}

/** A lookup of each of some numbers from 0 up to the number of results. */
function lookUpEach<V>(target: Target<V>, x: V, results: Tensor<"int64">, name: string): V {
  const range = { lo: 0, hi: results.shape[0] - 1 };
  const steps = [{ op: { kind: "list", first: 0, results }, inputs: [-1] }] as const;
  return target.emit({ kind: "table", encoding: { kind: "each", range }, steps }, [x], name);
}

/**
 * Lookups that depend on no other first. Those of one layer are one table operation, with the boxes of the largest, since they
 * share its parameters anyway; one with so many boxes that it takes an extension is another.
 */
function layersOf(lookups: readonly ForestLookup[]): number[][][] {
  const depths: number[] = [];
  const layers: Map<string, number[]>[] = [];
  lookups.forEach(({ indicator, kind, boxes }, index) => {
    const depth = indicator === null ? 0 : depths[indicator.lookup] + 1;
    depths.push(depth);
    const layer = (layers[depth] ??= new Map<string, number[]>());
    const key = `${kind} ${Math.max(SMALL, 2 ** Math.ceil(Math.log2(boxes)))}`;
    layer.set(key, [...(layer.get(key) ?? []), index]);
  });
  return layers.map((layer) => [...layer.values()]);
}

/** The whole numbers that lookups read, one row of them. */
function readAll<V>(
  target: Target<V>,
  known: V,
  lookups: readonly ForestLookup[],
  {
    answers,
    indicators,
    name,
  }: {
    readonly answers: Answers<V>;
    readonly indicators: ReadonlyMap<number, number>;
    readonly name: string;
  },
): V {
  const sums = lookups.map(({ parts, indicator }) => {
    const sum = differences(parts, answers);
    const place = indicator === null ? undefined : indicators.get(indicator.lookup);
    if (indicator === null || place === undefined) return sum;
    // Where the path does not hold the indicator is 0.
    return {
      constant: sum.constant + indicator.weight,
      terms: [...sum.terms, { place, weight: -indicator.weight }],
    };
  });
  const most = Math.max(...sums.map(({ terms }) => terms.length));
  const places: number[] = [];
  const weights: number[] = [];
  for (const { terms } of sums) {
    for (let i = 0; i < most; i++) {
      places.push(terms[i]?.place ?? 0);
      weights.push(terms[i]?.weight ?? 0);
    }
  }
  const count = lookups.length;
  const gathered = move(target, [known], [1, count * most, 1], places, name);
  const geometry = { strides: [1], pads: [0, 0], dilations: [1], group: count };
  const kernels = int64([count, most, 1], weights);
  const conv = { kind: "conv", weights: kernels, geometry, padValue: 0 } as const;
  const flat = { kind: "reshape", shape: [1, count] } as const;
  const read = target.emit(flat, [target.emit(conv, [gathered], name)], name);
  return shift(
    target,
    read,
    sums.map((sum) => sum.constant),
    name,
  );
}

/** A sum of functions of features as a constant and weighted answers: the steps from each code to the next. */
function differences(
  parts: Parts,
  { starts }: Pick<Answers<unknown>, "starts">,
): { readonly constant: number; readonly terms: readonly { place: number; weight: number }[] } {
  const terms: { place: number; weight: number }[] = [];
  let constant = 0;
  for (const [feature, part] of parts) {
    constant += part[0];
    for (let code = 1; code < part.length; code++) {
      const weight = part[code] - part[code - 1];
      if (weight !== 0) terms.push({ place: starts[feature] + code - 1, weight });
    }
  }
  return { constant, terms };
}

/** Weights of answers for sums that need no lookup; they are 0 at the lowest codes. */
function weightsOf(sums: readonly Parts[], answers: Answers<unknown>): number[][] {
  return sums.map((parts) => {
    const row = Array.from({ length: answers.count }, () => 0);
    for (const { place, weight } of differences(parts, answers).terms) row[place] += weight;
    return row;
  });
}

/** The row of the last output, where it is not computed itself: less of everything that the others get. */
function remainder(rows: readonly (readonly number[])[], outputs: number): number[][] {
  if (rows.length === outputs) return [];
  return [rows[0].map((_, i) => -sumOf(rows.map((row) => row[i])))];
}

function columnsOf(rows: readonly (readonly number[])[]): Tensor<"int64"> {
  const [{ length }] = rows;
  return int64(
    [length, rows.length],
    range(0, length).flatMap((i) => rows.map((row) => row[i])),
  );
}

function multiply<V>(target: Target<V>, x: V, weights: Tensor<"int64">, name: string): V {
  return target.emit({ kind: "matmul", weights }, [x], name);
}

function move<V>(
  target: Target<V>,
  from: readonly V[],
  shape: readonly number[],
  indices: readonly number[],
  name: string,
): V {
  const op = { kind: "gather", shape, indices: Int32Array.from(indices), fill: 0 } as const;
  return target.emit(op, from, name);
}

function join<V>(target: Target<V>, parts: readonly V[], count: number, name: string): V {
  return parts.length === 1 ? parts[0] : move(target, parts, [1, count], range(0, count), name);
}

function shift<V>(target: Target<V>, x: V, by: readonly number[], name: string): V {
  if (by.every((value) => value === 0)) return x;
  return target.emit({ kind: "shift", by: int64([1, by.length], by) }, [x], name);
}

/** Numbers that depend on no row. */
function constant<V>(target: Target<V>, codes: V, values: readonly number[], name: string): V {
  const nothing = move(
    target,
    [codes],
    [1, values.length],
    values.map(() => -1),
    name,
  );
  return shift(target, nothing, values, name);
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

function range(start: number, length: number): number[] {
  return Array.from({ length }, (_, i) => start + i);
}
