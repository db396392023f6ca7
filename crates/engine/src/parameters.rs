//! Cryptographic parameters: the 48-byte block, its validation and the security gate.

use tfhe::core_crypto::prelude::*;

use crate::bytes::{Reader, Writer};
use crate::error::{Error, Result};
use crate::format::sha256;

/// Bytes of a parameters block.
pub(crate) const BLOCK_BYTES: usize = 48;
/// Largest LWE dimension, of the small key and of the flattened big key.
const MAX_LWE_DIMENSION: usize = 1 << 17;
const MAX_SMALL_DIMENSION: usize = 4096;
const MAX_GLWE_DIMENSION: usize = 8;
/// The number theoretic transform that generates keys ends there.
const POLYNOMIAL_SIZES: std::ops::RangeInclusive<usize> = 256..=1 << 15;
/// The crate's decomposer rounds with one bit to spare.
const MAX_BOOTSTRAP_BITS: usize = 62;
/// A digit passes through a float.
const MAX_BOOTSTRAP_DIGIT: usize = 50;
/// The keyswitch key has 32-bit words.
const MAX_KEYSWITCH_BITS: usize = 32;
/// Noise in 32-bit words: a standard deviation of at least 4.
const MIN_KEYSWITCH_STD: f64 = 1.0 / (1 << 30) as f64;
/// Largest expanded keys.
const MAX_KEY_BYTES: u64 = 1 << 36;

/// Gadget decomposition: `level` digits of `base_log` bits each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decomposition {
    /// Bits of a digit.
    pub base_log: usize,
    /// Number of digits.
    pub level: usize,
}

/// Whether parameters below 128 bits of security are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecurityGate {
    /// Refuse; the only choice outside tests.
    Enforced,
    /// Accept any noise: tests of exactness use keys without noise to speak of.
    OffForTests,
}

/// Validated cryptographic parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parameters {
    /// Dimension of the small key (`n` in the papers); 0 for a circuit without lookups.
    pub lwe_dimension: usize,
    /// GLWE dimension (`k`).
    pub glwe_dimension: usize,
    /// Polynomial size (`N`), a power of two.
    pub polynomial_size: usize,
    /// Decomposition of the bootstrap key.
    pub bootstrap: Decomposition,
    /// Decomposition of the keyswitch key.
    pub keyswitch: Decomposition,
    /// Standard deviation of the keyswitch key's noise, fraction of the torus.
    pub lwe_noise_std: f64,
    /// Standard deviation of inputs' and of the bootstrap key's noise, fraction of the torus.
    pub glwe_noise_std: f64,
}

impl Parameters {
    /// Reads and validates a block that the caller handed in.
    pub fn parse(block: &[u8], gate: SecurityGate) -> Result<Self> {
        let place = "parameters";
        let parameters = Self::read(&mut Reader::new(block, place)).and_then(|found| {
            (block.len() == BLOCK_BYTES)
                .then_some(found)
                .ok_or_else(|| Error::bytes(place, "expected 48 bytes"))
        });
        let checked = parameters.and_then(|found| found.check(place, gate).map(|()| found));
        checked.map_err(|error| match error {
            Error::BadBytes { place, text } => Error::BadArgument { place, text },
            other => other,
        })
    }

    /// Reads a block without looking at what it says; [`Parameters::check`] does that.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let lwe_dimension = reader.size()?;
        let glwe_dimension = reader.size()?;
        let polynomial_size = reader.size()?;
        let bootstrap = Decomposition { base_log: reader.size()?, level: reader.size()? };
        let keyswitch = Decomposition { base_log: reader.size()?, level: reader.size()? };
        if reader.u32()? != 0 {
            return reader.fail("parameters: the reserved field is not zero");
        }
        Ok(Self {
            lwe_dimension,
            glwe_dimension,
            polynomial_size,
            bootstrap,
            keyswitch,
            lwe_noise_std: reader.f64()?,
            glwe_noise_std: reader.f64()?,
        })
    }

    /// Checks ranges, sizes and security.
    pub(crate) fn check(&self, place: &'static str, gate: SecurityGate) -> Result<()> {
        let fail = |text: String| Err(Error::bytes(place, text));
        if self.lwe_dimension > MAX_SMALL_DIMENSION {
            return fail(format!("small dimension {} is too large", self.lwe_dimension));
        }
        if !(1..=MAX_GLWE_DIMENSION).contains(&self.glwe_dimension) {
            return fail(format!("GLWE dimension {} is not in 1..8", self.glwe_dimension));
        }
        if !self.polynomial_size.is_power_of_two()
            || !POLYNOMIAL_SIZES.contains(&self.polynomial_size)
            || self.big_dimension() > MAX_LWE_DIMENSION
        {
            return fail(format!("polynomial size {} is not allowed", self.polynomial_size));
        }
        for std in [self.lwe_noise_std, self.glwe_noise_std] {
            if !(0.0..1.0).contains(&std) {
                return fail(format!("noise {std} is not a fraction of the torus"));
            }
        }
        if self.lwe_dimension > 0 {
            let (bits, digit) = (MAX_BOOTSTRAP_BITS, MAX_BOOTSTRAP_DIGIT);
            check_decomposition(place, "bootstrap", self.bootstrap, bits, digit)?;
            let (bits, digit) = (MAX_KEYSWITCH_BITS, MAX_KEYSWITCH_BITS);
            check_decomposition(place, "keyswitch", self.keyswitch, bits, digit)?;
            if self.key_bytes() > MAX_KEY_BYTES {
                return fail("the keys would not fit in memory".into());
            }
        } else if self.bootstrap != NO_DECOMPOSITION
            || self.keyswitch != NO_DECOMPOSITION
            || self.lwe_noise_std.to_bits() != 0
        {
            return fail("decompositions or noise without a small key".into());
        }
        match gate {
            SecurityGate::Enforced => self.check_security(place),
            SecurityGate::OffForTests => Ok(()),
        }
    }

    fn check_security(&self, place: &'static str) -> Result<()> {
        let minimum = minimal_noise_std(self.big_dimension());
        let mut pairs = vec![(self.big_dimension(), self.glwe_noise_std, minimum)];
        if self.lwe_dimension > 0 {
            let minimum = minimal_noise_std(self.lwe_dimension).max(MIN_KEYSWITCH_STD);
            pairs.push((self.lwe_dimension, self.lwe_noise_std, minimum));
        }
        for (dimension, std, minimum) in pairs {
            // A relative 1e-9 forgives the last bits of a power function, not a choice.
            if dimension < MIN_SECURE_DIMENSION || std < minimum * (1.0 - 1e-9) {
                let text = format!(
                    "below 128 bits of security: dimension {dimension} needs noise of at least \
                     {minimum:e}, got {std:e}"
                );
                return Err(Error::Insecure { place, text });
            }
        }
        Ok(())
    }

    /// The 48 bytes of `docs/format.md`.
    pub fn to_block(&self) -> [u8; BLOCK_BYTES] {
        let mut bytes = Vec::with_capacity(BLOCK_BYTES);
        for field in [
            self.lwe_dimension,
            self.glwe_dimension,
            self.polynomial_size,
            self.bootstrap.base_log,
            self.bootstrap.level,
            self.keyswitch.base_log,
            self.keyswitch.level,
            0,
        ] {
            bytes.put_size(field);
        }
        bytes.put_f64(self.lwe_noise_std);
        bytes.put_f64(self.glwe_noise_std);
        let mut block = [0; BLOCK_BYTES];
        block.copy_from_slice(&bytes);
        block
    }

    /// SHA-256 of the block.
    pub fn digest(&self) -> [u8; 32] {
        sha256(&self.to_block())
    }

    /// Bits of the big key (`kN`).
    pub fn big_dimension(&self) -> usize {
        self.glwe_dimension * self.polynomial_size
    }

    /// Words of a ciphertext under the big key.
    pub fn ciphertext_words(&self) -> usize {
        self.big_dimension() + 1
    }

    /// Words of one GLWE ciphertext.
    pub(crate) fn glwe_words(&self) -> usize {
        (self.glwe_dimension + 1) * self.polynomial_size
    }

    /// Bytes of the expanded keys; saturates. Addresses may have 32 bits.
    fn key_bytes(&self) -> u64 {
        let product = |factors: &[usize]| {
            factors.iter().fold(1u64, |product, &factor| product.saturating_mul(factor as u64))
        };
        let keyswitch =
            product(&[self.big_dimension(), self.keyswitch.level, self.lwe_dimension + 1]);
        let rows = [self.lwe_dimension, self.bootstrap.level, self.glwe_dimension + 1];
        let bootstrap = product(&rows).saturating_mul(self.glwe_words() as u64);
        keyswitch.saturating_mul(4).saturating_add(bootstrap.saturating_mul(8))
    }

    pub(crate) fn glwe_size(&self) -> GlweSize {
        GlweDimension(self.glwe_dimension).to_glwe_size()
    }

    /// Noise of the keyswitch key, whose words have 32 bits.
    pub(crate) fn keyswitch_noise(&self) -> DynamicDistribution<u32> {
        DynamicDistribution::new_gaussian_from_std_dev(StandardDev(self.lwe_noise_std))
    }

    pub(crate) fn glwe_noise(&self) -> DynamicDistribution<u64> {
        DynamicDistribution::new_gaussian_from_std_dev(StandardDev(self.glwe_noise_std))
    }
}

const NO_DECOMPOSITION: Decomposition = Decomposition { base_log: 0, level: 0 };

/// The fitted curve says nothing about smaller dimensions.
const MIN_SECURE_DIMENSION: usize = 451;

/// Smallest standard deviation with 128 bits of security for a binary key, native 64-bit modulus:
/// the `tfhe` crate's gaussian curve for 128 bits (variance 2^-124 + 2^(5.3519 - 0.051394 n)).
pub(crate) fn minimal_noise_std(dimension: usize) -> f64 {
    let exponent = 5.351862745098032 - 0.05139355742296919 * dimension as f64;
    (2f64.powi(-124) + exponent.exp2()).sqrt()
}

fn check_decomposition(
    place: &'static str,
    name: &str,
    gadget: Decomposition,
    bits: usize,
    digit: usize,
) -> Result<()> {
    let sane = (1..=digit).contains(&gadget.base_log) && (1..=bits).contains(&gadget.level);
    if sane && gadget.base_log * gadget.level <= bits {
        return Ok(());
    }
    Err(Error::bytes(
        place,
        format!("{name} decomposition {} x {} is not allowed", gadget.base_log, gadget.level),
    ))
}
