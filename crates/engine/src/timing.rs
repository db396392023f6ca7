//! Time of single lookups, the yardstick for batched execution and for the cost model.

use std::ops::Range;
use std::time::Instant;

use crate::ciphertext::{encrypt_inputs, read_inputs};
use crate::client_key::ClientKey;
use crate::control::Control;
use crate::error::{Error, Result};
use crate::lookup::Layer;
use crate::parameters::Parameters;
use crate::program::{Lookup, MAX_EXTENSION_LOG};
use crate::random::Xorshift;
use crate::rotate::{Rotator, Shape};
use crate::server_key::{LookupKeys, ServerKey};
use crate::tensor::{Rows, Tensor};

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
    let rotation = std::array::from_fn::<_, 1, _>(|item| item..item + 1);
    // The first lookup warms caches and buffers and is not counted.
    for iteration in 0..=iterations {
        let start = Instant::now();
        layer.run_batch(&rotation, &mut output, &mut rotator, &control)?;
        if iteration > 0 {
            times.push(start.elapsed().as_nanos() as f64);
        }
    }
    Ok(times)
}

/// Nanoseconds of a lookup's two parts on one thread, as in a layer of `batch` lookups that are run
/// together: of the keyswitch, and of all that follows it. Keys and ciphertexts are random numbers,
/// which take as long as real ones.
pub fn time_lookups(
    parameters: Parameters,
    extension_log: usize,
    batch: usize,
) -> Result<[f64; 2]> {
    if extension_log > MAX_EXTENSION_LOG || parameters.lwe_dimension == 0 || batch == 0 {
        return Err(Error::argument("timeLookups", "these parameters have no such lookups"));
    }
    let control = Control::new(1);
    let keys = LookupKeys::random(&parameters);
    let words = parameters.ciphertext_words();
    let mut operand = Rows::zeros(batch, &parameters, "timeLookups")?;
    let mut draws = Xorshift(1);
    operand.words_mut().iter_mut().for_each(|word| *word = draws.word());
    let operand = Tensor::Rows(operand);
    let lookup = Lookup {
        operand: 0,
        extension_log,
        boxes: 1,
        tables: 1,
        starts: vec![0],
        values: vec![1 << 60],
        offsets: vec![0],
        output_offsets: vec![0],
        sources: (0..batch as u32).collect(),
        table_of: vec![0; batch],
        degrees: vec![0; batch],
    };
    let shape = Shape::new(&parameters, extension_log);
    let layer = Layer { lookup: &lookup, operand: &operand, keys: &keys, shape };
    let rotations: Vec<Range<usize>> = (0..batch).map(|item| item..item + 1).collect();
    let mut rotator = Rotator::default();
    let mut output = vec![0; batch * words];
    let mut best = [f64::INFINITY; 2];
    // The least of three is what the processor can do when nothing else disturbs it.
    for _ in 0..3 {
        let start = Instant::now();
        layer.keyswitch(&lookup.sources);
        let keyswitch = start.elapsed().as_nanos() as f64 / batch as f64;
        let start = Instant::now();
        layer.run_batch(&rotations, &mut output, &mut rotator, &control)?;
        let whole = start.elapsed().as_nanos() as f64 / batch as f64;
        best = [best[0].min(keyswitch), best[1].min(whole - keyswitch)];
    }
    Ok(best)
}
