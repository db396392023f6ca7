/**
 * Parameter sets that several tests use, with noise exactly on the 128-bit curve.
 * @module
 */
import type { CryptoParameters } from "../../src/parameters/parameters.ts";
import { minimalNoiseStd } from "../../src/parameters/security.ts";

/** Serves 4-bit tables: k = 2, N = 1024, one bootstrap level. */
export const FOUR_BITS: CryptoParameters = {
  lweDimension: 822,
  glweDimension: 2,
  polynomialSize: 1024,
  bootstrap: { baseLog: 23, level: 1 },
  keyswitch: { baseLog: 3, level: 5 },
  lweNoiseStd: minimalNoiseStd(822),
  glweNoiseStd: minimalNoiseStd(2048),
};

/** Serves 6-bit tables at extension 2 and wider ones above: k = 1, N = 2048, two bootstrap levels. */
export const SIX_BITS: CryptoParameters = {
  lweDimension: 885,
  glweDimension: 1,
  polynomialSize: 2048,
  bootstrap: { baseLog: 15, level: 2 },
  keyswitch: { baseLog: 3, level: 6 },
  lweNoiseStd: minimalNoiseStd(885),
  glweNoiseStd: minimalNoiseStd(2048),
};
