//! Integer combinations of ciphertexts: a blocked matrix product modulo 2^64.

use rayon::prelude::*;

use crate::control::Control;
use crate::error::Result;
use crate::parameters::Parameters;
use crate::program::Linear;
use crate::simd::{add_four_scaled, add_scaled, vectorized};
use crate::tensor::{Ciphertext, Rows, Tensor};

/// Words of a row handled at a time: with a few hundred terms the columns stay in the second-level
/// cache while all rows of a task pass over them.
const COLUMNS: usize = 512;
/// Rows of one task.
const ROWS: usize = 32;

/// Evaluates one instruction.
pub(crate) fn combine(
    linear: &Linear,
    operands: &[&Tensor],
    parameters: &Parameters,
    control: &Control,
) -> Result<Tensor> {
    let mut output = Rows::zeros(linear.outputs(), parameters, "run")?;
    let elements: Vec<Ciphertext<'_>> =
        operands.iter().flat_map(|tensor| tensor.elements()).collect();
    let columns = COLUMNS.min(parameters.polynomial_size);
    let mut tasks = split_into_tasks(linear, &mut output);
    tasks.par_iter_mut().with_max_len(1).try_for_each(|task| {
        control.check("run")?;
        task.run(linear, &elements, columns);
        Ok(())
    })?;
    Ok(Tensor::Rows(output))
}

/// Some rows of one group at one position; they all combine the same ciphertexts.
struct Task<'a> {
    group: usize,
    position: usize,
    first_row: usize,
    rows: Vec<&'a mut [u64]>,
}

fn split_into_tasks<'a>(linear: &Linear, output: &'a mut Rows) -> Vec<Task<'a>> {
    let Linear { groups, rows, positions, .. } = *linear;
    let mut tasks: Vec<Task<'a>> = Vec::new();
    for group in 0..groups {
        for first_row in (0..rows).step_by(ROWS) {
            for position in 0..positions {
                let capacity = ROWS.min(rows - first_row);
                tasks.push(Task { group, position, first_row, rows: Vec::with_capacity(capacity) });
            }
        }
    }
    let blocks = rows.div_ceil(ROWS);
    for (index, row) in output.rows_mut().enumerate() {
        let (group, rest) = (index / (rows * positions), index % (rows * positions));
        let (row_index, position) = (rest / positions, rest % positions);
        tasks[(group * blocks + row_index / ROWS) * positions + position].rows.push(row);
    }
    tasks
}

impl Task<'_> {
    /// `columns` words at a time, which belong to one polynomial.
    fn run(&mut self, linear: &Linear, elements: &[Ciphertext<'_>], columns: usize) {
        let terms = linear.terms;
        let first = (self.group * linear.positions + self.position) * terms;
        let gather = &linear.gather[first..first + terms];
        // Absent terms are dropped here once, for all rows.
        let present: Vec<usize> = (0..terms).filter(|&term| gather[term] >= 0).collect();
        let operands: Vec<Ciphertext<'_>> =
            present.iter().map(|&term| elements[gather[term].unsigned_abs() as usize]).collect();
        let factors: Vec<Vec<u64>> = (0..self.rows.len())
            .map(|row| {
                let start = (self.group * linear.rows + self.first_row + row) * terms;
                let weights = &linear.weights[start..start + terms];
                present.iter().map(|&term| i64::from(weights[term]).cast_unsigned()).collect()
            })
            .collect();
        let dimension = self.rows[0].len() - 1;
        for start in (0..dimension).step_by(columns) {
            let parts: Vec<&[u64]> =
                operands.iter().map(|operand| operand.coefficients(start, columns)).collect();
            for (row, factors) in self.rows.iter_mut().zip(&factors) {
                add_terms(&mut row[start..start + columns], &parts, factors);
            }
        }
        for (row, factors) in self.rows.iter_mut().zip(&factors) {
            let products = operands.iter().zip(factors);
            row[dimension] = products.fold(0, |sum, (operand, factor)| {
                sum.wrapping_add(operand.body().wrapping_mul(*factor))
            });
        }
        self.add_constants(linear);
    }

    fn add_constants(&mut self, linear: &Linear) {
        let per_row = linear.constants.len() == linear.groups * linear.rows;
        for (index, row) in self.rows.iter_mut().enumerate() {
            let row_index = self.group * linear.rows + self.first_row + index;
            let constant = match linear.constants.len() {
                0 => 0,
                _ if per_row => linear.constants[row_index],
                _ => linear.constants[row_index * linear.positions + self.position],
            };
            if let Some(body) = row.last_mut() {
                *body = body.wrapping_add(constant);
            }
        }
    }
}

/// `sum += sum of factor times column`.
fn add_terms(sum: &mut [u64], columns: &[&[u64]], factors: &[u64]) {
    vectorized(
        #[inline(always)]
        || {
            let (quads, last) = factors.as_chunks::<4>();
            let (column_quads, last_columns) = columns.as_chunks::<4>();
            for (factors, columns) in quads.iter().zip(column_quads) {
                if *factors != [0; 4] {
                    add_four_scaled(sum, *columns, *factors);
                }
            }
            for (factor, column) in last.iter().zip(last_columns) {
                add_scaled(sum, column, *factor);
            }
        },
    );
}
