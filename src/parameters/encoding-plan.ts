/**
 * Where integers lie on the torus. Values that linear operations tie together share one scale; the largest interval that
 * a table or an output must read sets it. A table that needs less room multiplies its input by a whole number, so that
 * its own interval fills the half torus. Both that and the shift of the interval are free, or nearly so.
 * @module
 */
import type { Interval } from "../circuit/interval.ts";
import {
  type Circuit,
  type FitEncoding,
  type Grid,
  type ValueId,
  gridOf,
  valueId,
  type TableEncoding,
} from "../circuit/ir.ts";
import { SottoError } from "../errors.ts";
import { requireBounds, statedRange } from "../passes/infer-bounds.ts";

/** How a table's boxes lie on the lower half of the torus. */
export interface Placement {
  readonly grid: Grid;
  /** Index of the first box on the grid. */
  readonly firstBox: number;
  /** Number of boxes. */
  readonly boxes: number;
  /** The (fractional) integer that lies at phase 0. */
  readonly zero: number;
  /** What the input is multiplied by before the lookup; it multiplies noise and boxes alike, but not the lookup's own noise. */
  readonly factor: number;
  /** Torus units (of 2^-64) of one integer unit behind the multiplication. */
  readonly scale: bigint;
  /** Integer units of the interval that is read, half a step at both ends included; null where the box must be right. */
  readonly noisySpan: number | null;
}

/** What an output is decoded to. */
export interface OutputWindow {
  /** Outputs of circuits with approximate tables may be off by this many units; 0.5 is exact. */
  readonly tolerance: number;
  /** Integer units of the range; null where noise must stay within the tolerance. */
  readonly noisySpan: number | null;
}

export interface EncodingPlan {
  /** Torus units (of 2^-64) of one integer unit, per value. */
  readonly scales: readonly bigint[];
  /** Per table value. */
  readonly placements: ReadonlyMap<ValueId, Placement>;
  /** Per output value. */
  readonly outputs: ReadonlyMap<ValueId, OutputWindow>;
  /** Largest noise of tables that round, as a fraction of the interval that they read; null if they too must be right. */
  readonly interiorNoise: number | null;
}

const HALF_TORUS = 2n ** 63n;
/** Scales are whole numbers of 2^-64, so that boxes fit up to this share of one. */
const ROUNDING = 1e-6;
/** An output may use the whole torus; a quarter of its range on either side is headroom for unseen rows. */
const OUTPUT_HEADROOM = 1.5;

/** Far more than any parameters serve: said here, because the search would take long to find nothing. */
const MAX_BOXES = 2 ** 16;

function tooWide(name: string, boxes: number, kind: "calibrated" | "guaranteed"): SottoError {
  const bits = Math.ceil(Math.log2(boxes));
  const looser = kind === "guaranteed" ? ', or take bounds: "calibrated"' : "";
  return new SottoError(
    "TABLE_TOO_WIDE",
    name,
    `expected tables of at most ${Math.log2(MAX_BOXES)} bits, got integers of ${bits} bits; ` +
      `set roundingThresholdBits or use fewer bits (nBits)${looser}`,
  );
}

/** Plans scales and tables for a bounded circuit. Throws TABLE_TOO_WIDE. */
export function planEncodings(
  circuit: Circuit,
  kind: "calibrated" | "guaranteed",
  interiorNoise: number | null = null,
): EncodingPlan {
  const classOf = tieScales(circuit);
  const demands = new Map<number, Demand>();
  const demand = (id: ValueId, units: number, powerOfTwo: boolean): void => {
    const root = classOf(id);
    const known = demands.get(root) ?? { units: 1, powerOfTwo: false };
    demands.set(root, {
      units: Math.max(known.units, units),
      powerOfTwo: known.powerOfTwo || powerOfTwo,
    });
  };
  const boundsOf = (id: ValueId): Interval => requireBounds(circuit.values[id])[kind];
  const needs = new Map<ValueId, Demand>();
  circuit.values.forEach(({ op, inputs, name }, i) => {
    if (op.kind === "table") {
      const { units, count } = boxesNeeded(
        gridOf(op.encoding),
        op.encoding,
        statedRange(op.encoding) ?? boundsOf(inputs[0]),
        // What is stated needs no headroom.
        statedRange(op.encoding) ? "guaranteed" : kind,
      );
      if (count > MAX_BOXES) throw tooWide(name, count, kind);
      const powerOfTwo = op.encoding.kind === "rounded";
      demand(inputs[0], units, powerOfTwo);
      needs.set(valueId(i), { units, powerOfTwo });
    }
    if (op.kind === "extractBit") demand(inputs[0], 1, true);
  });
  const outputs = outputWindows(circuit, boundsOf, interiorNoise !== null);
  for (const id of circuit.outputs) {
    const { lo, hi } = boundsOf(id);
    const { tolerance, noisySpan } = outputs.get(id) ?? { tolerance: 0.5, noisySpan: null };
    const isTight = kind === "guaranteed" && noisySpan === null;
    const headroom = isTight ? 0 : ((hi - lo + 1) * OUTPUT_HEADROOM) / 2;
    // The client decodes around an integer in the middle: the end farther from it must not wrap around, nor its noise.
    const reach = Math.ceil((hi - lo) / 2) + tolerance;
    demand(id, Math.max(1, headroom, reach), false);
  }
  const scales = circuit.values.map((_, i) => scaleOf(demands.get(classOf(valueId(i)))));
  const placements = new Map<ValueId, Placement>();
  const noisy = interiorNoise === null ? new Set<ValueId>() : noisyTables(circuit);
  circuit.values.forEach(({ op, inputs }, i) => {
    if (op.kind !== "table") return;
    const grid = gridOf(op.encoding);
    const shared = scales[inputs[0]];
    // A scale that is a power of two stays one: both are, where a table reads exact roundings.
    const factor = maxOf(1n, scaleOf(needs.get(valueId(i))) / shared);
    const scale = factor * shared;
    const bounds =
      op.encoding.kind === "fit"
        ? fitInterval(op.encoding)
        : (statedRange(op.encoding) ?? boundsOf(inputs[0]));
    const laid = place(grid, bounds, scale);
    const noisySpan = noisy.has(valueId(i)) ? bounds.hi - bounds.lo + grid.step : null;
    placements.set(valueId(i), { ...laid, factor: Number(factor), scale, noisySpan });
  });
  return { scales, placements, outputs, interiorNoise };
}

interface Demand {
  /** Integer units that must fit on the half torus. */
  readonly units: number;
  /** Bit extraction needs the scale to divide the half torus in powers of two. */
  readonly powerOfTwo: boolean;
}

function maxOf(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function scaleOf(demand: Demand | undefined): bigint {
  const { units, powerOfTwo } = demand ?? { units: 1, powerOfTwo: false };
  if (powerOfTwo) return HALF_TORUS >> BigInt(Math.ceil(Math.log2(units)));
  // Units may be fractional (fit steps); 2^-20 of a unit is far below any margin.
  return (HALF_TORUS << 20n) / BigInt(Math.ceil(units * 2 ** 20));
}

/**
 * Tables that may bear noise: those that round, and those that read the codes of such a table, which are off by what it
 * bore anyway. Tables behind exact rounding and those that read inputs must be right.
 */
function noisyTables({ values }: Circuit): ReadonlySet<ValueId> {
  const noisy = new Set<ValueId>();
  const reached = new Set<ValueId>();
  values.forEach(({ op, inputs }, i) => {
    const isReached = inputs.some((id) => reached.has(id));
    if (op.kind === "table") {
      const { kind } = op.encoding;
      if (kind === "rounded" || (kind === "each" && !isReached)) return;
      noisy.add(valueId(i));
      reached.add(valueId(i));
    } else if (isReached) {
      reached.add(valueId(i));
    }
  });
  return noisy;
}

/** The interval that a fit table reads, behind its shifts. */
function fitInterval({ interval }: FitEncoding): Interval {
  if (interval === null) throw new Error("internal: a fit table without interval");
  return interval;
}

/** Union-find over values that linear operations tie to one scale. */
function tieScales(circuit: Circuit): (id: ValueId) => number {
  const parent = circuit.values.map((_, i) => i);
  const root = (i: number): number => {
    let r = i;
    while (parent[r] !== r) r = parent[r];
    parent[i] = r;
    return r;
  };
  circuit.values.forEach(({ op, inputs }, i) => {
    // The client encrypts unit vectors at a scale of their own.
    if (op.kind === "table" || op.kind === "oneHot") return;
    for (const input of inputs) parent[root(input)] = root(i);
  });
  return root;
}

/**
 * What a table asks of the half torus. Calibrated bounds take the next power of two of boxes and keep the rest as headroom.
 * Both ends of the interval need half a step of room, or noise would read the other end's value, negated.
 */
function boxesNeeded(
  grid: Grid,
  encoding: TableEncoding,
  { lo, hi }: Interval,
  kind: "calibrated" | "guaranteed",
): { readonly units: number; readonly count: number } {
  const { step } = grid;
  if (encoding.kind === "fit") return { units: step * encoding.steps, count: encoding.steps };
  const touched = boxOf(grid, hi) - boxOf(grid, lo) + 1;
  const isPadded = kind === "calibrated" || encoding.kind === "rounded";
  const count = isPadded ? 2 ** Math.ceil(Math.log2(touched)) : touched;
  const guarded = encoding.kind === "approximate" ? hi - lo + step : touched * step;
  return { units: Math.max(isPadded ? count * step : 0, guarded), count };
}

function boxOf(grid: Grid, x: number): number {
  return Math.floor((x - grid.origin) / grid.step);
}

/**
 * Lays boxes on the half torus: whole ones with the interval in their middle if both ends then have half a step of room,
 * otherwise the interval is centred and the boxes at the ends are cut.
 */
function place(
  grid: Grid,
  { lo, hi }: Interval,
  scale: bigint,
): Pick<Placement, "grid" | "firstBox" | "boxes" | "zero"> {
  const { origin, step } = grid;
  const capacity = Number(HALF_TORUS) / Number(scale) / step;
  const whole = Math.max(1, Math.floor(capacity + ROUNDING));
  const low = boxOf(grid, lo);
  const spare = whole - (boxOf(grid, hi) - low + 1);
  const middle = ((lo + hi) / 2 - origin) / step;
  const before = Math.min(Math.max(0, Math.round(low + whole / 2 - middle)), Math.max(0, spare));
  const slack = capacity - whole < ROUNDING ? 0 : ((capacity - whole) * step) / 2;
  const zero = origin + (low - before) * step - slack;
  const room = Math.min(lo - zero, zero + capacity * step - hi);
  if (spare >= 0 && room >= step / 2 - step * ROUNDING) {
    return { grid, firstBox: low - before, boxes: whole, zero };
  }
  const centred = (lo + hi) / 2 - (capacity * step) / 2;
  const firstBox = boxOf(grid, centred);
  const last = boxOf(grid, centred + capacity * step * (1 - ROUNDING));
  return { grid, firstBox, boxes: last - firstBox + 1, zero: centred };
}

/** A circuit that rounds approximately promises its outputs to one part in as many steps as its finest table has. */
function outputWindows(
  circuit: Circuit,
  boundsOf: (id: ValueId) => Interval,
  isNoisy: boolean,
): ReadonlyMap<ValueId, OutputWindow> {
  const steps = circuit.values.flatMap(({ op, inputs }) => {
    if (op.kind !== "table") return [];
    const { encoding } = op;
    if (encoding.kind === "fit") return [encoding.steps];
    if (encoding.kind !== "approximate") return [];
    const { lo, hi } = boundsOf(inputs[0]);
    return [2 ** Math.ceil(Math.log2((hi - lo + 1) / 2 ** encoding.lsbs))];
  });
  const finest = Math.max(0, ...steps);
  const windows = new Map<ValueId, OutputWindow>();
  for (const id of circuit.outputs) {
    const { lo, hi } = boundsOf(id);
    const span = hi - lo + 1;
    const tolerance = finest === 0 ? 0.5 : Math.max(0.5, span / finest / 2);
    windows.set(id, { tolerance, noisySpan: isNoisy && tolerance > 0.5 ? span : null });
  }
  return windows;
}
