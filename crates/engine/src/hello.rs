//! The greeting of a link, and a node's signed word on where its journal stands.
//!
//! Spec: `docs/spec/peer-messages.md`.

use model::card::{NodeKey, SigningUse, verify_node_signature};
use model::ids::{Incarnation, NodeId};
use model::wire::{Reader, Wire, WireError, Writer, tags};

/// First bytes on every link. Sixteen bytes of incarnation stand in front, so that the link layer can tell a second
/// connection of one run from a second run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Drawn at this start.
    pub incarnation: Incarnation,
    /// Protocol version of the speaker.
    pub protocol: u16,
    /// Records in the speaker's journal.
    pub length: u64,
    /// Hash of its last record.
    pub head: [u8; 32],
    /// Software version, for people.
    pub software: String,
}

/// Protocol version of this build.
pub const PROTOCOL: u16 = 3;

impl Wire for Hello {
    fn write(&self, w: &mut Writer) {
        w.fixed(&self.incarnation.0);
        w.header(tags::HELLO, 1);
        w.u16(self.protocol);
        w.u64(self.length);
        w.fixed(&self.head);
        w.text(&self.software);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let incarnation = Incarnation(r.fixed()?);
        r.header(tags::HELLO, 1)?;
        Ok(Self {
            incarnation,
            protocol: r.u16()?,
            length: r.u64()?,
            head: r.fixed()?,
            software: r.text()?,
        })
    }
}

/// Where a node's journal stands, signed by the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalHead {
    /// The journal's life: how often the operators accepted that it had gone back. Heads of lives before say nothing of
    /// this one.
    pub life: u32,
    /// Records.
    pub length: u64,
    /// Hash of the last one.
    pub head: [u8; 32],
    /// The node's signature.
    pub signature: [u8; 64],
}

impl JournalHead {
    /// The first life is not written, as in heads that were signed before there were lives; the lengths keep them apart.
    fn signed_bytes(life: u32, length: u64, head: &[u8; 32]) -> Vec<u8> {
        let mut bytes = [&length.to_be_bytes()[..], head].concat();
        if life > 0 {
            bytes.extend_from_slice(&life.to_be_bytes());
        }
        bytes
    }

    /// Signs where this node's journal stands.
    pub fn sign(key: &NodeKey, life: u32, length: u64, head: [u8; 32]) -> Self {
        let signature = key.sign(SigningUse::Journal, &Self::signed_bytes(life, length, &head));
        Self { life, length, head, signature }
    }

    /// True when `node` signed it.
    pub fn is_of(&self, node: NodeId) -> bool {
        let bytes = Self::signed_bytes(self.life, self.length, &self.head);
        verify_node_signature(node, SigningUse::Journal, &bytes, &self.signature)
    }
}

impl Wire for JournalHead {
    fn write(&self, w: &mut Writer) {
        w.u32(self.life);
        w.u64(self.length);
        w.fixed(&self.head);
        w.fixed(&self.signature);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self { life: r.u32()?, length: r.u64()?, head: r.fixed()?, signature: r.fixed()? })
    }
}
