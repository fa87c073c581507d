//! How a ceremony ends without keys.

use super::evidence::Evidence;
use super::plan::PlanError;
use model::ids::Seat;
use model::wire::WireError;
use std::collections::BTreeSet;

/// Why a ceremony ended. No key came to be; a new ceremony needs a new id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DkgError {
    /// The caller's input does not fit; nothing was sent.
    #[error("the ceremony was refused")]
    Refused(#[from] Refusal),
    /// A member broke the protocol, and a stranger can check it.
    #[error("seat {} broke the protocol: {}", culprit.0, evidence.code())]
    Misbehaved {
        /// Who.
        culprit: Seat,
        /// Proof that convinces whoever knows the plan.
        evidence: Box<Evidence>,
    },
    /// What arrived over a member's channel is wrong, but proves nothing to a stranger.
    #[error("what seat {} sent is not usable", from.0)]
    Unproven {
        /// Over whose channel it came.
        from: Seat,
        /// What is wrong.
        #[source]
        fault: Fault,
    },
    /// An invariant of ours broke. Raise an alarm; do not retry.
    #[error("invariant broken: {0}")]
    Bug(&'static str),
}

/// What the caller got wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nobody can follow this plan.
    #[error("the plan cannot be followed")]
    Plan(#[from] PlanError),
    /// The plan has no such seat.
    #[error("the plan has no seat {0}")]
    Seat(u16),
    /// The node key is not the seat's.
    #[error("the node key is not that of seat {0}")]
    Key(u16),
    /// Messages from other seats than those awaited.
    #[error("messages from seats {found:?} where {wanted:?} are awaited")]
    Inbox {
        /// Seats in the inbox.
        found: BTreeSet<Seat>,
        /// Seats awaited.
        wanted: BTreeSet<Seat>,
    },
}

/// What is wrong with bytes that nobody signed, or that somebody signed for another place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Longer than any message.
    #[error("{found} bytes, at most {max}")]
    TooLong {
        /// Bytes found.
        found: usize,
        /// The bound.
        max: usize,
    },
    /// No message.
    #[error("the bytes are no ceremony message")]
    Wire(#[from] WireError),
    /// A message of another ceremony, or of another plan for this one.
    #[error("a message of another ceremony or plan")]
    Ceremony,
    /// A message of another round: early, late or replayed.
    #[error("a message of round {found} in round {wanted}")]
    Round {
        /// Round found.
        found: u8,
        /// Round wanted.
        wanted: u8,
    },
    /// Another seat's message.
    #[error("a message of seat {found}")]
    Seat {
        /// Seat found.
        found: u16,
    },
    /// Not signed by the seat's node.
    #[error("the signature is not that of the seat's node")]
    Signature,
    /// The private part is missing in round 2, or present elsewhere.
    #[error("the private part is missing or not wanted")]
    Private,
    /// The private chain-code contribution is not the one committed to.
    #[error("the chain-code contribution does not open its commitment")]
    ChainCode,
    /// The member confirms other chain codes.
    #[error("the member confirms other chain codes than ours")]
    OtherChainCodes,
}

impl DkgError {
    /// Stable name for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(Refusal::Plan(_)) => "dkg_plan",
            Self::Refused(Refusal::Seat(_)) => "dkg_seat",
            Self::Refused(Refusal::Key(_)) => "dkg_key",
            Self::Refused(Refusal::Inbox { .. }) => "dkg_inbox",
            Self::Misbehaved { evidence, .. } => evidence.code(),
            Self::Unproven { fault, .. } => fault.code(),
            Self::Bug(_) => "dkg_bug",
        }
    }
}

impl Fault {
    /// Stable name for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "dkg_message_too_long",
            Self::Wire(_) => "dkg_message_malformed",
            Self::Ceremony => "dkg_message_ceremony",
            Self::Round { .. } => "dkg_message_round",
            Self::Seat { .. } => "dkg_message_seat",
            Self::Signature => "dkg_message_signature",
            Self::Private => "dkg_message_private",
            Self::ChainCode => "dkg_chain_code",
            Self::OtherChainCodes => "dkg_other_chain_codes",
        }
    }
}
