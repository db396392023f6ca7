//! Table lookups: keyswitch, modulus switch, blind rotation and extraction of whole tensors.

use std::ops::Range;

use rayon::prelude::*;

use crate::control::Control;
use crate::error::Result;
use crate::parameters::Parameters;
use crate::program::Lookup;
use crate::rotate::{Rotator, Shape};
use crate::server_key::LookupKeys;
use crate::switch::Switched;
use crate::tensor::{Ciphertext, Rows, Tensor};

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
    let mut output = Rows::zeros(lookup.sources.len(), parameters, "run")?;
    let layer =
        Layer { lookup, operand, keys, shape: Shape::new(parameters, lookup.extension_log) };
    let rotations = rotations_of(lookup);
    let sizes = batch_sizes(rotations.len(), layer.shape, control.threads());
    let mut batches = Vec::with_capacity(sizes.len());
    let (mut waiting, mut rest) = (rotations.as_slice(), output.words_mut());
    for size in sizes {
        let (batch, later) = waiting.split_at(size);
        let items: usize = batch.iter().map(ExactSizeIterator::len).sum();
        let (rows, others) = rest.split_at_mut(items * words);
        batches.push((batch, rows));
        (waiting, rest) = (later, others);
    }
    batches.par_iter_mut().with_max_len(1).try_for_each_init(
        Rotator::default,
        |rotator, (batch, rows)| {
            layer.run_batch(batch, rows, rotator, control)?;
            control.advance(rows.len() / words);
            Ok(())
        },
    )?;
    Ok(Tensor::Rows(output))
}

/// Items of each rotation: those that follow each other with one source and one table.
fn rotations_of(lookup: &Lookup) -> Vec<Range<usize>> {
    let key = |item: usize| (lookup.sources[item], lookup.table_of[item]);
    let mut rotations: Vec<Range<usize>> = Vec::with_capacity(lookup.sources.len());
    for item in 0..lookup.sources.len() {
        match rotations.last_mut() {
            Some(last) if key(last.start) == key(item) => last.end = item + 1,
            _ => rotations.push(item..item + 1),
        }
    }
    rotations
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
    /// Makes the rotations of a batch and writes one row of `output` for each of their items.
    pub(crate) fn run_batch(
        &self,
        batch: &[Range<usize>],
        output: &mut [u64],
        rotator: &mut Rotator,
        control: &Control,
    ) -> Result<()> {
        let lookup = self.lookup;
        let source_of = |rotation: &Range<usize>| lookup.sources[rotation.start];
        let mut sources: Vec<u32> = batch.iter().map(source_of).collect();
        sources.dedup();
        let small = self.keyswitch(&sources);
        let small_words = self.keys.keyswitch.output_lwe_size().0;
        let mut rotations = vec![0u32; sources.len() * (small_words - 1)];
        let switched: Vec<Switched<'_>> = small
            .chunks_exact(small_words)
            .zip(rotations.chunks_exact_mut(small_words - 1))
            .map(|(row, rotations)| Switched::new(row, self.shape.log_modulus(), rotations))
            .collect();
        rotator.start(self.shape, batch.len(), self.keys);
        let mut masks = Vec::with_capacity(batch.len());
        let mut source = 0;
        for (index, rotation) in batch.iter().enumerate() {
            control.check("run")?;
            source += usize::from(source_of(rotation) != sources[source]);
            let table = lookup.table_of[rotation.start] as usize;
            let body = switched[source].body(lookup.offsets[table]);
            rotator.load(self.shape, index, &self.table(table), body);
            masks.push(switched[source].rotations);
        }
        rotator.rotate(self.shape, self.keys, &masks, control)?;
        let mut rows = output.chunks_exact_mut(self.keys.ciphertext_words());
        for (index, rotation) in batch.iter().enumerate() {
            for (item, row) in rotation.clone().zip(&mut rows) {
                rotator.extract(self.shape, index, lookup.degrees[item] as usize, row);
                let offset = lookup.output_offsets[lookup.table_of[item] as usize];
                let body = row.last_mut().expect("internal: a ciphertext has a body");
                *body = body.wrapping_add(offset);
            }
        }
        Ok(())
    }

    pub(crate) fn keyswitch(&self, sources: &[u32]) -> Vec<u64> {
        let inputs: Vec<Ciphertext<'_>> =
            sources.iter().map(|&source| self.operand.element(source as usize)).collect();
        self.keys.keyswitch(&inputs)
    }

    /// All coefficients of a table.
    fn table(&self, table: usize) -> Vec<u64> {
        let boxes = table * self.lookup.boxes..(table + 1) * self.lookup.boxes;
        let (starts, values) = (&self.lookup.starts[boxes.clone()], &self.lookup.values[boxes]);
        let size = self.shape.table_size();
        let ends = starts[1..].iter().map(|&start| start as usize).chain([size]);
        let mut coefficients = vec![0; size];
        for ((start, end), value) in starts.iter().zip(ends).zip(values) {
            coefficients[*start as usize..end].fill(*value);
        }
        coefficients
    }
}
