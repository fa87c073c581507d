//! Which connection of a peer is the live one: at most one per peer, and both ends choose the same.
//!
//! Two instances may dial each other at once. The connection dialled by the node with the higher id wins, so both
//! ends keep the same one without a word. A connection of another *incarnation* is a restart or a clone: it is let
//! in only when the first no longer answers.

use super::frame::INCARNATION_BYTES;
use super::tls::Trusted;
use super::{LinkEnd, PEER_QUEUE_BYTES_MAX, SendError};
use model::ids::NodeId;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// What decides between two connections of one peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    /// This node dialled it.
    pub dialled_by_us: bool,
    /// Instance at the other end.
    pub incarnation: [u8; INCARNATION_BYTES],
}

/// What to do about a new connection while another one stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// The new one takes the place.
    Replace,
    /// The standing one stays, if it still answers; this would be the reason to refuse the new one.
    StaysIfAlive(LinkEnd),
}

/// Judges a new connection against the standing one. Both ends come to the same end.
pub(super) fn judge(me: NodeId, peer: NodeId, standing: Claim, new: Claim) -> Judgement {
    if standing.incarnation != new.incarnation {
        return Judgement::StaysIfAlive(LinkEnd::AnotherInstance);
    }
    // A node dials only while it has no connection, so the standing one is dead at the end that dialled again.
    let redialled = standing.dialled_by_us == new.dialled_by_us;
    let preferred = new.dialled_by_us == (me > peer);
    if redialled || preferred {
        Judgement::Replace
    } else {
        Judgement::StaysIfAlive(LinkEnd::Duplicate)
    }
}

/// The handle of one connection that is up.
#[derive(Debug)]
pub(super) struct Live {
    pub id: u64,
    pub claim: Claim,
    pub outgoing: mpsc::Sender<Vec<u8>>,
    /// Bytes that wait in `outgoing`.
    pub queued_bytes: AtomicUsize,
    /// Set once: why the connection shall end.
    pub close: watch::Sender<Option<LinkEnd>>,
    /// Our engine is behind and nothing is read; silence is then not the peer's.
    pub held_up: AtomicBool,
    /// Number of the last ping that somebody wants answered.
    pub ping: watch::Sender<u64>,
    /// Number of the last answer.
    pub pong: watch::Sender<u64>,
    /// True once the connection's `Down` was reported.
    pub done: watch::Sender<bool>,
}

impl Live {
    pub(super) fn new(id: u64, claim: Claim, outgoing: mpsc::Sender<Vec<u8>>) -> Self {
        Self {
            id,
            claim,
            outgoing,
            queued_bytes: AtomicUsize::new(0),
            close: watch::Sender::new(None),
            held_up: AtomicBool::new(false),
            ping: watch::Sender::new(0),
            pong: watch::Sender::new(0),
            done: watch::Sender::new(false),
        }
    }

    /// Ends the connection; the first reason stays.
    pub(super) fn end(&self, reason: LinkEnd) {
        self.close.send_if_modified(|slot| {
            let first = slot.is_none();
            if first {
                *slot = Some(reason);
            }
            first
        });
    }

    /// True when the other end answers a ping in time, or when we would not have noticed: turning a second instance
    /// away is the safe direction, an honest restart dials again.
    pub(super) async fn answers(&self, within: Duration) -> bool {
        let mut pong = self.pong.subscribe();
        self.ping.send_modify(|number| *number = number.saturating_add(1));
        let wanted = *self.ping.borrow();
        let mut done = self.done.subscribe();
        tokio::select! {
            answer = timeout(within, pong.wait_for(|number| *number >= wanted)) => {
                matches!(answer, Ok(Ok(_))) || self.held_up.load(Ordering::Acquire)
            }
            _ = done.wait_for(|done| *done) => false,
        }
    }

    /// Waits until the connection's end was reported.
    pub(super) async fn finished(&self) {
        // The sender lives in `self`, so the wait cannot fail.
        let _ = self.done.subscribe().wait_for(|done| *done).await;
    }

    /// Queues a frame; a full queue ends the connection, because its sessions are lost anyway.
    pub(super) fn queue(&self, bytes: Vec<u8>) -> Result<(), SendError> {
        let length = bytes.len();
        let before = self.queued_bytes.fetch_add(length, Ordering::AcqRel);
        let outcome = if before.saturating_add(length) > PEER_QUEUE_BYTES_MAX {
            Err(SendError::QueueFull)
        } else {
            self.outgoing.try_send(bytes).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => SendError::QueueFull,
                mpsc::error::TrySendError::Closed(_) => SendError::NotConnected,
            })
        };
        if outcome.is_err() {
            self.take_queued(length);
        }
        if outcome == Err(SendError::QueueFull) {
            self.end(LinkEnd::QueueFull);
        }
        outcome
    }

    pub(super) fn take_queued(&self, bytes: usize) {
        self.queued_bytes.fetch_sub(bytes, Ordering::AcqRel);
    }
}

/// The live connections of this node.
#[derive(Debug)]
pub(super) struct Table {
    me: NodeId,
    trusted: Trusted,
    live: Mutex<BTreeMap<NodeId, Arc<Live>>>,
    /// Counts changes, for those who wait for one.
    pub changes: watch::Sender<u64>,
}

/// What became of an attempt to register.
#[derive(Debug)]
pub(super) enum Registered {
    /// The connection is the live one; the other one, if any, is told to end.
    Yes(Option<Arc<Live>>),
    /// The standing one may have to stay: find out whether it answers.
    Contested(Arc<Live>, LinkEnd),
    /// The peer lost its trust meanwhile.
    Distrusted,
}

impl Table {
    pub(super) fn new(me: NodeId, trusted: Trusted) -> Self {
        Self { me, trusted, live: Mutex::default(), changes: watch::Sender::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeId, Arc<Live>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(super) fn get(&self, peer: &NodeId) -> Option<Arc<Live>> {
        self.lock().get(peer).cloned()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// What stands in the way of a connection that makes `claim`.
    pub(super) fn contest(&self, peer: NodeId, claim: Claim) -> Option<(Arc<Live>, LinkEnd)> {
        let standing = self.get(&peer)?;
        match judge(self.me, peer, standing.claim, claim) {
            Judgement::Replace => None,
            Judgement::StaysIfAlive(reason) => Some((standing, reason)),
        }
    }

    /// Makes `new` the live connection of `peer` unless the standing one may have to stay.
    pub(super) fn register(&self, peer: NodeId, new: &Arc<Live>) -> Registered {
        let mut live = self.lock();
        // Checked under the lock: `distrust` removes trust first and then looks into the table.
        if !self.trusted.contains(&peer) {
            return Registered::Distrusted;
        }
        if let Some(standing) = live.get(&peer)
            && let Judgement::StaysIfAlive(reason) = judge(self.me, peer, standing.claim, new.claim)
        {
            return Registered::Contested(standing.clone(), reason);
        }
        let old = live.insert(peer, new.clone());
        drop(live);
        if let Some(old) = &old {
            old.end(LinkEnd::Replaced);
        }
        self.changed();
        Registered::Yes(old)
    }

    /// Takes the connection out, if it is still the live one.
    pub(super) fn remove(&self, peer: &NodeId, id: u64) {
        let mut live = self.lock();
        if live.get(peer).is_some_and(|standing| standing.id == id) {
            live.remove(peer);
        }
        drop(live);
        self.changed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOW: NodeId = NodeId([1; 32]);
    const HIGH: NodeId = NodeId([2; 32]);

    fn claim(dialled_by_us: bool, incarnation: u8) -> Claim {
        Claim { dialled_by_us, incarnation: [incarnation; INCARNATION_BYTES] }
    }

    /// Goal: whichever of two crossing connections each end sees first, both ends keep the same one.
    #[test]
    fn both_ends_keep_the_connection_that_the_higher_node_dialled() {
        let keeps_new =
            |me, peer, standing, new| judge(me, peer, standing, new) == Judgement::Replace;
        // Seen by the higher node: its own dial against the other's.
        assert!(keeps_new(HIGH, LOW, claim(false, 1), claim(true, 1)));
        assert!(!keeps_new(HIGH, LOW, claim(true, 1), claim(false, 1)));
        // Seen by the lower node.
        assert!(keeps_new(LOW, HIGH, claim(true, 1), claim(false, 1)));
        assert!(!keeps_new(LOW, HIGH, claim(false, 1), claim(true, 1)));
    }

    #[test]
    fn a_second_dial_of_the_same_side_replaces_the_first() {
        assert_eq!(judge(HIGH, LOW, claim(false, 1), claim(false, 1)), Judgement::Replace);
        assert_eq!(judge(LOW, HIGH, claim(true, 1), claim(true, 1)), Judgement::Replace);
    }

    #[test]
    fn another_incarnation_never_replaces_one_that_answers() {
        for (old, new) in [(false, false), (false, true), (true, false), (true, true)] {
            assert_eq!(
                judge(HIGH, LOW, claim(old, 1), claim(new, 2)),
                Judgement::StaysIfAlive(LinkEnd::AnotherInstance)
            );
        }
    }
}
