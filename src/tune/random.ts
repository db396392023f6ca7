/**
 * Reproducible random numbers for simulated noise: a search must give the same answer twice.
 * @module
 */

/** Uniform numbers in [0, 1) that follow from the seed alone: Weyl sequence and 32-bit mixing (splitmix32). */
export function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let z = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32;
  };
}
