//! A traitor for tests: spoils one message of the oblivious transfer of a test home's node, so that real processes can be
//! seen to stop a pair and to take it up again (invariant K6).
//!
//! Only in test homes, which never hold a live vault. The byte is changed at the sending edge, behind every check of this
//! node's own. Absent on purpose: a choice of message, place or value. The harm is one failed check at one peer.

use crate::home::TamperPair;
use engine::Message;
use model::ids::NodeId;
use model::keys::KeyKind;
use model::wire::Wire as _;
use threshold::sign;

/// Round whose ECDSA message carries the transfer's checked vectors.
const ROUND: u8 = 1;

/// Spoils the first fitting frame and no other.
#[derive(Debug)]
pub(super) struct Tamper {
    done: bool,
}

impl Tamper {
    /// As the settings say.
    pub(super) fn start(TamperPair::Once: TamperPair) -> Self {
        tracing::warn!(code = "tampering", "one message of a pair will be spoiled: a test runs");
        Self { done: false }
    }

    /// The frame as it leaves.
    pub(super) fn pass(&mut self, to: NodeId, frame: Vec<u8>) -> Vec<u8> {
        if self.done {
            return frame;
        }
        let Some(spoiled) = spoil(&frame) else { return frame };
        self.done = true;
        tracing::warn!(code = "tampered", peer = %to.short(), "a message of the pair was spoiled");
        spoiled
    }
}

/// The frame with one bit of its transfer changed; none when it carries no transfer.
fn spoil(frame: &[u8]) -> Option<Vec<u8>> {
    let Ok(Message::Round { session, item, round, mut bytes }) = Message::from_bytes(frame) else {
        return None;
    };
    let head = sign::shown(&bytes)?.head;
    if head.kind != KeyKind::Ecdsa || head.round != ROUND {
        return None;
    }
    // Nine tenths in stand the vectors that the receiver checks against each other.
    let at = bytes.len().saturating_mul(9).checked_div(10)?;
    *bytes.get_mut(at)? ^= 1;
    Some(Message::Round { session, item, round, bytes }.to_bytes())
}
