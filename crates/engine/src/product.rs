//! External product of a GGSW ciphertext with a rounded GLWE ciphertext, added to another.
//!
//! Equal to the crate's `add_external_product_assign` bit for bit, made of the crate's transform and
//! the crate's decomposition. The crate compiles the decomposition for the baseline processor only,
//! where it takes a third of a lookup; here it is vectorized.

use pulp::Simd;
use tfhe::core_crypto::fft_impl::fft64::crypto::ggsw::FourierGgswCiphertextView;
use tfhe::core_crypto::fft_impl::fft64::math::polynomial::FourierPolynomialMutView;
use tfhe::core_crypto::fft_impl::fft64::{AVec, c64};
use tfhe::core_crypto::prelude::*;

use crate::rotate::Shape;
use crate::simd::vectorized;

/// Buffers of external products of one shape.
pub(crate) struct ExternalProduct {
    /// One digit of each coefficient of a polynomial.
    digits: Vec<u64>,
    /// The digits' transform.
    spectrum: AVec<c64>,
    /// Transforms of the product's polynomials.
    sums: AVec<c64>,
    buffers: ComputationBuffers,
}

impl Default for ExternalProduct {
    fn default() -> Self {
        Self {
            digits: Vec::new(),
            spectrum: AVec::new(0),
            sums: AVec::new(0),
            buffers: ComputationBuffers::new(),
        }
    }
}

impl ExternalProduct {
    /// Prepares for products of this shape.
    pub(crate) fn resize(&mut self, shape: Shape, fft: FftView<'_>) {
        let half = shape.polynomial_size / 2;
        self.digits.resize(shape.polynomial_size, 0);
        self.spectrum.resize(half, c64::default());
        self.sums.resize(half * shape.polynomials, c64::default());
        let requirement = fft.forward_scratch().or(fft.backward_scratch());
        self.buffers.resize(requirement.unaligned_bytes_required());
    }

    /// `sum += ggsw * rounded`; `rounded` holds decomposer states and is used up.
    pub(crate) fn add_assign(
        &mut self,
        sum: &mut [u64],
        ggsw: &FourierGgswCiphertextView<'_>,
        rounded: &mut [u64],
        fft: FftView<'_>,
    ) {
        let base_log = ggsw.decomposition_base_log().0;
        let polynomial_size = self.digits.len();
        let mut first = true;
        for level in ggsw.as_view().into_levels() {
            for (row, states) in level.into_rows().zip(rounded.chunks_exact_mut(polynomial_size)) {
                take_digits(states, &mut self.digits, base_log);
                fft.forward_as_integer(
                    FourierPolynomialMutView { data: &mut self.spectrum },
                    Polynomial::from_container(self.digits.as_slice()),
                    self.buffers.stack(),
                );
                let key = row.data();
                let half = polynomial_size / 2;
                for (sum, key) in self.sums.chunks_exact_mut(half).zip(key.chunks_exact(half)) {
                    multiply(sum, key, &self.spectrum, !first);
                }
                first = false;
            }
        }
        let sums = self.sums.chunks_exact_mut(polynomial_size / 2);
        for (polynomial, data) in sum.chunks_exact_mut(polynomial_size).zip(sums) {
            fft.add_backward_in_place_as_torus(
                Polynomial::from_container(polynomial),
                FourierPolynomialMutView { data },
                self.buffers.stack(),
            );
        }
    }
}

/// Takes the lowest balanced digit off every state, as the crate's decomposition iterator does.
fn take_digits(states: &mut [u64], digits: &mut [u64], base_log: usize) {
    let mask = (1u64 << base_log) - 1;
    vectorized(
        #[inline(always)]
        || {
            for (state, digit) in states.iter_mut().zip(digits) {
                let low = *state & mask;
                let rest = (state.cast_signed() >> base_log).cast_unsigned();
                let carry = ((low.wrapping_sub(1) | rest) & low) >> (base_log - 1);
                *state = rest.wrapping_add(carry);
                *digit = low.wrapping_sub(carry << base_log);
            }
        },
    );
}

/// `sum = key * digits`, or `sum += key * digits`, point by point.
fn multiply(sum: &mut [c64], key: &[c64], digits: &[c64], accumulate: bool) {
    struct Multiply<'a> {
        sum: &'a mut [c64],
        key: &'a [c64],
        digits: &'a [c64],
        accumulate: bool,
    }
    impl pulp::WithSimd for Multiply<'_> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            // Transforms have at least 128 points, so that nothing is left over.
            let points = S::as_mut_simd_c64s(self.sum).0.iter_mut();
            let factors = S::as_simd_c64s(self.key).0.iter().zip(S::as_simd_c64s(self.digits).0);
            for (sum, (key, digit)) in points.zip(factors) {
                *sum = if self.accumulate {
                    simd.mul_add_c64s(*key, *digit, *sum)
                } else {
                    simd.mul_c64s(*key, *digit)
                };
            }
        }
    }
    pulp::Arch::new().dispatch(Multiply { sum, key, digits, accumulate });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(mut state: u64) -> impl FnMut() -> u64 {
        move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        }
    }

    #[test]
    fn products_equal_the_crates_bit_for_bit() {
        for [size, polynomials, base_log, level] in
            [[256, 2, 15, 2], [1024, 3, 23, 1], [2048, 2, 16, 2], [512, 4, 7, 5], [256, 2, 62, 1]]
        {
            let mut word = draws(size as u64 + level as u64);
            let fft = Fft::new(PolynomialSize(size));
            let (glwe_size, polynomial_size) = (GlweSize(polynomials), PolynomialSize(size));
            let (base_log, level) =
                (DecompositionBaseLog(base_log), DecompositionLevelCount(level));
            let mut point = || f64::from(word() as i32) / 65536.0;
            let data: Vec<c64> = (0..level.0 * polynomials * polynomials * size / 2)
                .map(|_| c64::new(point(), point()))
                .collect();
            let ggsw = FourierGgswCiphertextView::from_container(
                data.as_slice(),
                glwe_size,
                polynomial_size,
                base_log,
                level,
            );
            let factor: Vec<u64> = (0..size * polynomials).map(|_| word()).collect();
            let start: Vec<u64> = (0..size * polynomials).map(|_| word()).collect();
            let modulus = CiphertextModulus::new_native();

            let mut reference = start.clone();
            add_external_product_assign(
                &mut GlweCiphertext::from_container(
                    reference.as_mut_slice(),
                    polynomial_size,
                    modulus,
                ),
                &ggsw,
                &GlweCiphertext::from_container(factor.as_slice(), polynomial_size, modulus),
            );

            let decomposer = SignedDecomposer::<u64>::new(base_log, level);
            let mut rounded: Vec<u64> =
                factor.iter().map(|&word| decomposer.init_decomposer_state(word)).collect();
            let mut sum = start;
            let mut product = ExternalProduct::default();
            let shape = Shape { polynomial_size: size, polynomials, extension_log: 0 };
            product.resize(shape, fft.as_view());
            product.add_assign(&mut sum, &ggsw, &mut rounded, fft.as_view());
            assert_eq!(sum, reference);
        }
    }
}
