//! Seeded evaluation keys: what the client sends to the server once.

use tfhe::core_crypto::prelude::*;

use crate::bytes::{Reader, Writer};
use crate::client_key::ClientKey;
use crate::control::Control;
use crate::error::{Error, Result};
use crate::format::{Id, Kind, open, seal};
use crate::parameters::Parameters;
use crate::random::{Seed128, fresh_seed, mask_seed};

/// GGSW ciphertexts generated between two looks at the cancellation flag: about 50 ms of work.
const CHUNK: usize = 16;

/// Bodies of a seeded key and the seed of its masks.
pub(crate) struct SeededKey {
    pub(crate) seed: Seed128,
    pub(crate) bodies: Vec<u64>,
}

/// Seeded keyswitch and bootstrap keys; none for a circuit without lookups.
pub(crate) struct SeededKeys {
    pub(crate) keyswitch: SeededKey,
    pub(crate) bootstrap: SeededKey,
}

/// Generates the evaluation keys of a secret key as a blob.
///
/// Masks and noise are always fresh, even if the secret key came from a test's seed: reusing either
/// for a second set of keys would leak the secret.
pub(crate) fn generate(key: &ClientKey, control: &Control) -> Result<Vec<u8>> {
    let place = Kind::EvaluationKeys.place();
    let parameters = &key.parameters;
    control.start(parameters.lwe_dimension);
    control.check(place)?;
    let mut payload = Vec::with_capacity(
        parameters.to_block().len()
            + 8 * (parameters.keyswitch_bodies() + parameters.bootstrap_bodies())
            + 32,
    );
    payload.extend_from_slice(&parameters.to_block());
    if parameters.lwe_dimension > 0 {
        put_keyswitch_key(&mut payload, key);
        put_bootstrap_key(&mut payload, key, control, place)?;
    }
    Ok(seal(Kind::EvaluationKeys, &key.identity(Id::default()), &payload))
}

fn put_keyswitch_key(payload: &mut Vec<u8>, key: &ClientKey) {
    let parameters = &key.parameters;
    let seed = fresh_seed();
    let mut seeded = SeededLweKeyswitchKey::new(
        0u64,
        DecompositionBaseLog(parameters.keyswitch.base_log),
        DecompositionLevelCount(parameters.keyswitch.level),
        LweDimension(parameters.big_dimension()),
        LweDimension(parameters.lwe_dimension),
        mask_seed(&seed),
        CiphertextModulus::new_native(),
    );
    generate_seeded_lwe_keyswitch_key(
        &key.big_key(),
        &key.small_key(),
        &mut seeded,
        parameters.lwe_noise(),
        new_seeder().as_mut(),
    );
    payload.extend_from_slice(&seed);
    payload.put_u64s(seeded.as_ref());
}

/// In chunks, which yield the same key as one piece and let the caller watch and cancel.
fn put_bootstrap_key(
    payload: &mut Vec<u8>,
    key: &ClientKey,
    control: &Control,
    place: &'static str,
) -> Result<()> {
    let parameters = &key.parameters;
    let seed = fresh_seed();
    payload.extend_from_slice(&seed);
    let (small_key, glwe_key) = (key.small_key(), key.glwe_key());
    let mut seeder = new_seeder();
    let chunks = SeededLweBootstrapKeyChunkGenerator::new(
        ChunkSize(CHUNK.min(parameters.lwe_dimension)),
        LweDimension(parameters.lwe_dimension),
        parameters.glwe_size(),
        PolynomialSize(parameters.polynomial_size),
        DecompositionBaseLog(parameters.bootstrap.base_log),
        DecompositionLevelCount(parameters.bootstrap.level),
        CiphertextModulus::new_native(),
        &small_key,
        &glwe_key,
        parameters.glwe_noise(),
        mask_seed(&seed),
        seeder.as_mut(),
        true,
    );
    for chunk in chunks {
        payload.put_u64s(chunk.as_ref());
        control.advance(chunk.chunk_size().0);
        control.check(place)?;
    }
    Ok(())
}

/// Reads evaluation keys made for these parameters: the key id and, if there are lookups, the keys.
pub(crate) fn read(bytes: &[u8], parameters: &Parameters) -> Result<(Id, Option<SeededKeys>)> {
    let place = Kind::EvaluationKeys.place();
    let (identity, payload) = open(Kind::EvaluationKeys, bytes)?;
    identity.expect(place, &parameters.digest(), None, &Id::default())?;
    let mut reader = Reader::new(payload, place);
    if reader.take(parameters.to_block().len())? != parameters.to_block() {
        return Err(Error::WrongParameters { place });
    }
    let mut keys = None;
    if parameters.lwe_dimension > 0 {
        keys = Some(SeededKeys {
            keyswitch: read_key(&mut reader, parameters.keyswitch_bodies())?,
            bootstrap: read_key(&mut reader, parameters.bootstrap_bodies())?,
        });
    }
    reader.finish()?;
    Ok((identity.key_id, keys))
}

fn read_key(reader: &mut Reader<'_>, bodies: usize) -> Result<SeededKey> {
    Ok(SeededKey { seed: reader.array()?, bodies: reader.u64s(bodies)? })
}
