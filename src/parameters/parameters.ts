/**
 * Cryptographic parameters: the value that `chooseParameters` returns and that keys, programs and client specs carry.
 * @module
 */

/** Gadget decomposition: `level` digits of `baseLog` bits each. */
export interface Decomposition {
  readonly baseLog: number;
  readonly level: number;
}

/** The numbers that key generation and execution need; two machines with equal ones can exchange keys. */
export interface CryptoParameters {
  /** Small LWE dimension, `n`; 0 for a circuit without lookups, which needs no evaluation keys. */
  readonly lweDimension: number;
  /** GLWE dimension, `k`. */
  readonly glweDimension: number;
  /** Polynomial size, `N`, a power of two. The big LWE key has `k N` bits. */
  readonly polynomialSize: number;
  /** Decomposition of the bootstrap key. */
  readonly bootstrap: Decomposition;
  /** Decomposition of the keyswitch key, from the big key to the small one. */
  readonly keyswitch: Decomposition;
  /** Standard deviation of the keyswitch key's noise, as a fraction of the torus. */
  readonly lweNoiseStd: number;
  /** Standard deviation of fresh inputs and of the bootstrap key's noise, as a fraction of the torus. */
  readonly glweNoiseStd: number;
}
