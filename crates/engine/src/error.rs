//! The one error type of the engine; its codes are those of `src/errors.ts`.

use thiserror::Error;

/// What went wrong, where, and a sentence for the user. Codes are stable, texts are not.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// A number handed in by the caller has a wrong value.
    #[error("{place}: {text}")]
    BadArgument {
        /// The argument.
        place: &'static str,
        /// Expected, got, and what to do.
        text: String,
    },
    /// Bytes that are truncated, altered, oversized or of another kind.
    #[error("{place}: {text}")]
    BadBytes {
        /// The blob.
        place: &'static str,
        /// Expected, got, and what to do.
        text: String,
    },
    /// A ciphertext or key that belongs to another secret key.
    #[error("{place}: belongs to another secret key")]
    WrongKey {
        /// The blob.
        place: &'static str,
    },
    /// A ciphertext that belongs to another model.
    #[error("{place}: belongs to another model")]
    WrongModel {
        /// The blob.
        place: &'static str,
    },
    /// Keys or ciphertexts made for other cryptographic parameters.
    #[error("{place}: made for other cryptographic parameters")]
    WrongParameters {
        /// The blob.
        place: &'static str,
    },
    /// Parameters below 128 bits of security.
    #[error("{place}: {text}")]
    Insecure {
        /// Where the parameters were.
        place: &'static str,
        /// Which key, and what it would need.
        text: String,
    },
    /// The caller cancelled the call.
    #[error("{place}: cancelled by the caller")]
    Cancelled {
        /// The call.
        place: &'static str,
    },
}

/// Result of every fallible function of the engine.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Builds a [`Error::BadBytes`].
    pub(crate) fn bytes(place: &'static str, text: impl Into<String>) -> Self {
        Self::BadBytes { place, text: text.into() }
    }

    /// Builds a [`Error::BadArgument`].
    pub(crate) fn argument(place: &'static str, text: impl Into<String>) -> Self {
        Self::BadArgument { place, text: text.into() }
    }

    /// Stable code, as in `src/errors.ts`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadArgument { .. } => "BAD_ARGUMENT",
            Self::BadBytes { .. } => "BAD_BYTES",
            Self::WrongKey { .. } => "WRONG_KEY",
            Self::WrongModel { .. } => "WRONG_MODEL",
            Self::WrongParameters { .. } | Self::Insecure { .. } => "WRONG_PARAMETERS",
            Self::Cancelled { .. } => "CANCELLED",
        }
    }

    /// What was being read or done.
    pub fn place(&self) -> &'static str {
        match self {
            Self::BadArgument { place, .. }
            | Self::BadBytes { place, .. }
            | Self::Insecure { place, .. }
            | Self::WrongKey { place }
            | Self::WrongModel { place }
            | Self::WrongParameters { place }
            | Self::Cancelled { place } => place,
        }
    }

    /// A sentence that says what to do.
    pub fn advice(&self) -> String {
        match self {
            Self::BadArgument { text, .. }
            | Self::BadBytes { text, .. }
            | Self::Insecure { text, .. } => text.clone(),
            Self::WrongKey { .. } => {
                "made under another secret key; use the key that belongs to this data".into()
            }
            Self::WrongModel { .. } => {
                "made for another model; encrypt with the client spec of this model".into()
            }
            Self::WrongParameters { .. } => {
                "made for other cryptographic parameters; generate keys for this model".into()
            }
            Self::Cancelled { .. } => "cancelled by the caller".into(),
        }
    }
}
