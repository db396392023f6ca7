//! Prints the times that the engine is judged by: `cargo run --release --example timing [threads]`.
//!
//! Parameters are those of 4, 5, 6, 7 and 8-bit tables at a failure probability of 2^-40 and a
//! 2-norm of 16.

use std::time::Instant;

use sotto_engine::{
    ClientKey, Control, Decomposition, Instruction, Linear, Lookup, Output, Parameters, Result,
    SecurityGate, ServerKey, encode_program, execute, parse_program, time_raw_lookup,
};

struct Case {
    name: &'static str,
    parameters: Parameters,
    extension_log: usize,
}

fn case(
    name: &'static str,
    [lwe_dimension, glwe_dimension, polynomial_size]: [usize; 3],
    bootstrap: [usize; 2],
    keyswitch: [usize; 2],
    extension_log: usize,
) -> Case {
    let gadget = |[base_log, level]: [usize; 2]| Decomposition { base_log, level };
    let std = |dimension: usize| {
        let exponent = 5.351862745098032 - 0.05139355742296919 * dimension as f64;
        (2f64.powi(-124) + exponent.exp2()).sqrt()
    };
    let parameters = Parameters {
        lwe_dimension,
        glwe_dimension,
        polynomial_size,
        bootstrap: gadget(bootstrap),
        keyswitch: gadget(keyswitch),
        lwe_noise_std: std(lwe_dimension),
        glwe_noise_std: std(glwe_dimension * polynomial_size),
    };
    Case { name, parameters, extension_log }
}

fn main() -> Result<()> {
    let threads = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(0);
    for case in [
        case("4 bits", [822, 2, 1024], [23, 1], [3, 5], 0),
        case("5 bits", [863, 1, 2048], [16, 2], [3, 6], 0),
        case("6 bits", [885, 1, 2048], [15, 2], [3, 6], 1),
        case("7 bits", [860, 1, 2048], [15, 2], [3, 6], 3),
        case("8 bits", [901, 1, 2048], [15, 2], [2, 9], 4),
    ] {
        measure(&case, threads)?;
    }
    measure_linear(threads)
}

fn measure(case: &Case, threads: usize) -> Result<()> {
    let parameters = Parameters::parse(&case.parameters.to_block(), SecurityGate::Enforced)?;
    let control = Control::new(threads);
    let key = ClientKey::generate(parameters, None);
    let start = Instant::now();
    let bytes = key.evaluation_keys(&control)?;
    let generation = start.elapsed();
    let start = Instant::now();
    let server = ServerKey::from_bytes(&bytes, parameters, &control)?;
    let expansion = start.elapsed();
    let mut raw = time_raw_lookup(parameters, case.extension_log, 8)?;
    raw.sort_by(f64::total_cmp);
    let raw = raw[raw.len() / 2] / 1e6;

    let items = (64 >> case.extension_log).max(8);
    let lookup = table(parameters.polynomial_size << case.extension_log, items, case.extension_log);
    let blob =
        encode_program(&parameters, &[items], &[Instruction::Lookup(lookup)], &[Output::exact(1)]);
    let program = parse_program(&blob, SecurityGate::Enforced)?;
    let inputs = key.encrypt(program.model_id(), &[&vec![1 << 61; items]])?;
    execute(&program, Some(&server), &inputs, &control)?;
    let start = Instant::now();
    execute(&program, Some(&server), &inputs, &control)?;
    let each = start.elapsed().as_secs_f64() * 1e3 / items as f64;
    println!(
        "{}: raw {raw:.1} ms; {items} lookups on {} threads {each:.2} ms each, {:.3} of the raw rate; \
         keys {:.0} MB in {:.2} s, expanded in {:.2} s",
        case.name,
        control.threads(),
        each * control.threads() as f64 / raw,
        bytes.len() as f64 / 1e6,
        generation.as_secs_f64(),
        expansion.as_secs_f64(),
    );
    Ok(())
}

fn table(size: usize, items: usize, extension_log: usize) -> Lookup {
    Lookup {
        operand: 0,
        extension_log,
        boxes: 4,
        tables: 1,
        starts: (0..4).map(|index| (index * size / 4) as u32).collect(),
        values: (0..4).map(|value| value << 59).collect(),
        offsets: vec![0],
        output_offsets: vec![0],
        sources: (0..items as u32).collect(),
        table_of: vec![0; items],
        degrees: vec![0; items],
    }
}

fn measure_linear(threads: usize) -> Result<()> {
    let parameters = case("", [0, 1, 2048], [0, 0], [0, 0], 0).parameters;
    let parameters = Parameters { lwe_noise_std: 0.0, ..parameters };
    let size = 512;
    let linear = Linear {
        operands: vec![0],
        groups: 1,
        rows: size,
        positions: 1,
        terms: size,
        weights: (0..size * size).map(|index| (index % 31) as i32 - 15).collect(),
        gather: (0..size as i32).collect(),
        constants: Vec::new(),
    };
    let blob =
        encode_program(&parameters, &[size], &[Instruction::Linear(linear)], &[Output::exact(1)]);
    let program = parse_program(&blob, SecurityGate::Enforced)?;
    let key = ClientKey::generate(parameters, None);
    let inputs = key.encrypt(program.model_id(), &[&vec![1 << 40; size]])?;
    let start = Instant::now();
    execute(&program, None, &inputs, &Control::new(threads))?;
    println!(
        "linear {size} x {size}: {:.0} ms with transport",
        start.elapsed().as_secs_f64() * 1e3
    );
    Ok(())
}
