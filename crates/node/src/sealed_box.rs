//! XChaCha20-Poly1305 under a 32-byte key: `nonce (24) || ciphertext || tag (16)`.
//!
//! The nonce is random; 192 bits leave no room for a repeat. The associated data is a tagged hash of parts, so a
//! box that was moved to another place, node or schema does not open.

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use model::entropy::Entropy;
use model::hash;
use model::secret::Secret;

const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;

fn associated(parts: &[&[u8]]) -> [u8; 32] {
    hash::tagged("outlast/sealed-box/v1", parts)
}

/// Seals `plain`; `None` only beyond the cipher's 256 GiB.
pub(crate) fn seal(
    key: &[u8; 32],
    parts: &[&[u8]],
    plain: &[u8],
    entropy: &mut dyn Entropy,
) -> Option<Vec<u8>> {
    let mut nonce = [0u8; NONCE_BYTES];
    entropy.fill(&mut nonce);
    // One buffer of the final size: a growing one would leave copies of the plain text behind.
    let mut buffer = Vec::with_capacity(plain.len().saturating_add(TAG_BYTES));
    buffer.extend_from_slice(plain);
    let cipher = XChaCha20Poly1305::new(key.into());
    cipher.encrypt_in_place(&XNonce::from(nonce), &associated(parts), &mut buffer).ok()?;
    Some([nonce.as_slice(), &buffer].concat())
}

/// Opens a box; `None` when key, place or bytes differ.
pub(crate) fn open(key: &[u8; 32], parts: &[&[u8]], bytes: &[u8]) -> Option<Secret<Vec<u8>>> {
    let (nonce, body) = bytes.split_first_chunk::<NONCE_BYTES>()?;
    let mut buffer = body.to_vec();
    let cipher = XChaCha20Poly1305::new(key.into());
    cipher.decrypt_in_place(&XNonce::from(*nonce), &associated(parts), &mut buffer).ok()?;
    Some(Secret::new(buffer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::OsEntropy;

    #[test]
    fn a_box_opens_in_its_own_place_only_and_every_changed_bit_closes_it() {
        let key = [7u8; 32];
        let sealed = seal(&key, &[b"a", b"b"], b"secret", &mut OsEntropy).unwrap();
        let opened = |key: &[u8; 32], parts: &[&[u8]], bytes: &[u8]| {
            open(key, parts, bytes).map(|plain| plain.expose().clone())
        };
        assert_eq!(opened(&key, &[b"a", b"b"], &sealed), Some(b"secret".to_vec()));
        assert_eq!(opened(&key, &[b"ab", b""], &sealed), None);
        assert_eq!(opened(&[8u8; 32], &[b"a", b"b"], &sealed), None);
        for position in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[position] ^= 1;
            assert_eq!(opened(&key, &[b"a", b"b"], &changed), None);
            assert_eq!(opened(&key, &[b"a", b"b"], &sealed[..position]), None);
        }
    }
}
