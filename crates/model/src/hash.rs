//! Domain-separated SHA-256: `SHA-256(SHA-256(tag) || SHA-256(tag) || parts)`, the form of BIP-340.
//!
//! Every part is preceded by its length as eight big-endian bytes, so two lists of parts never collide.

use sha2::{Digest, Sha256};

/// Hash of `parts` under `tag`.
pub fn tagged(tag: &str, parts: &[&[u8]]) -> [u8; 32] {
    let tag_hash = Sha256::digest(tag.as_bytes());
    let mut hasher = Sha256::new();
    hasher.update(tag_hash);
    hasher.update(tag_hash);
    for part in parts {
        hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// Plain SHA-256, for formats that others defined.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_a_border_between_parts_changes_the_hash() {
        assert_ne!(tagged("t", &[b"ab", b"c"]), tagged("t", &[b"a", b"bc"]));
        assert_ne!(tagged("t", &[b"a"]), tagged("u", &[b"a"]));
        assert_ne!(tagged("t", &[]), tagged("t", &[b""]));
    }
}
