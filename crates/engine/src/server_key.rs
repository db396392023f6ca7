//! Evaluation keys expanded for execution: masks regenerated, bootstrap key in the Fourier domain.

use rayon::prelude::*;
use tfhe::core_crypto::fft_impl::fft64::c64;
use tfhe::core_crypto::fft_impl::fft64::crypto::ggsw::FourierGgswCiphertextMutView;
use tfhe::core_crypto::prelude::*;

use crate::control::Control;
use crate::error::Result;
use crate::evaluation_keys::{self, Piece, SeededKeys, expand_bootstrap_piece};
use crate::fft::Transform;
use crate::format::{Id, Kind};
use crate::keystream::Keystream;
use crate::keyswitch::keyswitch_batch;
use crate::parameters::Parameters;
use crate::random::{Xorshift, mask_seed};
use crate::tensor::Ciphertext;

/// What the server needs of one client. It holds no secret.
pub struct ServerKey {
    pub(crate) parameters: Parameters,
    key_id: Id,
    pub(crate) lookup_keys: Option<LookupKeys>,
}

/// The two keys that a lookup uses.
pub(crate) struct LookupKeys {
    pub(crate) keyswitch: LweKeyswitchKeyOwned<u32>,
    pub(crate) bootstrap: FourierLweBootstrapKeyOwned,
    pub(crate) transform: Transform,
}

impl ServerKey {
    /// Reads and expands seeded evaluation keys. Progress counts GGSW ciphertexts.
    pub fn from_bytes(bytes: &[u8], parameters: Parameters, control: &Control) -> Result<Self> {
        let (key_id, seeded) = evaluation_keys::read(bytes, &parameters)?;
        let lookup_keys = control.install(|| {
            control.start(parameters.lwe_dimension);
            control.check(Kind::EvaluationKeys.place())?;
            seeded.map(|keys| LookupKeys::expand(&keys, &parameters, control)).transpose()
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

    /// Switches ciphertexts under the big key to ones of `n + 1` words under the small key, end to end.
    pub(crate) fn keyswitch(&self, inputs: &[Ciphertext<'_>]) -> Vec<u64> {
        let mut small = vec![0u32; inputs.len() * self.keyswitch.output_lwe_size().0];
        keyswitch_batch(&self.keyswitch, inputs, &mut small);
        small.into_iter().map(|word| u64::from(word) << 32).collect()
    }

    /// Random numbers in place of keys, for timing.
    pub(crate) fn random(parameters: &Parameters) -> Self {
        let transform = Transform::new(parameters.polynomial_size);
        let mut draws = Xorshift(1);
        let mut keyswitch = empty_keyswitch_key(parameters);
        keyswitch.as_mut().iter_mut().for_each(|word| *word = draws.word() as u32);
        let mut bootstrap = empty_bootstrap_key(parameters);
        let torus = 2f64.powi(-64);
        for point in bootstrap.as_mut_view().data() {
            *point = c64::new(draws.word() as f64 * torus - 0.5, draws.word() as f64 * torus - 0.5);
        }
        Self { keyswitch, bootstrap, transform }
    }

    fn expand(keys: &SeededKeys<'_>, parameters: &Parameters, control: &Control) -> Result<Self> {
        // Before the key is converted: it must be on this plan.
        let transform = Transform::new(parameters.polynomial_size);
        let keyswitch = expand_keyswitch_key(&keys.keyswitch, parameters, control)?;
        let bootstrap = expand_bootstrap_key(&keys.bootstrap, parameters, &transform, control)?;
        Ok(Self { keyswitch, bootstrap, transform })
    }
}

fn expand_keyswitch_key(
    pieces: &[Piece<'_>],
    parameters: &Parameters,
    control: &Control,
) -> Result<LweKeyswitchKeyOwned<u32>> {
    let base_log = DecompositionBaseLog(parameters.keyswitch.base_log);
    let level = DecompositionLevelCount(parameters.keyswitch.level);
    let lwe_size = LweDimension(parameters.lwe_dimension).to_lwe_size();
    let modulus = CiphertextModulus::new_native();
    let mut expanded = empty_keyswitch_key(parameters);
    let words = level.0 * lwe_size.0;
    let parts = split_for(pieces, expanded.as_mut(), words);
    parts.into_par_iter().try_for_each(|(piece, part)| {
        control.check(Kind::EvaluationKeys.place())?;
        let seeded = SeededLweKeyswitchKey::from_container(
            piece.keyswitch_bodies(parameters),
            base_log,
            level,
            lwe_size,
            mask_seed(&piece.seed),
            modulus,
        );
        decompress_seeded_lwe_keyswitch_key::<_, _, _, Keystream>(
            &mut LweKeyswitchKey::from_container(part, base_log, level, lwe_size, modulus),
            &seeded,
        );
        Ok(())
    })?;
    Ok(expanded)
}

fn expand_bootstrap_key(
    pieces: &[Piece<'_>],
    parameters: &Parameters,
    transform: &Transform,
    control: &Control,
) -> Result<FourierLweBootstrapKeyOwned> {
    let glwe_size = parameters.glwe_size();
    let polynomial_size = PolynomialSize(parameters.polynomial_size);
    let base_log = DecompositionBaseLog(parameters.bootstrap.base_log);
    let level = DecompositionLevelCount(parameters.bootstrap.level);
    let mut fourier = empty_bootstrap_key(parameters);
    let points = fourier.as_view().data().len() / parameters.lwe_dimension;
    let parts = split_for(pieces, fourier.as_mut_view().data(), points);
    let fft = transform.fft.as_view();
    parts.into_par_iter().try_for_each_init(
        || {
            let mut buffers = ComputationBuffers::new();
            buffers.resize(fft.forward_scratch().unaligned_bytes_required());
            buffers
        },
        |buffers, (piece, part)| {
            control.check(Kind::EvaluationKeys.place())?;
            let bodies = piece.bootstrap_bodies(parameters);
            let standard = expand_bootstrap_piece(parameters, &piece.seed, bodies, piece.count);
            for (ggsw, points) in standard.iter().zip(part.chunks_exact_mut(points)) {
                FourierGgswCiphertextMutView::from_container(
                    points,
                    glwe_size,
                    polynomial_size,
                    base_log,
                    level,
                )
                .fill_with_forward_fourier(ggsw.as_view(), fft, buffers.stack());
            }
            control.advance(piece.count);
            Ok(())
        },
    )?;
    Ok(fourier)
}

/// Each piece with its part of the whole key, of which every element takes `width` numbers.
fn split_for<'a, 'b, T>(
    pieces: &'a [Piece<'b>],
    whole: &'a mut [T],
    width: usize,
) -> Vec<(&'a Piece<'b>, &'a mut [T])> {
    let mut parts = Vec::with_capacity(pieces.len());
    let mut rest = whole;
    for piece in pieces {
        let (part, others) = rest.split_at_mut(piece.count * width);
        parts.push((piece, part));
        rest = others;
    }
    parts
}

fn empty_keyswitch_key(parameters: &Parameters) -> LweKeyswitchKeyOwned<u32> {
    LweKeyswitchKey::new(
        0,
        DecompositionBaseLog(parameters.keyswitch.base_log),
        DecompositionLevelCount(parameters.keyswitch.level),
        LweDimension(parameters.big_dimension()),
        LweDimension(parameters.lwe_dimension),
        CiphertextModulus::new_native(),
    )
}

fn empty_bootstrap_key(parameters: &Parameters) -> FourierLweBootstrapKeyOwned {
    FourierLweBootstrapKeyOwned::new(
        LweDimension(parameters.lwe_dimension),
        parameters.glwe_size(),
        PolynomialSize(parameters.polynomial_size),
        DecompositionBaseLog(parameters.bootstrap.base_log),
        DecompositionLevelCount(parameters.bootstrap.level),
    )
}
