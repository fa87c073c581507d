//! The node's transparency log: one leaf for each journal record, checkpoints signed with the node's key.
//!
//! Spec: `docs/spec/log-entry.md`. The tree is rebuilt from the journal at every start and grows in the same step as the
//! journal, so a checkpoint over `n` entries is one over the first `n` records (L1, L2). A checkpoint may leave only after
//! the commit of its last record is durable: the runner asks for it then.

use crate::engine::Engine;
use crate::journal::Record;
use crate::leaf::{public_view, salt};
use model::leaf::{Leaf, Salt};
use model::wire::{Wire, WireError};
use std::collections::BTreeMap;
use tlog::checkpoint::Checkpoint;
use tlog::edge::Edge;
use tlog::hash::{Hash, Hashes, leaf as leaf_hash};
use tlog::note::{Algorithm, Note, NoteError, NoteKey};
use tlog::proof;
use tlog::tile::{Kind, TILE_WIDTH, TileId};

/// The tree over the journal, all of its hashes in memory: 32 bytes for each record.
#[derive(Debug, Default)]
pub(crate) struct Log {
    edge: Edge,
    full: BTreeMap<(u8, u64), Vec<Hash>>,
}

impl Log {
    pub(crate) fn append(&mut self, leaf: &Leaf) {
        for tile in self.edge.append(leaf_hash(&leaf.to_bytes())) {
            if let Kind::Hashes(level) = tile.id.kind {
                self.full.insert((level, tile.id.index), tile.hashes);
            }
        }
    }

    fn tree(&self) -> impl Hashes {
        self.edge.tree(|level, index| self.full.get(&(level, index)).cloned())
    }

    /// The first `width` hashes of a tile.
    fn tile(&self, level: u8, index: u64, width: u16) -> Option<Vec<Hash>> {
        let hashes = match self.full.get(&(level, index)) {
            Some(full) => full.as_slice(),
            None => self.edge.partial(level).filter(|(id, _)| id.index == index)?.1,
        };
        hashes.get(..usize::from(width)).map(<[Hash]>::to_vec)
    }
}

/// Name of a node's log, and of the node as a witness.
pub fn log_name(node: model::ids::NodeId) -> String {
    format!("outlast.node/{node}")
}

/// Key that signs a node's checkpoints: the node's own key. A checkpoint's text holds no NUL, and every other use of the
/// key signs a tag that ends with one, so no signature of one use is one of another.
pub fn log_key(node: model::ids::NodeId) -> Result<NoteKey, NoteError> {
    NoteKey::new(&log_name(node), Algorithm::Ed25519, node.0)
}

impl Engine {
    /// Checkpoint over every record so far. Only for the runner, once they are durable.
    pub fn checkpoint(&self) -> Result<Note, NoteError> {
        let (size, root) = (self.log.edge.size(), self.log.edge.root());
        let checkpoint = Checkpoint { origin: log_name(self.me), size, root };
        Ok(checkpoint.signed(&log_key(self.me)?, |text| self.key.sign_note(text)))
    }

    /// A tile of hashes, as C2SP tlog-tiles serves it.
    pub fn log_tile(&self, tile: TileId) -> Option<Vec<u8>> {
        let Kind::Hashes(level) = tile.kind else { return None };
        if tile.width == 0 || tile.width > TILE_WIDTH {
            return None;
        }
        self.log.tile(level, tile.index, tile.width).map(|hashes| hashes.concat())
    }

    /// Inclusion proof of entry `index` in the tree of `size` entries.
    pub fn log_inclusion(&self, index: u64, size: u64) -> Option<Vec<Hash>> {
        if size > self.log.edge.size() {
            return None;
        }
        proof::inclusion(&self.log.tree(), index, size)
    }

    /// Consistency proof between two sizes.
    pub fn log_consistency(&self, old: u64, new: u64) -> Option<Vec<Hash>> {
        if new > self.log.edge.size() {
            return None;
        }
        proof::consistency(&self.log.tree(), old, new)
    }

    /// The public entry of a journal record, and the salt that opens it.
    pub fn log_entry(&self, record: &[u8]) -> Result<(Leaf, Salt), WireError> {
        let read = Record::from_bytes(record)?;
        let salt = salt(&self.key, read.sequence);
        Ok((public_view(&self.key, &read, record), salt))
    }
}
