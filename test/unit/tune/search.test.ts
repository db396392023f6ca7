/**
 * The search on a landscape that is known: cost and loss are formulas of the settings, so the optimum is too.
 */
import { describe, expect, test } from "vitest";
import { finish } from "../../../src/steps.ts";
import { Search, type SearchAim, usefulFront } from "../../../src/tune/search.ts";
import type { Split } from "../../../src/tune/rows.ts";
import {
  type Openness,
  type TunedOptions,
  neighboursOf,
  optionsOf,
  spaceOf,
} from "../../../src/tune/space.ts";
import type { Cost, Measures } from "../../../src/tune/trials.ts";

const open: Openness = {
  nBits: null,
  rounding: null,
  quantization: null,
  failure: true,
  noise: null,
  nodes: ["a", "b"],
};
const split: Split = { name: "none", calibration: [], rows: [], labels: null };
const aim: SearchAim = { points: 60, tolerance: 0.05, largestLoss: 0.3, budgets: {} };

/** Bits of weights per node. */
function weightsOf({ nBits }: TunedOptions): readonly [number, number] {
  if (typeof nBits === "number") return [nBits, nBits];
  const of = (name: string): number => nBits.nodes?.[name]?.op_weights ?? nBits.op_weights;
  return [of("a"), of("b")];
}

/** Node a decides the cost and hardly the loss, node b the reverse; noise saves time and loses accuracy. */
class Landscape implements Measures {
  readonly tried: TunedOptions[] = [];

  #cost(options: TunedOptions): Cost {
    const [a, b] = weightsOf(options);
    const noise = options.interiorNoise ?? 0.002;
    const predictedMs = 100 * 2 ** a + 2 ** b + 1 / noise;
    return { predictedMs, tableLookups: 1, evaluationKeyBytes: 1 };
  }

  #loss(options: TunedOptions): number {
    const [a, b] = weightsOf(options);
    const choice = options.quantization?.perChannelWeights === true ? 1 : 2;
    return choice * (0.01 * 2 ** -a + 2 ** -b) + (options.interiorNoise ?? 0);
  }

  // eslint-disable-next-line require-yield -- nothing to wait for
  *clear(_: Split, options: TunedOptions) {
    return { excess: this.#loss({ ...options, interiorNoise: 0 }), distance: 0 };
  }

  // eslint-disable-next-line require-yield -- nothing to wait for
  *cost(_: Split, options: TunedOptions) {
    return this.#cost(options);
  }

  // eslint-disable-next-line require-yield -- nothing to wait for
  *simulate(_: Split, options: TunedOptions) {
    this.tried.push(options);
    const excess = this.#loss(options);
    return { ...this.#cost(options), losses: Float64Array.of(excess), excess, distance: excess };
  }
}

function searched(openness: Openness, change: Partial<SearchAim> = {}) {
  const landscape = new Landscape();
  const space = spaceOf(openness);
  const search = new Search(space, landscape, split, { ...aim, ...change });
  const found = finish(search.run());
  const front = usefulFront([...found], { ...aim, ...change });
  const best = front.find(({ loss }) => loss <= aim.tolerance);
  return { landscape, space, found, front, options: best && optionsOf(space, best.place) };
}

describe("the search", () => {
  test("finds choices, noise and bits of each node", () => {
    const { options } = searched(open, { points: 400 });
    expect(options?.quantization?.perChannelWeights).toBe(true);
    const [a, b] = options ? weightsOf(options) : [NaN, NaN];
    expect(a).toBe(2);
    expect(b).toBeGreaterThan(a);
    expect(options?.interiorNoise).toBeGreaterThan(0.004);
  });

  test("keeps the bits of every node in range", () => {
    const { landscape } = searched(open, { points: 400 });
    const bits = landscape.tried.flatMap(weightsOf);
    expect(Math.min(...bits)).toBe(2);
    expect(Math.max(...bits)).toBeLessThanOrEqual(8);
  });

  test("is the same every time", () => {
    expect(searched(open).landscape.tried).toEqual(searched(open).landscape.tried);
  });

  test("simulates no more settings than allowed, and none twice", () => {
    const { landscape } = searched(open, { points: 40 });
    expect(landscape.tried.length).toBeLessThanOrEqual(40);
    const keys = landscape.tried.map((options) => JSON.stringify(options));
    expect(new Set(keys).size).toBe(keys.length);
  });

  test("gets better with more simulations", () => {
    const timeOf = (points: number): number =>
      searched(open, { points }).front.find(({ loss }) => loss <= aim.tolerance)?.predictedMs ??
      Infinity;
    expect(timeOf(80)).toBeLessThan(timeOf(30));
  });

  test("goes for accuracy while nothing is good enough", () => {
    const { front } = searched(open, { tolerance: 0.001, points: 60 });
    const best = Math.min(...front.map(({ loss }) => loss));
    expect(best).toBeLessThan(2 ** -6);
  });

  test("leaves alone what the user has fixed", () => {
    const { landscape } = searched({
      ...open,
      rounding: { method: "approximate" },
      quantization: { fixed: { biasCorrection: true } },
      noise: { fixed: 0.013 },
      failure: false,
    });
    for (const options of landscape.tried) {
      expect(options.roundingThresholdBits).toMatchObject({ method: "approximate" });
      expect(options.quantization).toEqual({ biasCorrection: true });
      expect(options.interiorNoise).toBe(0.013);
      expect(options.log2PError).toBeUndefined();
    }
  });

  test("does not put noise in front of tables that must decide rightly", () => {
    const { landscape } = searched({ ...open, rounding: { fixed: null } });
    expect(landscape.tried.filter(({ interiorNoise }) => interiorNoise !== undefined)).toEqual([]);
  });

  test("goes by budgets", () => {
    const budgets = { maxMilliseconds: 500 };
    const { front } = searched(open, { budgets });
    expect(front.length).toBeGreaterThan(0);
    expect(front.filter(({ predictedMs }) => predictedMs > 500)).toEqual([]);
  });
});

test("neighbours differ in one setting", () => {
  const space = spaceOf(open);
  const place = { weights: 3, inputs: 2, quantization: 1, rounding: 2, failure: 1, noise: 2 };
  const here = optionsOf(space, { ...place, nodes: {} });
  const neighbours = neighboursOf(space, { ...place, nodes: {} }).flat();
  const differences = neighbours.map((other) => {
    const there = optionsOf(space, other);
    return (
      ["roundingThresholdBits", "quantization", "log2PError", "interiorNoise", "nBits"] as const
    ).filter((key) => JSON.stringify(here[key]) !== JSON.stringify(there[key]));
  });
  expect(differences.every((keys) => keys.length === 1)).toBe(true);
  // Two along each of five axes, two for each node, and the seven other choices.
  expect(neighbours).toHaveLength(10 + 4 + 7);
});
