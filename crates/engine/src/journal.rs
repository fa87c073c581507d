//! The node's own journal: what it was told, what it decided, what it did; append-only, each record names the one before.
//!
//! Spec: `docs/spec/journal.md`. The public part of a node's state is a fold over these records ([`crate::state`]), and
//! recovery is that fold. Records hold no secret and no chain code; those are sealed values beside it.

use crate::hello::JournalHead;
use crate::message::{CeremonyPlan, Proposal};
use model::hash;
use model::ids::{
    CeremonyId, ClientId, Epoch, Incarnation, NodeId, PairEpoch, RequestId, SessionId, VaultId,
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
        w.u64(self.at.0);
        self.entry.write(w);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        r.header(tags::JOURNAL_RECORD, 1)?;
        Ok(Self {
            sequence: r.u64()?,
            previous: r.fixed()?,
            at: Timestamp(r.u64()?),
            entry: Entry::read(r)?,
        })
    }
}

impl Wire for Entry {
    fn write(&self, w: &mut Writer) {
        match self {
            Self::Started(incarnation) => {
                w.u8(1);
                w.fixed(&incarnation.0);
            }
            Self::PeerTrusted(card) => {
                w.u8(2);
                w.bytes(card);
            }
            // The first life has the form of before there were lives.
            Self::PeerSeen(peer, JournalHead { life: 0, length, head, signature }) => {
                w.u8(3);
                w.fixed(&peer.0);
                w.u64(*length);
                w.fixed(head);
                w.fixed(signature);
            }
            Self::PeerSeen(peer, seen) => {
                w.u8(15);
                w.fixed(&peer.0);
                seen.write(w);
            }
            Self::WentBack(life) => {
                w.u8(16);
                w.u32(*life);
            }
            Self::RollbackAccepted(life) => {
                w.u8(17);
                w.u32(*life);
            }
            Self::PeerHeld(peer, reason) => {
                w.u8(4);
                w.fixed(&peer.0);
                w.text(reason);
            }
            Self::PeerReleased(peer) => {
                w.u8(5);
                w.fixed(&peer.0);
            }
            Self::PairMade(peer, epoch, mesh) => {
                w.u8(6);
                w.fixed(&peer.0);
                w.u32(epoch.0);
                w.fixed(mesh);
            }
            Self::PairStopped(peer, epoch, reason) => {
                w.u8(7);
                w.fixed(&peer.0);
                w.u32(epoch.0);
                w.text(reason);
            }
            Self::PairResumed(peer) => {
                w.u8(8);
                w.fixed(&peer.0);
            }
            _ => self.write_ceremony(w),
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let tag = r.u8()?;
        match tag {
            1 => Ok(Self::Started(Incarnation(r.fixed()?))),
            2 => Ok(Self::PeerTrusted(r.bytes(limits::TEXT_BYTES_MAX.saturating_mul(4))?)),
            3 => {
                let peer = NodeId(r.fixed()?);
                let (length, head, signature) = (r.u64()?, r.fixed()?, r.fixed()?);
                Ok(Self::PeerSeen(peer, JournalHead { life: 0, length, head, signature }))
            }
            15 => match (NodeId(r.fixed()?), JournalHead::read(r)?) {
                (_, JournalHead { life: 0, .. }) => Err(WireError::Range("life")),
                (peer, seen) => Ok(Self::PeerSeen(peer, seen)),
            },
            16 => r.u32().map(Self::WentBack),
            17 => r.u32().map(Self::RollbackAccepted),
            4 => Ok(Self::PeerHeld(NodeId(r.fixed()?), r.text()?)),
            5 => Ok(Self::PeerReleased(NodeId(r.fixed()?))),
            6 => Ok(Self::PairMade(NodeId(r.fixed()?), PairEpoch(r.u32()?), r.fixed()?)),
            7 => Ok(Self::PairStopped(NodeId(r.fixed()?), PairEpoch(r.u32()?), r.text()?)),
            8 => Ok(Self::PairResumed(NodeId(r.fixed()?))),
            9 => CeremonyPlan::read(r).map(Self::CeremonyJoined),
            10 => Ok(Self::VaultStored {
                plan: CeremonyPlan::read(r)?,
                vault: VaultId(r.fixed()?),
                epoch: Epoch(r.u32()?),
                hash: r.fixed()?,
            }),
            11 => Ok(Self::VaultActive(VaultId(r.fixed()?), CeremonyId(r.fixed()?))),
            12 => {
                Ok(Self::CeremonyRecorded(CeremonyId(r.fixed()?), VaultId(r.fixed()?), r.fixed()?))
            }
            13 => Ok(Self::CeremonyBroken {
                ceremony: CeremonyId(r.fixed()?),
                culprit: NodeId(r.fixed()?),
                breach: r.text()?,
                hash: r.fixed()?,
            }),
            14 => r.text().map(Self::Resumed),
            _ => read_request(tag, r),
        }
    }
}

impl Entry {
    /// The middle of the table: ceremonies and vaults.
    fn write_ceremony(&self, w: &mut Writer) {
        match self {
            Self::CeremonyJoined(plan) => {
                w.u8(9);
                plan.write(w);
            }
            Self::VaultStored { plan, vault, epoch, hash } => {
                w.u8(10);
                plan.write(w);
                w.fixed(&vault.0);
                w.u32(epoch.0);
                w.fixed(hash);
            }
            Self::VaultActive(vault, ceremony) => {
                w.u8(11);
                w.fixed(&vault.0);
                w.fixed(&ceremony.0);
            }
            Self::CeremonyRecorded(ceremony, vault, hash) => {
                w.u8(12);
                w.fixed(&ceremony.0);
                w.fixed(&vault.0);
                w.fixed(hash);
            }
            Self::CeremonyBroken { ceremony, culprit, breach, hash } => {
                w.u8(13);
                w.fixed(&ceremony.0);
                w.fixed(&culprit.0);
                w.text(breach);
                w.fixed(hash);
            }
            Self::Resumed(reason) => {
                w.u8(14);
                w.text(reason);
            }
            _ => self.write_request(w),
        }
    }

    /// The last part of the table: requests, sessions and clients.
    fn write_request(&self, w: &mut Writer) {
        match self {
            Self::Requested(request) => {
                w.u8(20);
                request.write(w);
            }
            Self::Decided { proposal, intent, unsigned, spends, rule } => {
                w.u8(21);
                proposal.write(w);
                w.fixed(intent);
                w.fixed(unsigned);
                w.list(spends, |w, spend| w.text(spend));
                w.text(rule);
            }
            Self::Refused { request, session, code, reason } => {
                w.u8(22);
                w.fixed(&request.0);
                w.option(session.as_ref(), |w, session| w.fixed(&session.0));
                w.text(code);
                w.text(reason);
            }
            Self::Released(request, session) => {
                w.u8(23);
                w.fixed(&request.0);
                w.fixed(&session.0);
            }
            Self::Aborted(request, session, reason) => {
                w.u8(24);
                w.fixed(&request.0);
                w.fixed(&session.0);
                w.text(reason);
            }
            Self::Signed { request, session, signatures } => {
                w.u8(25);
                w.fixed(&request.0);
                w.fixed(&session.0);
                w.list(signatures, |w, signature| signature.write(w));
            }
            Self::ClientAdded { client, name, token_hash, vaults } => {
                w.u8(26);
                w.fixed(&client.0);
                w.text(name);
                w.fixed(token_hash);
                w.list(vaults, |w, vault| w.fixed(&vault.0));
            }
            Self::ClientRemoved(client) => {
                w.u8(27);
                w.fixed(&client.0);
            }
            Self::Answered { request, session, item, package } => {
                w.u8(28);
                w.fixed(&request.0);
                w.fixed(&session.0);
                w.u16(*item);
                w.fixed(package);
            }
            // The rest is written before: this is called for these only.
            _ => w.u8(0),
        }
    }
}

fn read_request(tag: u8, r: &mut Reader<'_>) -> Result<Entry, WireError> {
    match tag {
        20 => Ok(Entry::Requested(Box::new(Request::read(r)?))),
        21 => Ok(Entry::Decided {
            proposal: Box::new(Proposal::read(r)?),
            intent: r.fixed()?,
            unsigned: r.fixed()?,
            spends: r.list(limits::ITEMS_PER_REQUEST_MAX, Reader::text)?,
            rule: r.text()?,
        }),
        22 => Ok(Entry::Refused {
            request: RequestId(r.fixed()?),
            session: r.option(|r| r.fixed().map(SessionId))?,
            code: r.text()?,
            reason: r.text()?,
        }),
        23 => Ok(Entry::Released(RequestId(r.fixed()?), SessionId(r.fixed()?))),
        24 => Ok(Entry::Aborted(RequestId(r.fixed()?), SessionId(r.fixed()?), r.text()?)),
        25 => Ok(Entry::Signed {
            request: RequestId(r.fixed()?),
            session: SessionId(r.fixed()?),
            signatures: r.list(limits::ITEMS_PER_REQUEST_MAX, Signature::read)?,
        }),
        26 => Ok(Entry::ClientAdded {
            client: ClientId(r.fixed()?),
            name: r.text()?,
            token_hash: r.fixed()?,
            vaults: r.list(limits::VAULTS_MAX, |r| r.fixed().map(VaultId))?,
        }),
        27 => Ok(Entry::ClientRemoved(ClientId(r.fixed()?))),
        28 => Ok(Entry::Answered {
            request: RequestId(r.fixed()?),
            session: SessionId(r.fixed()?),
            item: r.u16()?,
            package: r.fixed()?,
        }),
        _ => Err(WireError::Range("journal entry")),
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
