//! Noise samples of one stage of execution, to compare with the formulas of `docs/noise.md`.

use crate::ciphertext::{encrypt_inputs, phase, phase_of, read_inputs};
use crate::client_key::ClientKey;
use crate::control::Control;
use crate::error::{Error, Result};
use crate::linear::combine;
use crate::lookup::look_up;
use crate::parameters::Parameters;
use crate::program::{Linear, Lookup, MAX_EXTENSION_LOG};
use crate::rotate::Shape;
use crate::server_key::{LookupKeys, ServerKey};
use crate::switch::Switched;
use crate::tensor::{Ciphertext, Tensor};

/// Stage whose noise is sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoiseStage {
    /// Noise of fresh inputs.
    Fresh,
    /// Noise of fresh inputs combined with weights.
    Linear,
    /// Error that the keyswitch alone adds.
    Keyswitch,
    /// Error that the centered modulus switch alone adds before the body is rounded; its deliberate
    /// shift by half a case is taken out.
    ModulusSwitch,
    /// Noise of a lookup's output.
    Lookup,
}

/// Ciphertexts in flight at a time.
const CHUNK: usize = 256;
/// Boxes of the sampled table.
const BOXES: usize = 4;

/// Signed noise samples (fraction of the torus) after `stage`, under a fresh key. Stages after
/// `Fresh` start from fresh ciphertexts combined with `weights`.
pub fn measure_noise(
    parameters: Parameters,
    stage: NoiseStage,
    weights: &[i32],
    extension_log: usize,
    samples: usize,
    control: &Control,
) -> Result<Vec<f64>> {
    if samples == 0 || (weights.is_empty() && stage != NoiseStage::Fresh) {
        return Err(Error::argument("measureNoise", "expected samples and weights"));
    }
    if extension_log > MAX_EXTENSION_LOG {
        return Err(Error::argument("measureNoise", "the extension is too large"));
    }
    let key = ClientKey::generate(parameters, None);
    let mut server = None;
    if !matches!(stage, NoiseStage::Fresh | NoiseStage::Linear) {
        if parameters.lwe_dimension == 0 {
            return Err(Error::argument("measureNoise", "these parameters have no lookups"));
        }
        let quiet = Control::new(control.threads());
        server = Some(ServerKey::from_bytes(&key.evaluation_keys(&quiet)?, parameters, &quiet)?);
    }
    let keys = server.as_ref().and_then(|server| server.lookup_keys.as_ref());
    let sampler = Sampler { key: &key, keys, weights, extension_log, control };
    control.install(|| {
        control.start(samples);
        let mut noise = Vec::with_capacity(samples);
        while noise.len() < samples {
            let count = CHUNK.min(samples - noise.len());
            noise.extend(sampler.chunk(stage, count)?);
        }
        Ok(noise)
    })
}

struct Sampler<'a> {
    key: &'a ClientKey,
    keys: Option<&'a LookupKeys>,
    weights: &'a [i32],
    extension_log: usize,
    control: &'a Control,
}

impl Sampler<'_> {
    fn chunk(&self, stage: NoiseStage, count: usize) -> Result<Vec<f64>> {
        let weights = if stage == NoiseStage::Fresh { &[1] } else { self.weights };
        // Phases in the middle of the boxes, so that lookups see them right; one number of each sum
        // carries the message, the others are zero.
        let message = |sample: usize| ((2 * (sample % BOXES) + 1) as u64) << (63 - 3);
        let combined = self.combined(weights, count, message)?;
        let errors = match stage {
            NoiseStage::Fresh | NoiseStage::Linear => {
                let expected = |sample| message(sample).wrapping_mul(sign_extend(weights[0]));
                phases(&self.key.big, &combined)
                    .enumerate()
                    .map(|(sample, phase)| phase.wrapping_sub(expected(sample)))
                    .collect()
            }
            NoiseStage::Keyswitch => self.keyswitch_errors(&combined),
            NoiseStage::ModulusSwitch => self.switch_errors(&combined),
            NoiseStage::Lookup => self.lookup_errors(&combined, weights[0], count, message)?,
        };
        Ok(errors.into_iter().map(|error| error.cast_signed() as f64 / 2f64.powi(64)).collect())
    }

    /// Fresh ciphertexts of `message` and zeros, combined.
    fn combined(
        &self,
        weights: &[i32],
        count: usize,
        message: impl Fn(usize) -> u64,
    ) -> Result<Tensor> {
        let terms = weights.len();
        let mut plaintexts = vec![0u64; count * terms];
        for (sample, sum) in plaintexts.chunks_exact_mut(terms).enumerate() {
            sum[0] = message(sample);
        }
        let parameters = &self.key.parameters;
        let payload = encrypt_inputs(self.key, &[&plaintexts], &[])?;
        let fresh = read_inputs(&payload, parameters, &[plaintexts.len()])?;
        let indices = 0..i32::try_from(plaintexts.len())
            .map_err(|_| Error::argument("measureNoise", "too many weights"))?;
        let linear = Linear {
            operands: vec![0],
            groups: 1,
            rows: 1,
            positions: count,
            terms,
            weights: weights.to_vec(),
            gather: indices.collect(),
            constants: Vec::new(),
        };
        let operands: Vec<&Tensor> = fresh.iter().collect();
        combine(&linear, &operands, parameters, self.control)
    }

    fn keyswitched(&self, ciphertexts: &Tensor) -> Vec<u64> {
        let elements: Vec<Ciphertext<'_>> = ciphertexts.elements().collect();
        self.keys().keyswitch(&elements)
    }

    fn keyswitch_errors(&self, ciphertexts: &Tensor) -> Vec<u64> {
        let small = self.keyswitched(ciphertexts);
        small
            .chunks_exact(self.key.small.len() + 1)
            .zip(phases(&self.key.big, ciphertexts))
            .map(|(row, before)| phase(&self.key.small, row).wrapping_sub(before))
            .collect()
    }

    fn switch_errors(&self, ciphertexts: &Tensor) -> Vec<u64> {
        let log_modulus = Shape::new(&self.key.parameters, self.extension_log).log_modulus();
        let mut rotations = vec![0; self.key.small.len()];
        self.keyswitched(ciphertexts)
            .chunks_exact(self.key.small.len() + 1)
            .map(|row| {
                let switched = Switched::new(row, log_modulus, &mut rotations);
                switched.phase(&self.key.small).wrapping_sub(phase(&self.key.small, row))
            })
            .collect()
    }

    fn lookup_errors(
        &self,
        ciphertexts: &Tensor,
        weight: i32,
        count: usize,
        message: impl Fn(usize) -> u64,
    ) -> Result<Vec<u64>> {
        let parameters = &self.key.parameters;
        let size = Shape::new(parameters, self.extension_log).table_size();
        let values: Vec<u64> = (0..BOXES as u64).map(|value| (2 * value + 1) << 59).collect();
        let indices: Vec<u32> = (0..count as u32).collect();
        let lookup = Lookup {
            operand: 0,
            extension_log: self.extension_log,
            boxes: BOXES,
            tables: 1,
            starts: (0..BOXES).map(|index| (index * size / BOXES) as u32).collect(),
            values: values.clone(),
            offsets: vec![0],
            output_offsets: vec![0],
            table_of: vec![0; count],
            degrees: vec![0; count],
            sources: indices,
        };
        let output = look_up(&lookup, ciphertexts, parameters, self.keys(), self.control)?;
        let expected = |sample| {
            let input = message(sample).wrapping_mul(sign_extend(weight));
            let value = values[(input >> 61) as usize % BOXES];
            if input >> 63 == 0 { value } else { value.wrapping_neg() }
        };
        Ok(phases(&self.key.big, &output)
            .enumerate()
            .map(|(sample, phase)| phase.wrapping_sub(expected(sample)))
            .collect())
    }

    fn keys(&self) -> &LookupKeys {
        self.keys.expect("internal: this stage was given keys")
    }
}

fn phases<'a>(bits: &'a [u64], ciphertexts: &'a Tensor) -> impl Iterator<Item = u64> + 'a {
    ciphertexts.elements().map(|element| phase_of(bits, element))
}

fn sign_extend(weight: i32) -> u64 {
    i64::from(weight).cast_unsigned()
}
