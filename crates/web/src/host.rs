//! What the module asks of its host: random numbers.

use std::num::NonZeroU32;

use getrandom::register_custom_getrandom;

#[link(wasm_import_module = "sotto")]
unsafe extern "C" {
    /// Fills memory of this module from the host's source of secure random numbers; 0 on success.
    fn random(pointer: *mut u8, length: usize) -> u32;
}

fn host_random(bytes: &mut [u8]) -> Result<(), getrandom::Error> {
    // SAFETY: the host writes `length` bytes at `pointer` and nothing else.
    let status = unsafe { random(bytes.as_mut_ptr(), bytes.len()) };
    match NonZeroU32::new(status) {
        None => Ok(()),
        Some(_) => Err(getrandom::Error::UNEXPECTED),
    }
}

register_custom_getrandom!(host_random);
