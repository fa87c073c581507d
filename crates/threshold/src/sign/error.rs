//! Why a signing session ended without a signature.

use model::hd::HdError;
use model::ids::{Epoch, Seat, SessionId};
use model::wire::WireError;

/// The end of a session that has no signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The caller's input; nothing was computed with a share.
    #[error("signing was refused")]
    Refused(#[source] Refusal),
    /// A member broke the protocol, or somebody did and nobody can say who.
    #[error("{} broke the protocol", name(*.culprit))]
    Misbehaved {
        /// Who, if the protocol shows it.
        culprit: Option<Seat>,
        /// The pair state with the culprit must be destroyed before anything else leaves to it;
        /// without a culprit, the state with every member of the session.
        pair: bool,
        /// What was wrong.
        #[source]
        reason: Reason,
    },
    /// An invariant of ours broke. Raise an alarm; do not retry.
    #[error("invariant broken: {0}")]
    Bug(&'static str),
}

/// Why nothing was started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The seats do not satisfy the access tree, or some of them are not needed.
    #[error("the seats are no minimal quorum of the vault")]
    Quorum,
    /// A single seat: the engines need two.
    #[error("a quorum of {0} cannot run a threshold protocol")]
    TooFew(usize),
    /// Our seat is not in the quorum.
    #[error("seat {} is not in the quorum", .0.0)]
    NotMember(Seat),
    /// Share and public part are of two epochs.
    #[error("share of epoch {}, vault of epoch {}", .share.0, .vault.0)]
    Epoch {
        /// Epoch of the share.
        share: Epoch,
        /// Epoch of the public part.
        vault: Epoch,
    },
    /// Our share does not match the public commitments: it is damaged or of another vault.
    #[error("our share does not match the vault's commitments")]
    Share,
    /// The path has no key.
    #[error("no key at this path")]
    Path(#[source] HdError),
    /// A taproot tweak for a key that is not BIP-340, or a tweak without a key.
    #[error("this key takes no such tweak")]
    Tweak,
    /// A digest of another length.
    #[error("{0} bytes to sign where 32 are wanted")]
    Digest(usize),
    /// An Ed25519 message over the bound.
    #[error("{found} bytes to sign, at most {bound}")]
    Message {
        /// Bytes given.
        found: usize,
        /// The bound.
        bound: usize,
    },
    /// No pair state for a member.
    #[error("no pair state with seat {}", .0.0)]
    PairMissing(Seat),
    /// A pair state of other nodes than the members.
    #[error("the pair state for seat {} belongs to other nodes", .0.0)]
    PairOfOthers(Seat),
    /// The inbox does not hold one message of each other member.
    #[error("{found} messages where {wanted} are wanted, or not of the members")]
    Inbox {
        /// Messages given.
        found: usize,
        /// Messages wanted.
        wanted: usize,
    },
}

/// What was wrong with a member's message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Truncated, over-long, out of range or followed by more.
    #[error("the message is malformed")]
    Malformed(#[source] WireError),
    /// A message of another session.
    #[error("the message is of session {} where {} runs", .found.short(), .wanted.short())]
    Session {
        /// Session of the message.
        found: SessionId,
        /// Our session.
        wanted: SessionId,
    },
    /// A message of another epoch of the committee.
    #[error("the message is of epoch {} where {} is in force", .found.0, .wanted.0)]
    Epoch {
        /// Epoch of the message.
        found: Epoch,
        /// Our epoch.
        wanted: Epoch,
    },
    /// A message of another round.
    #[error("the message is of round {found} where {wanted} runs")]
    Round {
        /// Round of the message.
        found: u8,
        /// Our round.
        wanted: u8,
    },
    /// A message that names another sender than the one it came from.
    #[error("the message names seat {} and came from seat {}", .found.0, .wanted.0)]
    Sender {
        /// Seat named in the message.
        found: Seat,
        /// Seat it came from.
        wanted: Seat,
    },
    /// Same session, but another vault, quorum, key, path or message.
    #[error("the member signs something else in this session")]
    Context,
    /// The two ends hold different pair states: one was restored or renewed alone.
    #[error("the member holds another pair state")]
    PairMismatch,
    /// Members saw different nonce commitments.
    #[error("members saw different commitments")]
    Package,
    /// A check of the engine failed.
    #[error("a check failed: {0}")]
    Check(String),
    /// A signature share that does not match the member's public share.
    #[error("the signature share is invalid")]
    SignatureShare,
    /// The finished signature does not verify and nobody can be named.
    #[error("the finished signature does not verify")]
    Signature,
    /// The engine panicked on the members' messages.
    #[error("the engine panicked in {0}")]
    Panicked(&'static str),
}

fn name(culprit: Option<Seat>) -> String {
    culprit.map_or_else(|| "somebody".to_owned(), |seat| format!("seat {}", seat.0))
}

impl SignError {
    /// Stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.code(),
            Self::Misbehaved { reason, .. } => reason.code(),
            Self::Bug(_) => "sign_bug",
        }
    }

    /// True when the pair state with `seat` must be destroyed: settle its ticket as [`crate::pair::Failure::Check`],
    /// or close its gate if its answer already left; every other ticket of the session is abandoned.
    pub fn condemns(&self, seat: Seat) -> bool {
        match self {
            Self::Misbehaved { culprit, pair, .. } => {
                *pair && culprit.is_none_or(|culprit| culprit == seat)
            }
            Self::Refused(_) | Self::Bug(_) => false,
        }
    }

    /// A named member's fault that leaves pair state whole.
    pub(crate) fn by(culprit: Seat, reason: Reason) -> Self {
        Self::Misbehaved { culprit: Some(culprit), pair: false, reason }
    }

    /// A fault that names nobody and leaves pair state whole.
    pub(crate) fn by_somebody(reason: Reason) -> Self {
        Self::Misbehaved { culprit: None, pair: false, reason }
    }
}

impl Refusal {
    /// Stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Quorum => "sign_quorum",
            Self::TooFew(_) => "sign_too_few",
            Self::NotMember(_) => "sign_not_member",
            Self::Epoch { .. } => "sign_share_epoch",
            Self::Share => "sign_share_damaged",
            Self::Path(_) => "sign_path",
            Self::Tweak => "sign_tweak",
            Self::Digest(_) => "sign_digest_length",
            Self::Message { .. } => "sign_message_too_long",
            Self::PairMissing(_) => "sign_pair_missing",
            Self::PairOfOthers(_) => "sign_pair_of_others",
            Self::Inbox { .. } => "sign_inbox",
        }
    }
}

impl Reason {
    /// Stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "sign_malformed",
            Self::Session { .. } => "sign_other_session",
            Self::Epoch { .. } => "sign_other_epoch",
            Self::Round { .. } => "sign_other_round",
            Self::Sender { .. } => "sign_other_sender",
            Self::Context => "sign_other_context",
            Self::PairMismatch => "sign_pair_mismatch",
            Self::Package => "sign_package",
            Self::Check(_) => "sign_check",
            Self::SignatureShare => "sign_share_invalid",
            Self::Signature => "sign_signature_invalid",
            Self::Panicked(_) => "sign_engine_panicked",
        }
    }
}

impl From<Refusal> for SignError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
