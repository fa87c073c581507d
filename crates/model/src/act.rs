//! Acts: signed, typed statements in canonical bytes. A vault's state is a fold over the *set* of its acts.
//!
//! Spec: `docs/spec/acts.md`. *Restraining* acts work when seen. *Enabling* acts name by hash what they enable, and which
//! restraints they lift. The id covers everything but the signature, so two signatures by one author over one act are
//! one act. Absent here: whether a signature holds (`governance`), what follows from a set of acts (`governance`).

use crate::charter::{BookEntry, Credential};
use crate::hash;
use crate::ids::{ActId, CharterId, NodeId, RequestId, VaultId};
use crate::time::Timestamp;
use crate::wire::{Reader, Wire, WireError, Writer, tags};
use crate::{wire_enum, wire_struct};

/// Bytes of a signed act at most: a log entry has 65,535.
pub const ACT_BYTES_MAX: usize = 48 * 1024;

const FORM: u8 = 1;

/// A statement before it is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// Vault; all zeros for the acts that make one.
    pub vault: VaultId,
    /// Version of the charter that the author saw.
    pub charter: CharterId,
    /// Who says it.
    pub author: Author,
    /// When, by the author's clock.
    pub created_at: Timestamp,
    /// From when on it says nothing any more; restraining acts may stand for ever (`u64::MAX`).
    pub expires_at: Timestamp,
    /// Random: tells two equal statements apart, and blinds the act's hash.
    pub salt: [u8; 16],
    /// What is said.
    pub body: Body,
}

/// Who says it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Author {
    /// A person of the charter.
    Person(String),
    /// A node.
    Node(NodeId),
}

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Enabling: yes to one request, once.
    Approve(Opinion),
    /// Restraining: no to one request.
    Reject(Opinion),
    /// Enabling: the author asks for one request, which names him as its initiator.
    Ask(Opinion),
    /// Restraining: nothing is signed at this level and below it.
    Freeze {
        /// The level.
        level: String,
    },
    /// Enabling: lifts exactly these freezes; one that the author did not see stands.
    Unfreeze {
        /// The level.
        level: String,
        /// Freezes that it lifts.
        lifts: Vec<ActId>,
    },
    /// Enabling or restraining, by its class: a governor's yes, or that of an operator's node, to a version of the charter.
    /// At birth `vault` is all zeros and `charter` is the version itself.
    Amend {
        /// The version that it makes.
        next: CharterId,
    },
    /// Restraining: a credential signs nothing any more.
    Revoke {
        /// Whose.
        person: String,
        /// Which.
        credential: Credential,
    },
    /// Enabling: a lost credential is followed by another, after the delay.
    Replace {
        /// Whose.
        person: String,
        /// The one that is gone.
        lost: Credential,
        /// The one that follows.
        new: Credential,
    },
    /// A level's own quorum changes one of its registers; loosening ones wait.
    Register {
        /// The level.
        level: String,
        /// The change.
        change: Change,
    },
    /// A node reserves an amount for a request (DESIGN 3.4).
    Reserve {
        /// The request.
        request: RequestId,
        /// Hash of its intent, without nonce, fee and blockhash.
        intent: [u8; 32],
    },
    /// A log acknowledges a next version of the charter: one per predecessor.
    Acknowledge {
        /// The version before.
        previous: CharterId,
        /// The version that follows.
        next: CharterId,
    },
    /// A person is there.
    CheckIn,
}

wire_struct! {
    /// What an approval or a refusal is about.
    pub struct Opinion {
        /// The request.
        pub request: RequestId,
        /// Level at which the person speaks.
        pub level: String,
        /// Hash of the intent, without nonce, fee and blockhash.
        pub intent: [u8; 32],
    }
}

/// One change of a register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An address is added to the book.
    AddAddress(BookEntry),
    /// An address is removed from the book.
    RemoveAddress(BookEntry),
    /// A person joins a group of the level until a time.
    AddMember {
        /// The group.
        group: String,
        /// The person.
        person: String,
        /// Every delegation ends.
        until: Timestamp,
    },
    /// A person leaves a group of the level.
    RemoveMember {
        /// The group.
        group: String,
        /// The person.
        person: String,
    },
}

wire_enum! {
    /// How an act works.
    pub enum Force {
        /// Works when seen.
        Restraining = 1 "restraining",
        /// Names what it enables.
        Enabling = 2 "enabling",
        /// Neither helps nor hinders a signature.
        Neutral = 3 "neutral",
    }
}

impl Body {
    /// How it works. An amendment counts as enabling until its class is known; a change by what it changes.
    pub fn force(&self) -> Force {
        match self {
            Self::Reject(_) | Self::Freeze { .. } | Self::Revoke { .. } => Force::Restraining,
            Self::Register { change, .. } => match change {
                Change::RemoveAddress(_) | Change::RemoveMember { .. } => Force::Restraining,
                Change::AddAddress(_) | Change::AddMember { .. } => Force::Enabling,
            },
            Self::Approve(_)
            | Self::Ask(_)
            | Self::Unfreeze { .. }
            | Self::Amend { .. }
            | Self::Replace { .. } => Force::Enabling,
            Self::Reserve { .. } | Self::Acknowledge { .. } | Self::CheckIn => Force::Neutral,
        }
    }
    /// The request that it is about.
    pub fn request(&self) -> Option<RequestId> {
        match self {
            Self::Approve(opinion) | Self::Reject(opinion) | Self::Ask(opinion) => {
                Some(opinion.request)
            }
            Self::Reserve { request, .. } => Some(*request),
            _ => None,
        }
    }
    /// The word for people and files.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Approve(_) => "approve",
            Self::Reject(_) => "reject",
            Self::Ask(_) => "ask",
            Self::Freeze { .. } => "freeze",
            Self::Unfreeze { .. } => "unfreeze",
            Self::Amend { .. } => "amend",
            Self::Revoke { .. } => "revoke",
            Self::Replace { .. } => "replace",
            Self::Register { .. } => "register",
            Self::Reserve { .. } => "reserve",
            Self::Acknowledge { .. } => "acknowledge",
            Self::CheckIn => "check-in",
        }
    }
}

impl Act {
    /// The act's id, which is what its author signs.
    pub fn id(&self) -> ActId {
        ActId(hash::tagged("outlast/act/v1", &[&self.to_bytes()]))
    }
}

/// How an act is signed. What is signed is always the act's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActSignature {
    /// A node's key, under its use for acts.
    Node([u8; 64]),
    /// OpenSSH's SSHSIG blob in namespace [`SSH_NAMESPACE`], over the id as 64 hexadecimal digits without a newline.
    Ssh(Vec<u8>),
    /// A passkey's assertion with the id's 32 bytes as challenge.
    Passkey {
        /// Credential id.
        credential: Vec<u8>,
        /// Authenticator data.
        authenticator_data: Vec<u8>,
        /// Client data, JSON as the browser made it.
        client_data: Vec<u8>,
        /// Signature, DER for ES256.
        signature: Vec<u8>,
    },
    /// A service's Ed25519 key, over `outlast/act/service/v1\0` and the id.
    Service {
        /// Public key.
        key: [u8; 32],
        /// Signature.
        signature: [u8; 64],
    },
}

/// Namespace of OpenSSH signatures over acts (`ssh-keygen -Y sign -n act@outlast`).
pub const SSH_NAMESPACE: &str = "act@outlast";

/// An act with its signature; nobody checked it yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedAct {
    /// The act.
    pub act: Act,
    /// Its signature.
    pub signature: ActSignature,
}

impl Wire for Author {
    fn write(&self, w: &mut Writer) {
        match self {
            Self::Person(id) => {
                w.u8(1);
                w.text(id);
            }
            Self::Node(node) => {
                w.u8(2);
                node.write(w);
            }
        }
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        match r.u8()? {
            1 => Ok(Self::Person(r.text()?)),
            2 => Ok(Self::Node(Wire::read(r)?)),
            _ => Err(WireError::Range("author")),
        }
    }
}

impl Wire for Change {
    fn write(&self, w: &mut Writer) {
        match self {
            Self::AddAddress(entry) => {
                w.u8(1);
                entry.write(w);
            }
            Self::RemoveAddress(entry) => {
                w.u8(2);
                entry.write(w);
            }
            Self::AddMember { group, person, until } => {
                w.u8(3);
                w.text(group);
                w.text(person);
                until.write(w);
            }
            Self::RemoveMember { group, person } => {
                w.u8(4);
                w.text(group);
                w.text(person);
            }
        }
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        match r.u8()? {
            1 => Ok(Self::AddAddress(Wire::read(r)?)),
            2 => Ok(Self::RemoveAddress(Wire::read(r)?)),
            3 => Ok(Self::AddMember { group: r.text()?, person: r.text()?, until: Wire::read(r)? }),
            4 => Ok(Self::RemoveMember { group: r.text()?, person: r.text()? }),
            _ => Err(WireError::Range("change")),
        }
    }
}

impl Wire for Body {
    fn write(&self, w: &mut Writer) {
        match self {
            Self::Approve(opinion) => {
                w.u8(1);
                opinion.write(w);
            }
            Self::Reject(opinion) => {
                w.u8(2);
                opinion.write(w);
            }
            Self::Freeze { level } => {
                w.u8(3);
                w.text(level);
            }
            Self::Unfreeze { level, lifts } => {
                w.u8(4);
                w.text(level);
                lifts.write(w);
            }
            Self::Amend { next } => {
                w.u8(5);
                next.write(w);
            }
            Self::Revoke { person, credential } => {
                w.u8(6);
                w.text(person);
                credential.write(w);
            }
            Self::Replace { person, lost, new } => {
                w.u8(7);
                w.text(person);
                lost.write(w);
                new.write(w);
            }
            Self::Register { level, change } => {
                w.u8(8);
                w.text(level);
                change.write(w);
            }
            Self::Reserve { request, intent } => {
                w.u8(9);
                request.write(w);
                w.fixed(intent);
            }
            Self::Acknowledge { previous, next } => {
                w.u8(10);
                previous.write(w);
                next.write(w);
            }
            Self::CheckIn => w.u8(11),
            Self::Ask(opinion) => {
                w.u8(12);
                opinion.write(w);
            }
        }
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        match r.u8()? {
            1 => Ok(Self::Approve(Wire::read(r)?)),
            2 => Ok(Self::Reject(Wire::read(r)?)),
            3 => Ok(Self::Freeze { level: r.text()? }),
            4 => Ok(Self::Unfreeze { level: r.text()?, lifts: Wire::read(r)? }),
            5 => Ok(Self::Amend { next: Wire::read(r)? }),
            6 => Ok(Self::Revoke { person: r.text()?, credential: Wire::read(r)? }),
            7 => Ok(Self::Replace { person: r.text()?, lost: Wire::read(r)?, new: Wire::read(r)? }),
            8 => Ok(Self::Register { level: r.text()?, change: Wire::read(r)? }),
            9 => Ok(Self::Reserve { request: Wire::read(r)?, intent: r.fixed()? }),
            10 => Ok(Self::Acknowledge { previous: Wire::read(r)?, next: Wire::read(r)? }),
            11 => Ok(Self::CheckIn),
            12 => Ok(Self::Ask(Wire::read(r)?)),
            _ => Err(WireError::Range("act")),
        }
    }
}

impl Wire for Act {
    fn write(&self, w: &mut Writer) {
        w.header(tags::ACT, FORM);
        self.vault.write(w);
        self.charter.write(w);
        self.author.write(w);
        self.created_at.write(w);
        self.expires_at.write(w);
        w.fixed(&self.salt);
        self.body.write(w);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        r.header(tags::ACT, FORM)?;
        Ok(Self {
            vault: Wire::read(r)?,
            charter: Wire::read(r)?,
            author: Wire::read(r)?,
            created_at: Wire::read(r)?,
            expires_at: Wire::read(r)?,
            salt: r.fixed()?,
            body: Wire::read(r)?,
        })
    }
}

/// Bytes of one part of a signature at most: a browser's client data is the longest.
const SIGNATURE_BYTES_MAX: usize = 4 * 1024;

impl Wire for ActSignature {
    fn write(&self, w: &mut Writer) {
        match self {
            Self::Node(signature) => {
                w.u8(1);
                w.fixed(signature);
            }
            Self::Ssh(blob) => {
                w.u8(2);
                w.bytes(blob);
            }
            Self::Passkey { credential, authenticator_data, client_data, signature } => {
                w.u8(3);
                for part in [credential, authenticator_data, client_data, signature] {
                    w.bytes(part);
                }
            }
            Self::Service { key, signature } => {
                w.u8(4);
                w.fixed(key);
                w.fixed(signature);
            }
        }
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        match r.u8()? {
            1 => Ok(Self::Node(r.fixed()?)),
            2 => Ok(Self::Ssh(r.bytes(SIGNATURE_BYTES_MAX)?)),
            3 => Ok(Self::Passkey {
                credential: r.bytes(SIGNATURE_BYTES_MAX)?,
                authenticator_data: r.bytes(SIGNATURE_BYTES_MAX)?,
                client_data: r.bytes(SIGNATURE_BYTES_MAX)?,
                signature: r.bytes(SIGNATURE_BYTES_MAX)?,
            }),
            4 => Ok(Self::Service { key: r.fixed()?, signature: r.fixed()? }),
            _ => Err(WireError::Range("act signature")),
        }
    }
}

impl Wire for SignedAct {
    fn write(&self, w: &mut Writer) {
        self.act.write(w);
        self.signature.write(w);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let before = r.left();
        let signed = Self { act: Wire::read(r)?, signature: Wire::read(r)? };
        match before.saturating_sub(r.left()) {
            found if found > ACT_BYTES_MAX => {
                Err(WireError::TooLong { found, bound: ACT_BYTES_MAX })
            }
            _ => Ok(signed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn act(body: Body) -> Act {
        Act {
            vault: VaultId([1; 32]),
            charter: CharterId([2; 32]),
            author: Author::Person("treasurer".into()),
            created_at: Timestamp(1),
            expires_at: Timestamp(2),
            salt: [3; 16],
            body,
        }
    }

    #[test]
    fn every_body_reads_back_and_a_longer_one_is_refused() {
        let credential = Credential::Service { key: [4; 32] };
        let entry = BookEntry {
            name: "supplier".into(),
            network: crate::intent::Network::Evm(1),
            address: "0x00".into(),
        };
        let opinion =
            Opinion { request: RequestId([5; 32]), level: "treasury".into(), intent: [6; 32] };
        let bodies = [
            Body::Approve(opinion.clone()),
            Body::Reject(opinion),
            Body::Freeze { level: "treasury".into() },
            Body::Unfreeze { level: "treasury".into(), lifts: vec![ActId([7; 32])] },
            Body::Amend { next: CharterId([8; 32]) },
            Body::Revoke { person: "a".into(), credential: credential.clone() },
            Body::Replace { person: "a".into(), lost: credential.clone(), new: credential },
            Body::Register { level: "l".into(), change: Change::AddAddress(entry) },
            Body::Reserve { request: RequestId([5; 32]), intent: [6; 32] },
            Body::Acknowledge { previous: CharterId([8; 32]), next: CharterId([9; 32]) },
            Body::CheckIn,
        ];
        for body in bodies {
            let signed = SignedAct { act: act(body), signature: ActSignature::Node([1; 64]) };
            let mut bytes = signed.to_bytes();
            assert_eq!(SignedAct::from_bytes(&bytes), Ok(signed));
            bytes.push(0);
            assert!(SignedAct::from_bytes(&bytes).is_err());
        }
    }

    #[test]
    fn the_id_does_not_cover_the_signature_and_covers_the_rest() {
        let one = act(Body::CheckIn);
        let mut other = one.clone();
        other.charter = CharterId([0; 32]);
        assert_ne!(one.id(), other.id());
    }
}
