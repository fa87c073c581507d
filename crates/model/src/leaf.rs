//! Entries of a node's public log: what anybody may know of one journal record, and a commitment to the rest.
//!
//! Spec: `docs/spec/log-entry.md`. Entry `i` of the log stands for record `i` of the journal, so the log can neither skip
//! nor add anything. In clear are kinds, verdicts, counts, times and hashes; names, places, amounts, addresses and rules
//! are in the record, which the entry commits to under a salt. Whoever gets record and salt (an *opening*) can check it.

use crate::hash;
use crate::ids::VaultId;
use crate::time::Timestamp;
use crate::wire::{Reader, Wire, WireError, Writer, tags};
use crate::{wire_enum, wire_struct};

const FORM: u8 = 1;
/// Facts of one entry at most.
const FACTS_MAX: usize = 16;

wire_enum! {
    /// What happened, in the words of the public view.
    pub enum LeafKind {
        /// The node started anew.
        Started = 1 "started",
        /// Something between this node and a peer.
        Peer = 2 "peer",
        /// The operator said yes to a key ceremony.
        CeremonyJoined = 3 "ceremony-joined",
        /// A ceremony ended, well or by name.
        CeremonyEnded = 4 "ceremony-ended",
        /// A share was stored.
        VaultStored = 5 "vault-stored",
        /// Every member stored its share.
        VaultActive = 6 "vault-active",
        /// A client's request was taken.
        Requested = 7 "requested",
        /// The node allowed a request.
        Allowed = 8 "allowed",
        /// The node refused a request.
        Refused = 9 "refused",
        /// A signing session ended without a signature.
        Ended = 10 "ended",
        /// A request was signed.
        Signed = 11 "signed",
        /// A client credential was made or removed.
        Client = 12 "client",
        /// A signed act was accepted.
        Act = 13 "act",
        /// A version of a charter was accepted.
        Charter = 14 "charter",
    }
}

wire_struct! {
    /// A count, a verdict, a hash or a date in clear.
    pub struct Fact {
        /// What it says.
        pub name: String,
        /// Its value.
        pub value: String,
    }
}

/// One entry of the public log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Place in the log, and of the record in the journal.
    pub sequence: u64,
    /// When, by the node's clock.
    pub at: Timestamp,
    /// What happened.
    pub kind: LeafKind,
    /// In which vault, if in one.
    pub vault: Option<VaultId>,
    /// What else is in clear.
    pub facts: Vec<Fact>,
    /// [`commitment`] to the record.
    pub commitment: [u8; 32],
}

/// Blinds a record: without it nobody can try whether a guess at the record is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Salt(pub [u8; 32]);

/// What an entry says of its record: a hash under a salt.
pub fn commitment(salt: Salt, record: &[u8]) -> [u8; 32] {
    hash::tagged("outlast/log-commitment/v1", &[&salt.0, record])
}

impl Wire for Leaf {
    fn write(&self, w: &mut Writer) {
        w.header(tags::LOG_LEAF, FORM);
        w.u64(self.sequence);
        self.at.write(w);
        self.kind.write(w);
        self.vault.write(w);
        self.facts.write(w);
        w.fixed(&self.commitment);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        r.header(tags::LOG_LEAF, FORM)?;
        Ok(Self {
            sequence: r.u64()?,
            at: Wire::read(r)?,
            kind: Wire::read(r)?,
            vault: Wire::read(r)?,
            facts: r.list(FACTS_MAX, Wire::read)?,
            commitment: r.fixed()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_reads_back_and_its_commitment_binds_salt_and_record() {
        let leaf = Leaf {
            sequence: 7,
            at: Timestamp(1),
            kind: LeafKind::Allowed,
            vault: Some(VaultId([2; 32])),
            facts: vec![Fact { name: "signatures".into(), value: "1".into() }],
            commitment: commitment(Salt([3; 32]), b"record"),
        };
        assert_eq!(Leaf::from_bytes(&leaf.to_bytes()), Ok(leaf.clone()));
        assert_ne!(leaf.commitment, commitment(Salt([3; 32]), b"recorD"));
        assert_ne!(leaf.commitment, commitment(Salt([4; 32]), b"record"));
    }
}
