//! The cryptographic engine of sotto: keys, ciphertexts and the execution of programs over TFHE.
//!
//! Every primitive is the `tfhe` crate's; this crate decides what is composed of what, in which order
//! and on which threads. The byte formats are in `docs/format.md`, the meaning of instructions in
//! `src/lower/program.ts`.
//!
//! The client's half ([`ClientKey`]) holds the secret; the server's half ([`ServerKey`], [`execute`])
//! only takes types that cannot contain one.
#![deny(missing_docs)]

mod bytes;
mod ciphertext;
mod client_key;
mod control;
mod error;
mod evaluation_keys;
mod execute;
mod fft;
mod format;
mod keystream;
mod keyswitch;
mod linear;
mod lookup;
mod noise;
mod packed;
mod parameters;
mod product;
mod program;
mod program_format;
mod random;
mod ring;
mod rotate;
mod server_key;
mod simd;
mod switch;
mod tensor;
mod timing;

pub use client_key::ClientKey;
pub use control::Control;
pub use error::{Error, Result};
pub use execute::execute;
pub use format::{DIGEST_BYTES, HEADER_BYTES, Id, Kind, reseal};
pub use keyswitch::keyswitch_batch;
pub use noise::{NoiseStage, measure_noise};
pub use parameters::{Decomposition, Parameters, SecurityGate};
pub use program::{Instruction, Linear, Lookup, Output, Program};
pub use program_format::{encode_program, parse_program};
pub use random::Seed128;
pub use server_key::ServerKey;
pub use tensor::Ciphertext;
pub use timing::{time_lookups, time_raw_lookup};
