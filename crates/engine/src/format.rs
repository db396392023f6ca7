//! The envelope of every blob: header, payload, digest (`docs/format.md`).

use sha2::{Digest, Sha256};

use crate::bytes::{Reader, Writer};
use crate::error::{Error, Result};
use crate::parameters::BLOCK_BYTES;

const MAGIC: &[u8; 6] = b"SOTTO\0";

/// Bytes before the payload.
pub const HEADER_BYTES: usize = 80;
/// Bytes after the payload.
pub const DIGEST_BYTES: usize = 32;

/// Key id or model id.
pub type Id = [u8; 16];

/// What a blob contains. Client specs (kind 2) are read in TypeScript only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A program for the server.
    Program = 1,
    /// The client's secret key.
    SecretKey = 3,
    /// Seeded evaluation keys.
    EvaluationKeys = 4,
    /// Seeded encrypted inputs.
    Inputs = 5,
    /// Encrypted outputs.
    Outputs = 6,
}

impl Kind {
    /// Name in error messages.
    pub(crate) fn place(self) -> &'static str {
        match self {
            Self::Program => "program",
            Self::SecretKey => "secret key",
            Self::EvaluationKeys => "evaluation keys",
            Self::Inputs => "encrypted inputs",
            Self::Outputs => "encrypted outputs",
        }
    }

    /// Version that is read and written.
    fn version(self) -> u8 {
        match self {
            Self::SecretKey | Self::EvaluationKeys => 1,
            Self::Program | Self::Inputs | Self::Outputs => 2,
        }
    }

    /// Largest blob that is read at all.
    fn limit(self) -> u64 {
        match self {
            Self::SecretKey => 1 << 20,
            Self::Program | Self::Inputs => 1 << 31,
            Self::EvaluationKeys | Self::Outputs => 1 << 33,
        }
    }
}

/// The identities in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) parameters_digest: [u8; 32],
    pub(crate) key_id: Id,
    pub(crate) model_id: Id,
}

impl Identity {
    /// Checks in the order of `docs/format.md`; `None` accepts any id.
    pub(crate) fn expect(
        &self,
        place: &'static str,
        parameters_digest: &[u8; 32],
        key_id: Option<&Id>,
        model_id: &Id,
    ) -> Result<()> {
        if &self.parameters_digest != parameters_digest {
            return Err(Error::WrongParameters { place });
        }
        if key_id.is_some_and(|id| id != &self.key_id) {
            return Err(Error::WrongKey { place });
        }
        if &self.model_id != model_id {
            return Err(Error::WrongModel { place });
        }
        Ok(())
    }
}

/// SHA-256 of some bytes.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Id of the program with this payload.
pub(crate) fn model_id(program_payload: &[u8]) -> Id {
    let mut id = [0; 16];
    id.copy_from_slice(&sha256(program_payload)[..16]);
    id
}

/// Puts a payload into its envelope.
pub(crate) fn seal(kind: Kind, identity: &Identity, payload: &[u8]) -> Vec<u8> {
    let mut blob = Vec::with_capacity(HEADER_BYTES + payload.len() + DIGEST_BYTES);
    blob.extend_from_slice(MAGIC);
    blob.extend_from_slice(&[kind as u8, kind.version()]);
    blob.extend_from_slice(&identity.parameters_digest);
    blob.extend_from_slice(&identity.key_id);
    blob.extend_from_slice(&identity.model_id);
    blob.put_u64(payload.len() as u64);
    blob.extend_from_slice(payload);
    let digest = sha256(&blob);
    blob.extend_from_slice(&digest);
    blob
}

/// Opens an envelope: checks everything that needs no knowledge of keys or parameters.
pub(crate) fn open(kind: Kind, blob: &[u8]) -> Result<(Identity, &[u8])> {
    let place = kind.place();
    if blob.len() as u64 > kind.limit() {
        return Err(Error::bytes(place, format!("larger than the limit of {}", kind.limit())));
    }
    if blob.len() < HEADER_BYTES + DIGEST_BYTES {
        return Err(Error::bytes(place, "truncated"));
    }
    let (body, digest) = blob.split_at(blob.len() - DIGEST_BYTES);
    let mut reader = Reader::new(body, place);
    if &reader.array::<6>()? != MAGIC {
        return Err(Error::bytes(place, "not a sotto file"));
    }
    let found_kind = reader.u8()?;
    if found_kind != kind as u8 {
        return Err(Error::bytes(
            place,
            format!("expected kind {}, got kind {found_kind}", kind as u8),
        ));
    }
    let version = reader.u8()?;
    if version != kind.version() {
        let expected = kind.version();
        return Err(Error::bytes(place, format!("expected version {expected}, got {version}")));
    }
    let identity = Identity {
        parameters_digest: reader.array()?,
        key_id: reader.array()?,
        model_id: reader.array()?,
    };
    if reader.u64()? != (body.len() - HEADER_BYTES) as u64 {
        return Err(Error::bytes(place, "the payload is not as long as the header says"));
    }
    if sha256(body) != digest {
        return Err(Error::bytes(place, "the digest does not match; the data was altered"));
    }
    Ok((identity, &body[HEADER_BYTES..]))
}

/// Recomputes every digest of an altered blob, so that tests reach the checks behind them.
#[doc(hidden)]
pub fn reseal(blob: &mut [u8]) {
    if blob.len() < HEADER_BYTES + DIGEST_BYTES {
        return;
    }
    let (body, digest) = blob.split_at_mut(blob.len() - DIGEST_BYTES);
    let (header, payload) = body.split_at_mut(HEADER_BYTES);
    if header[6] == Kind::Program as u8 && payload.len() >= BLOCK_BYTES {
        header[8..40].copy_from_slice(&sha256(&payload[..BLOCK_BYTES]));
        header[56..72].copy_from_slice(&model_id(payload));
    }
    header[72..].copy_from_slice(&(payload.len() as u64).to_le_bytes());
    digest.copy_from_slice(&sha256(body));
}
