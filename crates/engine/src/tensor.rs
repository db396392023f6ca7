//! Tensors of LWE ciphertexts under the big key, and one ciphertext of them wherever its words lie.
//!
//! Inputs stay as they came: `N` values share a GLWE ciphertext. The LWE mask of coefficient `i` of a
//! polynomial product is the mask polynomial backwards from `i`, and then backwards from its end, negated.
//! Stored once backwards and once more negated, it is a slice for every `i`, so that nothing is extracted.

use crate::error::{Error, Result};
use crate::parameters::Parameters;

/// An LWE ciphertext whose mask lies in pieces: `polynomial_size` words at each multiple of `stride`.
#[derive(Debug, Clone, Copy)]
pub struct Ciphertext<'a> {
    mask: &'a [u64],
    stride: usize,
    polynomial_size: usize,
    dimension: usize,
    body: u64,
}

impl<'a> Ciphertext<'a> {
    /// A ciphertext of consecutive words, the body last.
    ///
    /// # Panics
    ///
    /// If there are no words.
    pub fn from_words(words: &'a [u64]) -> Self {
        let (&body, mask) = words.split_last().expect("internal: a ciphertext has a body");
        let length = mask.len();
        Self { mask, stride: length, polynomial_size: length, dimension: length, body }
    }

    /// Words of the mask.
    pub(crate) fn dimension(&self) -> usize {
        self.dimension
    }

    pub(crate) fn body(&self) -> u64 {
        self.body
    }

    /// Consecutive coefficients of the mask; all of them belong to one polynomial.
    #[inline]
    pub(crate) fn coefficients(&self, first: usize, count: usize) -> &'a [u64] {
        let start = first / self.polynomial_size * self.stride + first % self.polynomial_size;
        &self.mask[start..start + count]
    }

    /// The words in one piece, the body last.
    pub(crate) fn to_words(self) -> Vec<u64> {
        let mut words = Vec::with_capacity(self.dimension + 1);
        for first in (0..self.dimension).step_by(self.polynomial_size) {
            words.extend_from_slice(self.coefficients(first, self.polynomial_size));
        }
        words.push(self.body);
        words
    }
}

/// What an input or an instruction gives.
#[derive(Debug)]
pub(crate) enum Tensor {
    /// Results of an instruction.
    Rows(Rows),
    /// An encrypted input.
    Packed(Packed),
    /// An input that everybody may read.
    Clear(Clear),
}

impl Tensor {
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Rows(rows) => rows.data.len() / rows.words,
            Self::Packed(Packed { bodies, .. }) | Self::Clear(Clear { bodies, .. }) => bodies.len(),
        }
    }

    pub(crate) fn element(&self, index: usize) -> Ciphertext<'_> {
        match self {
            Self::Rows(rows) => rows.element(index),
            Self::Packed(packed) => packed.element(index),
            Self::Clear(clear) => clear.element(index),
        }
    }

    pub(crate) fn elements(&self) -> impl Iterator<Item = Ciphertext<'_>> {
        (0..self.count()).map(|index| self.element(index))
    }
}

/// Ciphertexts laid end to end, `words` each, the body last.
#[derive(Debug)]
pub(crate) struct Rows {
    data: Vec<u64>,
    words: usize,
    polynomial_size: usize,
}

impl Rows {
    /// Zeroed ciphertexts; fails instead of aborting when memory is short.
    pub(crate) fn zeros(
        count: usize,
        parameters: &Parameters,
        place: &'static str,
    ) -> Result<Self> {
        let words = parameters.ciphertext_words();
        let data = zeroed(count.saturating_mul(words), place)?;
        Ok(Self { data, words, polynomial_size: parameters.polynomial_size })
    }

    fn element(&self, index: usize) -> Ciphertext<'_> {
        let row = &self.data[index * self.words..(index + 1) * self.words];
        let stride = self.polynomial_size;
        Ciphertext { stride, polynomial_size: stride, ..Ciphertext::from_words(row) }
    }

    pub(crate) fn rows_mut(&mut self) -> impl Iterator<Item = &mut [u64]> {
        self.data.chunks_exact_mut(self.words)
    }

    pub(crate) fn words_mut(&mut self) -> &mut [u64] {
        &mut self.data
    }
}

/// Values in the coefficients of GLWE ciphertexts.
#[derive(Debug)]
pub(crate) struct Packed {
    /// Each mask polynomial backwards, then negated once more: `2 N` words.
    masks: Vec<u64>,
    bodies: Vec<u64>,
    glwe_dimension: usize,
    polynomial_size: usize,
}

impl Packed {
    /// Takes the masks of GLWE ciphertexts, `k N` words each, and the bodies of the coefficients in use.
    pub(crate) fn new<'a>(
        masks: impl ExactSizeIterator<Item = &'a [u64]>,
        bodies: Vec<u64>,
        parameters: &Parameters,
        place: &'static str,
    ) -> Result<Self> {
        let polynomial_size = parameters.polynomial_size;
        let length = masks.len().saturating_mul(2 * parameters.big_dimension());
        let mut doubled = zeroed(length, place)?;
        let polynomials = masks.flat_map(|mask| mask.chunks_exact(polynomial_size));
        for (polynomial, both) in polynomials.zip(doubled.chunks_exact_mut(2 * polynomial_size)) {
            let (backwards, negated) = both.split_at_mut(polynomial_size);
            let words = polynomial.iter().rev();
            for ((word, backwards), negated) in words.zip(backwards).zip(negated) {
                *backwards = *word;
                *negated = word.wrapping_neg();
            }
        }
        let glwe_dimension = parameters.glwe_dimension;
        Ok(Self { masks: doubled, bodies, glwe_dimension, polynomial_size })
    }

    fn element(&self, index: usize) -> Ciphertext<'_> {
        let (ciphertext, coefficient) =
            (index / self.polynomial_size, index % self.polynomial_size);
        let stride = 2 * self.polynomial_size;
        let first =
            ciphertext * self.glwe_dimension * stride + self.polynomial_size - 1 - coefficient;
        Ciphertext {
            mask: &self.masks[first..],
            stride,
            polynomial_size: self.polynomial_size,
            dimension: self.glwe_dimension * self.polynomial_size,
            body: self.bodies[index],
        }
    }
}

/// Plaintexts as bodies of ciphertexts that have no mask.
#[derive(Debug)]
pub(crate) struct Clear {
    /// One polynomial stands for all.
    zeros: Vec<u64>,
    bodies: Vec<u64>,
    dimension: usize,
}

impl Clear {
    pub(crate) fn new(bodies: Vec<u64>, parameters: &Parameters) -> Self {
        let zeros = vec![0; parameters.polynomial_size];
        Self { zeros, bodies, dimension: parameters.big_dimension() }
    }

    fn element(&self, index: usize) -> Ciphertext<'_> {
        Ciphertext {
            mask: &self.zeros,
            stride: 0,
            polynomial_size: self.zeros.len(),
            dimension: self.dimension,
            body: self.bodies[index],
        }
    }
}

/// Zeros; fails instead of aborting when memory is short.
pub(crate) fn zeroed(length: usize, place: &'static str) -> Result<Vec<u64>> {
    let mut data = Vec::new();
    if length > isize::MAX as usize / 8 || data.try_reserve_exact(length).is_err() {
        return Err(Error::argument(place, format!("no memory for {length} words")));
    }
    data.resize(length, 0);
    Ok(data)
}
