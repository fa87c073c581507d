//! The right edge of a growing tree: all that a log keeps in memory to append and to know its root.
//!
//! The edge is one partial tile per level; a tile that fills is handed out to be stored, and its root moves up.

use crate::hash::{Hash, Hashes, empty_root, fold, node};
use crate::tile::{Kind, TILE_WIDTH, TileId, Tiled};

/// A full tile, ready to be stored for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FullTile {
    /// Its name.
    pub id: TileId,
    /// Its 256 hashes.
    pub hashes: Vec<Hash>,
}

/// Size, root and partial tiles of a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    /// The partial tile of each level, lowest first.
    levels: Vec<Vec<Hash>>,
}

impl Edge {
    /// The edge of a tree of `size` leaves from its partial tiles, read by level. `None` when a tile is missing or of
    /// another width than this size demands.
    pub fn restore(size: u64, partial: impl Fn(TileId) -> Option<Vec<Hash>>) -> Option<Self> {
        let mut edge = Self { size, levels: Vec::new() };
        let (mut held, mut level) = (size, 0);
        while held > 0 {
            let width = u16::try_from(held % u64::from(TILE_WIDTH)).ok()?;
            held /= u64::from(TILE_WIDTH);
            let tile = match width {
                0 => Vec::new(),
                _ => partial(TileId { kind: Kind::Hashes(level), index: held, width })?,
            };
            if tile.len() != usize::from(width) {
                return None;
            }
            edge.levels.push(tile);
            level = level.checked_add(1)?;
        }
        Some(edge)
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf hash; returns the tiles that this filled, lowest first.
    pub fn append(&mut self, leaf: Hash) -> Vec<FullTile> {
        let mut full = Vec::new();
        let mut carried = leaf;
        let mut place = self.size;
        let mut level: u8 = 0;
        self.size = self.size.saturating_add(1);
        loop {
            let at = usize::from(level);
            if self.levels.len() <= at {
                self.levels.resize(at.saturating_add(1), Vec::new());
            }
            let Some(tile) = self.levels.get_mut(at) else { return full };
            tile.push(carried);
            if tile.len() < usize::from(TILE_WIDTH) {
                return full;
            }
            let hashes = core::mem::take(tile);
            place /= u64::from(TILE_WIDTH);
            carried = fold(&hashes).unwrap_or_else(empty_root);
            let id = TileId { kind: Kind::Hashes(level), index: place, width: TILE_WIDTH };
            full.push(FullTile { id, hashes });
            level = level.saturating_add(1);
        }
    }

    /// Root of the tree.
    pub fn root(&self) -> Hash {
        let mut root: Option<Hash> = None;
        for tile in &self.levels {
            // Within a tile the complete subtrees stand from large to small; the root gathers them from the right.
            let mut end = tile.len();
            while end > 0 {
                let width = 1_usize << end.trailing_zeros();
                let start = end.saturating_sub(width);
                let subtree = tile.get(start..end).and_then(fold).unwrap_or_else(empty_root);
                root = Some(root.map_or(subtree, |right| node(&subtree, &right)));
                end = start;
            }
        }
        root.unwrap_or_else(empty_root)
    }

    /// The partial tile that lies on the edge at this level, `None` when there is none.
    pub fn partial(&self, level: u8) -> Option<(TileId, &[Hash])> {
        let tile = self.levels.get(usize::from(level)).filter(|tile| !tile.is_empty())?;
        let shift = u32::from(level.checked_add(1)?).checked_mul(8)?;
        let index = self.size.checked_shr(shift).unwrap_or(0);
        let width = u16::try_from(tile.len()).ok()?;
        Some((TileId { kind: Kind::Hashes(level), index, width }, tile))
    }

    /// The whole tree: this edge, and full tiles read by level and index.
    pub fn tree(&self, full: impl Fn(u8, u64) -> Option<Vec<Hash>>) -> impl Hashes {
        Tiled(move |level, index| match self.partial(level) {
            Some((id, tile)) if id.index == index => Some(tile.to_vec()),
            _ => full(level, index),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::{Leaves, leaf, root};
    use crate::proof::{consistency, inclusion, verify_consistency, verify_inclusion};
    use std::collections::BTreeMap;

    #[test]
    fn the_edge_agrees_with_the_definition_at_every_size_and_restores_itself() {
        let leaves = Leaves((0..700_u64).map(|i| leaf(&i.to_be_bytes())).collect());
        let mut edge = Edge::default();
        for size in 0..700 {
            assert_eq!(edge.size(), size);
            assert_eq!(Some(edge.root()), root(&leaves, size), "size {size}");
            let restored = Edge::restore(size, |id| match edge.partial(level_of(id)) {
                Some((held, tile)) if held == id => Some(tile.to_vec()),
                _ => None,
            });
            assert_eq!(restored.map(|e| e.root()), Some(edge.root()));
            edge.append(leaves.0[usize::try_from(size).unwrap()]);
        }
        assert_eq!(Edge::restore(3, |_| Some(vec![[0; 32]; 2])), None, "a tile of another width");
        assert_eq!(Edge::restore(3, |_| None), None);
    }

    fn level_of(id: TileId) -> u8 {
        match id.kind {
            Kind::Hashes(level) => level,
            Kind::Entries => unreachable!(),
        }
    }

    #[test]
    fn proofs_from_tiles_hold_across_two_levels() {
        let mut edge = Edge::default();
        let mut stored = BTreeMap::new();
        let mut old = (0, edge.root());
        for i in 0..66_000_u64 {
            for tile in edge.append(leaf(&i.to_be_bytes())) {
                stored.insert((level_of(tile.id), tile.id.index), tile.hashes);
            }
            if i == 777 {
                old = (edge.size(), edge.root());
            }
        }
        let tree = edge.tree(|level, index| stored.get(&(level, index)).cloned());
        let (size, top) = (edge.size(), edge.root());
        for index in [0, 1, 255, 256, 65_535, 65_536, 65_999] {
            let path = inclusion(&tree, index, size).unwrap();
            let entry = leaf(&index.to_be_bytes());
            assert_eq!(verify_inclusion(&entry, index, size, &path, &top), Ok(()), "{index}");
        }
        let path = consistency(&tree, old.0, size).unwrap();
        assert_eq!(verify_consistency((old.0, &old.1), (size, &top), &path), Ok(()));
    }
}
