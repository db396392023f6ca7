//! Products of public polynomials with the secret binary ones, modulo `X^N + 1` and 2^64, exactly.

use tfhe_ntt::native_binary64::Plan32;
use zeroize::Zeroizing;

/// The big key as polynomials, and the transform that multiplies by them.
pub(crate) struct KeyMultiplier<'a> {
    plan: Plan32,
    key: &'a [u64],
    polynomial_size: usize,
}

impl<'a> KeyMultiplier<'a> {
    /// `key` holds whole polynomials of `polynomial_size` bits.
    pub(crate) fn new(key: &'a [u64], polynomial_size: usize) -> Self {
        let plan = Plan32::try_new(polynomial_size);
        let plan = plan.expect("internal: polynomial sizes are powers of two up to 2^15");
        Self { plan, key, polynomial_size }
    }

    /// `body += sum of mask polynomial times key polynomial`.
    pub(crate) fn add_products(&self, body: &mut [u64], mask: &[u64]) {
        // Together with the public mask a product tells the key.
        let mut product = Zeroizing::new(vec![0; self.polynomial_size]);
        let masks = mask.chunks_exact(self.polynomial_size);
        for (mask, key) in masks.zip(self.key.chunks_exact(self.polynomial_size)) {
            self.plan.negacyclic_polymul(&mut product, mask, key);
            for (body, word) in body.iter_mut().zip(product.iter()) {
                *body = body.wrapping_add(*word);
            }
        }
    }
}
