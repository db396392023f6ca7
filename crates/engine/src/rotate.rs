//! Blind rotation of a batch of tables, extended tables included.
//!
//! A table of `N 2^e` coefficients is held as `2^e` interleaved ciphertexts of `N` coefficients
//! (extended bootstrapping, eprint 2025/2214), so one bootstrap key serves every table size. The outer
//! loop runs over the key, which thus streams from memory once per batch.

use tfhe::core_crypto::fft_impl::fft64::crypto::ggsw::FourierGgswCiphertextView;
use tfhe::core_crypto::prelude::*;

use crate::control::Control;
use crate::error::Result;
use crate::fft::Transform;
use crate::parameters::Parameters;
use crate::product::{ExternalProduct, TILE};
use crate::server_key::LookupKeys;
use crate::simd::vectorized;

/// Shape of a batch's accumulators.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) polynomial_size: usize,
    /// Polynomials of a GLWE ciphertext, `k + 1`.
    pub(crate) polynomials: usize,
    pub(crate) extension_log: usize,
}

impl Shape {
    pub(crate) fn new(parameters: &Parameters, extension_log: usize) -> Self {
        Self {
            polynomial_size: parameters.polynomial_size,
            polynomials: parameters.glwe_dimension + 1,
            extension_log,
        }
    }

    /// Coefficients of the extended table.
    pub(crate) fn table_size(&self) -> usize {
        self.polynomial_size << self.extension_log
    }

    /// log2 of the modulus that rotations live in.
    pub(crate) fn log_modulus(&self) -> usize {
        self.table_size().trailing_zeros() as usize + 1
    }

    /// Words of one GLWE ciphertext.
    pub(crate) fn glwe_words(&self) -> usize {
        self.polynomial_size * self.polynomials
    }

    /// Words of one accumulator: `2^e` ciphertexts.
    fn accumulator_words(&self) -> usize {
        self.glwe_words() << self.extension_log
    }

    /// Lookups that are rotated together, so that their ciphertexts fill a tile of external products.
    fn tile_lookups(&self) -> usize {
        (TILE >> self.extension_log).max(1)
    }

    /// Bytes of one accumulator.
    pub(crate) fn accumulator_bytes(&self) -> usize {
        8 * self.accumulator_words()
    }
}

/// Buffers of one thread; reused from batch to batch.
#[derive(Default)]
pub(crate) struct Rotator {
    accumulators: Vec<u64>,
    /// A rotated minus an unrotated polynomial, rounded for decomposition.
    difference: Vec<u64>,
    product: ExternalProduct,
}

impl Rotator {
    /// Prepares zeroed accumulators for a batch.
    pub(crate) fn start(&mut self, shape: Shape, batch: usize, keys: &LookupKeys) {
        let words = batch * shape.accumulator_words();
        self.accumulators.clear();
        self.accumulators.resize(words, 0);
        self.difference.resize(shape.polynomial_size, 0);
        let level = keys.bootstrap.decomposition_level_count().0;
        let ciphertexts = shape.tile_lookups() << shape.extension_log;
        self.product.resize(shape, level, ciphertexts, &keys.transform);
    }

    /// Sets lookup `index` of the batch to its table divided by `X^body`.
    pub(crate) fn load(&mut self, shape: Shape, index: usize, table: &[u64], body: usize) {
        let words = shape.accumulator_words();
        let accumulator = &mut self.accumulators[index * words..(index + 1) * words];
        let (factor, size) = (1 << shape.extension_log, shape.table_size());
        let body_polynomial = (shape.polynomials - 1) * shape.polynomial_size;
        for (part, ciphertext) in accumulator.chunks_exact_mut(shape.glwe_words()).enumerate() {
            let coefficients = &mut ciphertext[body_polynomial..];
            for (degree, coefficient) in coefficients.iter_mut().enumerate() {
                let position = degree * factor + part + body;
                let value = table[position % size];
                *coefficient =
                    if (position / size).is_multiple_of(2) { value } else { value.wrapping_neg() };
            }
        }
    }

    /// Rotates every loaded table by the phase of its ciphertext: `rotations[i]` are the switched
    /// masks of lookup `i`. Stops early when the call is cancelled.
    pub(crate) fn rotate(
        &mut self,
        shape: Shape,
        keys: &LookupKeys,
        rotations: &[&[u32]],
        control: &Control,
    ) -> Result<()> {
        for (bit, ggsw) in keys.bootstrap.as_view().into_ggsw_iter().enumerate() {
            control.check("run")?;
            for (tile, rotations) in rotations.chunks(shape.tile_lookups()).enumerate() {
                self.step(shape, &ggsw, tile, rotations.iter().map(|of| of[bit]), &keys.transform);
            }
        }
        Ok(())
    }

    /// `accumulator += ggsw * (X^rotation accumulator - accumulator)` for the lookups of a tile.
    fn step(
        &mut self,
        shape: Shape,
        ggsw: &FourierGgswCiphertextView<'_>,
        tile: usize,
        rotations: impl ExactSizeIterator<Item = u32>,
        transform: &Transform,
    ) {
        let words = shape.accumulator_words();
        let first = tile * shape.tile_lookups() * words;
        let accumulators = &mut self.accumulators[first..first + rotations.len() * words];
        let decomposer = SignedDecomposer::<u64>::new(
            ggsw.decomposition_base_log(),
            ggsw.decomposition_level_count(),
        );
        let base_log = ggsw.decomposition_base_log().0;
        for (lookup, (accumulator, rotation)) in
            accumulators.chunks_exact(words).zip(rotations).enumerate()
        {
            for part in 0..1 << shape.extension_log {
                let turn = Turn::new(shape, part, rotation as usize);
                for polynomial in 0..shape.polynomials {
                    turn.subtract(&decomposer, &mut self.difference, accumulator, polynomial);
                    let ciphertext = (lookup << shape.extension_log) + part;
                    let difference = &mut self.difference;
                    self.product.set(ciphertext, polynomial, difference, base_log, transform);
                }
            }
        }
        self.product.add_to(accumulators, ggsw, transform);
    }

    /// Writes coefficient `degree` of lookup `index` as a ciphertext under the big key.
    pub(crate) fn extract(&self, shape: Shape, index: usize, degree: usize, output: &mut [u64]) {
        let factor = 1 << shape.extension_log;
        let start = index * shape.accumulator_words() + degree % factor * shape.glwe_words();
        let ciphertext = GlweCiphertext::from_container(
            &self.accumulators[start..start + shape.glwe_words()],
            PolynomialSize(shape.polynomial_size),
            CiphertextModulus::new_native(),
        );
        let mut output = LweCiphertext::from_container(output, CiphertextModulus::new_native());
        let degree = MonomialDegree(degree / factor);
        extract_lwe_sample_from_glwe_ciphertext(&ciphertext, &mut output, degree);
    }
}

/// How one part of an accumulator is rotated.
struct Turn {
    shape: Shape,
    part: usize,
    /// Part that moves here.
    source: usize,
    /// Degrees that it is turned by.
    degree: usize,
}

impl Turn {
    /// Rotating the whole by `r` moves part `j - r` to part `j`, and turns a part by one degree more if
    /// it wraps around.
    fn new(shape: Shape, part: usize, rotation: usize) -> Self {
        let factor = 1usize << shape.extension_log;
        let source = (factor + part - rotation % factor) % factor;
        Self { shape, part, source, degree: (factor + rotation - 1 - part) / factor }
    }

    /// `output = X^degree source - part` of one polynomial, modulo `X^N + 1`, rounded to what the
    /// decomposition can represent: everything before the external product in one pass.
    fn subtract(
        &self,
        decomposer: &SignedDecomposer<u64>,
        output: &mut [u64],
        accumulator: &[u64],
        polynomial: usize,
    ) {
        let size = self.shape.polynomial_size;
        let polynomial_of = |part: usize| {
            let first = part * self.shape.glwe_words() + polynomial * size;
            &accumulator[first..first + size]
        };
        let (source, subtrahend) = (polynomial_of(self.source), polynomial_of(self.part));
        let (turns, shift) = (self.degree / size, self.degree % size);
        // The coefficients that wrap around change sign, and all do after an odd number of turns.
        let wrapped_keep_sign = !turns.is_multiple_of(2);
        vectorized(
            #[inline(always)]
            || {
                let (low_output, high_output) = output.split_at_mut(shift);
                let (low_subtrahend, high_subtrahend) = subtrahend.split_at(shift);
                let (low_source, high_source) = source.split_at(size - shift);
                let (low, high) = (wrapped_keep_sign, !wrapped_keep_sign);
                subtract_and_round(decomposer, low_output, high_source, low_subtrahend, low);
                subtract_and_round(decomposer, high_output, low_source, high_subtrahend, high);
            },
        );
    }
}

/// `output = ±source - subtrahend`, rounded.
#[inline(always)]
fn subtract_and_round(
    decomposer: &SignedDecomposer<u64>,
    output: &mut [u64],
    source: &[u64],
    subtrahend: &[u64],
    keep_sign: bool,
) {
    let words = output.iter_mut().zip(source).zip(subtrahend);
    if keep_sign {
        for ((output, source), subtrahend) in words {
            *output = decomposer.init_decomposer_state(source.wrapping_sub(*subtrahend));
        }
    } else {
        for ((output, source), subtrahend) in words {
            let negated = source.wrapping_neg();
            *output = decomposer.init_decomposer_state(negated.wrapping_sub(*subtrahend));
        }
    }
}
