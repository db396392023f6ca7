//! Keyswitch of a batch of ciphertexts from the big key to the small one, from 64-bit to 32-bit words.
//!
//! What the small key encrypts is about to be rounded to a dozen bits, and its noise is far above 2^-32:
//! half the bits make half the key and a third of the time. The crate switches one ciphertext at a time
//! and reads the whole key (30-60 MB) for each; here the key streams from memory once per batch. Sums
//! modulo 2^32 do not depend on their order, so the result equals the crate's bit for bit.

use tfhe::core_crypto::prelude::*;

use crate::simd::{add_four_scaled, add_scaled, vectorized};
use crate::tensor::Ciphertext;

/// Input coefficients switched at a time: their rows, about 150 KB, wait in the second-level cache for
/// the next ciphertext of the batch. They divide every polynomial size.
const COEFFICIENTS: usize = 8;

/// Switches ciphertexts under the big key into consecutive ones of `n + 1` words in `output`.
///
/// # Panics
///
/// If the sizes do not match the key.
pub fn keyswitch_batch(
    key: &LweKeyswitchKey<impl Container<Element = u32>>,
    inputs: &[Ciphertext<'_>],
    output: &mut [u32],
) {
    let words = key.output_lwe_size().0;
    let level = key.decomposition_level_count().0;
    assert_eq!(output.len(), inputs.len() * words, "internal: keyswitch output size");
    let decomposer =
        SignedDecomposer::<u64>::new(key.decomposition_base_log(), key.decomposition_level_count());
    for (sum, input) in output.chunks_exact_mut(words).zip(inputs) {
        assert_eq!(input.dimension(), key.input_key_lwe_dimension().0, "internal: keyswitch input");
        sum.fill(0);
        // Half of what is cut off rounds the body; it may wrap around like the torus.
        sum[words - 1] = (input.body().wrapping_add(1 << 31) >> 32) as u32;
    }
    let block_rows = COEFFICIENTS * level;
    let mut digits = vec![0u32; block_rows];
    for (block, rows) in key.as_ref().chunks(block_rows * words).enumerate() {
        for (sum, input) in output.chunks_exact_mut(words).zip(inputs) {
            let first = block * COEFFICIENTS;
            let count = COEFFICIENTS.min(input.dimension() - first);
            let coefficients = input.coefficients(first, count);
            for (digits, &coefficient) in digits.chunks_exact_mut(level).zip(coefficients) {
                for (digit, term) in digits.iter_mut().zip(decomposer.decompose(coefficient)) {
                    *digit = (term.value() as u32).wrapping_neg();
                }
            }
            add_rows(sum, rows, &digits[..coefficients.len() * level]);
        }
    }
}

/// `sum += sum of digit times row`.
fn add_rows(sum: &mut [u32], rows: &[u32], digits: &[u32]) {
    let words = sum.len();
    vectorized(
        #[inline(always)]
        || {
            let (quads, last) = digits.as_chunks::<4>();
            let mut rows = rows.chunks_exact(words);
            let mut next = || rows.next().expect("internal: a row per digit");
            for factors in quads {
                let four = [next(), next(), next(), next()];
                add_four_scaled(sum, four, *factors);
            }
            for factor in last {
                add_scaled(sum, next(), *factor);
            }
        },
    );
}
