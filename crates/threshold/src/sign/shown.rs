//! What a signing message shows of its sender's one-time scalars: for recordings that prove no scalar served twice.
//!
//! Only public halves are read (nonce commitments, the instance point): what every peer sees anyway.

use super::message::Head;
use model::keys::KeyKind;
use model::limits::MESSAGE_BYTES_MAX;
use model::wire::{Reader, Wire};

/// Bytes of a compressed point of secp256k1.
const POINT: usize = 33;
/// An ECDSA answer: session binding and three points stand before the instance point.
const INSTANCE_POINT: usize = 32 + 3 * POINT;

/// The public halves of the one-time scalars that one message commits to, with the message's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// What the message belongs to.
    pub head: Head,
    /// FROST: hiding and binding commitment (round 1). ECDSA: the instance point (round 2). Empty in other rounds.
    pub points: Vec<Vec<u8>>,
    /// FROST, round 2: hash of the commitment list that the sender's nonces answer.
    pub package: Option<[u8; 32]>,
}

/// Reads a signing message; none when it is not one.
pub fn shown(bytes: &[u8]) -> Option<Shown> {
    let head = Head::peek(bytes).ok()?;
    let mut r = Reader::new(bytes);
    Head::read(&mut r).ok()?;
    let body = r.bytes(MESSAGE_BYTES_MAX).ok()?;
    r.finish().ok()?;
    let points = match (head.kind, head.round) {
        (KeyKind::Bip340 | KeyKind::Ed25519, 1) => {
            let (hiding, binding) = body.split_at_checked(body.len().checked_div(2)?)?;
            vec![hiding.to_vec(), binding.to_vec()]
        }
        (KeyKind::Ecdsa, 2) => {
            let end = INSTANCE_POINT.saturating_add(POINT);
            vec![body.get(INSTANCE_POINT..end)?.to_vec()]
        }
        _ => Vec::new(),
    };
    let package = match (head.kind, head.round) {
        (KeyKind::Bip340 | KeyKind::Ed25519, 2) => Some(body.first_chunk().copied()?),
        _ => None,
    };
    Some(Shown { head, points, package })
}
