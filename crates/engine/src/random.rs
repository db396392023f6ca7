//! Randomness: the operating system's through the `tfhe` crate's seeder, or a test's seed.

use tfhe::core_crypto::commons::math::random::{CompressionSeed, Seed};
use tfhe::core_crypto::prelude::*;
#[cfg(target_family = "wasm")]
use zeroize::Zeroizing;

/// A seed of 16 bytes: it names public masks, or in tests a whole key.
pub type Seed128 = [u8; 16];

/// A fresh seed from the operating system or processor.
pub(crate) fn fresh_seed() -> Seed128 {
    seeder().seed().0.to_le_bytes()
}

/// The system's source of seeds.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn seeder() -> Box<dyn Seeder> {
    new_seeder()
}

/// The host's source of seeds, which the root crate registers with `getrandom`.
#[cfg(target_family = "wasm")]
pub(crate) fn seeder() -> Box<dyn Seeder> {
    Box::new(HostSeeder)
}

#[cfg(target_family = "wasm")]
struct HostSeeder;

#[cfg(target_family = "wasm")]
impl Seeder for HostSeeder {
    fn seed(&mut self) -> Seed {
        let mut bytes = Zeroizing::new(Seed128::default());
        getrandom::getrandom(bytes.as_mut_slice()).expect("internal: no random numbers");
        Seed(u128::from_le_bytes(*bytes))
    }

    fn is_available() -> bool {
        true
    }
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
