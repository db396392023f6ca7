//! Centered modulus switch of keyswitched ciphertexts, shared by all lookups of one ciphertext.

use tfhe::core_crypto::prelude::*;

/// A ciphertext whose mask is a vector of rotations and whose body waits for a lookup's offset.
pub(crate) struct Switched<'a> {
    /// Mask modulo 2 N 2^extension, one rotation per bit of the small key.
    pub(crate) rotations: &'a [u32],
    /// Body with the centering correction, not yet rounded.
    centered_body: u64,
    log_modulus: usize,
}

impl<'a> Switched<'a> {
    /// Switches `ciphertext` to modulus `2^log_modulus`, writing its rotations into `rotations`.
    ///
    /// For a binary key half of the mask's rounding errors are expected to enter the phase; the
    /// centered switch takes that half out of the body and so halves the variance. It also takes
    /// off half a case, so that table coefficient `j` answers for phases in `[j, j + 1)`.
    pub(crate) fn new(ciphertext: &[u64], log_modulus: usize, rotations: &'a mut [u32]) -> Self {
        let ciphertext = LweCiphertext::from_container(ciphertext, CiphertextModulus::new_native());
        let lazy = lwe_ciphertext_centered_binary_modulus_switch::<u64, u32, _>(
            ciphertext,
            CiphertextModulusLog(log_modulus),
        );
        for (rotation, switched) in rotations.iter_mut().zip(lazy.mask()) {
            *rotation = switched;
        }
        let (ciphertext, correction, _) = lazy.into_raw_parts();
        let centered_body = ciphertext.get_body().data.wrapping_add(correction);
        Self { rotations, centered_body, log_modulus }
    }

    /// The body of the ciphertext plus `offset`, rounded.
    pub(crate) fn body(&self, offset: u64) -> usize {
        let shift = 64 - self.log_modulus;
        let body = self.centered_body.wrapping_add(offset);
        (body.wrapping_add(1 << (shift - 1)) >> shift) as usize
    }

    /// Phase under `bits` before the body is rounded, with the half case put back: the number that
    /// decides which coefficient answers.
    pub(crate) fn phase(&self, bits: &[u64]) -> u64 {
        let shift = 64 - self.log_modulus;
        let mask_sum = self.rotations.iter().zip(bits).fold(0u64, |sum, (&rotation, &bit)| {
            sum.wrapping_add(bit.wrapping_mul(u64::from(rotation) << shift))
        });
        self.centered_body.wrapping_add(1 << (shift - 1)).wrapping_sub(mask_sum)
    }
}
