//! The calls: what `crates/node` offers of the client's half. Keys are named by numbers.

use std::cell::RefCell;
use std::collections::HashMap;

use sotto_engine::{ClientKey, Error, Id, Parameters, Result, SecurityGate};

use crate::exchange::{Bytes, Reply, answer, expect};

thread_local! {
    static KEYS: RefCell<HashMap<usize, ClientKey>> = RefCell::default();
}

/// A new secret key from the parameters block and, for tests only, a seed. Returns the key's number.
#[unsafe(no_mangle)]
pub extern "C" fn generate_client_key() -> i32 {
    answer(|arguments| {
        let parameters = parse_parameters(expect(arguments, 0)?)?;
        let seed = arguments.get(1).map(|seed| sixteen_bytes(seed, "seed")).transpose()?;
        Ok(Reply::number(keep(ClientKey::generate(parameters, seed.as_ref()))))
    })
}

/// Reads a secret key: its bytes, the parameters block. Returns the key's number.
#[unsafe(no_mangle)]
pub extern "C" fn load_client_key() -> i32 {
    answer(|arguments| {
        let parameters = parse_parameters(expect(arguments, 1)?)?;
        Ok(Reply::number(keep(ClientKey::from_bytes(expect(arguments, 0)?, parameters)?)))
    })
}

/// Wipes and forgets a key.
#[unsafe(no_mangle)]
pub extern "C" fn drop_client_key(key: usize) {
    KEYS.with_borrow_mut(|keys| keys.remove(&key));
}

/// Gives the random public name of a key.
#[unsafe(no_mangle)]
pub extern "C" fn key_id(key: usize) -> i32 {
    with_key(key, |key, _| Ok(Reply::bytes(key.key_id().to_vec())))
}

/// Gives a key as a secret blob.
#[unsafe(no_mangle)]
pub extern "C" fn key_to_bytes(key: usize) -> i32 {
    with_key(key, |key, _| Ok(Reply::bytes(key.to_bytes())))
}

/// Returns how many pieces the evaluation keys have.
#[unsafe(no_mangle)]
pub extern "C" fn evaluation_key_pieces(key: usize) -> i32 {
    with_key(key, |key, _| Ok(Reply::number(key.evaluation_key_pieces())))
}

/// Gives one piece of the evaluation keys.
#[unsafe(no_mangle)]
pub extern "C" fn evaluation_key_piece(key: usize, index: usize) -> i32 {
    with_key(key, |key, _| key.evaluation_key_piece(index).map(Reply::bytes))
}

/// Encrypts: the model id, a byte per tensor that is not 0 where the server may read it, then the torus
/// plaintexts of each tensor as little-endian words.
#[unsafe(no_mangle)]
pub extern "C" fn encrypt(key: usize) -> i32 {
    with_key(key, |key, arguments| {
        let model_id = sixteen_bytes(expect(arguments, 0)?, "model id")?;
        let flags = expect(arguments, 1)?.iter().enumerate();
        let clear: Vec<usize> = flags.filter(|(_, flag)| **flag != 0).map(|(i, _)| i).collect();
        let tensors: Vec<Vec<u64>> = arguments[2..].iter().map(|bytes| words(bytes)).collect();
        let tensors: Vec<&[u64]> = tensors.iter().map(Vec::as_slice).collect();
        key.encrypt_except(&model_id, &tensors, &clear).map(Reply::bytes)
    })
}

/// Decrypts: the model id, encrypted outputs. Gives the phases of each tensor as little-endian words.
#[unsafe(no_mangle)]
pub extern "C" fn decrypt(key: usize) -> i32 {
    with_key(key, |key, arguments| {
        let model_id = sixteen_bytes(expect(arguments, 0)?, "model id")?;
        let phases = key.decrypt(&model_id, expect(arguments, 1)?)?;
        let bytes = |words: &Vec<u64>| words.iter().flat_map(|word| word.to_le_bytes()).collect();
        Ok(Reply { number: 0, results: phases.iter().map(bytes).collect() })
    })
}

fn keep(key: ClientKey) -> usize {
    KEYS.with_borrow_mut(|keys| {
        let number = keys.keys().max().map_or(0, |last| last + 1);
        keys.insert(number, key);
        number
    })
}

fn with_key(key: usize, call: impl FnOnce(&ClientKey, &[Bytes]) -> Result<Reply>) -> i32 {
    answer(|arguments| {
        KEYS.with_borrow(|keys| match keys.get(&key) {
            Some(key) => call(key, arguments),
            None => Err(Error::BadArgument {
                place: "key",
                text: "this key was closed; generate or load one".into(),
            }),
        })
    })
}

fn parse_parameters(block: &[u8]) -> Result<Parameters> {
    Parameters::parse(block, SecurityGate::Enforced)
}

fn sixteen_bytes(bytes: &[u8], place: &'static str) -> Result<Id> {
    bytes.try_into().map_err(|_| Error::BadArgument {
        place,
        text: format!("expected 16 bytes, got {}", bytes.len()),
    })
}

fn words(bytes: &[u8]) -> Vec<u64> {
    let words = bytes.chunks_exact(8);
    words.map(|word| u64::from_le_bytes(word.try_into().unwrap_or_default())).collect()
}
