//! WebAssembly face of the client's half of the engine: glue only, typed in `src/client/wasm.ts`.
//!
//! A call goes like this: the host asks for the place of each argument ([`argument`]) and writes its
//! bytes there, calls, and reads results ([`result_pointer`], [`result_length`]) before the next call. A negative
//! return value means that the only result is the text of an error, `CODE|where|text`.
//! Arguments and results are wiped when the next call replaces them, since keys are among them.
//!
//! A static library, which `scripts/build-web.mjs` links and names the exported calls of. Linked by `rustc`, the module
//! would also export thousands of names of `js-sys`, which `tfhe-fft` depends on for a clock that clients never read.
#![cfg(target_family = "wasm")]
#![deny(missing_docs)]

mod calls;
mod exchange;
mod host;
