//! Hashes of RFC 6962, section 2.1, and the shape of the tree: where a range is split, which subtrees are complete.

use sha2::{Digest, Sha256};

/// A SHA-256 hash of a leaf or of a node.
pub type Hash = [u8; 32];

/// Hash of an entry: `SHA-256(0x00 || entry)`.
pub fn leaf(entry: &[u8]) -> Hash {
    Sha256::new_with_prefix([0]).chain_update(entry).finalize().into()
}

/// Hash of a node: `SHA-256(0x01 || left || right)`.
pub fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new_with_prefix([1]).chain_update(left).chain_update(right).finalize().into()
}

/// Root of the empty tree: `SHA-256("")`.
pub fn empty_root() -> Hash {
    Sha256::digest(b"").into()
}

/// Hashes of complete subtrees: `level` 0 are the leaves, and node `index` of a level spans the leaves
/// `index << level .. (index + 1) << level`.
pub trait Hashes {
    /// The hash, or `None` when it is not at hand.
    fn hash(&self, level: u8, index: u64) -> Option<Hash>;
}

/// Root of a row of 2^k hashes; `None` for an empty row.
pub(crate) fn fold(row: &[Hash]) -> Option<Hash> {
    let mut row = row.to_vec();
    while row.len() > 1 {
        row = row.as_chunks::<2>().0.iter().map(|[left, right]| node(left, right)).collect();
    }
    row.pop()
}

/// Largest power of two below `n`, where RFC 6962 splits a range of `n > 1` leaves.
pub(crate) fn split(n: u64) -> u64 {
    match n.checked_next_power_of_two() {
        Some(power) => power / 2,
        None => 1 << 63,
    }
}

/// `MTH(D[lo..hi])`. `None` when the range is empty or a hash is missing.
pub fn range_root(hashes: &impl Hashes, lo: u64, hi: u64) -> Option<Hash> {
    let n = hi.checked_sub(lo)?;
    if n == 0 {
        return None;
    }
    if n.is_power_of_two() && lo.is_multiple_of(n) {
        let level = u8::try_from(n.trailing_zeros()).ok()?;
        return hashes.hash(level, lo / n);
    }
    let middle = lo.checked_add(split(n))?;
    Some(node(&range_root(hashes, lo, middle)?, &range_root(hashes, middle, hi)?))
}

/// Root of the tree with `size` leaves.
pub fn root(hashes: &impl Hashes, size: u64) -> Option<Hash> {
    if size == 0 { Some(empty_root()) } else { range_root(hashes, 0, size) }
}

/// A list of leaf hashes as a source of subtree hashes: for tests and small trees, each look-up costs its range.
#[derive(Debug, Default)]
pub struct Leaves(pub Vec<Hash>);

impl Hashes for Leaves {
    fn hash(&self, level: u8, index: u64) -> Option<Hash> {
        if level == 0 {
            return self.0.get(usize::try_from(index).ok()?).copied();
        }
        let below = level.checked_sub(1)?;
        let left = index.checked_mul(2)?;
        Some(node(&self.hash(below, left)?, &self.hash(below, left.checked_add(1)?)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// Known answers: the eight inputs and roots that Certificate Transparency's reference tests use.
    #[test]
    fn roots_are_those_of_rfc_6962() {
        let entries: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let leaves = Leaves(entries.iter().map(|e| leaf(e)).collect());
        let check = |size, expected: &str| assert_eq!(hex(&root(&leaves, size).unwrap()), expected);
        check(0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        check(1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
        check(2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125");
        check(3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77");
        check(5, "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4");
        check(8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
    }

    #[test]
    fn a_range_splits_at_the_largest_power_below() {
        let check = |n, expected| assert_eq!(split(n), expected, "{n}");
        check(2, 1);
        check(3, 2);
        check(4, 2);
        check(5, 4);
        check(u64::MAX, 1 << 63);
    }
}
