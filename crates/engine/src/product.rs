//! External products of a GGSW ciphertext with several rounded GLWE ciphertexts, each added to another.
//!
//! What the crate's `add_external_product_assign` does, made of the crate's transform, for up to four
//! ciphertexts at a time: each number of the key is then loaded once for four products, and sums stay
//! in registers until they are complete.

use pulp::Simd;
use tfhe::core_crypto::fft_impl::fft64::crypto::ggsw::FourierGgswCiphertextView;
use tfhe::core_crypto::fft_impl::fft64::math::polynomial::FourierPolynomialMutView;
use tfhe::core_crypto::fft_impl::fft64::{AVec, c64};
use tfhe::core_crypto::prelude::*;

use crate::fft::Transform;
use crate::rotate::Shape;
use crate::simd::vectorized;

/// Ciphertexts multiplied at a time: with more, the transforms leave the second-level cache.
pub(crate) const TILE: usize = 4;

/// Points (64 bytes) between the rows of a buffer, so that rows do not fight for the same cache lines.
const PADDING: usize = 4;

/// Buffers of external products of one shape.
pub(crate) struct ExternalProduct {
    polynomial_size: usize,
    polynomials: usize,
    level: usize,
    /// Transforms of the digits: for each ciphertext, level and polynomial.
    spectra: AVec<c64>,
    /// Transforms of the products of a tile: for each ciphertext and polynomial.
    sums: AVec<c64>,
    buffers: ComputationBuffers,
}

impl Default for ExternalProduct {
    fn default() -> Self {
        Self {
            polynomial_size: 0,
            polynomials: 0,
            level: 0,
            spectra: AVec::new(0),
            sums: AVec::new(0),
            buffers: ComputationBuffers::new(),
        }
    }
}

impl ExternalProduct {
    /// Prepares for products of this shape with keys of `level` digits, of up to `ciphertexts` at a time.
    pub(crate) fn resize(
        &mut self,
        shape: Shape,
        level: usize,
        ciphertexts: usize,
        transform: &Transform,
    ) {
        self.polynomial_size = shape.polynomial_size;
        self.polynomials = shape.polynomials;
        self.level = level;
        let points = shape.polynomials * self.row_points();
        self.spectra.resize(ciphertexts * level * points, c64::default());
        self.sums.resize(TILE * points, c64::default());
        let fft = transform.fft.as_view();
        let requirement = fft.forward_scratch().or(fft.backward_scratch());
        self.buffers.resize(requirement.unaligned_bytes_required());
    }

    /// Points between two rows of a buffer.
    fn row_points(&self) -> usize {
        self.polynomial_size / 2 + PADDING
    }

    /// Sets one polynomial of a ciphertext that is to be multiplied; `rounded` holds decomposer states
    /// and is used up.
    pub(crate) fn set(
        &mut self,
        ciphertext: usize,
        polynomial: usize,
        rounded: &mut [u64],
        base_log: usize,
        transform: &Transform,
    ) {
        let row = self.row_points();
        for level in 0..self.level {
            // In the key's order, which is that of the decomposition: the lowest digit first.
            let index = (ciphertext * self.level + level) * self.polynomials + polynomial;
            let spectrum = &mut self.spectra[index * row..][..self.polynomial_size / 2];
            take_digits(rounded, spectrum, &transform.twist, base_log);
            transform.plan.fwd(spectrum, self.buffers.stack());
        }
    }

    /// `sum += ggsw * ciphertext` for each ciphertext that was set; sums lie end to end.
    pub(crate) fn add_to(
        &mut self,
        sums: &mut [u64],
        ggsw: &FourierGgswCiphertextView<'_>,
        transform: &Transform,
    ) {
        let size = Size {
            half: self.polynomial_size / 2,
            row: self.row_points(),
            rows: self.level * self.polynomials,
            polynomials: self.polynomials,
        };
        let key = ggsw.as_view().data();
        let words = self.polynomials * self.polynomial_size;
        let spectra = self.spectra.chunks(TILE * size.rows * size.row);
        for (sums, spectra) in sums.chunks_mut(TILE * words).zip(spectra) {
            let products = &mut self.sums;
            match sums.len() / words {
                1 => multiply::<1>(size, key, spectra, products),
                2 => multiply::<2>(size, key, spectra, products),
                3 => multiply::<3>(size, key, spectra, products),
                _ => multiply::<TILE>(size, key, spectra, products),
            }
            let rows = self.sums.chunks_exact_mut(size.row);
            for (polynomial, row) in sums.chunks_exact_mut(self.polynomial_size).zip(rows) {
                transform.fft.as_view().add_backward_in_place_as_torus(
                    Polynomial::from_container(polynomial),
                    FourierPolynomialMutView { data: &mut row[..size.half] },
                    self.buffers.stack(),
                );
            }
        }
    }
}

/// Takes the lowest balanced digit off every state, as the crate's decomposition iterator does, and
/// writes the digits twisted, coefficient `j` as real part and `j + N / 2` as imaginary part.
fn take_digits(states: &mut [u64], spectrum: &mut [c64], twist: &[c64], base_log: usize) {
    let (reals, imaginaries) = states.split_at_mut(spectrum.len());
    vectorized(
        #[inline(always)]
        || {
            let states = reals.iter_mut().zip(imaginaries);
            for ((point, factor), (real, imaginary)) in spectrum.iter_mut().zip(twist).zip(states) {
                let (re, im) = (take_digit(real, base_log), take_digit(imaginary, base_log));
                point.re = re * factor.re - im * factor.im;
                point.im = re * factor.im + im * factor.re;
            }
        },
    );
}

/// The lowest digit of a state as a float; digits have at most `MAX_DIGIT_BITS` bits.
#[inline(always)]
fn take_digit(state: &mut u64, base_log: usize) -> f64 {
    let mask = (1u64 << base_log) - 1;
    let low = *state & mask;
    let rest = (state.cast_signed() >> base_log).cast_unsigned();
    let carry = ((low.wrapping_sub(1) | rest) & low) >> (base_log - 1);
    *state = rest.wrapping_add(carry);
    let digit = low.wrapping_sub(carry << base_log);
    // 1.5 * 2^52 plus a small integer has that integer in its lowest bits: an addition in place of a
    // conversion, which AVX2 lacks.
    const MAGIC: f64 = 6755399441055744.0;
    f64::from_bits(MAGIC.to_bits().wrapping_add(digit)) - MAGIC
}

/// Lengths of the buffers of a product.
#[derive(Clone, Copy)]
struct Size {
    /// Points of a transform.
    half: usize,
    /// Points between two rows of `spectra` and `sums`.
    row: usize,
    /// Digits of a ciphertext: levels times polynomials.
    rows: usize,
    polynomials: usize,
}

/// For each of `T` ciphertexts and each polynomial of the key, the sum over rows of key times digits.
fn multiply<const T: usize>(size: Size, key: &[c64], spectra: &[c64], sums: &mut [c64]) {
    struct Multiply<'a, const T: usize> {
        size: Size,
        key: &'a [c64],
        spectra: &'a [c64],
        sums: &'a mut [c64],
    }
    impl<const T: usize> pulp::WithSimd for Multiply<'_, T> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Size { half, row, rows, polynomials } = self.size;
            // Transforms have at least 128 points, so that nothing is left over.
            let lanes = half / S::as_simd_c64s(&self.key[..half]).0.len();
            let (half, row) = (half / lanes, row / lanes);
            let key = S::as_simd_c64s(self.key).0;
            let spectra = S::as_simd_c64s(self.spectra).0;
            let sums = S::as_mut_simd_c64s(self.sums).0;
            for point in 0..half {
                for polynomial in 0..polynomials {
                    let mut products = [simd.splat_c64s(c64::default()); T];
                    for index in 0..rows {
                        let factor = key[(index * polynomials + polynomial) * half + point];
                        for (ciphertext, product) in products.iter_mut().enumerate() {
                            let digit = spectra[(ciphertext * rows + index) * row + point];
                            *product = simd.mul_add_c64s(factor, digit, *product);
                        }
                    }
                    for (ciphertext, product) in products.into_iter().enumerate() {
                        sums[(ciphertext * polynomials + polynomial) * row + point] = product;
                    }
                }
            }
        }
    }
    pulp::Arch::new().dispatch(Multiply::<T> { size, key, spectra, sums });
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

    /// Up to the last bits of the floats, which are summed in another order.
    #[test]
    fn products_equal_the_crates() {
        for [size, polynomials, base_log, level, tile] in [
            [256, 2, 15, 2, 1],
            [1024, 3, 23, 1, 4],
            [2048, 2, 16, 2, 3],
            [512, 4, 7, 5, 2],
            [256, 2, 30, 1, 9],
        ] {
            let mut word = draws(size as u64 + level as u64);
            let transform = Transform::new(size);
            let (glwe_size, polynomial_size) = (GlweSize(polynomials), PolynomialSize(size));
            let tolerance = 2f64.powi(64 + base_log as i32 + 12 - 53);
            let (base_log, level) =
                (DecompositionBaseLog(base_log), DecompositionLevelCount(level));
            let mut point = || f64::from(word() as i32) / 2f64.powi(31);
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
            let factor: Vec<u64> = (0..tile * size * polynomials).map(|_| word()).collect();
            let start: Vec<u64> = (0..tile * size * polynomials).map(|_| word()).collect();
            let modulus = CiphertextModulus::new_native();

            let mut reference = start.clone();
            let words = size * polynomials;
            for (sum, factor) in reference.chunks_exact_mut(words).zip(factor.chunks_exact(words)) {
                add_external_product_assign(
                    &mut GlweCiphertext::from_container(sum, polynomial_size, modulus),
                    &ggsw,
                    &GlweCiphertext::from_container(factor, polynomial_size, modulus),
                );
            }

            let decomposer = SignedDecomposer::<u64>::new(base_log, level);
            let mut rounded: Vec<u64> =
                factor.iter().map(|&word| decomposer.init_decomposer_state(word)).collect();
            let mut sum = start;
            let mut product = ExternalProduct::default();
            let shape = Shape { polynomial_size: size, polynomials, extension_log: 0 };
            product.resize(shape, level.0, tile, &transform);
            for (index, states) in rounded.chunks_exact_mut(size).enumerate() {
                let (ciphertext, polynomial) = (index / polynomials, index % polynomials);
                product.set(ciphertext, polynomial, states, base_log.0, &transform);
            }
            product.add_to(&mut sum, &ggsw, &transform);
            for (word, expected) in sum.iter().zip(reference) {
                let error = word.wrapping_sub(expected).cast_signed().unsigned_abs() as f64;
                assert!(error < tolerance, "{size}: error {error:e}");
            }
        }
    }
}
