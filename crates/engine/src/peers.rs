//! Links to peers: greeting, the check that a peer's journal never goes back, and holding a peer that fails it.
//!
//! Invariants: K2 across restores and clones (a restored or cloned node gets no sessions until an operator decides).
//! A peer's last seen journal length and head are remembered durably; at each link it must show that its journal
//! still contains that head. A restored image, an old copy or a fork cannot.

use crate::budgets::Costly;
use crate::clock::Comparison;
use crate::engine::Engine;
use crate::event::Effect;
use crate::hello::{Hello, JournalHead, PROTOCOL};
use crate::journal::{Entry, bounded};
use crate::message::Message;
use crate::pairs::Pair;
use crate::problem::{Class, Problem, refuse};
use crate::status::StoppedPair;
use model::entropy::Entropy;
use model::ids::NodeId;
use model::time::Timestamp;
use model::wire::{Wire, WireError};
use std::collections::BTreeSet;

/// One live link.
#[derive(Debug)]
pub(crate) struct Link {
    /// Its journal as last told over this link.
    pub journal: Option<JournalHead>,
    /// It showed that its journal contains what was seen before.
    pub checked: bool,
    /// When an open question was last repeated.
    pub nudged: Timestamp,
    /// When it was last told of every vault that is stored here and not by all.
    pub retold: Timestamp,
    /// Messages over this link that did not read.
    pub garbage: u32,
    /// What is known of its clock.
    pub clock: Comparison,
}

/// Records that a peer's journal may grow before it is written down again.
const SEEN_STRIDE: u64 = 64;
/// A grown journal is written down at least this often, milliseconds.
const SEEN_MS: u64 = 10_000;
/// This node tells how its journal grew at most this often, milliseconds.
const TELL_MS: u64 = 1_000;
/// Open questions are asked again after this, milliseconds: a frame may be lost with a link that lives.
const NUDGE_MS: u64 = 2_000;
/// A vault that is taken for given up is told of again after this, milliseconds.
const RETELL_MS: u64 = 60_000;
/// Messages of one link that may not read; the next one ends the link.
const GARBAGE_MAX: u32 = 16;

impl Engine {
    /// A link came up.
    pub(crate) fn handle_up(&mut self, peer: NodeId, hello: &[u8]) {
        if !self.state.peers.contains_key(&peer) {
            return;
        }
        match Hello::from_bytes(hello) {
            Ok(hello) if hello.protocol == PROTOCOL => {}
            Ok(hello) => {
                let text = format!("{} speaks protocol {}", self.name_of(peer), hello.protocol);
                return self.warn("protocol_mismatch", text);
            }
            Err(error) => {
                self.warn("malformed_hello", format!("{}: {error}", self.name_of(peer)));
                return self.push(Effect::Disconnect { peer });
            }
        }
        // A new run of the peer: whatever was in flight with the old one is gone.
        self.drop_sessions_with(peer, "the peer restarted");
        let (nudged, retold, clock) = (self.now, self.now, Comparison::default());
        let link = Link { journal: None, checked: false, nudged, retold, garbage: 0, clock };
        self.links.insert(peer, link);
        if let Some(reason) = self.state.peers.get(&peer).and_then(|p| p.held.clone()) {
            return self.send(peer, &Message::Held { reason });
        }
        // Always asked, also at first sight: the greeting was made before the link, the answer is of now.
        let seen = self.state.peers.get(&peer).and_then(|p| p.seen);
        self.send(peer, &Message::HistoryAsk(seen));
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
        let seen = self.state.peers.get(&peer).and_then(|p| p.seen);
        let Some(journal) = link.journal.filter(|_| link.checked) else { return };
        let grew = seen.is_none_or(|seen| seen.length < journal.length);
        // A link that goes up and down in a loop is written down now and then.
        if grew && (seen.is_none() || self.within_budget(peer, Costly::Journal)) {
            self.commit(Entry::PeerSeen(peer, journal));
        }
    }

    /// A message that does not read: named, and after some of them the link is given up.
    pub(crate) fn note_garbage(&mut self, peer: NodeId, error: &WireError) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        link.garbage = link.garbage.saturating_add(1);
        let many = link.garbage > GARBAGE_MAX;
        let name = self.name_of(peer);
        self.warn_of(peer, "malformed_message", format!("{name} sent what does not read: {error}"));
        if many {
            self.push(Effect::Disconnect { peer });
        }
    }

    /// Repeats what a link still waits for.
    pub(crate) fn nudge_links(&mut self) {
        let now = self.now;
        let due: Vec<(NodeId, bool)> = self
            .links
            .iter_mut()
            .filter(|(_, link)| now.ms_since(link.nudged) >= NUDGE_MS)
            .map(|(peer, link)| {
                link.nudged = now;
                let all = now.ms_since(link.retold) >= RETELL_MS;
                link.retold = if all { now } else { link.retold };
                (*peer, all)
            })
            .collect();
        for (peer, all) in due {
            if self.is_accepted(peer) {
                self.nudge_pair(peer);
                self.tell_stored(peer, all);
                self.tell_ceremonies(peer);
                self.tell_pending(peer);
                continue;
            }
            let state = self.state.peers.get(&peer).filter(|p| p.held.is_none());
            if let Some(seen) = state.map(|p| p.seen) {
                self.send(peer, &Message::HistoryAsk(seen));
            }
        }
    }

    /// A peer told how its journal grew.
    pub(crate) fn handle_journal(&mut self, peer: NodeId, journal: JournalHead) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        let before = link.journal.map_or(0, |known| known.length);
        let news = link.checked && journal.length > before;
        if !news || !self.within_budget(peer, Costly::Journal) {
            return;
        }
        if !journal.is_of(peer) {
            return self.name_forged_head(peer, "its own");
        }
        if let Some(link) = self.links.get_mut(&peer) {
            link.journal = Some(journal);
        }
        // Also while the link lives: an observer that crashes must not forget how far the peer had come.
        let seen = self.state.peers.get(&peer).and_then(|p| p.seen).map_or(0, |seen| seen.length);
        if journal.length >= seen.saturating_add(SEEN_STRIDE) {
            self.commit(Entry::PeerSeen(peer, journal));
        }
    }

    /// Nobody but the node that a head is of can sign it, and an honest peer passes on only what it checked.
    fn name_forged_head(&mut self, peer: NodeId, whose: &str) {
        let text =
            format!("{} showed a head of {whose} journal that is forged", self.name_of(peer));
        self.warn_of(peer, "forged_head", text);
    }

    /// Tells every peer how this node's journal grew, and writes down how far theirs have come.
    pub(crate) fn tell_journal(&mut self) {
        if self.told.0 < self.grown && self.now.ms_since(self.told.1) >= TELL_MS {
            self.told = (self.grown, self.now);
            let message = Message::Journal(self.journal_head());
            self.send_all(self.present(), &message);
        }
        if self.now.ms_since(self.seen_written) >= SEEN_MS {
            self.seen_written = self.now;
            for (peer, link) in core::mem::take(&mut self.links) {
                self.remember_journal(peer, &link);
                self.links.insert(peer, link);
            }
        }
    }

    fn journal_head(&self) -> JournalHead {
        JournalHead::sign(&self.key, self.state.life, self.length(), self.head())
    }

    pub(crate) fn handle_history_ask(&mut self, peer: NodeId, seen: Option<JournalHead>) {
        if !self.within_budget(peer, Costly::History) {
            return;
        }
        let length = seen.map_or(0, |seen| seen.length);
        let head = self.head_at(length);
        if let Some(seen) = seen {
            self.check_own_head(peer, seen);
        }
        let now = self.journal_head();
        self.send(peer, &Message::HistoryTell { length, head, now });
    }

    /// Our own signed word that our journal had come further, or another way: this disk went back. A head of an earlier
    /// life tells nothing new: that the disk went back since then was accepted, and a traitor shows it again at will.
    fn check_own_head(&mut self, peer: NodeId, seen: JournalHead) {
        if !seen.is_of(self.me) {
            return self.name_forged_head(peer, "this node's");
        }
        let life = self.state.life;
        let same = seen.life == life && self.head_at(seen.length) == Some(seen.head);
        if seen.life < life || same {
            return;
        }
        self.accepted_by.remove(&peer);
        if self.state.went_back.is_some_and(|known| known >= seen.life) {
            return;
        }
        self.commit(Entry::WentBack(seen.life));
        let text = format!(
            "this node's journal went back: {} shows its signed head at record {} of life {}; nothing is \
             signed here until every peer accepts it, or this node's operator does",
            self.name_of(peer),
            seen.length,
            seen.life
        );
        self.warn("went_back", text);
    }

    pub(crate) fn handle_history_tell(
        &mut self,
        peer: NodeId,
        length: u64,
        head: Option<[u8; 32]>,
        now: JournalHead,
        entropy: &mut dyn Entropy,
    ) {
        let Some(state) = self.state.peers.get(&peer).filter(|p| p.held.is_none()) else { return };
        let (wanted_length, wanted_head) =
            state.seen.map_or((0, [0; 32]), |seen| (seen.length, seen.head));
        let waiting = self.links.get(&peer).is_some_and(|link| !link.checked);
        // The question was repeated, and answered already.
        if !waiting || !self.within_budget(peer, Costly::History) {
            return;
        }
        if length != wanted_length {
            let text = format!(
                "{} was asked about record {wanted_length} of its journal, \
                 and answered about {length}",
                self.name_of(peer)
            );
            return self.warn_of(peer, "wrong_history", text);
        }
        if !now.is_of(peer) {
            return self.name_forged_head(peer, "its own");
        }
        if head == Some(wanted_head) && now.length >= wanted_length {
            if let Some(link) = self.links.get_mut(&peer) {
                link.journal = Some(now);
            }
            return self.accept(peer, entropy);
        }
        let reason = match head {
            None => format!("its journal went back behind record {length}"),
            Some(_) => format!("its journal no longer contains record {length} as it was seen"),
        };
        self.hold(peer, format!("{reason}: a restored or copied node"));
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
        self.tell_stored(peer, true);
        self.tell_ceremonies(peer);
        self.tell_pending(peer);
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
        self.accepted_by.remove(&peer);
        self.held_by.insert(peer, reason);
        self.warn_of(peer, "held_by_peer", text);
    }

    /// A peer speaks of pairs only with a node that it accepts: whatever it held this node for is over. Once every peer
    /// has accepted it, the operators have decided about its disk, and it signs again. Every one, or a traitor could hold
    /// and release it alone, and an honest peer's word would be taken for an old one.
    pub(crate) fn note_accepted_by(&mut self, peer: NodeId) {
        self.held_by.remove(&peer);
        self.accepted_by.insert(peer);
        if self.state.peers.keys().all(|peer| self.accepted_by.contains(peer)) {
            self.accept_rollback();
        }
    }

    /// This node's journal went back, and that is accepted: a new life, above every one that it signed a head of.
    fn accept_rollback(&mut self) {
        if let Some(shown) = self.state.went_back {
            let life = self.state.life.max(shown).saturating_add(1);
            self.commit(Entry::RollbackAccepted(life));
        }
    }

    /// The operator of this very node accepts that its journal went back: also where a peer is lost for good, or hostile.
    pub(crate) fn release_self(&mut self) -> Result<(), Problem> {
        if self.state.went_back.is_none() {
            let text = "this node's journal did not go back";
            return Err(refuse(Class::Conflict, "peer_not_held", text));
        }
        self.accept_rollback();
        Ok(())
    }

    pub(crate) fn handle_clone_seen(&mut self, peer: NodeId) {
        let text = format!(
            "a second live instance of {} tried to connect and was turned away",
            self.name_of(peer)
        );
        self.warn_of(peer, "clone_seen", text);
    }

    pub(crate) fn handle_turned_away(&mut self, peer: NodeId) {
        let reason = "another instance of this node is live".to_owned();
        let text = format!("{} turned this instance away: {reason}", self.name_of(peer));
        if self.held_by.insert(peer, reason).is_none() {
            self.warn("turned_away", text);
        }
    }

    /// After a pause or a restored image no pair state is used again: another copy of this node may have used it.
    pub(crate) fn handle_resumed(&mut self, reason: &str) {
        let reason = bounded(reason);
        self.commit(Entry::Resumed(reason.clone()));
        let ready: Vec<NodeId> = self
            .pairs
            .iter()
            .filter(|(_, pair)| matches!(pair, Pair::Ready { .. }))
            .map(|(peer, _)| *peer)
            .collect();
        // A stopped pair stays stopped: that is its operator's decision.
        for peer in ready {
            self.forget_pair(peer);
        }
        let text = format!("{reason}: a new run began; nonces, sessions and pair state are gone");
        self.warn("resumed", text);
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

    /// Vaults of which a signing set can be reached now. A peer that holds this node signs nothing with it; that is no more
    /// than its absence, so its word alone does not make this node unready.
    pub(crate) fn reachable_vaults(&self) -> usize {
        let willing = self.willing();
        self.vaults.values().filter(|k| k.public.quorum_from(&willing).is_some()).count()
    }

    /// Present, and not holding this node.
    fn willing(&self) -> BTreeSet<NodeId> {
        let mut willing = self.present();
        willing.retain(|peer| !self.held_by.contains_key(peer));
        willing
    }

    /// Stopped pairs without which some vault has no signing set for ECDSA. One that others can stand in for is no reason
    /// to call this node unready.
    pub(crate) fn stopped_pairs_that_block(&self) -> Vec<StoppedPair> {
        let here = |peer: &NodeId| self.pairs.get(peer).is_some_and(Pair::is_stopped);
        let stopped: BTreeSet<NodeId> = self
            .state
            .peers
            .keys()
            .copied()
            .filter(|peer| here(peer) || self.stopped_by.contains(peer))
            .collect();
        if stopped.is_empty() {
            return Vec::new();
        }
        let able: BTreeSet<NodeId> = self.willing().difference(&stopped).copied().collect();
        let blocked = self.vaults.values().filter(|k| k.public.quorum_from(&able).is_none());
        let blocking: BTreeSet<NodeId> = blocked
            .flat_map(|keeping| keeping.public.members.values().copied())
            .filter(|node| stopped.contains(node))
            .collect();
        let pair = |peer| StoppedPair { peer, operator: self.name_of(peer), here: here(&peer) };
        blocking.into_iter().map(pair).collect()
    }
}
