//! Rounds without their session: those that overtook its proposal wait for it, those of a session that is over are late.
//!
//! Spec: `docs/spec/peer-messages.md`, "Order and trust". Invariant: what a peer sends early is bounded in number, bytes and
//! time. Absent on purpose: blame. A round without a session may be honest, whatever became of the proposal.

use crate::engine::Engine;
use model::ids::{NodeId, SessionId};
use model::limits;
use model::time::Timestamp;
use std::collections::{BTreeSet, VecDeque};

/// Messages of one session that may come before its proposal.
const EARLY_MESSAGES_MAX: usize = 2 * limits::ITEMS_PER_REQUEST_MAX;
/// Sessions of which one peer may have sent early messages.
const EARLY_SESSIONS_MAX: usize = limits::SESSIONS_MAX;
/// Bytes of early messages of one peer.
const EARLY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Early messages are forgotten after this, milliseconds.
const EARLY_MS_MAX: u64 = 5_000;
/// Sessions remembered as over, and for how long, milliseconds: nothing of an honest peer is under way longer.
const ENDED_MAX: usize = 16_384;
const ENDED_MS_MAX: u64 = 60_000;

/// Messages that came before their session's proposal.
pub(crate) struct Early {
    pub since: Timestamp,
    pub bytes: usize,
    pub messages: Vec<(u16, u8, Vec<u8>)>,
}

/// Sessions that ended here lately, or were refused: what comes of them is late.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    ids: BTreeSet<SessionId>,
    order: VecDeque<(Timestamp, SessionId)>,
}

impl Ended {
    pub(crate) fn holds(&self, session: &SessionId) -> bool {
        self.ids.contains(session)
    }

    fn add(&mut self, session: SessionId, now: Timestamp) {
        if self.ids.insert(session) {
            self.order.push_back((now, session));
        }
        while self.order.len() > ENDED_MAX {
            self.drop_oldest();
        }
    }

    fn expire(&mut self, now: Timestamp) {
        while self.order.front().is_some_and(|(at, _)| now.ms_since(*at) > ENDED_MS_MAX) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((_, session)) = self.order.pop_front() {
            self.ids.remove(&session);
        }
    }
}

impl Engine {
    pub(crate) fn keep_early(
        &mut self,
        peer: NodeId,
        session: SessionId,
        item: u16,
        round: u8,
        bytes: Vec<u8>,
    ) {
        // What was under way when a session ended is late, not early.
        if self.ended.holds(&session) {
            return;
        }
        let of_peer = self.early.iter().filter(|((_, from), _)| *from == peer);
        let (count, total) = of_peer.fold((0usize, 0usize), |(n, total), (_, early)| {
            (n.saturating_add(1), total.saturating_add(early.bytes))
        });
        if count >= EARLY_SESSIONS_MAX || total.saturating_add(bytes.len()) > EARLY_BYTES_MAX {
            return;
        }
        let since = self.now;
        let early = self.early.entry((session, peer)).or_insert_with(|| Early {
            since,
            bytes: 0,
            messages: Vec::new(),
        });
        if early.messages.len() < EARLY_MESSAGES_MAX {
            early.bytes = early.bytes.saturating_add(bytes.len());
            early.messages.push((item, round, bytes));
        }
    }

    pub(crate) fn take_early(&mut self, session: SessionId) {
        let peers: Vec<NodeId> =
            self.early.keys().filter(|(id, _)| *id == session).map(|(_, peer)| *peer).collect();
        for peer in peers {
            let early = self.early.remove(&(session, peer));
            for (item, round, bytes) in early.into_iter().flat_map(|early| early.messages) {
                self.handle_round(peer, session, item, round, bytes);
            }
        }
    }

    /// From here on the rounds of this session are late, not early.
    pub(crate) fn forget_session(&mut self, session: SessionId) {
        self.ended.add(session, self.now);
        self.early.retain(|(id, _), _| *id != session);
    }

    /// Rounds whose session nobody proposed here. No blame: the proposal may be lost with its proposer's link.
    pub(crate) fn expire_early(&mut self) {
        let now = self.now;
        self.ended.expire(now);
        let late = self.early.extract_if(.., |_, early| now.ms_since(early.since) > EARLY_MS_MAX);
        let late: Vec<(SessionId, NodeId)> = late.map(|(key, _)| key).collect();
        for (session, peer) in late {
            let (name, id) = (self.name_of(peer), session.short());
            let text = format!("{name} sent rounds of session {id}, which nobody proposed here");
            self.warn_of(peer, "unknown_session", text);
        }
    }
}
