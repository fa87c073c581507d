//! The public view of a journal record: entry `i` of the log is a function of record `i` and the node's salt.
//!
//! Spec: `docs/spec/log-entry.md`. Nothing is stored twice: the log is made from the journal at every start, so it can
//! neither fork from it nor lose a record. What the match below leaves out of `facts` is only in the commitment.

use crate::journal::{Entry, Record};
use model::card::NodeKey;
use model::hash;
use model::ids::VaultId;
use model::leaf::{Fact, Leaf, LeafKind, Salt, commitment};

/// Salt of a record: no one without the node's key can compute it.
pub(crate) fn salt(key: &NodeKey, sequence: u64) -> Salt {
    Salt(hash::tagged("outlast/log-salt/v1", &[key.seed().expose(), &sequence.to_be_bytes()]))
}

/// What anybody may know of `record`, whose canonical bytes are `bytes`. `vault_of` finds the vault of a request.
pub(crate) fn public_view(
    record: &Record,
    bytes: &[u8],
    salt: Salt,
    vault_of: impl Fn(&Entry) -> Option<VaultId>,
) -> Leaf {
    let (kind, facts) = kind_and_facts(&record.entry);
    Leaf {
        sequence: record.sequence,
        at: record.at,
        kind,
        vault: vault_of(&record.entry),
        facts,
        commitment: commitment(salt, bytes),
    }
}

fn kind_and_facts(entry: &Entry) -> (LeafKind, Vec<Fact>) {
    let fact = |name: &str, value: String| Fact { name: name.to_owned(), value };
    match entry {
        Entry::Started(_) => (LeafKind::Started, vec![]),
        Entry::PeerTrusted(_)
        | Entry::PeerSeen(..)
        | Entry::PeerHeld(..)
        | Entry::PeerReleased(_)
        | Entry::PairMade(..)
        | Entry::PairStopped(..)
        | Entry::PairResumed(_) => (LeafKind::Peer, vec![]),
        Entry::CeremonyJoined(_) => (LeafKind::CeremonyJoined, vec![]),
        Entry::VaultStored { epoch, .. } => {
            (LeafKind::VaultStored, vec![fact("epoch", epoch.0.to_string())])
        }
        Entry::VaultActive(..) => (LeafKind::VaultActive, vec![]),
        Entry::Requested(_) => (LeafKind::Requested, vec![]),
        Entry::Decided { .. } => (LeafKind::Allowed, vec![]),
        Entry::Refused { code, .. } => (LeafKind::Refused, vec![fact("code", code.clone())]),
        Entry::Released(..) => (LeafKind::Ended, vec![fact("outcome", "released".into())]),
        Entry::Aborted(..) => (LeafKind::Ended, vec![fact("outcome", "aborted".into())]),
        Entry::Signed { signatures, .. } => {
            (LeafKind::Signed, vec![fact("signatures", signatures.len().to_string())])
        }
        Entry::ClientAdded { .. } | Entry::ClientRemoved(_) => (LeafKind::Client, vec![]),
    }
}
