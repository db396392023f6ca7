//! Arguments and results of a call, as bytes in this module's memory.

use std::cell::RefCell;

use sotto_engine::{Error, Result};
use zeroize::Zeroizing;

/// Bytes that are wiped when they are dropped.
pub(crate) type Bytes = Zeroizing<Vec<u8>>;

thread_local! {
    static ARGUMENTS: RefCell<Vec<Bytes>> = const { RefCell::new(Vec::new()) };
    static RESULTS: RefCell<Vec<Bytes>> = const { RefCell::new(Vec::new()) };
}

/// Makes room for the next argument and returns where its `length` bytes go.
#[unsafe(no_mangle)]
pub extern "C" fn argument(length: usize) -> *const u8 {
    ARGUMENTS.with_borrow_mut(|arguments| {
        arguments.push(Zeroizing::new(vec![0; length]));
        arguments.last().map_or(std::ptr::null(), |bytes| bytes.as_ptr())
    })
}

/// Number of results of the last call.
#[unsafe(no_mangle)]
pub extern "C" fn result_count() -> usize {
    RESULTS.with_borrow(Vec::len)
}

/// Where a result of the last call lies; it stays there until the next call.
#[unsafe(no_mangle)]
pub extern "C" fn result_pointer(index: usize) -> *const u8 {
    RESULTS
        .with_borrow(|results| results.get(index).map_or(std::ptr::null(), |bytes| bytes.as_ptr()))
}

/// Bytes of a result of the last call.
#[unsafe(no_mangle)]
pub extern "C" fn result_length(index: usize) -> usize {
    RESULTS.with_borrow(|results| results.get(index).map_or(0, |bytes| bytes.len()))
}

/// What a call returns: a number, and results in bytes.
pub(crate) struct Reply {
    pub(crate) number: usize,
    pub(crate) results: Vec<Vec<u8>>,
}

impl Reply {
    pub(crate) fn number(number: usize) -> Self {
        Self { number, results: Vec::new() }
    }

    pub(crate) fn bytes(bytes: Vec<u8>) -> Self {
        Self { number: 0, results: vec![bytes] }
    }
}

/// Runs a call on the arguments that wait for it.
pub(crate) fn answer(call: impl FnOnce(&[Bytes]) -> Result<Reply>) -> i32 {
    RESULTS.with_borrow_mut(Vec::clear);
    let arguments = ARGUMENTS.take();
    let (number, results) = match call(&arguments) {
        Ok(Reply { number, results }) => (number as i32, results),
        Err(error) => (-1, vec![describe(&error).into_bytes()]),
    };
    RESULTS.set(results.into_iter().map(Zeroizing::new).collect());
    number
}

/// The argument at a position.
pub(crate) fn expect(arguments: &[Bytes], index: usize) -> Result<&[u8]> {
    let missing = || Error::BadArgument {
        place: "engine",
        text: format!("expected an argument {index}, got {}", arguments.len()),
    };
    arguments.get(index).map(|bytes| bytes.as_slice()).ok_or_else(missing)
}

/// The text that `src/client/wasm.ts` takes apart.
fn describe(error: &Error) -> String {
    format!("{}|{}|{}", error.code(), error.place(), error.advice())
}
