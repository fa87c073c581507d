//! Links to peers: greeting, the check that a peer's journal never goes back, and holding a peer that fails it.
//!
//! Invariants: K2 across restores and clones (a restored or cloned node gets no sessions until an operator decides).
//! A peer's last seen journal length and head are remembered durably; at each link it must show that its journal
//! still contains that head. A restored image, an old copy or a fork cannot.

use crate::engine::Engine;
use crate::journal::{Entry, bounded};
use crate::message::{Hello, Message, PROTOCOL};
use model::entropy::Entropy;
use model::ids::NodeId;
use model::time::Timestamp;
use model::wire::Wire;
use std::collections::BTreeSet;
use threshold::shares::VaultPublic;

/// One live link.
#[derive(Debug)]
pub(crate) struct Link {
    /// Its journal as greeted or told since.
    pub journal: (u64, [u8; 32]),
    /// It showed that its journal contains what was seen before.
    pub checked: bool,
    /// When an open question was last repeated.
    pub nudged: Timestamp,
}

/// Records that a peer's journal may grow before it is written down again.
const SEEN_STRIDE: u64 = 64;
/// Open questions are asked again after this, milliseconds: a frame may be lost with a link that lives.
const NUDGE_MS: u64 = 2_000;

impl Engine {
    /// A link came up.
    pub(crate) fn handle_up(&mut self, peer: NodeId, hello: &[u8], entropy: &mut dyn Entropy) {
        if !self.state.peers.contains_key(&peer) {
            return;
        }
        let hello = match Hello::from_bytes(hello) {
            Ok(hello) if hello.protocol == PROTOCOL => hello,
            Ok(hello) => {
                let text = format!("{} speaks protocol {}", self.name_of(peer), hello.protocol);
                return self.warn("protocol_mismatch", text);
            }
            Err(error) => {
                return self.warn("malformed_hello", format!("{}: {error}", self.name_of(peer)));
            }
        };
        // A new run of the peer: whatever was in flight with the old one is gone.
        self.drop_sessions_with(peer, "the peer restarted");
        let link = Link { journal: (hello.length, hello.head), checked: false, nudged: self.now };
        self.links.insert(peer, link);
        self.held_by.remove(&peer);
        if let Some(reason) = self.state.peers.get(&peer).and_then(|p| p.held.clone()) {
            return self.send(peer, &Message::Held { reason });
        }
        // A greeting may be as old as the peer's start, so what it says of the journal's length proves nothing: ask.
        match self.state.peers.get(&peer).and_then(|p| p.seen) {
            Some((length, _)) if length > 0 => self.send(peer, &Message::HistoryAsk { length }),
            _ => self.accept(peer, entropy),
        }
    }

    /// A link went down.
    pub(crate) fn handle_down(&mut self, peer: NodeId) {
        let Some(link) = self.links.remove(&peer) else { return };
        self.remember_journal(peer, &link);
        self.drop_sessions_with(peer, "the link went down");
        self.drop_setup(peer);
        self.drop_ceremonies_with(peer);
    }

    fn remember_journal(&mut self, peer: NodeId, link: &Link) {
        let seen = self.state.peers.get(&peer).and_then(|p| p.seen).map_or(0, |(length, _)| length);
        // Never backwards: an old greeting must not make us forget how far the peer had come.
        if link.checked && link.journal.0 > seen {
            self.commit(Entry::PeerSeen(peer, link.journal.0, link.journal.1));
        }
    }

    /// Repeats what a link still waits for.
    pub(crate) fn nudge_links(&mut self) {
        let now = self.now;
        let due: Vec<NodeId> = self
            .links
            .iter_mut()
            .filter(|(_, link)| now.ms_since(link.nudged) >= NUDGE_MS)
            .map(|(peer, link)| {
                link.nudged = now;
                *peer
            })
            .collect();
        for peer in due {
            if self.is_accepted(peer) {
                self.nudge_pair(peer);
                self.tell_stored(peer);
                self.tell_ceremonies(peer);
                continue;
            }
            let state = self.state.peers.get(&peer);
            let seen = state.filter(|p| p.held.is_none()).and_then(|p| p.seen);
            if let Some((length, _)) = seen {
                self.send(peer, &Message::HistoryAsk { length });
            }
        }
    }

    /// A peer told its journal along with a verdict: it may only grow.
    pub(crate) fn note_journal(&mut self, peer: NodeId, journal: (u64, [u8; 32])) {
        if let Some(link) = self.links.get_mut(&peer)
            && journal.0 > link.journal.0
        {
            link.journal = journal;
        }
        // Also while the link lives: an observer that crashes must not forget how far the peer had come.
        let seen = self.state.peers.get(&peer).and_then(|p| p.seen).map_or(0, |(length, _)| length);
        if self.is_accepted(peer) && journal.0 >= seen.saturating_add(SEEN_STRIDE) {
            self.commit(Entry::PeerSeen(peer, journal.0, journal.1));
        }
    }

    pub(crate) fn handle_history_ask(&mut self, peer: NodeId, length: u64) {
        let head = self.head_at(length);
        self.send(peer, &Message::HistoryTell { length, head });
    }

    pub(crate) fn handle_history_tell(
        &mut self,
        peer: NodeId,
        length: u64,
        head: Option<[u8; 32]>,
        entropy: &mut dyn Entropy,
    ) {
        let Some((seen_length, seen_head)) = self.state.peers.get(&peer).and_then(|p| p.seen)
        else {
            return;
        };
        let waiting = self.links.get(&peer).is_some_and(|link| !link.checked);
        if !waiting || length != seen_length {
            return;
        }
        if head == Some(seen_head) {
            return self.accept(peer, entropy);
        }
        let found = if head.is_none() { "is shorter than" } else { "differs at" };
        let reason = format!("its journal {found} {length} records: a restored or copied node");
        self.hold(peer, reason);
    }

    fn accept(&mut self, peer: NodeId, entropy: &mut dyn Entropy) {
        if let Some(link) = self.links.get_mut(&peer) {
            link.checked = true;
        }
        if let Some(link) = self.links.remove(&peer) {
            self.remember_journal(peer, &link);
            self.links.insert(peer, link);
        }
        self.greet_pair(peer, entropy);
        self.tell_stored(peer);
        self.tell_ceremonies(peer);
    }

    fn hold(&mut self, peer: NodeId, reason: String) {
        let reason = bounded(&reason);
        self.commit(Entry::PeerHeld(peer, reason.clone()));
        self.warn("peer_held", format!("{} is held: {reason}", self.name_of(peer)));
        self.drop_sessions_with(peer, "the peer is held");
        self.send(peer, &Message::Held { reason });
    }

    pub(crate) fn handle_held(&mut self, peer: NodeId, reason: String) {
        let text = format!("{} holds this node: {reason}", self.name_of(peer));
        self.held_by.insert(peer, reason);
        self.warn("held_by_peer", text);
    }

    /// A peer speaks of pairs only with a node that it accepts: whatever it held this node for is over.
    pub(crate) fn note_accepted_by(&mut self, peer: NodeId) {
        self.held_by.remove(&peer);
    }

    pub(crate) fn handle_clone_seen(&mut self, peer: NodeId) {
        let text = format!(
            "a second live instance of {} tried to connect and was turned away",
            self.name_of(peer)
        );
        self.warn("clone_seen", text);
    }

    pub(crate) fn handle_turned_away(&mut self, peer: NodeId) {
        let reason = "another instance of this node is live".to_owned();
        let text = format!("{} turned this instance away: {reason}", self.name_of(peer));
        if self.held_by.insert(peer, reason).is_none() {
            self.warn("turned_away", text);
        }
    }

    /// The operator accepts a held peer again, with fresh pair state.
    pub(crate) fn release_peer(&mut self, peer: NodeId) {
        self.commit(Entry::PeerReleased(peer));
        self.forget_pair(peer);
        if let Some(link) = self.links.get_mut(&peer) {
            link.checked = true;
        }
    }

    /// True for a trusted peer with a live, checked link that is not held.
    pub(crate) fn is_accepted(&self, peer: NodeId) -> bool {
        self.links.get(&peer).is_some_and(|link| link.checked)
            && self.state.peers.get(&peer).is_some_and(|state| state.held.is_none())
    }

    /// This node and every accepted peer.
    pub(crate) fn present(&self) -> BTreeSet<NodeId> {
        let peers = self.links.keys().copied().filter(|peer| self.is_accepted(*peer));
        peers.chain([self.me]).collect()
    }

    /// True when a signing set of the vault can be reached now.
    pub(crate) fn is_reachable(&self, public: &VaultPublic) -> bool {
        public.quorum_from(&self.present()).is_some()
    }
}
