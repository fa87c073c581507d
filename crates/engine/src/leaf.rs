//! The public view of a journal record: entry `i` of the log is a function of record `i` and the node's salt alone.
//!
//! Spec: `docs/spec/log-entry.md`. Nothing is stored twice: the log is made from the journal at every start, so it can
//! neither fork from it nor lose a record. For that the view may depend on the record only, never on what the node
//! remembered at the time. What the match below leaves out of `facts` is in the commitment.

use crate::journal::{Entry, Record};
use model::card::NodeKey;
use model::hash;
use model::ids::VaultId;
use model::leaf::{Fact, Leaf, LeafKind, Salt, commitment};

/// Salt of a record: no one without the node's key can compute it.
pub(crate) fn salt(key: &NodeKey, sequence: u64) -> Salt {
    Salt(hash::tagged("outlast/log-salt/v1", &[key.seed().expose(), &sequence.to_be_bytes()]))
}

/// What anybody may know of `record`, whose canonical bytes are `bytes`.
pub(crate) fn public_view(key: &NodeKey, record: &Record, bytes: &[u8]) -> Leaf {
    let (kind, facts) = kind_and_facts(&record.entry);
    Leaf {
        sequence: record.sequence,
        at: record.at,
        kind,
        vault: vault_of(&record.entry),
        facts,
        commitment: commitment(salt(key, record.sequence), bytes),
    }
}

/// The vault that the record itself names. The end of a request names the request only; its opening leads to the vault.
fn vault_of(entry: &Entry) -> Option<VaultId> {
    match entry {
        Entry::VaultStored { vault, .. }
        | Entry::VaultActive(vault, _)
        | Entry::CeremonyRecorded(_, vault, _) => Some(*vault),
        Entry::Requested(request) => Some(request.vault),
        Entry::Decided { proposal, .. } => Some(proposal.request.vault),
        Entry::Act(act) => Some(act.act.vault),
        Entry::Heard(request) => Some(request.vault),
        Entry::Judged(judged) => Some(judged.vault),
        Entry::Complete(vault, ..) => Some(*vault),
        _ => None,
    }
}
fn kind_and_facts(entry: &Entry) -> (LeafKind, Vec<Fact>) {
    let fact = |name: &str, value: String| Fact { name: name.to_owned(), value };
    match entry {
        Entry::Started(_) | Entry::Resumed(_) => (LeafKind::Started, vec![]),
        Entry::PeerTrusted(_)
        | Entry::PeerSeen(..)
        | Entry::PeerHeld(..)
        | Entry::PeerReleased(_)
        | Entry::WentBack(_)
        | Entry::RollbackAccepted(_)
        | Entry::PairMade(..)
        | Entry::PairStopped(..)
        | Entry::PairResumed(_) => (LeafKind::Peer, vec![]),
        Entry::CeremonyJoined(_) => (LeafKind::CeremonyJoined, vec![]),
        Entry::CeremonyRecorded(..) => {
            (LeafKind::CeremonyEnded, vec![fact("outcome", "made".into())])
        }
        Entry::CeremonyBroken { .. } => {
            (LeafKind::CeremonyEnded, vec![fact("outcome", "broken".into())])
        }
        Entry::VaultStored { epoch, .. } => {
            (LeafKind::VaultStored, vec![fact("epoch", epoch.0.to_string())])
        }
        Entry::VaultActive(..) => (LeafKind::VaultActive, vec![]),
        Entry::Requested(_) => (LeafKind::Requested, vec![]),
        Entry::Decided { .. } => (LeafKind::Allowed, vec![]),
        Entry::Refused { code, .. } => (LeafKind::Refused, vec![fact("code", code.clone())]),
        // Shares of one session follow one another; what they answer is nobody's but its members'.
        Entry::Answered { .. } => (LeafKind::Ended, vec![fact("outcome", "answered".into())]),
        Entry::Released(..) => (LeafKind::Ended, vec![fact("outcome", "released".into())]),
        Entry::Aborted(..) => (LeafKind::Ended, vec![fact("outcome", "aborted".into())]),
        Entry::Signed { signatures, .. } => {
            (LeafKind::Signed, vec![fact("signatures", signatures.len().to_string())])
        }
        Entry::Charter(charter) => {
            let version = fact("version", charter.charter.version.to_string());
            let id = fact("charter", charter.charter.id().to_string());
            (LeafKind::Charter, vec![version, id])
        }
        // The id is blinded by the salt within the act: who said it is not to be guessed.
        Entry::Act(act) => {
            let word = fact("word", act.act.body.word().to_owned());
            (LeafKind::Act, vec![word, fact("act", act.act.id().to_string())])
        }
        Entry::Heard(_) => (LeafKind::Requested, vec![]),
        Entry::Judged(judged) => (
            LeafKind::Allowed,
            vec![
                fact("charter", judged.charter.to_string()),
                fact("acts", crate::views::hex(&judged.acts)),
            ],
        ),
        Entry::Complete(..) => (LeafKind::Allowed, vec![fact("outcome", "approved".into())]),
        Entry::ClientAdded { .. } | Entry::ClientRemoved(_) => (LeafKind::Client, vec![]),
    }
}
