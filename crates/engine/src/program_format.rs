//! Bytes of programs (kind 1 of `docs/format.md`).

use crate::bytes::{Reader, Writer};
use crate::error::{Error, Result};
use crate::format::{Id, Identity, Kind, model_id, open, seal};
use crate::parameters::{Parameters, SecurityGate};
use crate::program::{Instruction, Linear, Lookup, Output, Program, product};

const LINEAR: u8 = 1;
const LOOKUP: u8 = 2;

/// Reads a program and checks everything that execution relies on.
pub fn parse_program(bytes: &[u8], gate: SecurityGate) -> Result<Program> {
    let place = Kind::Program.place();
    let (identity, payload) = open(Kind::Program, bytes)?;
    let mut reader = Reader::new(payload, place);
    let parameters = Parameters::read(&mut reader)?;
    identity.expect(place, &parameters.digest(), Some(&Id::default()), &model_id(payload))?;
    parameters.check(place, gate)?;
    let inputs = read_sizes(&mut reader)?;
    let outputs = read_outputs(&mut reader)?;
    let mut instructions = Vec::new();
    for _ in 0..reader.u32()? {
        instructions.push(read_instruction(&mut reader)?);
    }
    reader.finish()?;
    let program =
        Program { parameters, model_id: identity.model_id, inputs, instructions, outputs };
    program.check()?;
    Ok(program)
}

fn read_sizes(reader: &mut Reader<'_>) -> Result<Vec<usize>> {
    let count = reader.size()?;
    Ok(reader.u32s(count)?.into_iter().map(|size| size as usize).collect())
}

fn read_outputs(reader: &mut Reader<'_>) -> Result<Vec<Output>> {
    let count = reader.size()?;
    let mut outputs = Vec::new();
    for _ in 0..count {
        outputs.push(Output {
            tensor: reader.size()?,
            is_small: reader.flag()?,
            bits: reader.u32()?,
        });
    }
    Ok(outputs)
}

fn read_instruction(reader: &mut Reader<'_>) -> Result<Instruction> {
    let opcode = reader.u8()?;
    let length = reader.size()?;
    let mut body = Reader::new(reader.take(length)?, Kind::Program.place());
    let instruction = match opcode {
        LINEAR => Instruction::Linear(read_linear(&mut body)?),
        LOOKUP => Instruction::Lookup(read_lookup(&mut body)?),
        unknown => return body.fail(format!("unknown instruction {unknown}")),
    };
    body.finish()?;
    Ok(instruction)
}

fn read_linear(body: &mut Reader<'_>) -> Result<Linear> {
    let operands = read_sizes(body)?;
    let (groups, rows) = (body.size()?, body.size()?);
    let (positions, terms) = (body.size()?, body.size()?);
    let constants = body.size()?;
    let weights = counted(&[groups, rows, terms])?;
    let gather = counted(&[groups, positions, terms])?;
    Ok(Linear {
        operands,
        groups,
        rows,
        positions,
        terms,
        weights: body.i32s(weights)?,
        gather: body.i32s(gather)?,
        constants: body.u64s(constants)?,
    })
}

fn read_lookup(body: &mut Reader<'_>) -> Result<Lookup> {
    let (operand, extension_log) = (body.size()?, body.size()?);
    let (boxes, tables, items) = (body.size()?, body.size()?, body.size()?);
    let entries = counted(&[tables, boxes])?;
    Ok(Lookup {
        operand,
        extension_log,
        boxes,
        tables,
        starts: body.u32s(entries)?,
        values: body.u64s(entries)?,
        offsets: body.u64s(tables)?,
        output_offsets: body.u64s(tables)?,
        sources: body.u32s(items)?,
        table_of: body.u32s(items)?,
        degrees: body.u32s(items)?,
    })
}

fn counted(sizes: &[usize]) -> Result<usize> {
    product(sizes).ok_or_else(|| Error::bytes(Kind::Program.place(), "a length overflows"))
}

/// Builds a program blob; the compiler has its own writer, this one serves tests and measurements.
pub fn encode_program(
    parameters: &Parameters,
    inputs: &[usize],
    instructions: &[Instruction],
    outputs: &[Output],
) -> Vec<u8> {
    let mut payload = Vec::new();
    payload.extend_from_slice(&parameters.to_block());
    put_sizes(&mut payload, inputs);
    payload.put_size(outputs.len());
    for &Output { tensor, is_small, bits } in outputs {
        payload.put_size(tensor);
        payload.put_u32(u32::from(is_small));
        payload.put_u32(bits);
    }
    payload.put_size(instructions.len());
    for instruction in instructions {
        let (opcode, body) = match instruction {
            Instruction::Linear(linear) => (LINEAR, linear_body(linear)),
            Instruction::Lookup(lookup) => (LOOKUP, lookup_body(lookup)),
        };
        payload.push(opcode);
        payload.put_size(body.len());
        payload.extend_from_slice(&body);
    }
    let identity = Identity {
        parameters_digest: parameters.digest(),
        key_id: Id::default(),
        model_id: model_id(&payload),
    };
    seal(Kind::Program, &identity, &payload)
}

fn linear_body(linear: &Linear) -> Vec<u8> {
    let mut body = Vec::new();
    put_sizes(&mut body, &linear.operands);
    let Linear { groups, rows, positions, terms, constants, .. } = linear;
    for size in [*groups, *rows, *positions, *terms, constants.len()] {
        body.put_size(size);
    }
    for word in linear.weights.iter().chain(&linear.gather) {
        body.put_u32(word.cast_unsigned());
    }
    body.put_u64s(constants);
    body
}

fn lookup_body(lookup: &Lookup) -> Vec<u8> {
    let mut body = Vec::new();
    let Lookup { operand, extension_log, boxes, tables, sources, .. } = lookup;
    for size in [*operand, *extension_log, *boxes, *tables, sources.len()] {
        body.put_size(size);
    }
    lookup.starts.iter().for_each(|&start| body.put_u32(start));
    body.put_u64s(&lookup.values);
    body.put_u64s(&lookup.offsets);
    body.put_u64s(&lookup.output_offsets);
    let items = lookup.sources.iter().chain(&lookup.table_of).chain(&lookup.degrees);
    items.for_each(|&index| body.put_u32(index));
    body
}

fn put_sizes(bytes: &mut Vec<u8>, sizes: &[usize]) {
    bytes.put_size(sizes.len());
    sizes.iter().for_each(|&size| bytes.put_size(size));
}
