//! Pair state and its discipline: made once per pair of nodes, sealed like a share, destroyed at the first failed check.
//!
//! Spec: `docs/spec/signing.md`. Invariant K6: answers to a peer's message leave in admission order and only while every
//! earlier check of that pair passed. The first failure is durable before anything else leaves, nothing more goes to that
//! pair, its state is destroyed, and only the operator's decision (`outlast node resume-pair`) makes fresh state.

use crate::budgets::Costly;
use crate::engine::{Engine, pair_key};
use crate::event::Effect;
use crate::job::{Job, JobOutput};
use crate::journal::{Entry, bounded};
use crate::message::Message;
use crate::sessions::Purpose;
use crate::state::PairRecord;
use model::entropy::Entropy;
use model::hash;
use model::ids::{NodeId, PairEpoch, RequestId, SessionId};
use model::secret::Secret;
use model::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use threshold::pair::{PairGate, PairSetup, PairState, PairStep};

/// Steps of making pair state; a later one is garbage.
const STEPS_MAX: u8 = 4;
/// A peer's version may be ahead of ours by this: versions must never run out, since what tells an answer of an old state
/// from one of the new is its version.
const EPOCH_STEP_MAX: u32 = 1_024;
/// Fresh pair state is not begun more often than this with one peer, milliseconds.
const SETUP_INTERVAL_MS: u64 = 1_000;
/// A setup that is not done by then is begun anew, milliseconds.
const SETUP_MS_MAX: u64 = 15_000;

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

/// Pair state being made.
pub(crate) struct Setup {
    /// Version offered by this end.
    epoch: PairEpoch,
    /// This end's fresh bytes.
    nonce: [u8; 32],
    /// The steps, while no job has them.
    steps: Option<Box<PairSetup>>,
    /// A job runs.
    busy: bool,
    /// The peer's fresh bytes, once its offer of this version is known.
    agreed: Option<[u8; 32]>,
    /// Steps sent and taken so far.
    sent: u8,
    taken: u8,
    /// The peer's steps that wait for their turn.
    waiting: BTreeMap<u8, Vec<u8>>,
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

    fn ready(state: PairState, epoch: PairEpoch, since: Timestamp) -> Self {
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

/// What both ends' steps are bound to, whichever computes it.
fn pair_context(epoch: PairEpoch, a: (NodeId, [u8; 32]), b: (NodeId, [u8; 32])) -> [u8; 32] {
    let (low, high) = if a.0 < b.0 { (a, b) } else { (b, a) };
    let parts: [&[u8]; 5] = [&low.0.0, &high.0.0, &epoch.0.to_be_bytes(), &low.1, &high.1];
    hash::tagged("outlast/pair-context/v1", &parts)
}

impl Engine {
    /// A checked link is up: tell what we hold, or offer to make it.
    pub(crate) fn greet_pair(&mut self, peer: NodeId, entropy: &mut dyn Entropy) {
        let record = self.state.peers.get(&peer).map(|p| p.pair.clone());
        match record {
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
            let (epoch, mesh) = (*epoch, state.id());
            self.send(peer, &Message::PairReady { epoch, mesh, heard: false });
        }
    }

    /// Offers fresh state to accepted peers that have none, at most once per interval.
    pub(crate) fn offer_pairs(&mut self, entropy: &mut dyn Entropy) {
        let waiting: Vec<NodeId> = self
            .pairs
            .iter()
            .filter(|(_, pair)| match pair {
                Pair::Absent { setup, begun } => {
                    let pause = if setup.is_none() { SETUP_INTERVAL_MS } else { SETUP_MS_MAX };
                    self.now.ms_since(*begun) >= pause
                }
                _ => false,
            })
            .map(|(peer, _)| *peer)
            .filter(|peer| self.is_accepted(*peer))
            .collect();
        for peer in waiting {
            self.offer_pair(peer, PairEpoch(0), entropy);
        }
    }

    fn offer_pair(&mut self, peer: NodeId, at_least: PairEpoch, entropy: &mut dyn Entropy) {
        let last = self.state.peers.get(&peer).map_or(PairEpoch(0), |p| p.pair.last());
        let epoch = PairEpoch(last.0.saturating_add(1)).max(at_least);
        let mut nonce = [0u8; 32];
        entropy.fill(&mut nonce);
        let setup = Setup {
            epoch,
            nonce,
            steps: None,
            busy: false,
            agreed: None,
            sent: 0,
            taken: 0,
            waiting: BTreeMap::new(),
        };
        self.pairs.insert(peer, Pair::Absent { setup: Some(setup), begun: self.now });
        self.send(peer, &Message::PairOffer { epoch, nonce });
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

    fn handle_pair_offer(
        &mut self,
        peer: NodeId,
        epoch: PairEpoch,
        nonce: [u8; 32],
        entropy: &mut dyn Entropy,
    ) {
        let last = self.state.peers.get(&peer).map_or(PairEpoch(0), |p| p.pair.last());
        if epoch.0 > last.0.saturating_add(EPOCH_STEP_MAX) {
            let text =
                format!("{} offers version {} after {}", self.name_of(peer), epoch.0, last.0);
            return self.warn("pair_version", text);
        }
        // Whatever begins a setup at the peer's wish has a budget.
        let begins = match self.pairs.get(&peer) {
            Some(Pair::Ready { .. } | Pair::Absent { setup: None, .. }) => true,
            Some(Pair::Absent { setup: Some(own), .. }) => {
                own.epoch < epoch
                    || own.epoch == epoch && own.agreed.is_some_and(|known| known != nonce)
            }
            Some(Pair::Stopped) | None => false,
        };
        if begins && !self.within_budget(peer, Costly::Setup) {
            return;
        }
        match self.pairs.get(&peer) {
            // Our own operator has not decided: no fresh state, whatever the peer wants.
            Some(Pair::Stopped) | None => {
                let epoch = self.state.peers.get(&peer).map_or(epoch, |p| p.pair.last());
                return self.send(peer, &Message::PairStopped { epoch });
            }
            // A setup costs both ends about 0.3 s of CPU: a peer cannot ask for it in a loop.
            Some(Pair::Ready { since, .. }) if self.now.ms_since(*since) < SETUP_INTERVAL_MS => {}
            // Checks of this state still run: it is not remade before each has been judged.
            Some(Pair::Ready { gate, .. }) if gate.in_flight() > 0 => {}
            // The peer has no state any more, so ours is of no use: destroy it and answer the offer.
            Some(Pair::Ready { .. }) => {
                self.forget_pair(peer);
                self.offer_pair(peer, epoch, entropy);
            }
            Some(Pair::Absent { setup: None, .. }) => self.offer_pair(peer, epoch, entropy),
            Some(Pair::Absent { setup: Some(own), .. }) if own.epoch < epoch => {
                self.offer_pair(peer, epoch, entropy);
            }
            // The peer began this version anew, so our half of it is of no use: both begin the next one.
            Some(Pair::Absent { setup: Some(own), .. })
                if own.epoch == epoch && own.agreed.is_some_and(|known| known != nonce) =>
            {
                let next = PairEpoch(epoch.0.saturating_add(1));
                return self.offer_pair(peer, next, entropy);
            }
            Some(Pair::Absent { .. }) => {}
        }
        let Some(Pair::Absent { setup: Some(own), .. }) = self.pairs.get_mut(&peer) else {
            return;
        };
        // A lower version: the peer will raise its own when it reads our offer.
        if own.epoch != epoch || own.agreed.is_some() {
            return;
        }
        own.agreed = Some(nonce);
        own.busy = true;
        let answer = Message::PairOffer { epoch, nonce: own.nonce };
        let context = pair_context(epoch, (self.me, own.nonce), (peer, nonce));
        // Once more: the peer dropped our offer if it held us then, and would wait for the next one, of another nonce.
        self.send(peer, &answer);
        let job = Job::PairStart { me: self.me, peer, epoch, context };
        self.compute(job, Purpose::Pair { peer, epoch });
    }

    fn handle_pair_step(&mut self, peer: NodeId, epoch: PairEpoch, step: u8, bytes: Vec<u8>) {
        let text = format!("{} sent step {step} of version {}", self.name_of(peer), epoch.0);
        let setup = match self.pairs.get_mut(&peer) {
            Some(Pair::Absent { setup: Some(setup), .. }) if setup.epoch == epoch => setup,
            Some(Pair::Ready { epoch: own, .. }) if *own == epoch => {
                return self.warn_of(peer, "wrong_round", format!("{text}, which is made"));
            }
            _ => return self.warn_of(peer, "wrong_epoch", text),
        };
        if !(1..=STEPS_MAX).contains(&step) {
            return self.warn_of(peer, "wrong_round", text);
        }
        // The first message of a step counts; a second one never replaces it.
        if step <= setup.taken || setup.waiting.contains_key(&step) {
            return self.warn_of(peer, "duplicate_message", format!("{text} twice"));
        }
        setup.waiting.insert(step, bytes);
        self.advance_setup(peer);
    }

    fn advance_setup(&mut self, peer: NodeId) {
        let Some(Pair::Absent { setup: Some(setup), .. }) = self.pairs.get_mut(&peer) else {
            return;
        };
        if setup.busy {
            return;
        }
        let Some(steps) = setup.steps.take() else { return };
        let next = setup.taken.saturating_add(1);
        let Some(bytes) = setup.waiting.remove(&next) else {
            setup.steps = Some(steps);
            return;
        };
        setup.taken = next;
        setup.busy = true;
        let purpose = Purpose::Pair { peer, epoch: setup.epoch };
        self.compute(Job::PairReceive { setup: steps, bytes }, purpose);
    }

    pub(crate) fn handle_pair_computed(
        &mut self,
        peer: NodeId,
        epoch: PairEpoch,
        output: JobOutput,
    ) {
        let Some(Pair::Absent { setup: Some(setup), .. }) = self.pairs.get_mut(&peer) else {
            return;
        };
        if setup.epoch != epoch {
            return;
        }
        setup.busy = false;
        match output {
            JobOutput::Pair(Ok(PairStep::Continue(steps, bytes))) => {
                setup.steps = Some(Box::new(steps));
                setup.sent = setup.sent.saturating_add(1);
                let step = setup.sent;
                self.send(peer, &Message::PairStep { epoch, step, bytes });
                self.advance_setup(peer);
            }
            JobOutput::Pair(Ok(PairStep::Done(state, last))) => {
                let step = setup.sent.saturating_add(1);
                self.store_pair(peer, epoch, state, last.map(|bytes| (step, bytes)));
            }
            JobOutput::Pair(Err(error)) => {
                self.drop_setup(peer);
                let text = format!("pair state with {} was not made: {error}", self.name_of(peer));
                self.warn("pair_setup_failed", text);
            }
            JobOutput::Sign(_) | JobOutput::Dkg(_) | JobOutput::Judged(..) | JobOutput::Lost => {
                self.drop_setup(peer);
            }
        }
    }

    fn store_pair(
        &mut self,
        peer: NodeId,
        epoch: PairEpoch,
        state: PairState,
        last: Option<(u8, Vec<u8>)>,
    ) {
        let mesh = state.id();
        self.put_secret(pair_key(peer), state.to_bytes());
        self.commit(Entry::PairMade(peer, epoch, mesh));
        self.pairs.insert(peer, Pair::ready(state, epoch, self.now));
        if let Some((step, bytes)) = last {
            self.send(peer, &Message::PairStep { epoch, step, bytes });
        }
        self.send(peer, &Message::PairReady { epoch, mesh, heard: false });
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

    /// The peer finished first: its word counts once our own state is stored, so ask it to say it again.
    fn note_early_ready(&mut self, peer: NodeId, epoch: PairEpoch) {
        if let Some(Pair::Absent { setup: Some(setup), .. }) = self.pairs.get(&peer)
            && setup.epoch > epoch
        {
            let offer = Message::PairOffer { epoch: setup.epoch, nonce: setup.nonce };
            self.send(peer, &offer);
        }
    }

    fn handle_pair_stopped(&mut self, peer: NodeId, epoch: PairEpoch) {
        let used =
            matches!(self.pairs.get(&peer), Some(Pair::Ready { epoch: own, .. }) if *own == epoch);
        if used && !self.is_judging(peer) && self.within_budget(peer, Costly::Setup) {
            let text = format!("{} stopped the pair with this node", self.name_of(peer));
            self.warn("pair_stopped_by_peer", text);
            self.forget_pair(peer);
        }
        if let Some(Pair::Absent { setup, begun }) = self.pairs.get_mut(&peer) {
            *setup = None;
            // Its operator has to decide first: ask again later, not at once.
            *begun = self.now.saturating_add_ms(SETUP_INTERVAL_MS);
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

    /// Drops a setup in the making; an unconfirmed state keeps, the next greeting compares it.
    pub(crate) fn drop_setup(&mut self, peer: NodeId) {
        match self.pairs.get_mut(&peer) {
            Some(Pair::Absent { setup, .. }) => *setup = None,
            Some(Pair::Ready { confirmed, .. }) => *confirmed = false,
            _ => {}
        }
    }
}
