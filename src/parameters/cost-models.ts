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
      "1x512": [1116, 670.7],
      "1x1024": [2410, 1431],
      "1x2048": [5177, 3039],
      "1x4096": [11070, 6435],
      "1x8192": [23560, 13580],
      "1x16384": [49970, 28590],
      "2x256": [854.8, 554.1],
      "2x512": [1843, 1175],
      "2x1024": [3954, 2484],
      "2x2048": [8442, 5235],
      "3x256": [1252, 851.5],
      "3x512": [2683, 1792],
      "3x1024": [5722, 3762],
      "4x256": [1706, 1205],
      "4x512": [3635, 2522],
      "4x1024": [7716, 5266],
      "5x256": [2216, 1615],
      "5x512": [4700, 3364],
      "6x256": [2783, 2081],
      "6x512": [5878, 4319],
    },
    keyswitch: 0.08,
    stream: 0.015,
    combination: 0.15,
  },
};

/** The model that parameters are chosen by unless another is asked for: the same one everywhere, so that all machines compile to the same bytes. */
export const DEFAULT_COST_MODEL: CostModel = COST_MODELS.avx2;
