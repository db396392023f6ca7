//! Running a program on encrypted inputs.

use std::time::Instant;

use crate::ciphertext::{read_inputs, write_outputs};
use crate::control::Control;
use crate::error::{Error, Result};
use crate::format::{Identity, Kind, open, seal};
use crate::linear::combine;
use crate::lookup::look_up;
use crate::program::{Instruction, Program};
use crate::server_key::ServerKey;
use crate::tensor::Tensor;

/// Runs a program. A program without lookups needs no key. Progress counts lookups.
pub fn execute(
    program: &Program,
    key: Option<&ServerKey>,
    inputs: &[u8],
    control: &Control,
) -> Result<Vec<u8>> {
    let digest = program.parameters.digest();
    if key.is_some_and(|key| key.parameters.digest() != digest) {
        return Err(Error::WrongParameters { place: Kind::EvaluationKeys.place() });
    }
    if key.is_none() && program.needs_keys() {
        return Err(Error::argument("key", "this program has lookups and needs evaluation keys"));
    }
    let (identity, payload) = open(Kind::Inputs, inputs)?;
    let key_id = key.map(ServerKey::key_id);
    identity.expect(Kind::Inputs.place(), &digest, key_id, &program.model_id)?;
    let outputs = control.install(|| {
        control.start(program.lookups());
        control.check("run")?;
        let inputs = read_inputs(payload, &program.parameters, &program.inputs)?;
        Run { program, key, control }.outputs(inputs)
    })?;
    let identity = Identity { model_id: program.model_id, ..identity };
    Ok(seal(Kind::Outputs, &identity, &outputs))
}

struct Run<'a> {
    program: &'a Program,
    key: Option<&'a ServerKey>,
    control: &'a Control,
}

impl Run<'_> {
    /// Payload of the outputs.
    fn outputs(&self, inputs: Vec<Tensor>) -> Result<Vec<u8>> {
        let last_uses = self.last_uses();
        let mut tensors: Vec<Option<Tensor>> = inputs.into_iter().map(Some).collect();
        for (step, instruction) in self.program.instructions.iter().enumerate() {
            let start = Instant::now();
            let result = self.evaluate(instruction, &tensors)?;
            self.control.record_instruction(start.elapsed());
            tensors.push(Some(result));
            for (tensor, last_use) in tensors.iter_mut().zip(&last_uses) {
                if *last_use <= step {
                    *tensor = None;
                }
            }
        }
        let keys = self.key.and_then(|key| key.lookup_keys.as_ref());
        let outputs =
            self.program.outputs.iter().map(|&output| (output, alive(&tensors, output.tensor)));
        Ok(write_outputs(&outputs.collect::<Vec<_>>(), keys))
    }

    fn evaluate(&self, instruction: &Instruction, tensors: &[Option<Tensor>]) -> Result<Tensor> {
        let parameters = &self.program.parameters;
        match instruction {
            Instruction::Linear(linear) => {
                let operands: Vec<&Tensor> =
                    linear.operands.iter().map(|&id| alive(tensors, id)).collect();
                combine(linear, &operands, parameters, self.control)
            }
            Instruction::Lookup(lookup) => {
                let keys = self.key.and_then(|key| key.lookup_keys.as_ref());
                let keys = keys.expect("internal: lookups were checked to have keys");
                look_up(lookup, alive(tensors, lookup.operand), parameters, keys, self.control)
            }
        }
    }

    /// For each tensor the last instruction that reads it; outputs are read after the last one.
    fn last_uses(&self) -> Vec<usize> {
        let program = self.program;
        let mut uses = vec![0; program.inputs.len() + program.instructions.len()];
        for (step, instruction) in program.instructions.iter().enumerate() {
            // A result that nobody reads is dropped as soon as it exists.
            uses[program.inputs.len() + step] = step;
            let operands = match instruction {
                Instruction::Linear(linear) => linear.operands.as_slice(),
                Instruction::Lookup(lookup) => std::slice::from_ref(&lookup.operand),
            };
            operands.iter().for_each(|&id| uses[id] = step);
        }
        program.outputs.iter().for_each(|output| uses[output.tensor] = usize::MAX);
        uses
    }
}

fn alive(tensors: &[Option<Tensor>], id: usize) -> &Tensor {
    tensors[id].as_ref().expect("internal: a tensor was dropped before its last use")
}
