//! Evaluation keys expanded for execution: masks regenerated, bootstrap key in the Fourier domain.

use tfhe::core_crypto::prelude::*;

use crate::control::Control;
use crate::error::Result;
use crate::evaluation_keys::{self, SeededKey, SeededKeys};
use crate::format::{Id, Kind};
use crate::parameters::Parameters;
use crate::random::mask_seed;

/// What the server needs of one client. It holds no secret.
pub struct ServerKey {
    pub(crate) parameters: Parameters,
    key_id: Id,
    pub(crate) lookup_keys: Option<LookupKeys>,
}

/// The two keys that a lookup uses.
pub(crate) struct LookupKeys {
    pub(crate) keyswitch: LweKeyswitchKeyOwned<u64>,
    pub(crate) bootstrap: FourierLweBootstrapKeyOwned,
    pub(crate) fft: Fft,
}

impl ServerKey {
    /// Reads and expands seeded evaluation keys. Progress counts GGSW ciphertexts.
    pub fn from_bytes(bytes: &[u8], parameters: Parameters, control: &Control) -> Result<Self> {
        let (key_id, seeded) = evaluation_keys::read(bytes, &parameters)?;
        let lookup_keys = control.install(|| {
            control.start(parameters.lwe_dimension);
            control.check(Kind::EvaluationKeys.place())?;
            seeded.map(|keys| LookupKeys::expand(keys, &parameters, control)).transpose()
        })?;
        Ok(Self { parameters, key_id, lookup_keys })
    }

    /// Name of the secret key that these keys belong to.
    pub fn key_id(&self) -> &Id {
        &self.key_id
    }

    /// Parameters that the keys were made for.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}

impl LookupKeys {
    /// Words of a ciphertext under the big key.
    pub(crate) fn ciphertext_words(&self) -> usize {
        self.bootstrap.output_lwe_dimension().to_lwe_size().0
    }

    fn expand(keys: SeededKeys, parameters: &Parameters, control: &Control) -> Result<Self> {
        // The transform's plan is chosen by timing and then kept for the process; doing it here,
        // before threads contend, keeps the choice sound and all keys on one plan.
        let fft = Fft::new(PolynomialSize(parameters.polynomial_size));
        let keyswitch = expand_keyswitch_key(keys.keyswitch, parameters);
        control.check(Kind::EvaluationKeys.place())?;
        let bootstrap = expand_bootstrap_key(keys.bootstrap, parameters);
        control.advance(parameters.lwe_dimension);
        Ok(Self { keyswitch, bootstrap, fft })
    }
}

fn expand_keyswitch_key(key: SeededKey, parameters: &Parameters) -> LweKeyswitchKeyOwned<u64> {
    let base_log = DecompositionBaseLog(parameters.keyswitch.base_log);
    let level = DecompositionLevelCount(parameters.keyswitch.level);
    let small = LweDimension(parameters.lwe_dimension);
    let seeded = SeededLweKeyswitchKey::from_container(
        key.bodies,
        base_log,
        level,
        small.to_lwe_size(),
        mask_seed(&key.seed),
        CiphertextModulus::new_native(),
    );
    let mut expanded = LweKeyswitchKey::new(
        0u64,
        base_log,
        level,
        LweDimension(parameters.big_dimension()),
        small,
        CiphertextModulus::new_native(),
    );
    par_decompress_seeded_lwe_keyswitch_key::<_, _, _, DefaultRandomGenerator>(
        &mut expanded,
        &seeded,
    );
    expanded
}

fn expand_bootstrap_key(key: SeededKey, parameters: &Parameters) -> FourierLweBootstrapKeyOwned {
    let glwe_size = parameters.glwe_size();
    let polynomial_size = PolynomialSize(parameters.polynomial_size);
    let base_log = DecompositionBaseLog(parameters.bootstrap.base_log);
    let level = DecompositionLevelCount(parameters.bootstrap.level);
    let small = LweDimension(parameters.lwe_dimension);
    let seeded = SeededLweBootstrapKey::from_container(
        key.bodies,
        glwe_size,
        polynomial_size,
        base_log,
        level,
        mask_seed(&key.seed),
        CiphertextModulus::new_native(),
    );
    let mut standard = LweBootstrapKey::new(
        0u64,
        glwe_size,
        polynomial_size,
        base_log,
        level,
        small,
        CiphertextModulus::new_native(),
    );
    par_decompress_seeded_lwe_bootstrap_key::<_, _, _, DefaultRandomGenerator>(
        &mut standard,
        &seeded,
    );
    let mut fourier =
        FourierLweBootstrapKeyOwned::new(small, glwe_size, polynomial_size, base_log, level);
    par_convert_standard_lwe_bootstrap_key_to_fourier(&standard, &mut fourier);
    fourier
}
