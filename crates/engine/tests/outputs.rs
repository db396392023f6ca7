//! What outputs lose on the wire: as much as the formula says, and no more.

mod support;

use sotto_engine::{
    ClientKey, Control, Output, Parameters, SecurityGate, encode_program, execute, parse_program,
};
use support::{Parties, levelled_parameters, quiet_parameters};

/// Variance of the error of rounding `dimension` mask words and a body to `bits` bits: `docs/noise.md`.
fn rounding_variance(dimension: usize, bits: u32) -> f64 {
    (1.0 + dimension as f64 / 2.0) / 12.0 * 2f64.powi(-2 * bits as i32)
}

/// Values of one key; each is a ciphertext of its own, since those that share a mask share errors.
const VALUES: usize = 1500;
const KEYS: u8 = 12;

/// Mean square of what values lose when they are encrypted, returned in this form and decrypted.
fn mean_square(parties: &Parties, is_small: bool, bits: u32) -> f64 {
    let parameters: &Parameters = parties.client.parameters();
    let outputs: Vec<Output> =
        (0..VALUES).map(|tensor| Output { tensor, is_small, bits }).collect();
    let bytes = encode_program(parameters, &[1; VALUES], &[], &outputs);
    let compiled = parse_program(&bytes, SecurityGate::OffForTests).expect("program");
    let values: Vec<u64> = (0..VALUES as u64).map(|index| index << 50).collect();
    let inputs: Vec<&[u64]> = values.iter().map(std::slice::from_ref).collect();
    let phases = parties.run(&compiled, &inputs).concat();
    let square = |(phase, value): (&u64, &u64)| {
        let error = phase.wrapping_sub(*value).cast_signed() as f64 / 2f64.powi(64);
        error * error
    };
    phases.iter().zip(&values).map(square).sum::<f64>() / VALUES as f64
}

/// 18,000 samples tell the variance to 1.1 %, and the weights of the 12 keys move it by 1.7 % at most:
/// 6.25 % are more than 3 standard deviations, and seeds fix the keys.
#[test]
fn rounded_outputs_have_the_noise_of_the_formula() {
    for (is_small, parameters) in
        [(false, levelled_parameters(2, 512)), (true, quiet_parameters(300, 1, 256))]
    {
        let dimension =
            if is_small { parameters.lwe_dimension } else { parameters.big_dimension() };
        let parties: Vec<Parties> =
            (1..=KEYS).map(|seed| Parties::new(parameters, [seed; 16])).collect();
        for bits in [9, 14] {
            let squares = parties.iter().map(|parties| mean_square(parties, is_small, bits));
            let variance = squares.sum::<f64>() / f64::from(KEYS);
            let ratio = variance / rounding_variance(dimension, bits);
            assert!((0.9375..1.0625).contains(&ratio), "{is_small} {bits} bits: {ratio}");
        }
    }
}

#[test]
fn an_output_takes_as_many_bytes_as_its_form_says() {
    let parameters = quiet_parameters(20, 1, 256);
    let parties = Parties::new(parameters, [3; 16]);
    for (is_small, bits, words) in
        [(false, 64, 257), (false, 11, 257), (true, 32, 21), (true, 7, 21)]
    {
        let output = Output { tensor: 0, is_small, bits };
        let bytes = encode_program(&parameters, &[3], &[], &[output]);
        let compiled = parse_program(&bytes, SecurityGate::OffForTests).expect("program");
        let inputs = parties.client.encrypt(compiled.model_id(), &[&[1, 2, 3]]).expect("inputs");
        let control = Control::new(1);
        let outputs =
            execute(&compiled, Some(&parties.server), &inputs, &control).expect("outputs");
        let payload = 4 + 12 + (3 * words * bits as usize).div_ceil(8);
        assert_eq!(outputs.len(), 80 + payload + 32, "{is_small} {bits}");
    }
}

#[test]
fn forms_that_do_not_exist_are_refused() {
    let small = quiet_parameters(20, 1, 256);
    let none = levelled_parameters(1, 256);
    let cases = [
        (small, Output { tensor: 0, is_small: false, bits: 0 }),
        (small, Output { tensor: 0, is_small: false, bits: 65 }),
        (small, Output { tensor: 0, is_small: true, bits: 33 }),
        (none, Output { tensor: 0, is_small: true, bits: 8 }),
        (none, Output { tensor: 1, is_small: false, bits: 8 }),
    ];
    for (parameters, output) in cases {
        let bytes = encode_program(&parameters, &[1], &[], &[output]);
        let error = parse_program(&bytes, SecurityGate::OffForTests).expect_err("refused");
        assert_eq!(error.code(), "BAD_BYTES", "{output:?}");
    }
}

#[test]
fn a_program_that_switches_outputs_needs_keys() {
    let parameters = quiet_parameters(20, 1, 256);
    let client = ClientKey::generate(parameters, None);
    let output = Output { tensor: 0, is_small: true, bits: 16 };
    let bytes = encode_program(&parameters, &[1], &[], &[output]);
    let compiled = parse_program(&bytes, SecurityGate::OffForTests).expect("program");
    let inputs = client.encrypt(compiled.model_id(), &[&[1]]).expect("inputs");
    let error = execute(&compiled, None, &inputs, &Control::new(1)).expect_err("no key");
    assert_eq!(error.code(), "BAD_ARGUMENT");
}
