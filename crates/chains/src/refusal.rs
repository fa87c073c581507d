//! Why bytes or a request will not be signed. Every variant has a stable code.

use model::amount::Amount;
use model::hd::HdError;

/// A named refusal: nothing was signed and nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The bytes do not parse.
    #[error("the bytes do not decode as {format}: {reason}")]
    Malformed {
        /// Format tried.
        format: &'static str,
        /// What went wrong.
        reason: String,
    },
    /// Bytes follow, or padding is not zero.
    #[error("dirty bytes in {place}")]
    DirtyBytes {
        /// Where.
        place: String,
    },
    /// A bare digest says nothing about what it signs.
    #[error("a bare 32-byte digest is never signed; bring the transaction or message itself")]
    RawDigest,
    /// Too long.
    #[error("{found} bytes, at most {max}")]
    TooLong {
        /// Bytes found.
        found: usize,
        /// The bound.
        max: usize,
    },
    /// The bytes bind another chain.
    #[error("the bytes are for {found}, the request for {wanted}")]
    WrongNetwork {
        /// In the bytes.
        found: String,
        /// In the request.
        wanted: String,
    },
    /// Calldata that no decoder names.
    #[error("contract call {selector} to {to} is not decoded; nothing is signed blind")]
    UnknownCall {
        /// First four bytes, hex.
        selector: String,
        /// Contract.
        to: String,
    },
    /// A class of transaction that is refused whole.
    #[error("{what} is refused: {why}")]
    Forbidden {
        /// The class.
        what: &'static str,
        /// The harm avoided.
        why: &'static str,
    },
    /// The fee is over a ceiling.
    #[error("the fee may reach {fee} {unit}, the ceiling is {ceiling} {unit} ({which})")]
    FeeOverCeiling {
        /// Highest possible fee.
        fee: Amount,
        /// The ceiling.
        ceiling: Amount,
        /// Unit of both.
        unit: &'static str,
        /// `request` or `built-in`.
        which: &'static str,
    },
    /// A replacement that pays too little more.
    #[error("{fee} {unit}; a replacement needs at least {least}")]
    FeeTooLow {
        /// What the replacement pays.
        fee: Amount,
        /// What it must pay at least.
        least: Amount,
        /// Unit of both.
        unit: &'static str,
    },
    /// A key that is not the vault's, or a path outside the request's account.
    #[error("{what} does not belong to this vault at {path}")]
    NotOurs {
        /// What.
        what: String,
        /// Path asked for.
        path: String,
    },
    /// A field that the request needs.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// The filled bytes are not the request.
    #[error("the bytes are not the request: {0}")]
    NotTheRequest(String),
    /// A value outside its range.
    #[error("{field}: {reason}")]
    Invalid {
        /// Field.
        field: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Derivation.
    #[error("the path cannot be derived")]
    Path(#[from] HdError),
    /// A signature that does not fit the bytes.
    #[error("signature {0} does not fit the bytes")]
    Signature(usize),
}

impl Refusal {
    /// Stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "malformed",
            Self::DirtyBytes { .. } => "dirty_bytes",
            Self::RawDigest => "raw_digest",
            Self::TooLong { .. } => "too_long",
            Self::WrongNetwork { .. } => "wrong_network",
            Self::UnknownCall { .. } => "unknown_call",
            Self::Forbidden { .. } => "forbidden",
            Self::FeeOverCeiling { .. } => "fee_over_ceiling",
            Self::FeeTooLow { .. } => "fee_too_low_to_replace",
            Self::NotOurs { .. } => "not_ours",
            Self::Missing(_) => "missing_field",
            Self::NotTheRequest(_) => "not_the_request",
            Self::Invalid { .. } => "invalid_field",
            Self::Path(_) => "path",
            Self::Signature(_) => "signature",
        }
    }
}
