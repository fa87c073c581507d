//! Tiles and entry bundles ([tlog-tiles](https://c2sp.org/tlog-tiles)): names, bytes, and a tree read from them.

use crate::hash::{Hash, Hashes, fold};

/// Hashes in a full tile, entries in a full bundle.
pub const TILE_WIDTH: u16 = 256;
/// Levels of the tree that one tile spans.
pub const TILE_HEIGHT: u8 = 8;
/// Longest entry: a bundle gives it a 16-bit length.
pub const ENTRY_BYTES_MAX: usize = 65_535;

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Hashes of a level: 0 for leaves, each next one eight levels of the tree higher.
    Hashes(u8),
    /// The entries themselves.
    Entries,
}

/// Name of a tile or of an entry bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TileId {
    /// Hashes of a level, or entries.
    pub kind: Kind,
    /// Place within the level.
    pub index: u64,
    /// Hashes or entries in it, 1 to 256; less than 256 makes it partial.
    pub width: u16,
}

impl TileId {
    /// Path below a log's URL prefix, `tile/0/x001/234.p/17`.
    pub fn path(&self) -> String {
        let kind = match self.kind {
            Kind::Hashes(level) => level.to_string(),
            Kind::Entries => "entries".to_owned(),
        };
        let mut groups = vec![format!("{:03}", self.index % 1000)];
        let mut rest = self.index / 1000;
        while rest > 0 {
            groups.push(format!("x{:03}", rest % 1000));
            rest /= 1000;
        }
        groups.reverse();
        let partial =
            if self.width < TILE_WIDTH { format!(".p/{}", self.width) } else { String::new() };
        format!("tile/{kind}/{}{partial}", groups.join("/"))
    }

    /// Reads a path. `None` for any spelling but the one that [`Self::path`] writes.
    pub fn from_path(path: &str) -> Option<Self> {
        let (kind, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let kind = match kind {
            "entries" => Kind::Entries,
            level => Kind::Hashes(level.parse().ok().filter(|l| *l < 64)?),
        };
        let (name, width) = match rest.split_once(".p/") {
            Some((name, width)) => (name, width.parse().ok().filter(|w| *w < TILE_WIDTH)?),
            None => (rest, TILE_WIDTH),
        };
        let mut index: u64 = 0;
        for group in name.split('/') {
            let digits = group.strip_prefix('x').unwrap_or(group);
            index = index.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
        }
        let tile = Self { kind, index, width };
        (width > 0 && tile.path() == path).then_some(tile)
    }
}

/// The tiles of a tree of `size` leaves that hold leaves from `from` on, and no full tile twice: what a log
/// must write when it grew from `from` to `size`, and what a mirror must fetch.
pub fn tiles_of_growth(from: u64, size: u64) -> Vec<TileId> {
    let mut tiles = Vec::new();
    let width = u64::from(TILE_WIDTH);
    let (mut lo, mut hi) = (from, size);
    for level in 0..8 {
        if lo == hi {
            break;
        }
        for index in lo / width..hi.div_ceil(width) {
            let held = hi.saturating_sub(index.saturating_mul(width)).min(width);
            let Ok(held) = u16::try_from(held) else { break };
            if level == 0 {
                tiles.push(TileId { kind: Kind::Entries, index, width: held });
            }
            tiles.push(TileId { kind: Kind::Hashes(level), index, width: held });
        }
        lo /= width;
        hi /= width;
    }
    tiles
}

/// Bytes of a tile.
pub fn hashes_to_bytes(hashes: &[Hash]) -> Vec<u8> {
    hashes.concat()
}

/// Hashes of a tile. `None` when the bytes are no whole number of hashes.
pub fn hashes_from_bytes(bytes: &[u8]) -> Option<Vec<Hash>> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    rest.is_empty().then(|| hashes.to_vec())
}

/// Bytes of a bundle. `None` when an entry is too long.
pub fn bundle_to_bytes<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for entry in entries {
        bytes.extend_from_slice(&u16::try_from(entry.len()).ok()?.to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    Some(bytes)
}

/// Entries of a bundle. `None` when the bytes end within an entry or there are more than 256.
pub fn bundle_from_bytes(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut entries = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        entries.push(entry);
        bytes = rest;
    }
    (bytes.is_empty() && entries.len() <= usize::from(TILE_WIDTH)).then_some(entries)
}

/// A tree whose hashes lie in tiles; `fetch` returns the hashes of tile `index` of `level`, full or partial.
pub struct Tiled<F>(pub F);

impl<F: Fn(u8, u64) -> Option<Vec<Hash>>> Hashes for Tiled<F> {
    fn hash(&self, level: u8, index: u64) -> Option<Hash> {
        let inside = level % TILE_HEIGHT;
        let first = index.checked_shl(u32::from(inside)).filter(|f| f >> inside == index)?;
        let width = u64::from(TILE_WIDTH);
        let tile = (self.0)(level / TILE_HEIGHT, first / width)?;
        let start = usize::try_from(first % width).ok()?;
        let end = start.checked_add(1 << inside)?;
        fold(tile.get(start..end)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_specification_and_have_one_spelling() {
        let check = |kind, index, width, path: &str| {
            let tile = TileId { kind, index, width };
            assert_eq!(tile.path(), path);
            assert_eq!(TileId::from_path(path), Some(tile));
        };
        check(Kind::Hashes(0), 1_234_067, 256, "tile/0/x001/x234/067");
        check(Kind::Hashes(0), 0, 1, "tile/0/000.p/1");
        check(Kind::Hashes(2), 999, 255, "tile/2/999.p/255");
        check(Kind::Entries, 1000, 256, "tile/entries/x001/000");
        for wrong in [
            "tile/0/0",
            "tile/0/x000/001",
            "tile/00/001",
            "tile/64/000",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/000/",
            "tile/0/001/000",
            "0/000",
            "tile/0/+01",
            "tile/entries/x18446744073709551615/000",
        ] {
            assert_eq!(TileId::from_path(wrong), None, "{wrong}");
        }
    }

    /// The example of the specification: 70,000 leaves.
    #[test]
    fn a_tree_of_seventy_thousand_has_the_tiles_of_the_specification() {
        let tiles = tiles_of_growth(0, 70_000);
        let count = |level, width| {
            tiles.iter().filter(|t| t.kind == Kind::Hashes(level) && t.width == width).count()
        };
        assert_eq!((count(0, 256), count(0, 112)), (273, 1));
        assert_eq!((count(1, 256), count(1, 17)), (1, 1));
        assert_eq!(count(2, 1), 1);
        assert_eq!(tiles.iter().filter(|t| t.kind == Kind::Entries).count(), 274);
        assert_eq!(tiles.len(), 273 + 1 + 1 + 1 + 1 + 274);
    }

    #[test]
    fn growth_names_only_tiles_that_changed() {
        let names = |from, size| {
            let tiles = tiles_of_growth(from, size);
            tiles.iter().map(TileId::path).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(0, 0), "");
        assert_eq!(names(0, 1), "tile/entries/000.p/1 tile/0/000.p/1");
        assert_eq!(names(255, 256), "tile/entries/000 tile/0/000 tile/1/000.p/1");
        assert_eq!(names(256, 257), "tile/entries/001.p/1 tile/0/001.p/1");
    }

    #[test]
    fn a_bundle_reads_back_and_a_cut_one_is_refused() {
        let bytes = bundle_to_bytes([b"one".as_slice(), b"", b"three"]).unwrap();
        assert_eq!(bundle_from_bytes(&bytes), Some(vec![b"one".as_slice(), b"", b"three"]));
        assert_eq!(bundle_from_bytes(&bytes[..bytes.len() - 1]), None);
        assert_eq!(bundle_from_bytes(&[0]), None);
        assert_eq!(bundle_from_bytes(&[0; 514]), None, "257 entries");
        assert_eq!(bundle_to_bytes([vec![0; 65_536].as_slice()]), None);
        assert_eq!(hashes_from_bytes(&[0; 33]), None);
    }
}
