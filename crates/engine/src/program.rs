//! Programs: instructions over tensors of ciphertexts, and the checks that make one safe to run.

use crate::error::{Error, Result};
use crate::format::{Id, Kind};
use crate::parameters::Parameters;

/// Largest supported extension of a table, as a power of two.
pub(crate) const MAX_EXTENSION_LOG: usize = 5;
/// Largest tensor that a program may define.
const MAX_TENSOR_BYTES: u64 = 1 << 35;

/// Integer combination of ciphertexts; `src/lower/program.ts` defines each field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linear {
    /// Tensors that `gather` indexes, laid end to end.
    pub operands: Vec<usize>,
    /// Groups (`G`).
    pub groups: usize,
    /// Rows per group (`M`).
    pub rows: usize,
    /// Positions (`P`).
    pub positions: usize,
    /// Terms (`K`).
    pub terms: usize,
    /// `G M K` weights.
    pub weights: Vec<i32>,
    /// `G P K` indices; -1 is an absent term.
    pub gather: Vec<i32>,
    /// None, `G M` or `G M P` torus constants.
    pub constants: Vec<u64>,
}

impl Linear {
    /// Ciphertexts of the result.
    pub(crate) fn outputs(&self) -> usize {
        self.groups * self.rows * self.positions
    }
}

/// Table lookups; `src/lower/program.ts` defines each field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// Tensor that is read.
    pub operand: usize,
    /// log2 of the extension factor.
    pub extension_log: usize,
    /// Boxes of each table.
    pub boxes: usize,
    /// Number of tables.
    pub tables: usize,
    /// First coefficient of each box, ascending from 0; a box may be empty.
    pub starts: Vec<u32>,
    /// Torus value of each box.
    pub values: Vec<u64>,
    /// Torus constant added to the input, per table.
    pub offsets: Vec<u64>,
    /// Torus constant added to every result, per table.
    pub output_offsets: Vec<u64>,
    /// Element of the operand that each item reads.
    pub sources: Vec<u32>,
    /// Table that each item uses.
    pub table_of: Vec<u32>,
    /// Coefficients that each item reads further on.
    pub degrees: Vec<u32>,
}

/// One step of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instruction {
    /// Integer combination.
    Linear(Linear),
    /// Programmable bootstraps.
    Lookup(Lookup),
}

/// A tensor that is returned, rounded to what its decryption needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    /// The tensor.
    pub tensor: usize,
    /// Whether its ciphertexts are switched to the small key first.
    pub is_small: bool,
    /// Highest bits of each word that are kept.
    pub bits: u32,
}

impl Output {
    /// All words as they are.
    pub fn exact(tensor: usize) -> Self {
        Self { tensor, is_small: false, bits: 64 }
    }

    /// Whether such ciphertexts exist.
    pub(crate) fn is_valid(&self, parameters: &Parameters) -> bool {
        let words = if self.is_small { 32 } else { 64 };
        (1..=words).contains(&self.bits) && (!self.is_small || parameters.lwe_dimension > 0)
    }
}

/// A validated program.
#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    pub(crate) parameters: Parameters,
    pub(crate) model_id: Id,
    pub(crate) inputs: Vec<usize>,
    pub(crate) instructions: Vec<Instruction>,
    pub(crate) outputs: Vec<Output>,
}

impl Program {
    /// Name of the model, the same for everyone who compiled it.
    pub fn model_id(&self) -> &Id {
        &self.model_id
    }

    /// Parameters that the program was compiled for.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Lookups of one run.
    pub fn lookups(&self) -> usize {
        let items = |instruction: &Instruction| match instruction {
            Instruction::Linear(_) => 0,
            Instruction::Lookup(lookup) => lookup.sources.len(),
        };
        self.instructions.iter().map(items).sum()
    }

    /// Whether a run needs evaluation keys: for lookups, or to switch outputs to the small key.
    pub fn needs_keys(&self) -> bool {
        self.lookups() > 0 || self.outputs.iter().any(|output| output.is_small)
    }

    /// Checks everything that execution relies on.
    pub(crate) fn check(&self) -> Result<()> {
        if self.inputs.is_empty() || self.outputs.is_empty() {
            return fail("expected at least one input and one output");
        }
        let mut counts = Vec::with_capacity(self.inputs.len() + self.instructions.len());
        for &count in &self.inputs {
            self.check_input(count)?;
            counts.push(count);
        }
        for instruction in &self.instructions {
            let count = match instruction {
                Instruction::Linear(linear) => check_linear(linear, &counts)?,
                Instruction::Lookup(lookup) => self.check_lookup(lookup, &counts)?,
            };
            self.check_tensor(count)?;
            counts.extend(count);
        }
        if self.outputs.iter().any(|output| output.tensor >= counts.len()) {
            return fail("an output does not exist");
        }
        if !self.outputs.iter().all(|output| output.is_valid(&self.parameters)) {
            return fail("an output has a form that does not exist");
        }
        Ok(())
    }

    /// Inputs are expanded ciphertext by ciphertext, of which each holds many values.
    fn check_input(&self, count: usize) -> Result<()> {
        let glwe_bytes = 8 * 2 * self.parameters.big_dimension() as u64;
        let glwes = count.div_ceil(self.parameters.polynomial_size) as u64;
        match glwes.saturating_mul(glwe_bytes) {
            1..=MAX_TENSOR_BYTES => Ok(()),
            _ => fail("an input is empty or too large"),
        }
    }

    fn check_tensor(&self, count: Option<usize>) -> Result<()> {
        let row_bytes = 8 * self.parameters.ciphertext_words() as u64;
        let bytes = count.and_then(|count| (count as u64).checked_mul(row_bytes));
        match bytes {
            Some(1..=MAX_TENSOR_BYTES) => Ok(()),
            _ => fail("a tensor is empty or too large"),
        }
    }

    fn check_lookup(&self, lookup: &Lookup, counts: &[usize]) -> Result<Option<usize>> {
        if self.parameters.lwe_dimension == 0 {
            return fail("a lookup needs parameters with a small key");
        }
        let Some(&elements) = counts.get(lookup.operand) else {
            return fail("a lookup reads a tensor that is not yet defined");
        };
        if lookup.extension_log > MAX_EXTENSION_LOG {
            return fail(format!("extension 2^{} is too large", lookup.extension_log));
        }
        let size = self.parameters.polynomial_size << lookup.extension_log;
        check_tables(lookup, size)?;
        let items = lookup.sources.len();
        if items == 0 || lookup.table_of.len() != items || lookup.degrees.len() != items {
            return fail("a lookup needs one table for each of its items");
        }
        if lookup.sources.iter().any(|&source| source as usize >= elements)
            || lookup.table_of.iter().any(|&table| table as usize >= lookup.tables)
            || lookup.degrees.iter().any(|&degree| degree as usize >= size)
        {
            return fail("a lookup's item is out of range");
        }
        Ok(Some(items))
    }
}

fn fail<T>(text: impl Into<String>) -> Result<T> {
    Err(Error::bytes(Kind::Program.place(), text))
}

/// Product of sizes, if it can be a size.
pub(crate) fn product(sizes: &[usize]) -> Option<usize> {
    sizes.iter().try_fold(1usize, |product, &size| product.checked_mul(size))
}

fn check_linear(linear: &Linear, counts: &[usize]) -> Result<Option<usize>> {
    let Linear { groups, rows, positions, terms, .. } = *linear;
    let mut elements = 0usize;
    for &operand in &linear.operands {
        let Some(&count) = counts.get(operand) else {
            return fail("a combination reads a tensor that is not yet defined");
        };
        elements = elements.saturating_add(count);
    }
    if [groups, rows, positions, terms].contains(&0) {
        return fail("a combination has an empty dimension");
    }
    let outputs = product(&[groups, rows, positions]);
    if product(&[groups, rows, terms]) != Some(linear.weights.len())
        || product(&[groups, positions, terms]) != Some(linear.gather.len())
    {
        return fail("a combination has the wrong number of weights or indices");
    }
    let constants = Some(linear.constants.len());
    if constants != Some(0) && constants != product(&[groups, rows]) && constants != outputs {
        return fail("a combination has the wrong number of constants");
    }
    let in_range = |&index: &i32| index == -1 || usize::try_from(index).is_ok_and(|i| i < elements);
    if !linear.gather.iter().all(in_range) {
        return fail("a combination reads an element that does not exist");
    }
    Ok(outputs)
}

fn check_tables(lookup: &Lookup, size: usize) -> Result<()> {
    let entries = product(&[lookup.tables, lookup.boxes]);
    if entries.is_none_or(|entries| entries == 0)
        || entries != Some(lookup.starts.len())
        || entries != Some(lookup.values.len())
        || lookup.offsets.len() != lookup.tables
        || lookup.output_offsets.len() != lookup.tables
    {
        return fail("a lookup has the wrong number of boxes");
    }
    let sound = |starts: &[u32]| {
        starts[0] == 0 && starts.is_sorted() && starts[starts.len() - 1] as usize <= size
    };
    if !lookup.starts.chunks_exact(lookup.boxes).all(sound) {
        return fail("a table's boxes do not ascend from 0 within the table");
    }
    Ok(())
}
