//! The node's own journal: what it was told, what it decided, what it did; append-only, each record names the one before.
//!
//! Spec: `docs/spec/journal.md`. The public part of a node's state is a fold over these records ([`crate::state`]), and
//! recovery is that fold. Records hold no secret and no chain code; those are sealed values beside it.

mod wire;

use crate::hello::JournalHead;
use crate::message::{CeremonyPlan, Proposal};
use governance::policy::Charge;
use model::act::SignedAct;
use model::charter::SignedCharter;
use model::hash;
use model::ids::{
    CeremonyId, CharterId, ClientId, Epoch, Incarnation, NodeId, PairEpoch, RequestId, SessionId,
    VaultId,
};
use model::limits;
use model::request::Request;
use model::signing::Signature;
use model::time::Timestamp;
use model::wire::{Reader, Wire, WireError, Writer, tags};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// The node started; every nonce and session of before is gone.
    Started(Incarnation),
    /// The operator imported a peer's card (its bytes).
    PeerTrusted(Vec<u8>),
    /// A peer's journal as last seen.
    PeerSeen(NodeId, JournalHead),
    /// A peer gets no sessions until the operator decides.
    PeerHeld(NodeId, String),
    /// The operator accepted the peer again.
    PeerReleased(NodeId),
    /// A peer showed this node its own signed head of this life, and this journal does not contain it.
    WentBack(u32),
    /// The operators accept that the journal went back: a new life begins.
    RollbackAccepted(u32),
    /// Pair state was made and stored.
    PairMade(NodeId, PairEpoch, [u8; 32]),
    /// The first failed check of a pair: its state is destroyed in the same write.
    PairStopped(NodeId, PairEpoch, String),
    /// The operator allows fresh pair state.
    PairResumed(NodeId),
    /// The operator said yes to a ceremony.
    CeremonyJoined(CeremonyPlan),
    /// A share of a new vault was stored in the same write; `hash` is over the sealed public data.
    VaultStored {
        /// The ceremony.
        plan: CeremonyPlan,
        /// The vault.
        vault: VaultId,
        /// Version.
        epoch: Epoch,
        /// SHA-256 of the vault's public data, chain codes included and so not shown.
        hash: [u8; 32],
    },
    /// Every member stored its share: addresses may be shown.
    VaultActive(VaultId, CeremonyId),
    /// The public record of a vault's ceremony was stored in the same write: SHA-256 of it.
    CeremonyRecorded(CeremonyId, VaultId, [u8; 32]),
    /// Evidence against a member was checked and stored in the same write, as a record that convinces a stranger.
    CeremonyBroken {
        /// The ceremony.
        ceremony: CeremonyId,
        /// Who broke the protocol.
        culprit: NodeId,
        /// Stable name of the breach.
        breach: String,
        /// SHA-256 of the record.
        hash: [u8; 32],
    },
    /// The machine stood still, was moved or restored, or its clock was set: what was in memory is gone, and so is all pair
    /// state. Follows the `Started` of the run that replaced it.
    Resumed(String),
    /// A client's request was accepted at this node.
    Requested(Box<Request>),
    /// This node decided to sign: durable before its first message of the session.
    Decided {
        /// What was proposed.
        proposal: Box<Proposal>,
        /// Hash of the intent that this node decoded.
        intent: [u8; 32],
        /// Hash of the unsigned bytes.
        unsigned: [u8; 32],
        /// What the request uses up on chain.
        spends: Vec<String>,
        /// The rule that allowed it.
        rule: String,
    },
    /// This node refused to sign.
    Refused {
        /// The request.
        request: RequestId,
        /// The session, if it came to one.
        session: Option<SessionId>,
        /// Code of the refusal.
        code: String,
        /// In words.
        reason: String,
    },
    /// FROST: this node's one-time nonce of an item answers exactly this commitment list; durable before the signature
    /// share leaves.
    Answered {
        /// The request.
        request: RequestId,
        /// The session.
        session: SessionId,
        /// Which item.
        item: u16,
        /// Hash of context and commitment list.
        package: [u8; 32],
    },
    /// A session ended without a signature before this node's last-round message: what it held is free again.
    Released(RequestId, SessionId),
    /// A session ended without a signature after it: what it held stays spent.
    Aborted(RequestId, SessionId, String),
    /// All signatures of a request, verified.
    Signed {
        /// The request.
        request: RequestId,
        /// The session.
        session: SessionId,
        /// Signatures in the order of the items.
        signatures: Vec<Signature>,
    },
    /// A service key was made.
    ClientAdded {
        /// Client.
        client: ClientId,
        /// For people.
        name: String,
        /// Tagged hash of its token or TLS client key.
        token_hash: [u8; 32],
        /// Vaults it may use.
        vaults: Vec<VaultId>,
    },
    /// A service key was removed.
    ClientRemoved(ClientId),
    /// The charter that the next stored vault is born under, with everybody's agreement.
    Charter(Box<SignedCharter>),
    /// A verified act entered a vault's set.
    Act(Box<SignedAct>),
    /// A peer took this request, which waits for people.
    Heard(Box<Request>),
    /// What a decision under a charter rests on; stands right before it.
    Judged(Box<Judged>),
    /// Everything that a row demands of people was held from now on.
    Complete(VaultId, RequestId, String),
}

/// What a decision under a charter rests on: whoever has the acts can repeat it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The vault.
    pub vault: VaultId,
    /// The request.
    pub request: RequestId,
    /// The version in force.
    pub charter: CharterId,
    /// Digest of the set of acts.
    pub acts: [u8; 32],
    /// Hash of what is wanted, which approvals name.
    pub wanted: [u8; 32],
    /// Rows that allowed it, in the order of the operations.
    pub rules: Vec<String>,
    /// What it uses of rolling limits.
    pub charges: Vec<Charge>,
}

/// An entry in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Position, from 0.
    pub sequence: u64,
    /// Hash of the record before; zeros for the first.
    pub previous: [u8; 32],
    /// When the runner's clock said it happened.
    pub at: Timestamp,
    /// What happened.
    pub entry: Entry,
}

/// Why a journal is not whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A record does not read.
    #[error("record {0} does not read")]
    Wire(u64, #[source] WireError),
    /// A record does not follow the one before.
    #[error("record {0} does not follow the record before it")]
    Chain(u64),
    /// An act that was verified before it was written does not verify any more.
    #[error("the act in record {0} does not verify: the journal was written to by something else")]
    Act(u64),
    /// A sealed value that a record speaks of is missing or does not read.
    #[error("the sealed value {0} is missing or damaged")]
    Secret(String),
}

impl Record {
    /// Hash that the next record names.
    pub fn hash(bytes: &[u8]) -> [u8; 32] {
        hash::tagged("outlast/journal/v1", &[bytes])
    }
}

impl Wire for Record {
    fn write(&self, w: &mut Writer) {
        w.header(tags::JOURNAL_RECORD, 1);
        w.u64(self.sequence);
        w.fixed(&self.previous);
        self.at.write(w);
        self.entry.write(w);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        r.header(tags::JOURNAL_RECORD, 1)?;
        Ok(Self {
            sequence: r.u64()?,
            previous: r.fixed()?,
            at: Timestamp::read(r)?,
            entry: Entry::read(r)?,
        })
    }
}

/// Cuts a text to the bound of [`Reader::text`] at a character border and blanks control characters, so that what is
/// written always reads.
pub(crate) fn bounded(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut end = text.len().min(limits::TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_at_a_character() {
        let long = "é".repeat(200);
        assert_eq!(bounded(&long).len(), 256);
        assert_eq!(bounded(&format!("a{long}")).len(), 255);
        assert_eq!(bounded("short"), "short");
        assert_eq!(bounded("two\nlines\u{1b}[0m"), "two lines [0m");
    }

    #[test]
    fn a_record_reads_back() {
        let record = Record {
            sequence: 7,
            previous: [1; 32],
            at: Timestamp(9),
            entry: Entry::PairStopped(NodeId([3; 32]), PairEpoch(2), "ot check".into()),
        };
        assert_eq!(Record::from_bytes(&record.to_bytes()), Ok(record));
    }
}
