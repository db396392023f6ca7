//! Seeded evaluation keys: what the client sends to the server once.
//!
//! Both keys travel in pieces. A piece is a small seeded key of its own, with its own seed, so that pieces
//! are made, read and expanded on all cores and no step holds a whole key in another form.

use rayon::prelude::*;
use tfhe::core_crypto::commons::math::random::{RandomGenerator, Seed};
use tfhe::core_crypto::prelude::*;
use zeroize::Zeroizing;

use crate::bytes::Reader;
use crate::client_key::ClientKey;
use crate::control::Control;
use crate::error::{Error, Result};
use crate::format::{Id, Kind, open, seal};
use crate::keystream::Keystream;
use crate::packed::Packing;
use crate::parameters::Parameters;
use crate::random::{Seed128, fresh_seed, mask_seed, seeder};
use crate::ring::KeyMultiplier;

/// Coefficients of the big key in a piece of the keyswitch key.
const KEYSWITCH_PIECE: usize = 256;
/// Bits of the small key in a piece of the bootstrap key.
const BOOTSTRAP_PIECE: usize = 16;

/// A part of a key: the seed of its masks, and its bodies.
pub(crate) struct Piece<'a> {
    /// Number of coefficients or bits.
    pub(crate) count: usize,
    pub(crate) seed: Seed128,
    packed: &'a [u8],
}

/// Seeded keyswitch and bootstrap keys; none for a circuit without lookups.
pub(crate) struct SeededKeys<'a> {
    pub(crate) keyswitch: Vec<Piece<'a>>,
    pub(crate) bootstrap: Vec<Piece<'a>>,
}

impl Parameters {
    fn keyswitch_packing(&self) -> Packing {
        Packing::new(32, self.lwe_noise_std)
    }

    fn bootstrap_packing(&self) -> Packing {
        Packing::new(64, self.glwe_noise_std)
    }

    /// Bodies for each coefficient of the big key.
    fn keyswitch_bodies(&self) -> usize {
        self.keyswitch.level
    }

    /// Bodies for each bit of the small key.
    fn bootstrap_bodies(&self) -> usize {
        self.bootstrap.level * self.glwe_words()
    }
}

/// First element and length of each piece of `total` elements.
fn pieces(total: usize, size: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..total).step_by(size).map(move |first| (first, size.min(total - first)))
}

/// A piece that is still to be made: its first element and their number.
#[derive(Clone, Copy)]
enum Plan {
    Keyswitch { first: usize, count: usize },
    Bootstrap { first: usize, count: usize },
}

/// All pieces, in the order of the payload; none for a circuit without lookups.
fn plans(parameters: &Parameters) -> Vec<Plan> {
    if parameters.lwe_dimension == 0 {
        return Vec::new();
    }
    let keyswitch = pieces(parameters.big_dimension(), KEYSWITCH_PIECE)
        .map(|(first, count)| Plan::Keyswitch { first, count });
    let bootstrap = pieces(parameters.lwe_dimension, BOOTSTRAP_PIECE)
        .map(|(first, count)| Plan::Bootstrap { first, count });
    keyswitch.chain(bootstrap).collect()
}

/// Number of pieces of the evaluation keys.
pub(crate) fn piece_count(parameters: &Parameters) -> usize {
    plans(parameters).len()
}

/// What all pieces share: the small key in 32-bit words, and the transform.
struct Maker<'a> {
    key: &'a ClientKey,
    small: Zeroizing<Vec<u32>>,
    multiplier: KeyMultiplier<'a>,
}

impl<'a> Maker<'a> {
    fn new(key: &'a ClientKey) -> Self {
        Self {
            key,
            small: Zeroizing::new(key.small.iter().map(|&bit| bit as u32).collect()),
            multiplier: KeyMultiplier::new(&key.big, key.parameters.polynomial_size),
        }
    }

    fn make(&self, plan: Plan, control: &Control) -> Result<Vec<u8>> {
        control.check(Kind::EvaluationKeys.place())?;
        Ok(match plan {
            Plan::Keyswitch { first, count } => {
                keyswitch_piece(self.key, &self.small, first, count)
            }
            Plan::Bootstrap { first, count } => {
                let piece = bootstrap_piece(self.key, &self.multiplier, first, count);
                control.advance(count);
                piece
            }
        })
    }
}

/// Generates the evaluation keys of a secret key as a blob.
///
/// Masks and noise are always fresh, even if the secret key came from a test's seed: reusing either
/// for a second set of keys would leak the secret.
pub(crate) fn generate(key: &ClientKey, control: &Control) -> Result<Vec<u8>> {
    let parameters = &key.parameters;
    control.start(parameters.lwe_dimension);
    control.check(Kind::EvaluationKeys.place())?;
    let mut payload = parameters.to_block().to_vec();
    let plans = plans(parameters);
    if !plans.is_empty() {
        let maker = Maker::new(key);
        let pieces: Result<Vec<_>> =
            plans.into_par_iter().map(|plan| maker.make(plan, control)).collect();
        pieces?.iter().for_each(|piece| payload.extend_from_slice(piece));
    }
    Ok(seal(Kind::EvaluationKeys, &key.identity(Id::default()), &payload))
}

/// One piece alone, for callers that share the work out themselves.
pub(crate) fn generate_piece(key: &ClientKey, index: usize) -> Result<Vec<u8>> {
    let plans = plans(&key.parameters);
    let Some(&plan) = plans.get(index) else {
        let text = format!("expected a piece below {}, got {index}", plans.len());
        return Err(Error::argument("evaluation key piece", text));
    };
    Maker::new(key).make(plan, &Control::new(1))
}

/// Seed and bodies of the keyswitch key for some coefficients of the big key.
fn keyswitch_piece(key: &ClientKey, small: &[u32], first: usize, count: usize) -> Vec<u8> {
    let parameters = &key.parameters;
    let seed = fresh_seed();
    let mut seeded = SeededLweKeyswitchKey::new(
        0u32,
        DecompositionBaseLog(parameters.keyswitch.base_log),
        DecompositionLevelCount(parameters.keyswitch.level),
        LweDimension(count),
        LweDimension(parameters.lwe_dimension),
        mask_seed(&seed),
        CiphertextModulus::new_native(),
    );
    generate_seeded_lwe_keyswitch_key_with_pre_seeded_generator(
        &LweSecretKey::from_container(&key.big[first..first + count]),
        &LweSecretKey::from_container(small),
        &mut seeded,
        parameters.keyswitch_noise(),
        &mut EncryptionRandomGenerator::<Keystream>::new(mask_seed(&seed), seeder().as_mut()),
    );
    let mut piece = seed.to_vec();
    let bodies = seeded.as_ref().iter().map(|&body| u64::from(body));
    parameters.keyswitch_packing().pack(bodies, &mut piece);
    piece
}

/// Seed and bodies of the bootstrap key for some bits of the small key.
///
/// The crate multiplies masks and key with Karatsuba's method, which takes most of the time of a key
/// generation; here its number theoretic transform does. Masks come from the crate's decompression of a
/// key without bodies, noise from the crate's sampler, and the messages are those of its GGSW encryption.
fn bootstrap_piece(
    key: &ClientKey,
    multiplier: &KeyMultiplier,
    first: usize,
    count: usize,
) -> Vec<u8> {
    let parameters = &key.parameters;
    let size = parameters.polynomial_size;
    let seed = fresh_seed();
    let bodiless = vec![0; count * parameters.bootstrap_bodies()];
    let mut standard = expand_bootstrap_piece(parameters, &seed, bodiless, count);
    let noise_seed = Zeroizing::new(fresh_seed());
    let noise_seed = Seed(u128::from_le_bytes(*noise_seed));
    let mut noise = RandomGenerator::<Keystream>::new(noise_seed);
    let base_log = parameters.bootstrap.base_log;
    for (mut ggsw, &bit) in standard.iter_mut().zip(&key.small[first..first + count]) {
        let levels = (1..=parameters.bootstrap.level).rev();
        for (mut matrix, level) in ggsw.iter_mut().zip(levels) {
            let factor = bit.wrapping_neg() << (64 - base_log * level);
            let mut rows = matrix.as_mut_glwe_list();
            for (row, mut glwe) in rows.iter_mut().enumerate() {
                let (mask, mut body) = glwe.get_mut_mask_and_body();
                let body = body.as_mut();
                multiplier.add_products(body, mask.as_ref());
                match key.big.chunks_exact(size).nth(row) {
                    Some(polynomial) => add_scaled(body, polynomial, factor),
                    None => body[0] = body[0].wrapping_sub(factor),
                }
                noise.unsigned_integer_slice_wrapping_add_random_from_distribution_assign(
                    body,
                    parameters.glwe_noise(),
                );
            }
        }
    }
    let mut piece = seed.to_vec();
    let glwe_words = parameters.glwe_words();
    let bodies =
        standard.as_ref().chunks_exact(glwe_words).flat_map(|glwe| &glwe[glwe_words - size..]);
    parameters.bootstrap_packing().pack(bodies.copied(), &mut piece);
    piece
}

fn add_scaled(sum: &mut [u64], polynomial: &[u64], factor: u64) {
    for (sum, coefficient) in sum.iter_mut().zip(polynomial) {
        *sum = sum.wrapping_add(coefficient.wrapping_mul(factor));
    }
}

/// A piece of the bootstrap key with its masks.
pub(crate) fn expand_bootstrap_piece(
    parameters: &Parameters,
    seed: &Seed128,
    bodies: Vec<u64>,
    count: usize,
) -> LweBootstrapKeyOwned<u64> {
    let glwe_size = parameters.glwe_size();
    let polynomial_size = PolynomialSize(parameters.polynomial_size);
    let base_log = DecompositionBaseLog(parameters.bootstrap.base_log);
    let level = DecompositionLevelCount(parameters.bootstrap.level);
    let modulus = CiphertextModulus::new_native();
    let seeded = SeededLweBootstrapKey::from_container(
        bodies,
        glwe_size,
        polynomial_size,
        base_log,
        level,
        mask_seed(seed),
        modulus,
    );
    let mut standard = LweBootstrapKey::new(
        0,
        glwe_size,
        polynomial_size,
        base_log,
        level,
        LweDimension(count),
        modulus,
    );
    decompress_seeded_lwe_bootstrap_key::<_, _, _, Keystream>(&mut standard, &seeded);
    standard
}

impl Piece<'_> {
    /// Bodies of a piece of the keyswitch key.
    pub(crate) fn keyswitch_bodies(&self, parameters: &Parameters) -> Vec<u32> {
        let count = self.count * parameters.keyswitch_bodies();
        let bodies = parameters.keyswitch_packing().unpack(self.packed, count);
        bodies.into_iter().map(|body| body as u32).collect()
    }

    /// Bodies of a piece of the bootstrap key.
    pub(crate) fn bootstrap_bodies(&self, parameters: &Parameters) -> Vec<u64> {
        let count = self.count * parameters.bootstrap_bodies();
        parameters.bootstrap_packing().unpack(self.packed, count)
    }
}

/// Reads evaluation keys made for these parameters: the key id and, if there are lookups, the keys.
pub(crate) fn read<'a>(
    bytes: &'a [u8],
    parameters: &Parameters,
) -> Result<(Id, Option<SeededKeys<'a>>)> {
    let place = Kind::EvaluationKeys.place();
    let (identity, payload) = open(Kind::EvaluationKeys, bytes)?;
    identity.expect(place, &parameters.digest(), None, &Id::default())?;
    let mut reader = Reader::new(payload, place);
    if reader.take(parameters.to_block().len())? != parameters.to_block() {
        return Err(Error::WrongParameters { place });
    }
    let mut keys = None;
    if parameters.lwe_dimension > 0 {
        let mut read_pieces = |packing: Packing, total: usize, size: usize, bodies: usize| {
            let piece = |(_, count)| {
                let seed = reader.array()?;
                let packed = reader.take(packing.bytes(count * bodies))?;
                packing.check(packed, count * bodies, &reader)?;
                Ok(Piece { count, seed, packed })
            };
            pieces(total, size).map(piece).collect::<Result<Vec<_>>>()
        };
        keys = Some(SeededKeys {
            keyswitch: read_pieces(
                parameters.keyswitch_packing(),
                parameters.big_dimension(),
                KEYSWITCH_PIECE,
                parameters.keyswitch_bodies(),
            )?,
            bootstrap: read_pieces(
                parameters.bootstrap_packing(),
                parameters.lwe_dimension,
                BOOTSTRAP_PIECE,
                parameters.bootstrap_bodies(),
            )?,
        });
    }
    reader.finish()?;
    Ok((identity.key_id, keys))
}
