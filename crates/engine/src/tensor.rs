//! Tensors of LWE ciphertexts under the big key: rows of mask and body.

use crate::error::{Error, Result};

/// Ciphertexts laid end to end, `words` each, the body last.
#[derive(Debug, Clone)]
pub(crate) struct Tensor {
    data: Vec<u64>,
    words: usize,
}

impl Tensor {
    /// Zeroed ciphertexts; fails instead of aborting when memory is short.
    pub(crate) fn zeros(count: usize, words: usize, place: &'static str) -> Result<Self> {
        let mut data = Vec::new();
        let length = count.checked_mul(words).filter(|&length| {
            length <= isize::MAX as usize / 8 && data.try_reserve_exact(length).is_ok()
        });
        let Some(length) = length else {
            return Err(Error::argument(place, format!("no memory for {count} ciphertexts")));
        };
        data.resize(length, 0);
        Ok(Self { data, words })
    }

    /// A copy of some consecutive ciphertexts.
    pub(crate) fn slice(&self, start: usize, count: usize, place: &'static str) -> Result<Self> {
        let mut copy = Self::zeros(count, self.words, place)?;
        let range = start * self.words..(start + count) * self.words;
        copy.data.copy_from_slice(&self.data[range]);
        Ok(copy)
    }

    pub(crate) fn count(&self) -> usize {
        self.data.len() / self.words
    }

    pub(crate) fn row(&self, index: usize) -> &[u64] {
        &self.data[index * self.words..(index + 1) * self.words]
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = &[u64]> {
        self.data.chunks_exact(self.words)
    }

    pub(crate) fn rows_mut(&mut self) -> impl Iterator<Item = &mut [u64]> {
        self.data.chunks_exact_mut(self.words)
    }

    pub(crate) fn words_mut(&mut self) -> &mut [u64] {
        &mut self.data
    }
}
