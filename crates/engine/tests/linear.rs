//! Integer combinations against plain arithmetic modulo 2^64.

mod support;

use sotto_engine::{
    ClientKey, Control, Instruction, Linear, Output, SecurityGate, encode_program, execute,
    parse_program,
};
use support::{Draws, distance, levelled_parameters, program};

/// Noise grows to 2^-55 times a 2-norm of 2^21 at most; wrong sums are anywhere on the torus.
const TOLERANCE: f64 = 1.0 / (1u64 << 28) as f64;

/// The definition in `src/lower/program.ts`, word for word.
fn reference(linear: &Linear, elements: &[u64]) -> Vec<u64> {
    let Linear { groups, rows, positions, terms, .. } = *linear;
    let mut outputs = Vec::new();
    for g in 0..groups {
        for m in 0..rows {
            for p in 0..positions {
                let mut sum = 0u64;
                for t in 0..terms {
                    let index = linear.gather[(g * positions + p) * terms + t];
                    let weight = linear.weights[(g * rows + m) * terms + t];
                    if index >= 0 {
                        let product = elements[index as usize].wrapping_mul(weight as i64 as u64);
                        sum = sum.wrapping_add(product);
                    }
                }
                let constants = &linear.constants;
                let constant = match constants.len() {
                    0 => 0,
                    count if count == groups * rows => constants[g * rows + m],
                    _ => constants[(g * rows + m) * positions + p],
                };
                outputs.push(sum.wrapping_add(constant));
            }
        }
    }
    outputs
}

#[test]
fn combinations_equal_their_definition() {
    let parameters = levelled_parameters(1, 256);
    let client = ClientKey::generate(parameters, None);
    let mut draws = Draws(11);
    let shapes =
        [[1, 1, 1, 1], [1, 40, 1, 37], [1, 3, 50, 9], [5, 2, 7, 6], [4, 33, 3, 5], [1, 65, 2, 130]];
    for (case, [groups, rows, positions, terms]) in shapes.into_iter().enumerate() {
        let inputs = [draws.below(50) + 1, draws.below(50) + 1];
        let elements = inputs[0] + inputs[1] + inputs[0];
        let constants = [0, groups * rows, groups * rows * positions][case % 3];
        let mut linear = Linear {
            operands: vec![0, 1, 0],
            groups,
            rows,
            positions,
            terms,
            weights: (0..groups * rows * terms).map(|_| draws.word() as i32 >> 23).collect(),
            gather: (0..groups * positions * terms)
                .map(|_| draws.below(elements + elements / 4) as i32)
                .map(|index| if index < elements as i32 { index } else { -1 })
                .collect(),
            constants: (0..constants).map(|_| draws.word()).collect(),
        };
        linear.weights[0] = [1, i32::MAX, i32::MIN][case % 3] / 1024;
        // A whole position, and a whole row of weights, that contribute nothing.
        if case == 3 {
            linear.gather[..terms].fill(-1);
            linear.weights[terms..2 * terms].fill(0);
        }
        let compiled = program(&parameters, &inputs, &[Instruction::Linear(linear.clone())], &[2]);
        let first: Vec<u64> = (0..inputs[0]).map(|_| draws.word()).collect();
        let second: Vec<u64> = (0..inputs[1]).map(|_| draws.word()).collect();
        let blob = client.encrypt(compiled.model_id(), &[&first, &second]).expect("inputs");
        let blob = execute(&compiled, None, &blob, &Control::new(2)).expect("outputs");
        let phases = client.decrypt(compiled.model_id(), &blob).expect("phases").remove(0);
        let wanted = reference(&linear, &[first.clone(), second, first].concat());
        assert_eq!(phases.len(), wanted.len());
        for (phase, wanted) in phases.iter().zip(&wanted) {
            assert!(distance(*phase, *wanted) < TOLERANCE, "case {case}");
        }
    }
}

#[test]
fn a_clear_tensor_travels_as_it_is_and_adds_to_an_encrypted_one() {
    let parameters = levelled_parameters(1, 256);
    let client = ClientKey::generate(parameters, None);
    let sum = Linear {
        operands: vec![0, 1],
        groups: 1,
        rows: 1,
        positions: 2,
        terms: 2,
        weights: vec![1, 3],
        gather: vec![0, 2, 1, 3],
        constants: vec![],
    };
    let compiled = program(&parameters, &[2, 2], &[Instruction::Linear(sum)], &[2]);
    let (secret, public) = ([1 << 50, 2 << 50], [5 << 50, 7 << 50]);
    let model = compiled.model_id();
    let blob = client.encrypt_except(model, &[&secret, &public], &[1]).expect("inputs");
    let holds = |words: [u64; 2]| {
        let bytes = [words[0].to_le_bytes(), words[1].to_le_bytes()].concat();
        blob.windows(16).any(|window| window == bytes)
    };
    assert!(holds(public) && !holds(secret));
    let outputs = execute(&compiled, None, &blob, &Control::new(1)).expect("outputs");
    let phases = client.decrypt(model, &outputs).expect("phases").remove(0);
    for (phase, wanted) in phases.iter().zip([16u64 << 50, 23 << 50]) {
        assert!(distance(*phase, wanted) < TOLERANCE);
    }
}

#[test]
fn a_combination_that_reads_out_of_range_is_refused() {
    let parameters = levelled_parameters(1, 256);
    let sound = Linear {
        operands: vec![0],
        groups: 1,
        rows: 2,
        positions: 1,
        terms: 2,
        weights: vec![1; 4],
        gather: vec![0, -1],
        constants: vec![],
    };
    let refuse = |change: fn(&mut Linear)| {
        let mut linear = sound.clone();
        change(&mut linear);
        let bytes =
            encode_program(&parameters, &[2], &[Instruction::Linear(linear)], &[Output::exact(1)]);
        let error = parse_program(&bytes, SecurityGate::OffForTests).expect_err("refused");
        assert_eq!(error.code(), "BAD_BYTES");
    };
    refuse(|linear| linear.gather[0] = 2);
    refuse(|linear| linear.gather[0] = -2);
    refuse(|linear| linear.operands[0] = 1);
    refuse(|linear| linear.operands.clear());
    refuse(|linear| linear.constants.push(1));
    refuse(|linear| linear.rows = 0);
    refuse(|linear| linear.rows = u32::MAX as usize);
    refuse(|linear| linear.weights.truncate(3));
}
