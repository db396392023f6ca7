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
      "1x512": [3824, 1746],
      "1x1024": [7856, 3884],
      "1x2048": [17210, 9088],
      "1x4096": [37850, 21100],
      "1x8192": [82970, 18990],
      "1x16384": [137700, 85940],
      "2x256": [2585, 2673],
      "2x512": [5189, 1010],
      "2x1024": [10580, 3960],
      "2x2048": [20900, 9962],
      "3x256": [3275, 2093],
      "3x512": [5800, 7036],
      "3x1024": [18040, 12430],
      "4x256": [6524, 3695],
      "4x512": [11290, 11500],
      "4x1024": [24610, 24280],
      "5x256": [7932, 5533],
      "5x512": [13460, 10340],
      "6x256": [9830, 8348],
      "6x512": [14470, 20240],
    },
    keyswitch: 0.09079,
    stream: 0.0632,
    combination: 0.1348,
  },
};

/** The model that parameters are chosen by unless another is asked for: the same one everywhere, so that all machines compile to the same bytes. */
export const DEFAULT_COST_MODEL: CostModel = COST_MODELS.avx2;
