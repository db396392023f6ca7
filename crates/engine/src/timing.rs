//! Time of single lookups, the yardstick for batched execution and for the cost model.

use std::time::Instant;

use crate::ciphertext::{encrypt_inputs, read_inputs};
use crate::client_key::ClientKey;
use crate::control::Control;
use crate::error::{Error, Result};
use crate::lookup::Layer;
use crate::parameters::Parameters;
use crate::program::{Lookup, MAX_EXTENSION_LOG};
use crate::rotate::{Rotator, Shape};
use crate::server_key::ServerKey;

/// Nanoseconds of each of `iterations` lookups (keyswitch, switch, blind rotation, extraction) on one
/// thread, one at a time. Generates a key of its own.
pub fn time_raw_lookup(
    parameters: Parameters,
    extension_log: usize,
    iterations: usize,
) -> Result<Vec<f64>> {
    if extension_log > MAX_EXTENSION_LOG || parameters.lwe_dimension == 0 {
        return Err(Error::argument("timeRawLookup", "these parameters have no such lookup"));
    }
    let control = Control::new(0);
    let key = ClientKey::generate(parameters, None);
    let server = ServerKey::from_bytes(&key.evaluation_keys(&control)?, parameters, &control)?;
    let keys = server.lookup_keys.as_ref().expect("internal: parameters have lookups");
    let payload = encrypt_inputs(&key, &[&[1 << 62]], &[])?;
    let operand = read_inputs(&payload, &parameters, &[1])?.remove(0);
    let lookup = Lookup {
        operand: 0,
        extension_log,
        boxes: 1,
        tables: 1,
        starts: vec![0],
        values: vec![1 << 60],
        offsets: vec![0],
        output_offsets: vec![0],
        sources: vec![0],
        table_of: vec![0],
        degrees: vec![0],
    };
    let shape = Shape::new(&parameters, extension_log);
    let layer = Layer { lookup: &lookup, operand: &operand, keys, shape };
    let mut rotator = Rotator::default();
    let mut output = vec![0; parameters.ciphertext_words()];
    let mut times = Vec::with_capacity(iterations.min(1 << 20));
    // The first lookup warms caches and buffers and is not counted.
    for iteration in 0..=iterations {
        let start = Instant::now();
        layer.run_batch(&[0..1], &mut output, &mut rotator, &control)?;
        if iteration > 0 {
            times.push(start.elapsed().as_nanos() as f64);
        }
    }
    Ok(times)
}
