//! One valid blob of each kind, and what reads it.

use sotto_engine::{
    ClientKey, Control, Error, Instruction, Linear, Output, Parameters, Program, SecurityGate,
    ServerKey, encode_program, execute, parse_program,
};

use super::{one_table, quiet_parameters};

/// Blobs of one small model and key: a combination, then a lookup.
pub struct Blobs {
    pub parameters: Parameters,
    pub client: ClientKey,
    pub server: ServerKey,
    pub compiled: Program,
    pub program: Vec<u8>,
    pub secret_key: Vec<u8>,
    pub evaluation_keys: Vec<u8>,
    pub inputs: Vec<u8>,
    pub outputs: Vec<u8>,
}

/// The kinds that the engine reads.
pub const KINDS: [&str; 5] = ["program", "secret key", "evaluation keys", "inputs", "outputs"];

impl Blobs {
    pub fn new() -> Self {
        let parameters = quiet_parameters(3, 1, 256);
        let control = Control::new(1);
        let client = ClientKey::generate(parameters, Some(&[4; 16]));
        let linear = Linear {
            operands: vec![0],
            groups: 1,
            rows: 1,
            positions: 2,
            terms: 2,
            weights: vec![1, -1],
            gather: vec![0, 1, 1, -1],
            constants: vec![5],
        };
        let mut lookup = one_table(1, vec![0, 100, 300], vec![1 << 60, 2 << 60, 3 << 60], 2);
        lookup.operand = 1;
        let steps = [Instruction::Linear(linear), Instruction::Lookup(lookup)];
        // One tensor under the small key, another as it is.
        let outputs = [Output { tensor: 2, is_small: true, bits: 20 }, Output::exact(1)];
        let program = encode_program(&parameters, &[2], &steps, &outputs);
        let compiled = parse_program(&program, SecurityGate::OffForTests).expect("program");
        let evaluation_keys = client.evaluation_keys(&control).expect("evaluation keys");
        let server =
            ServerKey::from_bytes(&evaluation_keys, parameters, &control).expect("server key");
        let inputs = client.encrypt(compiled.model_id(), &[&[1 << 61, 1 << 60]]).expect("inputs");
        let outputs = execute(&compiled, Some(&server), &inputs, &control).expect("outputs");
        let secret_key = client.to_bytes();
        Self {
            parameters,
            client,
            server,
            compiled,
            program,
            secret_key,
            evaluation_keys,
            inputs,
            outputs,
        }
    }

    pub fn blob(&self, kind: &str) -> &[u8] {
        match kind {
            "program" => &self.program,
            "secret key" => &self.secret_key,
            "evaluation keys" => &self.evaluation_keys,
            "inputs" => &self.inputs,
            "outputs" => &self.outputs,
            other => unreachable!("{other}"),
        }
    }

    /// Reads `bytes` as a blob of this kind, as far as the engine ever does.
    pub fn read(&self, kind: &str, bytes: &[u8]) -> Result<(), Error> {
        let control = Control::new(1);
        let gate = SecurityGate::OffForTests;
        match kind {
            "program" => parse_program(bytes, gate).map(drop),
            "secret key" => ClientKey::from_bytes(bytes, self.parameters).map(drop),
            "evaluation keys" => ServerKey::from_bytes(bytes, self.parameters, &control).map(drop),
            "inputs" => execute(&self.compiled, Some(&self.server), bytes, &control).map(drop),
            "outputs" => self.client.decrypt(self.compiled.model_id(), bytes).map(drop),
            other => unreachable!("{other}"),
        }
    }
}
