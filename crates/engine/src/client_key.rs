//! The client's secret key: generation, bytes, encryption and decryption.

use std::fmt;

use tfhe::core_crypto::prelude::*;
use zeroize::Zeroizing;

use crate::bytes::Reader;
use crate::ciphertext;
use crate::control::Control;
use crate::error::{Error, Result};
use crate::evaluation_keys;
use crate::format::{Id, Identity, Kind, open, seal, sha256};
use crate::parameters::Parameters;
use crate::random::{Seed128, fresh_seed, secret_generator};

/// Secret bits, one to a word as the `tfhe` crate wants them; wiped on drop.
pub(crate) type SecretBits = Zeroizing<Vec<u64>>;

/// The secret of one client. It never enters a type or function of the server's half, its bits are
/// wiped on drop and never printed.
pub struct ClientKey {
    pub(crate) parameters: Parameters,
    pub(crate) key_id: Id,
    /// Binary key of the lookups' inputs, `n` bits.
    pub(crate) small: SecretBits,
    /// Binary key of all ciphertexts in flight, `kN` bits; the same bits are the GLWE key.
    pub(crate) big: SecretBits,
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ClientKey").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

impl ClientKey {
    /// A new secret key. A seed makes it reproducible and is for tests only.
    pub fn generate(parameters: Parameters, seed: Option<&Seed128>) -> Self {
        let (bits_seed, key_id) = match seed {
            Some(seed) => (Zeroizing::new(*seed), id_for_tests(seed)),
            None => (Zeroizing::new(fresh_seed()), fresh_seed()),
        };
        let mut generator = secret_generator(&bits_seed);
        let mut secret_bits = |count: usize| {
            let mut bits = Zeroizing::new(vec![0u64; count]);
            if count > 0 {
                let mut key = LweSecretKey::from_container(bits.as_mut_slice());
                generate_binary_lwe_secret_key(&mut key, &mut generator);
            }
            bits
        };
        let small = secret_bits(parameters.lwe_dimension);
        let big = secret_bits(parameters.big_dimension());
        Self { parameters, key_id, small, big }
    }

    /// Reads a key that was made for these parameters.
    pub fn from_bytes(bytes: &[u8], parameters: Parameters) -> Result<Self> {
        let place = Kind::SecretKey.place();
        let (identity, payload) = open(Kind::SecretKey, bytes)?;
        identity.expect(place, &parameters.digest(), None, &Id::default())?;
        let mut reader = Reader::new(payload, place);
        if reader.take(parameters.to_block().len())? != parameters.to_block() {
            return Err(Error::WrongParameters { place });
        }
        let small = unpack_bits(&mut reader, parameters.lwe_dimension)?;
        let big = unpack_bits(&mut reader, parameters.big_dimension())?;
        reader.finish()?;
        Ok(Self { parameters, key_id: identity.key_id, small, big })
    }

    /// The key as a secret blob.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut payload = Zeroizing::new(Vec::with_capacity(
            self.parameters.to_block().len() + self.small.len() / 8 + self.big.len() / 8 + 2,
        ));
        payload.extend_from_slice(&self.parameters.to_block());
        pack_bits(&mut payload, &self.small);
        pack_bits(&mut payload, &self.big);
        seal(Kind::SecretKey, &self.identity(Id::default()), &payload)
    }

    /// Random name of this key, public.
    pub fn key_id(&self) -> &Id {
        &self.key_id
    }

    /// Parameters that the key was made for.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Seeded evaluation keys for the server. Progress counts GGSW ciphertexts.
    pub fn evaluation_keys(&self, control: &Control) -> Result<Vec<u8>> {
        control.install(|| evaluation_keys::generate(self, control))
    }

    /// Number of independent pieces that the evaluation keys consist of.
    pub fn evaluation_key_pieces(&self) -> usize {
        evaluation_keys::piece_count(&self.parameters)
    }

    /// One piece, so that several workers can share the work. A payload of evaluation keys is the
    /// parameters block and then all pieces in order.
    pub fn evaluation_key_piece(&self, index: usize) -> Result<Vec<u8>> {
        evaluation_keys::generate_piece(self, index)
    }

    /// Encrypts torus plaintexts, one slice per input tensor.
    pub fn encrypt(&self, model_id: &Id, plaintexts: &[&[u64]]) -> Result<Vec<u8>> {
        self.encrypt_except(model_id, plaintexts, &[])
    }

    /// The same, but the tensors whose index is in `clear` are sent as they are, for the server to read.
    pub fn encrypt_except(
        &self,
        model_id: &Id,
        plaintexts: &[&[u64]],
        clear: &[usize],
    ) -> Result<Vec<u8>> {
        let payload = ciphertext::encrypt_inputs(self, plaintexts, clear)?;
        Ok(seal(Kind::Inputs, &self.identity(*model_id), &payload))
    }

    /// Phases (torus plaintext plus noise) of encrypted outputs, one vector per output tensor.
    pub fn decrypt(&self, model_id: &Id, outputs: &[u8]) -> Result<Vec<Vec<u64>>> {
        let (identity, payload) = open(Kind::Outputs, outputs)?;
        let digest = self.parameters.digest();
        identity.expect(Kind::Outputs.place(), &digest, Some(&self.key_id), model_id)?;
        ciphertext::decrypt_outputs(self, payload)
    }

    pub(crate) fn identity(&self, model_id: Id) -> Identity {
        Identity { parameters_digest: self.parameters.digest(), key_id: self.key_id, model_id }
    }
}

/// Derived by a hash: a prefix of the generator's stream would be bits of the key.
fn id_for_tests(seed: &Seed128) -> Id {
    let mut id = Id::default();
    id.copy_from_slice(&sha256(&[b"sotto key id", seed.as_slice()].concat())[..16]);
    id
}

fn pack_bits(payload: &mut Vec<u8>, bits: &[u64]) {
    for byte in bits.chunks(8) {
        payload.push(byte.iter().rev().fold(0, |packed, &bit| packed << 1 | bit as u8));
    }
}

fn unpack_bits(reader: &mut Reader<'_>, count: usize) -> Result<SecretBits> {
    let packed = reader.take(count.div_ceil(8))?;
    let bit = |index: usize| u64::from(packed[index / 8] >> (index % 8) & 1);
    if (count..packed.len() * 8).any(|index| bit(index) != 0) {
        return reader.fail("the padding is not zero");
    }
    Ok(Zeroizing::new((0..count).map(bit).collect()))
}
