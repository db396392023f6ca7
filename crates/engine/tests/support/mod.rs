//! Parameters, keys and whole runs for the engine's tests.
#![allow(dead_code, reason = "each test binary uses a part")]

pub mod blobs;

use sotto_engine::{
    ClientKey, Control, Decomposition, Instruction, Lookup, Output, Parameters, Program,
    SecurityGate, Seed128, ServerKey, encode_program, execute, parse_program,
};

/// Noise far below anything that a table could see: these parameters protect nothing.
pub fn quiet_parameters(lwe_dimension: usize, glwe_dimension: usize, size: usize) -> Parameters {
    let gadget = |base_log, level| Decomposition { base_log, level };
    let parameters = Parameters {
        lwe_dimension,
        glwe_dimension,
        polynomial_size: size,
        bootstrap: gadget(15, 3),
        keyswitch: gadget(10, 3),
        lwe_noise_std: 2f64.powi(-55),
        glwe_noise_std: 2f64.powi(-55),
    };
    Parameters::parse(&parameters.to_block(), SecurityGate::OffForTests).expect("valid")
}

/// The same without lookups.
pub fn levelled_parameters(glwe_dimension: usize, size: usize) -> Parameters {
    let none = Decomposition { base_log: 0, level: 0 };
    let quiet = quiet_parameters(0x10, glwe_dimension, size);
    Parameters { lwe_dimension: 0, bootstrap: none, keyswitch: none, lwe_noise_std: 0.0, ..quiet }
}

/// A client and its server.
pub struct Parties {
    pub client: ClientKey,
    pub server: ServerKey,
}

impl Parties {
    pub fn new(parameters: Parameters, seed: Seed128) -> Self {
        let control = Control::new(2);
        let client = ClientKey::generate(parameters, Some(&seed));
        let keys = client.evaluation_keys(&control).expect("keys");
        let server = ServerKey::from_bytes(&keys, parameters, &control).expect("server key");
        Self { client, server }
    }

    /// Encrypts, runs and decrypts.
    pub fn run(&self, program: &Program, inputs: &[&[u64]]) -> Vec<Vec<u64>> {
        let control = Control::new(2);
        let inputs = self.client.encrypt(program.model_id(), inputs).expect("inputs");
        let outputs = execute(program, Some(&self.server), &inputs, &control).expect("outputs");
        assert_eq!(control.done(), program.lookups() as u64);
        self.client.decrypt(program.model_id(), &outputs).expect("phases")
    }
}

/// Encodes and parses a program.
pub fn program(
    parameters: &Parameters,
    inputs: &[usize],
    instructions: &[Instruction],
    outputs: &[usize],
) -> Program {
    let outputs: Vec<Output> = outputs.iter().map(|&tensor| Output::exact(tensor)).collect();
    let bytes = encode_program(parameters, inputs, instructions, &outputs);
    parse_program(&bytes, SecurityGate::OffForTests).expect("valid program")
}

/// A lookup of `items` elements in one table.
pub fn one_table(extension_log: usize, starts: Vec<u32>, values: Vec<u64>, items: usize) -> Lookup {
    Lookup {
        operand: 0,
        extension_log,
        boxes: starts.len(),
        tables: 1,
        starts,
        values,
        offsets: vec![0],
        output_offsets: vec![0],
        sources: (0..items as u32).collect(),
        table_of: vec![0; items],
        degrees: vec![0; items],
    }
}

/// What item `item` means: the value of the box that coefficient `floor(phase 2 N 2^e) + degree` is in,
/// negated for the upper half of the torus.
pub fn expected(lookup: &Lookup, item: usize, size: usize, phase: u64) -> u64 {
    let table = lookup.table_of[item] as usize;
    let starts = &lookup.starts[table * lookup.boxes..][..lookup.boxes];
    let values = &lookup.values[table * lookup.boxes..][..lookup.boxes];
    let phase = phase.wrapping_add(lookup.offsets[table]);
    let turned =
        ((u128::from(phase) * 2 * size as u128) >> 64) as usize + lookup.degrees[item] as usize;
    let coefficient = turned % (2 * size);
    let in_half = (coefficient % size) as u32;
    let chosen = values[starts.partition_point(|&start| start <= in_half) - 1];
    let value = if coefficient < size { chosen } else { chosen.wrapping_neg() };
    value.wrapping_add(lookup.output_offsets[table])
}

/// Distance on the torus, as a fraction.
pub fn distance(left: u64, right: u64) -> f64 {
    left.wrapping_sub(right).cast_signed().unsigned_abs() as f64 / 2f64.powi(64)
}

/// Reproducible numbers (xorshift64*), for choosing test cases only.
pub struct Draws(pub u64);

impl Draws {
    pub fn word(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.word() % limit as u64) as usize
    }
}
