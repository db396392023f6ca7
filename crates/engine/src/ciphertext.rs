//! Encrypted inputs and outputs between client and server (`docs/format.md`).

use rayon::prelude::*;
use tfhe::core_crypto::prelude::*;

use crate::bytes::{Reader, Writer};
use crate::client_key::{ClientKey, SecretBits};
use crate::error::{Error, Result};
use crate::format::Kind;
use crate::packed::Packing;
use crate::parameters::Parameters;
use crate::program::Output;
use crate::random::{Seed128, fresh_seed, mask_seed, seeder};
use crate::server_key::LookupKeys;
use crate::tensor::{Ciphertext, Clear, Packed, Tensor, zeroed};

/// Set in the count of an input tensor that the server may read: its bodies are the plaintexts.
const CLEAR: u32 = 1 << 31;

impl Parameters {
    /// What an input's bodies travel as.
    fn input_packing(&self) -> Packing {
        Packing::new(64, self.glwe_noise_std)
    }

    /// GLWE ciphertexts of so many values.
    fn glwe_count(&self, values: usize) -> usize {
        values.div_ceil(self.polynomial_size)
    }
}

/// Payload of encrypted inputs: one seed for all masks, one body per value; tensors whose index is in `clear` are not
/// encrypted.
pub(crate) fn encrypt_inputs(
    key: &ClientKey,
    plaintexts: &[&[u64]],
    clear: &[usize],
) -> Result<Vec<u8>> {
    let parameters = &key.parameters;
    let unfit = |tensor: &&[u64]| tensor.is_empty() || tensor.len() >= CLEAR as usize;
    if plaintexts.is_empty() || plaintexts.iter().any(unfit) {
        let text = "expected at least one plaintext per tensor";
        return Err(Error::argument(Kind::Inputs.place(), text));
    }
    let is_clear = |index: usize| clear.contains(&index);
    // Never grown: what it moved out of would not be wiped.
    let padded = |tensor: &&[u64]| tensor.len().next_multiple_of(parameters.polynomial_size);
    let mut secret = Vec::with_capacity(plaintexts.iter().map(padded).sum());
    let mut payload = Vec::new();
    payload.put_size(plaintexts.len());
    for (index, tensor) in plaintexts.iter().enumerate() {
        payload.put_u32(tensor.len() as u32 | if is_clear(index) { CLEAR } else { 0 });
        if !is_clear(index) {
            secret.extend_from_slice(tensor);
            secret.resize(secret.len().next_multiple_of(parameters.polynomial_size), 0);
        }
    }
    let seed = fresh_seed();
    let bodies = encrypt_coefficients(key, SecretBits::new(secret), &seed);
    let packing = parameters.input_packing();
    payload.extend_from_slice(&seed);
    let mut start = 0;
    for (index, tensor) in plaintexts.iter().enumerate() {
        if is_clear(index) {
            payload.put_u64s(tensor);
        } else {
            packing.pack(bodies[start..start + tensor.len()].iter().copied(), &mut payload);
            start += tensor.len().next_multiple_of(parameters.polynomial_size);
        }
    }
    Ok(payload)
}

/// Bodies of seeded GLWE ciphertexts of whole polynomials.
fn encrypt_coefficients(key: &ClientKey, plaintexts: SecretBits, seed: &Seed128) -> Vec<u64> {
    let parameters = &key.parameters;
    let polynomial_size = PolynomialSize(parameters.polynomial_size);
    let mut list = SeededGlweCiphertextList::from_container(
        vec![0u64; plaintexts.len()],
        parameters.glwe_size(),
        polynomial_size,
        mask_seed(seed),
        CiphertextModulus::new_native(),
    );
    if !plaintexts.is_empty() {
        encrypt_seeded_glwe_ciphertext_list(
            &GlweSecretKey::from_container(key.big.as_slice(), polynomial_size),
            &mut list,
            &PlaintextList::from_container(plaintexts.as_slice()),
            parameters.glwe_noise(),
            seeder().as_mut(),
        );
    }
    list.into_container()
}

/// Reads encrypted inputs whose tensors have these counts and regenerates their masks.
pub(crate) fn read_inputs(
    payload: &[u8],
    parameters: &Parameters,
    counts: &[usize],
) -> Result<Vec<Tensor>> {
    let place = Kind::Inputs.place();
    let mut reader = Reader::new(payload, place);
    let tensors = reader.size()?;
    if tensors != counts.len() {
        return reader.fail(format!("expected {} tensors, got {tensors}", counts.len()));
    }
    let stated = reader.u32s(tensors)?;
    let found: Vec<usize> = stated.iter().map(|count| (count & !CLEAR) as usize).collect();
    if found != counts {
        return reader.fail(format!("expected {counts:?} values, got {found:?}"));
    }
    let seed = reader.array()?;
    let packing = parameters.input_packing();
    let mut bodies = Vec::with_capacity(tensors);
    let mut secret = 0;
    for (&count, &stated) in counts.iter().zip(&stated) {
        if stated & CLEAR == 0 {
            bodies.push(packing.read(&mut reader, count)?);
            secret += parameters.glwe_count(count);
        } else {
            bodies.push(reader.u64s(count)?);
        }
    }
    reader.finish()?;
    let masks = expand_masks(parameters, &seed, secret)?;
    let mut waiting = masks.as_slice();
    let tensors = bodies.into_iter().zip(&stated).map(|(bodies, &stated)| {
        if stated & CLEAR != 0 {
            return Ok(Tensor::Clear(Clear::new(bodies, parameters)));
        }
        let words = parameters.glwe_count(bodies.len()) * parameters.glwe_words();
        let (own, others) = waiting.split_at(words);
        waiting = others;
        let masks = own.chunks_exact(parameters.glwe_words());
        let masks = masks.map(|glwe| &glwe[..parameters.big_dimension()]);
        Packed::new(masks, bodies, parameters, place).map(Tensor::Packed)
    });
    tensors.collect()
}

/// GLWE ciphertexts without bodies.
fn expand_masks(parameters: &Parameters, seed: &Seed128, count: usize) -> Result<Vec<u64>> {
    let glwe_size = parameters.glwe_size();
    let polynomial_size = PolynomialSize(parameters.polynomial_size);
    let modulus = CiphertextModulus::new_native();
    let bodies = vec![0u64; count * parameters.polynomial_size];
    let mut words = zeroed(count.saturating_mul(parameters.glwe_words()), Kind::Inputs.place())?;
    if count > 0 {
        decompress_seeded_glwe_ciphertext_list::<_, _, _, DefaultRandomGenerator>(
            &mut GlweCiphertextList::from_container(
                words.as_mut_slice(),
                glwe_size,
                polynomial_size,
                modulus,
            ),
            &SeededGlweCiphertextList::from_container(
                bodies.as_slice(),
                glwe_size,
                polynomial_size,
                mask_seed(seed),
                modulus,
            ),
        );
    }
    Ok(words)
}

/// Ciphertexts that are switched to the small key together.
const SWITCHED_AT_ONCE: usize = 8;

/// Payload of encrypted outputs.
pub(crate) fn write_outputs(outputs: &[(Output, &Tensor)], keys: Option<&LookupKeys>) -> Vec<u8> {
    let mut payload = Vec::new();
    payload.put_size(outputs.len());
    for (output, tensor) in outputs {
        payload.put_size(tensor.count());
        payload.put_u32(u32::from(output.is_small));
        payload.put_u32(output.bits);
    }
    for (output, tensor) in outputs {
        let packing = Packing::keeping(output.bits);
        if output.is_small {
            let keys = keys.expect("internal: a small key was checked to exist");
            packing.pack(switch_all(tensor, keys).into_iter(), &mut payload);
        } else {
            packing.pack(tensor.elements().flat_map(Ciphertext::to_words), &mut payload);
        }
    }
    payload
}

/// Words of a tensor's ciphertexts under the small key.
fn switch_all(tensor: &Tensor, keys: &LookupKeys) -> Vec<u64> {
    let elements: Vec<Ciphertext<'_>> = tensor.elements().collect();
    let parts = elements.par_chunks(SWITCHED_AT_ONCE).with_max_len(1);
    parts.flat_map_iter(|part| keys.keyswitch(part)).collect()
}

/// Phases of encrypted outputs.
pub(crate) fn decrypt_outputs(key: &ClientKey, payload: &[u8]) -> Result<Vec<Vec<u64>>> {
    let mut reader = Reader::new(payload, Kind::Outputs.place());
    let tensors = reader.size()?;
    let mut forms = Vec::new();
    for tensor in 0..tensors {
        let count = reader.size()?;
        let output = Output { tensor, is_small: reader.flag()?, bits: reader.u32()? };
        if !output.is_valid(&key.parameters) {
            return reader.fail("a form that does not exist");
        }
        forms.push((count, output));
    }
    let mut phases = Vec::with_capacity(forms.len());
    for (count, output) in forms {
        let bits = if output.is_small { &key.small } else { &key.big };
        let words = bits.len() + 1;
        let Some(length) = count.checked_mul(words) else {
            return reader.fail("a length overflows");
        };
        let data = Packing::keeping(output.bits).read(&mut reader, length)?;
        phases.push(data.chunks_exact(words).map(|row| phase(bits, row)).collect());
    }
    reader.finish()?;
    Ok(phases)
}

/// Torus plaintext plus noise of consecutive words.
pub(crate) fn phase(bits: &[u64], ciphertext: &[u64]) -> u64 {
    let key = LweSecretKey::from_container(bits);
    let ciphertext = LweCiphertext::from_container(ciphertext, CiphertextModulus::new_native());
    decrypt_lwe_ciphertext(&key, &ciphertext).0
}

/// The same of an element of a tensor.
pub(crate) fn phase_of(bits: &[u64], ciphertext: Ciphertext<'_>) -> u64 {
    phase(bits, &ciphertext.to_words())
}
