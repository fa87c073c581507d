//! Inclusion and consistency proofs of RFC 6962, sections 2.1.1 and 2.1.2; verified as in RFC 9162, section 2.1.

use crate::hash::{Hash, Hashes, node, range_root, split};

/// More hashes than any proof in a tree of 2^63 leaves needs.
pub const PROOF_HASHES_MAX: usize = 63;

/// Why a proof proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The leaf does not exist in a tree of this size.
    #[error("entry {index} is not in a tree of {size}")]
    Index {
        /// The entry.
        index: u64,
        /// The tree.
        size: u64,
    },
    /// The later tree is smaller.
    #[error("a tree of {new} cannot follow a tree of {old}")]
    Shrunk {
        /// The earlier size.
        old: u64,
        /// The later size.
        new: u64,
    },
    /// The list of hashes is too short or too long for these sizes.
    #[error("{found} hashes do not fit a tree of this size")]
    Length {
        /// Hashes given.
        found: usize,
    },
    /// The hashes lead to another root.
    #[error("the proof leads to another root")]
    Root,
}

/// `PATH(index, D[size])`, from the leaf's sibling up. `None` when the leaf is not in the tree or a hash is missing.
pub fn inclusion(hashes: &impl Hashes, index: u64, size: u64) -> Option<Vec<Hash>> {
    if index >= size {
        return None;
    }
    let mut path = Vec::new();
    let (mut lo, mut hi) = (0_u64, size);
    while hi.checked_sub(lo)? > 1 {
        let middle = lo.checked_add(split(hi.checked_sub(lo)?))?;
        if index < middle {
            path.push(range_root(hashes, middle, hi)?);
            hi = middle;
        } else {
            path.push(range_root(hashes, lo, middle)?);
            lo = middle;
        }
    }
    path.reverse();
    Some(path)
}

/// `PROOF(old, D[new])`. Empty for `old` 0 or `old` = `new`. `None` when `old` is later or a hash is missing.
pub fn consistency(hashes: &impl Hashes, old: u64, new: u64) -> Option<Vec<Hash>> {
    if old > new {
        return None;
    }
    let mut path = Vec::new();
    if old == 0 || old == new {
        return Some(path);
    }
    let (mut lo, mut hi) = (0_u64, new);
    while old < hi {
        let middle = lo.checked_add(split(hi.checked_sub(lo)?))?;
        if old <= middle {
            path.push(range_root(hashes, middle, hi)?);
            hi = middle;
        } else {
            path.push(range_root(hashes, lo, middle)?);
            lo = middle;
        }
    }
    // The old tree ends with a complete subtree here; the verifier knows its hash only when it is the whole old tree.
    if lo > 0 {
        path.push(range_root(hashes, lo, hi)?);
    }
    path.reverse();
    Some(path)
}

/// Checks that `leaf` is entry `index` of the tree with this size and root.
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    path: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    let last = size.checked_sub(1).filter(|last| index <= *last);
    let Some(mut last) = last else {
        return Err(ProofError::Index { index, size });
    };
    let length = ProofError::Length { found: path.len() };
    let (mut at, mut hash) = (index, *leaf);
    for sibling in path {
        if last == 0 {
            return Err(length);
        }
        if at & 1 == 1 || at == last {
            hash = node(sibling, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(length);
    }
    if hash == *root { Ok(()) } else { Err(ProofError::Root) }
}

/// Checks that the tree `(new, new_root)` begins with the tree `(old, old_root)`.
pub fn verify_consistency(
    (old, old_root): (u64, &Hash),
    (new, new_root): (u64, &Hash),
    path: &[Hash],
) -> Result<(), ProofError> {
    let length = ProofError::Length { found: path.len() };
    if old > new {
        return Err(ProofError::Shrunk { old, new });
    }
    if old == 0 || old == new {
        let same =
            if old == 0 { *old_root == crate::hash::empty_root() } else { old_root == new_root };
        return match (path.is_empty(), same) {
            (false, _) => Err(length),
            (true, false) => Err(ProofError::Root),
            (true, true) => Ok(()),
        };
    }
    // RFC 9162, section 2.1.4.2, step 2: a complete old tree is its own first hash.
    let mut hashes = path.iter();
    let first = if old.is_power_of_two() { *old_root } else { *hashes.next().ok_or(length)? };
    let (mut at, mut last) = (old.saturating_sub(1), new.saturating_sub(1));
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let (mut from_old, mut from_new) = (first, first);
    for sibling in hashes {
        if last == 0 {
            return Err(length);
        }
        if at & 1 == 1 || at == last {
            from_old = node(sibling, &from_old);
            from_new = node(sibling, &from_new);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            from_new = node(&from_new, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    match (last, from_old == *old_root && from_new == *new_root) {
        (0, true) => Ok(()),
        (0, false) => Err(ProofError::Root),
        _ => Err(length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::{Leaves, leaf, root};

    fn tree(size: u64) -> Leaves {
        Leaves((0..size).map(|i| leaf(&i.to_be_bytes())).collect())
    }

    #[test]
    fn every_inclusion_proof_up_to_forty_leaves_holds_and_no_other_leaf_fits() {
        let leaves = tree(40);
        for size in 1..=40 {
            let root = root(&leaves, size).unwrap();
            for index in 0..size {
                let path = inclusion(&leaves, index, size).unwrap();
                let at = leaves.hash(0, index).unwrap();
                assert_eq!(verify_inclusion(&at, index, size, &path, &root), Ok(()));
                let wrong = leaf(b"another entry");
                assert_eq!(
                    verify_inclusion(&wrong, index, size, &path, &root),
                    Err(ProofError::Root)
                );
                let longer = [path.as_slice(), &[[0; 32]]].concat();
                assert!(verify_inclusion(&at, index, size, &longer, &root).is_err());
                if let Some((_, shorter)) = path.split_last() {
                    assert!(verify_inclusion(&at, index, size, shorter, &root).is_err());
                }
            }
        }
        assert_eq!(inclusion(&leaves, 40, 40), None);
        assert!(matches!(
            verify_inclusion(&[0; 32], 3, 3, &[], &[0; 32]),
            Err(ProofError::Index { index: 3, size: 3 })
        ));
    }

    #[test]
    fn every_consistency_proof_up_to_forty_leaves_holds_and_a_changed_past_does_not() {
        let leaves = tree(40);
        let mut other = tree(40);
        other.0[0] = leaf(b"changed");
        for new in 0..=40 {
            let new_root = root(&leaves, new).unwrap();
            for old in 0..=new {
                let old_root = root(&leaves, old).unwrap();
                let path = consistency(&leaves, old, new).unwrap();
                assert_eq!(verify_consistency((old, &old_root), (new, &new_root), &path), Ok(()));
                if old > 0 {
                    let forged = root(&other, old).unwrap();
                    assert!(verify_consistency((old, &forged), (new, &new_root), &path).is_err());
                    let forged = root(&other, new).unwrap();
                    assert!(verify_consistency((old, &old_root), (new, &forged), &path).is_err());
                }
                let longer = [path.as_slice(), &[[0; 32]]].concat();
                assert!(verify_consistency((old, &old_root), (new, &new_root), &longer).is_err());
            }
        }
        assert_eq!(consistency(&leaves, 5, 4), None);
        assert_eq!(
            verify_consistency((5, &[0; 32]), (4, &[0; 32]), &[]),
            Err(ProofError::Shrunk { old: 5, new: 4 })
        );
    }
}
