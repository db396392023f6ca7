/**
 * The shipped cost models, one for each class of CPU. `node bench/lookups.mjs --fit CLASS` measures the machine at hand and
 * writes its class anew.
 * @module
 */
import type { CostModel } from "./cost.ts";

/** Classes of CPU that have a model. */
export type CpuClass = "avx2" | "avx512";

export const COST_MODELS: Readonly<Record<CpuClass, CostModel>> = {
  avx2: {
    name: "AVX2",
    externalProducts: {
      "1x512": [4620, 2695],
      "1x1024": [10010, 5775],
      "1x2048": [21560, 12320],
      "1x4096": [46200, 26180],
      "1x8192": [98570, 55440],
      "1x16384": [209500, 117000],
      "2x256": [3465, 2166],
      "2x512": [7508, 4620],
      "2x1024": [16170, 9818],
      "2x2048": [34650, 20790],
      "3x256": [5005, 3273],
      "3x512": [10780, 6930],
      "3x1024": [23100, 14630],
      "4x256": [6738, 4572],
      "4x512": [14440, 9626],
      "4x1024": [30800, 20210],
      "5x256": [8663, 6064],
      "5x512": [18480, 12710],
      "6x256": [10780, 7749],
      "6x512": [22910, 16170],
    },
    keyswitch: 0.25,
    stream: 0.053,
    combination: 0.3,
  },
  avx512: {
    name: "AVX-512",
    externalProducts: {
      "1x512": [2467, 1137],
      "1x1024": [5306, 2687],
      "1x2048": [12000, 6057],
      "1x4096": [25750, 11610],
      "1x8192": [56880, 32610],
      "1x16384": [126500, 73920],
      "2x256": [2238, 1115],
      "2x512": [3892, 1957],
      "2x1024": [8161, 4930],
      "2x2048": [19600, 9120],
      "3x256": [3071, 1700],
      "3x512": [5473, 2854],
      "3x1024": [13000, 6680],
      "4x256": [4005, 2320],
      "4x512": [6956, 4096],
      "4x1024": [15060, 10150],
      "5x256": [5199, 2562],
      "5x512": [8856, 8856],
      "6x256": [7274, 3382],
      "6x512": [11910, 11480],
    },
    keyswitch: 0.05981,
    stream: 0.06766,
    combination: 0.1519,
  },
};

/** The model that parameters are chosen by unless another is asked for: the same one everywhere, so that all machines compile to the same bytes. */
export const DEFAULT_COST_MODEL: CostModel = COST_MODELS.avx2;
