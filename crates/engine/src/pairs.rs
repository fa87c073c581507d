//! Pair state and its discipline: made once per pair of nodes (`setup.rs`), sealed like a share, destroyed at the first failed
//! check.
//!
//! Spec: `docs/spec/signing.md`. Invariant K6: answers to a peer's message leave in admission order and only while every
//! earlier check of that pair passed. The first failure is durable before anything else leaves, nothing more goes to that
//! pair, its state is destroyed, and only the operator's decision (`outlast node resume-pair`) makes fresh state.

use crate::budgets::Costly;
use crate::engine::Engine;
use crate::event::Effect;
use crate::journal::{Entry, bounded};
use crate::message::Message;
use crate::sealed::pair_key;
use crate::setup::{SETUP_INTERVAL_MS, Setup};
use crate::state::PairRecord;
use model::entropy::Entropy;
use model::ids::{NodeId, PairEpoch, RequestId, SessionId};
use model::secret::Secret;
use model::time::Timestamp;
use std::sync::Arc;
use threshold::pair::{PairGate, PairState};

/// An answer that waits for its turn at the gate.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Session it belongs to; sent only while the session lives, or when it ended with a signature here.
    pub session: SessionId,
    /// Request of that session.
    pub request: Option<RequestId>,
    /// Frames for the peer; empty when there is nothing to send.
    pub frames: Vec<Vec<u8>>,
}

/// Pair state in memory.
pub(crate) enum Pair {
    /// None; perhaps being made.
    Absent {
        /// Being made.
        setup: Option<Setup>,
        /// When the last setup began.
        begun: Timestamp,
    },
    /// Ready for sessions.
    Ready {
        /// The secret state.
        state: Arc<PairState>,
        /// Version.
        epoch: PairEpoch,
        /// The discipline.
        gate: PairGate<Answer>,
        /// The peer said that it holds the same.
        confirmed: bool,
        /// When it was made or loaded.
        since: Timestamp,
    },
    /// Stopped by a failed check.
    Stopped,
}

impl Pair {
    /// From the journal's record and the sealed state.
    pub fn open(
        record: &PairRecord,
        sealed: Option<Secret<Vec<u8>>>,
        now: Timestamp,
    ) -> Result<Self, ()> {
        match (record, sealed) {
            (PairRecord::Ready { epoch, mesh }, Some(bytes)) => {
                let state = PairState::from_bytes(bytes.expose()).map_err(|_| ())?;
                if state.id() != *mesh {
                    return Err(());
                }
                Ok(Self::ready(state, *epoch, now))
            }
            // A write that stopped the pair came through only in part: without its state nothing can leak, and the
            // operator decides.
            (PairRecord::Ready { .. }, None) => Ok(Self::Stopped),
            (PairRecord::Absent { .. }, _) => Ok(Self::absent()),
            (PairRecord::Stopped { .. }, _) => Ok(Self::Stopped),
        }
    }

    pub(crate) fn ready(state: PairState, epoch: PairEpoch, since: Timestamp) -> Self {
        let state = Arc::new(state);
        Self::Ready { state, epoch, gate: PairGate::new(), confirmed: false, since }
    }

    /// No state, none being made.
    pub fn absent() -> Self {
        Self::Absent { setup: None, begun: Timestamp(0) }
    }

    /// Usable: both ends said that they hold the same state.
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Ready { confirmed: true, .. })
    }

    /// Waits for the operator.
    pub fn is_stopped(&self) -> bool {
        matches!(self, Self::Stopped)
    }

    /// Word for the API.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Absent { setup: None, .. } => "absent",
            Self::Absent { .. } | Self::Ready { confirmed: false, .. } => "making",
            Self::Ready { .. } => "ready",
            Self::Stopped => "stopped",
        }
    }
}

impl Engine {
    /// A checked link is up: tell what we hold, or offer to make it.
    pub(crate) fn greet_pair(&mut self, peer: NodeId, entropy: &mut dyn Entropy) {
        match self.state.peers.get(&peer).map(|p| p.pair.clone()) {
            Some(PairRecord::Ready { epoch, mesh }) => {
                self.send(peer, &Message::PairReady { epoch, mesh, heard: false });
            }
            Some(PairRecord::Stopped { epoch, .. }) => {
                self.send(peer, &Message::PairStopped { epoch });
            }
            Some(PairRecord::Absent { .. }) => self.offer_pair(peer, PairEpoch(0), entropy),
            None => {}
        }
    }

    /// Repeats this end's word while the peer's is missing.
    pub(crate) fn nudge_pair(&mut self, peer: NodeId) {
        if let Some(Pair::Ready { state, epoch, confirmed: false, .. }) = self.pairs.get(&peer) {
            self.send(peer, &Message::PairReady { epoch: *epoch, mesh: state.id(), heard: false });
        }
    }

    pub(crate) fn handle_pair_message(
        &mut self,
        peer: NodeId,
        message: Message,
        entropy: &mut dyn Entropy,
    ) {
        match message {
            Message::PairOffer { epoch, nonce } => {
                self.handle_pair_offer(peer, epoch, nonce, entropy);
            }
            Message::PairStep { epoch, step, bytes } => {
                self.handle_pair_step(peer, epoch, step, bytes);
            }
            Message::PairReady { epoch, mesh, heard } => {
                self.handle_pair_ready(peer, epoch, mesh, heard);
            }
            Message::PairStopped { epoch } => self.handle_pair_stopped(peer, epoch),
            _ => {}
        }
    }

    fn handle_pair_ready(&mut self, peer: NodeId, epoch: PairEpoch, mesh: [u8; 32], heard: bool) {
        let own = match self.pairs.get(&peer) {
            Some(Pair::Ready { state, epoch, .. }) => (state.id(), *epoch),
            // Still making it: the peer is ahead, its word comes again with the next link.
            _ => return self.note_early_ready(peer, epoch),
        };
        if own == (mesh, epoch) {
            return self.confirm_pair(peer, heard);
        }
        if self.is_judging(peer) || !self.within_budget(peer, Costly::Setup) {
            return;
        }
        // A crash between the two ends' writes: neither state is of use, and nobody is to blame.
        let text =
            format!("pair state with {} does not match and is made anew", self.name_of(peer));
        self.warn("pair_mismatch", text);
        self.forget_pair(peer);
    }

    fn confirm_pair(&mut self, peer: NodeId, heard: bool) {
        let Some(Pair::Ready { confirmed, epoch, state, .. }) = self.pairs.get_mut(&peer) else {
            return;
        };
        *confirmed = true;
        let answer = Message::PairReady { epoch: *epoch, mesh: state.id(), heard: true };
        if !heard {
            self.send(peer, &answer);
        }
    }

    /// Checks of the state with a peer still run.
    fn is_judging(&self, peer: NodeId) -> bool {
        matches!(self.pairs.get(&peer), Some(Pair::Ready { gate, .. }) if gate.in_flight() > 0)
    }

    fn handle_pair_stopped(&mut self, peer: NodeId, epoch: PairEpoch) {
        let used =
            matches!(self.pairs.get(&peer), Some(Pair::Ready { epoch: own, .. }) if *own == epoch);
        // Also while this node still judges answers of the pair: it is then forgotten by the next word, and known at once.
        if used {
            self.stopped_by.insert(peer);
        }
        if used && !self.is_judging(peer) && self.within_budget(peer, Costly::Setup) {
            let text = format!("{} stopped the pair with this node", self.name_of(peer));
            self.warn("pair_stopped_by_peer", text);
            self.forget_pair(peer);
        }
        if let Some(Pair::Absent { setup, begun }) = self.pairs.get_mut(&peer) {
            *setup = None;
            // Its operator has to decide first: ask again later, not at once.
            *begun = self.now.saturating_add_ms(SETUP_INTERVAL_MS);
            self.stopped_by.insert(peer);
        }
    }

    /// The first failed check of a pair (K6): durable in this output's commit, before anything else leaves.
    pub(crate) fn stop_pair(&mut self, peer: NodeId, epoch: PairEpoch, reason: &str) {
        // A check of an older state says nothing of this one.
        if !matches!(self.pairs.get(&peer), Some(Pair::Ready { epoch: own, .. }) if *own == epoch) {
            return;
        }
        self.pairs.insert(peer, Pair::Stopped);
        self.delete_secret(pair_key(peer));
        self.commit(Entry::PairStopped(peer, epoch, bounded(reason)));
        self.drop_sessions_with(peer, "the pair was stopped");
        self.send(peer, &Message::PairStopped { epoch });
        let text = format!(
            "a check of the pair with {} failed ({reason}); its state is destroyed and nothing more \
             is signed with it until `outlast node resume-pair {peer}`",
            self.name_of(peer)
        );
        self.push(Effect::Warn { code: "pair_stopped", message: text });
    }

    /// The operator's decision: fresh state may be made.
    pub(crate) fn resume_pair(&mut self, peer: NodeId) {
        self.commit(Entry::PairResumed(peer));
        self.pairs.insert(peer, Pair::absent());
    }

    /// Drops state that is of no use any more, without blame.
    pub(crate) fn forget_pair(&mut self, peer: NodeId) {
        if matches!(self.pairs.get(&peer), Some(Pair::Ready { .. } | Pair::Stopped)) {
            self.delete_secret(pair_key(peer));
            self.commit(Entry::PairResumed(peer));
            self.drop_sessions_with(peer, "the pair state is made anew");
        }
        self.pairs.insert(peer, Pair::absent());
    }
}
