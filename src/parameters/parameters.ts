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

/** How an output's ciphertexts travel. */
export interface OutputForm {
  /** Switched to the small key first, whose ciphertexts are shorter and have 32-bit words. */
  readonly isSmall: boolean;
  /** Highest bits of each word that are kept. */
  readonly bits: number;
}

/** All words under the big key. */
export const WHOLE: OutputForm = { isSmall: false, bits: 64 };

/** Bits of a word before any are dropped. */
export function wordBits({ isSmall }: OutputForm): number {
  return isSmall ? 32 : 64;
}

/** Bytes of ciphertexts in this form, laid end to end. */
export function outputBytes(p: CryptoParameters, form: OutputForm, ciphertexts: number): number {
  const dimension = form.isSmall ? p.lweDimension : p.glweDimension * p.polynomialSize;
  return Math.ceil((ciphertexts * (dimension + 1) * form.bits) / 8);
}
