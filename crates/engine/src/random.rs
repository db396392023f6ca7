//! Randomness: the operating system's through the `tfhe` crate's seeder, or a test's seed.

use tfhe::core_crypto::commons::math::random::{CompressionSeed, Seed};
use tfhe::core_crypto::prelude::*;

/// A seed of 16 bytes: it names public masks, or in tests a whole key.
pub type Seed128 = [u8; 16];

/// A fresh seed from the operating system or processor.
pub(crate) fn fresh_seed() -> Seed128 {
    new_seeder().seed().0.to_le_bytes()
}

/// The generator of public masks that belongs to a seed.
pub(crate) fn mask_seed(seed: &Seed128) -> CompressionSeed {
    Seed(u128::from_le_bytes(*seed)).into()
}

/// Generator of secret bits.
pub(crate) fn secret_generator(seed: &Seed128) -> SecretRandomGenerator<DefaultRandomGenerator> {
    SecretRandomGenerator::new(Seed(u128::from_le_bytes(*seed)))
}

/// Numbers that only have to look random: keys of timings. Never for anything secret.
pub(crate) struct Xorshift(pub(crate) u64);

impl Xorshift {
    pub(crate) fn word(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
