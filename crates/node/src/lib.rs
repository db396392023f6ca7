//! Node.js binding of the sotto engine: glue only, typed in `src/native/binding.ts`.
#![deny(missing_docs)]

mod handles;
mod tasks;

use std::panic::{AssertUnwindSafe, catch_unwind};

use napi::bindgen_prelude::{AsyncTask, Float64Array, Int32Array, Uint8Array};
use napi::{Error, Result, Status};
use napi_derive::napi;
use sotto_engine as engine;
use sotto_engine::{Parameters, SecurityGate};

use handles::{ClientKey, Control, Program, ServerKey};
use tasks::{LoadServerKey, Run};

/// Version of the engine.
#[napi]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// Threads, progress and cancellation of one call; 0 threads means all cores.
#[napi]
pub fn new_control(threads: u32) -> Control {
    Control::new(threads as usize)
}

/// A new secret key; the seed is for tests only.
#[napi]
pub fn generate_client_key(parameters: Uint8Array, seed: Option<Uint8Array>) -> Result<ClientKey> {
    guard(|| {
        let parameters = parse_parameters(&parameters)?;
        let seed = seed.map(|seed| sixteen_bytes(&seed, "seed")).transpose()?;
        Ok(engine::ClientKey::generate(parameters, seed.as_ref()))
    })
    .map(ClientKey::new)
}

/// Reads a secret key.
#[napi]
pub fn load_client_key(bytes: Uint8Array, parameters: Uint8Array) -> Result<ClientKey> {
    guard(|| engine::ClientKey::from_bytes(&bytes, parse_parameters(&parameters)?))
        .map(ClientKey::new)
}

/// Reads and expands evaluation keys off the main thread.
#[napi(ts_return_type = "Promise<ServerKey>")]
pub fn load_server_key(
    bytes: Uint8Array,
    parameters: Uint8Array,
    control: &Control,
) -> AsyncTask<LoadServerKey> {
    AsyncTask::new(LoadServerKey::new(&bytes, &parameters, control))
}

/// Reads and expands evaluation keys.
#[napi]
pub fn load_server_key_sync(
    bytes: Uint8Array,
    parameters: Uint8Array,
    control: &Control,
) -> Result<ServerKey> {
    LoadServerKey::new(&bytes, &parameters, control).load().map(ServerKey::new)
}

/// Reads and checks a program.
#[napi]
pub fn parse_program(bytes: Uint8Array) -> Result<Program> {
    guard(|| engine::parse_program(&bytes, SecurityGate::Enforced)).map(Program::new)
}

/// Runs a program on encrypted inputs off the main thread.
#[napi(ts_return_type = "Promise<Uint8Array>")]
pub fn run(
    program: &Program,
    key: Option<&ServerKey>,
    inputs: Uint8Array,
    control: &Control,
) -> AsyncTask<Run> {
    AsyncTask::new(Run::new(program, key, &inputs, control))
}

/// Runs a program on encrypted inputs.
#[napi]
pub fn run_sync(
    program: &Program,
    key: Option<&ServerKey>,
    inputs: Uint8Array,
    control: &Control,
) -> Result<Uint8Array> {
    Run::new(program, key, &inputs, control).execute().map(Uint8Array::from)
}

/// Nanoseconds of single lookups.
#[napi]
pub fn time_raw_lookup(
    parameters: Uint8Array,
    extension_log: u32,
    iterations: u32,
) -> Result<Float64Array> {
    guard(|| {
        let parameters = parse_parameters(&parameters)?;
        engine::time_raw_lookup(parameters, extension_log as usize, iterations as usize)
    })
    .map(Float64Array::from)
}

/// Nanoseconds of a lookup's keyswitch and of its rotation, in a batch, on one thread.
#[napi]
pub fn time_lookups(
    parameters: Uint8Array,
    extension_log: u32,
    batch: u32,
) -> Result<Float64Array> {
    guard(|| {
        let parameters = parse_parameters(&parameters)?;
        engine::time_lookups(parameters, extension_log as usize, batch as usize)
    })
    .map(|times| Float64Array::from(times.to_vec()))
}

/// Noise samples after one stage.
#[napi]
pub fn measure_noise(
    parameters: Uint8Array,
    stage: String,
    weights: Int32Array,
    extension_log: u32,
    samples: u32,
) -> Result<Float64Array> {
    guard(|| {
        let parameters = parse_parameters(&parameters)?;
        let stage = parse_stage(&stage)?;
        let control = engine::Control::new(0);
        let (extension_log, samples) = (extension_log as usize, samples as usize);
        engine::measure_noise(parameters, stage, &weights, extension_log, samples, &control)
    })
    .map(Float64Array::from)
}

fn parse_stage(name: &str) -> engine::Result<engine::NoiseStage> {
    use engine::NoiseStage;
    match name {
        "fresh" => Ok(NoiseStage::Fresh),
        "linear" => Ok(NoiseStage::Linear),
        "keyswitch" => Ok(NoiseStage::Keyswitch),
        "modulusSwitch" => Ok(NoiseStage::ModulusSwitch),
        "lookup" => Ok(NoiseStage::Lookup),
        _ => Err(engine::Error::BadArgument {
            place: "measureNoise",
            text: format!("unknown stage {name:?}"),
        }),
    }
}

fn parse_parameters(block: &[u8]) -> engine::Result<Parameters> {
    Parameters::parse(block, SecurityGate::Enforced)
}

fn sixteen_bytes(bytes: &[u8], place: &'static str) -> engine::Result<[u8; 16]> {
    bytes.try_into().map_err(|_| engine::Error::BadArgument {
        place,
        text: format!("expected 16 bytes, got {}", bytes.len()),
    })
}

/// Runs a call of the engine; nothing that comes from outside may take the process down.
fn guard<T>(call: impl FnOnce() -> engine::Result<T>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|error| map_error(&error)),
        Err(panic) => Err(internal_error(&*panic)),
    }
}

/// The message that `src/native/load.ts` takes apart.
fn map_error(error: &engine::Error) -> Error {
    let text = format!("{}|{}|{}", error.code(), error.place(), error.advice());
    Error::new(Status::GenericFailure, text)
}

fn internal_error(panic: &(dyn std::any::Any + Send)) -> Error {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("panic");
    Error::new(Status::GenericFailure, format!("INTERNAL|engine|{text}"))
}
