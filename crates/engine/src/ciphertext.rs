//! Encrypted inputs (seeded) and outputs (in full) between client and server.

use tfhe::core_crypto::prelude::*;

use crate::bytes::{Reader, Writer};
use crate::client_key::ClientKey;
use crate::error::{Error, Result};
use crate::format::Kind;
use crate::parameters::Parameters;
use crate::random::{fresh_seed, mask_seed, seeder};
use crate::tensor::Tensor;

/// Set in the count of an input tensor that the server may read: its bodies are the plaintexts.
const CLEAR: u32 = 1 << 31;

/// Payload of encrypted inputs: one seed for all masks, one body per ciphertext; tensors whose index is in `clear` are
/// not encrypted.
pub(crate) fn encrypt_inputs(
    key: &ClientKey,
    plaintexts: &[&[u64]],
    clear: &[usize],
) -> Result<Vec<u8>> {
    let place = Kind::Inputs.place();
    let parameters = &key.parameters;
    let flat: Vec<u64> = plaintexts.concat();
    if flat.is_empty() || plaintexts.iter().any(|tensor| tensor.len() >= CLEAR as usize) {
        return Err(Error::argument(place, "expected at least one plaintext per tensor"));
    }
    let seed = fresh_seed();
    let mut list = SeededLweCiphertextList::from_container(
        vec![0u64; flat.len()],
        LweSize(parameters.ciphertext_words()),
        mask_seed(&seed),
        CiphertextModulus::new_native(),
    );
    encrypt_seeded_lwe_ciphertext_list(
        &key.big_key(),
        &mut list,
        &PlaintextList::from_container(flat),
        parameters.glwe_noise(),
        seeder().as_mut(),
    );
    let mut payload = Vec::new();
    payload.put_size(plaintexts.len());
    let mut start = 0;
    for (index, tensor) in plaintexts.iter().enumerate() {
        let is_clear = clear.contains(&index);
        payload.put_u32(tensor.len() as u32 | if is_clear { CLEAR } else { 0 });
        if is_clear {
            list.as_mut()[start..start + tensor.len()].copy_from_slice(tensor);
        }
        start += tensor.len();
    }
    payload.extend_from_slice(&seed);
    payload.put_u64s(list.as_ref());
    Ok(payload)
}

/// Reads encrypted inputs whose tensors have these counts and regenerates their masks.
pub(crate) fn read_inputs(
    payload: &[u8],
    parameters: &Parameters,
    counts: &[usize],
) -> Result<Vec<Tensor>> {
    let place = Kind::Inputs.place();
    let mut reader = Reader::new(payload, place);
    let stated = read_counts(&mut reader, counts.len())?;
    let found: Vec<usize> = stated.iter().map(|count| (count & !CLEAR) as usize).collect();
    if found != counts {
        return reader.fail(format!("expected {counts:?} ciphertexts, got {found:?}"));
    }
    let seed = reader.array()?;
    let Some(total) = counts.iter().try_fold(0usize, |sum, &count| sum.checked_add(count)) else {
        return reader.fail("a length overflows");
    };
    let bodies = reader.u64s(total)?;
    reader.finish()?;
    let words = parameters.ciphertext_words();
    let mut all = Tensor::zeros(total, words, place)?;
    par_decompress_seeded_lwe_ciphertext_list::<_, _, _, DefaultRandomGenerator>(
        &mut LweCiphertextList::from_container(
            all.words_mut(),
            LweSize(words),
            CiphertextModulus::new_native(),
        ),
        &SeededLweCiphertextList::from_container(
            bodies.as_slice(),
            LweSize(words),
            mask_seed(&seed),
            CiphertextModulus::new_native(),
        ),
    );
    let mut start = 0;
    let mut tensors = Vec::with_capacity(counts.len());
    for (&count, &stated) in counts.iter().zip(&stated) {
        let end = start + count;
        tensors.push(if stated & CLEAR == 0 {
            all.slice(start, count, place)?
        } else {
            trivial(&bodies[start..end], words, place)?
        });
        start = end;
    }
    Ok(tensors)
}

/// Ciphertexts that hide nothing: no mask, the plaintext as body.
fn trivial(plaintexts: &[u64], words: usize, place: &'static str) -> Result<Tensor> {
    let mut tensor = Tensor::zeros(plaintexts.len(), words, place)?;
    for (row, &plaintext) in tensor.words_mut().chunks_exact_mut(words).zip(plaintexts) {
        row[words - 1] = plaintext;
    }
    Ok(tensor)
}

/// Payload of encrypted outputs.
pub(crate) fn write_outputs(tensors: &[&Tensor]) -> Vec<u8> {
    let mut payload = Vec::new();
    payload.put_size(tensors.len());
    for tensor in tensors {
        payload.put_size(tensor.count());
    }
    for tensor in tensors {
        for row in tensor.rows() {
            payload.put_u64s(row);
        }
    }
    payload
}

/// Phases of encrypted outputs.
pub(crate) fn decrypt_outputs(key: &ClientKey, payload: &[u8]) -> Result<Vec<Vec<u64>>> {
    let words = key.parameters.ciphertext_words();
    let mut reader = Reader::new(payload, Kind::Outputs.place());
    let tensors = reader.size()?;
    let counts = reader.u32s(tensors)?;
    let mut phases = Vec::with_capacity(tensors);
    for count in counts {
        let Some(length) = (count as usize).checked_mul(words) else {
            return reader.fail("a length overflows");
        };
        let data = reader.u64s(length)?;
        phases.push(data.chunks_exact(words).map(|row| phase(&key.big, row)).collect());
    }
    reader.finish()?;
    Ok(phases)
}

fn read_counts(reader: &mut Reader<'_>, expected: usize) -> Result<Vec<u32>> {
    let tensors = reader.size()?;
    if tensors != expected {
        return reader.fail(format!("expected {expected} tensors, got {tensors}"));
    }
    reader.u32s(tensors)
}

/// Torus plaintext plus noise of one ciphertext.
pub(crate) fn phase(bits: &[u64], ciphertext: &[u64]) -> u64 {
    let key = LweSecretKey::from_container(bits);
    let ciphertext = LweCiphertext::from_container(ciphertext, CiphertextModulus::new_native());
    decrypt_lwe_ciphertext(&key, &ciphertext).0
}
