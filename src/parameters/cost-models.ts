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
      "1x512": [3228, 969.8],
      "1x1024": [6964, 2314],
      "1x2048": [14930, 5215],
      "1x4096": [31900, 14400],
      "1x8192": [66580, 31890],
      "1x16384": [137700, 62360],
      "2x256": [2821, 1123],
      "2x512": [5345, 1996],
      "2x1024": [10730, 6013],
      "2x2048": [31110, 15350],
      "3x256": [5556, 1389],
      "3x512": [7004, 3332],
      "3x1024": [14190, 7202],
      "4x256": [5259, 2823],
      "4x512": [8690, 3796],
      "4x1024": [18530, 9840],
      "5x256": [6250, 3938],
      "5x512": [14180, 5351],
      "6x256": [7670, 3158],
      "6x512": [13180, 6167],
    },
    keyswitch: 0.05712,
    stream: 0.0823,
    combination: 0.2045,
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
