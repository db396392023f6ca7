//! Table lookups: keyswitch, modulus switch, blind rotation and extraction of whole tensors.

use rayon::prelude::*;

use crate::control::Control;
use crate::error::Result;
use crate::keyswitch::keyswitch_batch;
use crate::parameters::Parameters;
use crate::program::Lookup;
use crate::rotate::{Rotator, Shape};
use crate::server_key::LookupKeys;
use crate::switch::Switched;
use crate::tensor::Tensor;

/// Accumulators of a batch share the second-level cache with a bootstrap key's element.
const BATCH_BYTES: usize = 1 << 19;
/// More than this saves nothing further and makes cancellation and progress coarse.
const MAX_BATCH: usize = 16;

/// Evaluates one instruction.
pub(crate) fn look_up(
    lookup: &Lookup,
    operand: &Tensor,
    parameters: &Parameters,
    keys: &LookupKeys,
    control: &Control,
) -> Result<Tensor> {
    let words = parameters.ciphertext_words();
    let mut output = Tensor::zeros(lookup.sources.len(), words, "run")?;
    let layer =
        Layer { lookup, operand, keys, shape: Shape::new(parameters, lookup.extension_log) };
    let sizes = batch_sizes(lookup.sources.len(), layer.shape, control.threads());
    let mut batches = Vec::with_capacity(sizes.len());
    let (mut first, mut rest) = (0, output.words_mut());
    for size in sizes {
        let (rows, others) = rest.split_at_mut(size * words);
        batches.push((first, rows));
        (first, rest) = (first + size, others);
    }
    batches.par_iter_mut().with_max_len(1).try_for_each_init(
        Rotator::default,
        |rotator, batch| {
            let (first, rows) = batch;
            layer.run_batch(*first, rows, rotator, control)?;
            control.advance(rows.len() / words);
            Ok(())
        },
    )?;
    Ok(output)
}

/// Sizes of batches that keep all threads busy to the end: their number is a multiple of the threads
/// and they differ by one at most.
fn batch_sizes(items: usize, shape: Shape, threads: usize) -> impl ExactSizeIterator<Item = usize> {
    let largest = (BATCH_BYTES / shape.accumulator_bytes()).clamp(1, MAX_BATCH);
    let batches = items.div_ceil(largest).next_multiple_of(threads).min(items);
    (0..batches).map(move |batch| items / batches + usize::from(batch < items % batches))
}

/// What the batches of one instruction share.
pub(crate) struct Layer<'a> {
    pub(crate) lookup: &'a Lookup,
    pub(crate) operand: &'a Tensor,
    pub(crate) keys: &'a LookupKeys,
    pub(crate) shape: Shape,
}

impl Layer<'_> {
    /// Looks up the items from `first` on, one for each row of `output`.
    pub(crate) fn run_batch(
        &self,
        first: usize,
        output: &mut [u64],
        rotator: &mut Rotator,
        control: &Control,
    ) -> Result<()> {
        let words = self.keys.bootstrap.output_lwe_dimension().to_lwe_size().0;
        let items = first..first + output.len() / words;
        let mut sources = self.lookup.sources[items.clone()].to_vec();
        sources.dedup();
        let small = self.keyswitch(&sources);
        let small_words = self.keys.keyswitch.output_lwe_size().0;
        let mut rotations = vec![0u32; sources.len() * (small_words - 1)];
        let switched: Vec<Switched<'_>> = small
            .chunks_exact(small_words)
            .zip(rotations.chunks_exact_mut(small_words - 1))
            .map(|(row, rotations)| Switched::new(row, self.shape.log_modulus(), rotations))
            .collect();
        rotator.start(self.shape, items.len(), self.keys.fft.as_view());
        let mut masks = Vec::with_capacity(items.len());
        let mut source = 0;
        for (index, item) in items.enumerate() {
            source += usize::from(self.lookup.sources[item] != sources[source]);
            let table = self.lookup.table_of[item] as usize;
            let body = switched[source].body(self.lookup.offsets[table]);
            rotator.load(self.shape, index, &self.table(table), body);
            masks.push(switched[source].rotations);
        }
        rotator.rotate(self.shape, self.keys, &masks, control)?;
        for (index, row) in output.chunks_exact_mut(words).enumerate() {
            rotator.extract(self.shape, index, row);
            row[words - 1] = row[words - 1].wrapping_add(self.lookup.output_offset);
        }
        Ok(())
    }

    fn keyswitch(&self, sources: &[u32]) -> Vec<u64> {
        let inputs: Vec<&[u64]> =
            sources.iter().map(|&source| self.operand.row(source as usize)).collect();
        let mut small = vec![0; sources.len() * self.keys.keyswitch.output_lwe_size().0];
        keyswitch_batch(&self.keys.keyswitch, &inputs, &mut small);
        small
    }

    /// All coefficients of a table.
    fn table(&self, table: usize) -> Vec<u64> {
        let boxes = table * self.lookup.boxes..(table + 1) * self.lookup.boxes;
        let (starts, values) = (&self.lookup.starts[boxes.clone()], &self.lookup.values[boxes]);
        let mut coefficients = vec![0; self.shape.table_size()];
        for (start, value) in starts.iter().zip(values) {
            coefficients[*start as usize..].fill(*value);
        }
        coefficients
    }
}
