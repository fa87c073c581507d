//! Making pair state with a peer: offers of a version, then two steps each way, then both store it and say so.
//!
//! Spec: `docs/spec/peer-messages.md`, "Making pair state". Invariant: what a peer says of a setup can end no more than its own
//! setup with this node. Absent on purpose: blame. A setup that came to nothing is named, and begun anew by itself.

use crate::budgets::Costly;
use crate::engine::Engine;
use crate::job::{Job, JobOutput};
use crate::journal::Entry;
use crate::message::Message;
use crate::pairs::Pair;
use crate::sealed::pair_key;
use crate::sessions::Purpose;
use model::entropy::Entropy;
use model::hash;
use model::ids::{NodeId, PairEpoch};
use std::collections::BTreeMap;
use threshold::pair::{PairSetup, PairState, PairStep};

/// Steps that each end sends.
const STEPS: u8 = 2;
/// An honest first step has 143,022 bytes.
const FIRST_BYTES_MAX: usize = 144 * 1024;
/// An honest second one has 195.
const SECOND_BYTES_MAX: usize = 1024;
/// A peer's version may be ahead of ours by this: versions must never run out, since what tells an answer of an old state
/// from one of the new is its version.
const EPOCH_STEP_MAX: u32 = 1_024;
/// Fresh pair state is not begun more often than this with one peer, milliseconds.
pub(crate) const SETUP_INTERVAL_MS: u64 = 1_000;
/// A setup that is not done by then is begun anew, milliseconds.
const SETUP_MS_MAX: u64 = 15_000;

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

/// What both ends' steps are bound to, whichever computes it.
fn pair_context(epoch: PairEpoch, a: (NodeId, [u8; 32]), b: (NodeId, [u8; 32])) -> [u8; 32] {
    let (low, high) = if a.0 < b.0 { (a, b) } else { (b, a) };
    let parts: [&[u8]; 5] = [&low.0.0, &high.0.0, &epoch.0.to_be_bytes(), &low.1, &high.1];
    hash::tagged("outlast/pair-context/v1", &parts)
}

impl Engine {
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
            self.name_late_setup(peer);
            self.offer_pair(peer, PairEpoch(0), entropy);
        }
    }

    /// A setup that nobody finished in time is named before the next one begins. No blame: frames are lost with links.
    fn name_late_setup(&mut self, peer: NodeId) {
        let Some(Pair::Absent { setup: Some(setup), .. }) = self.pairs.get(&peer) else { return };
        let what = match setup.agreed {
            None => "its offer".to_owned(),
            Some(_) => format!("its step {}", setup.taken.saturating_add(1)),
        };
        let text = format!(
            "pair state of version {} with {} was not made: {what} did not come within {} s",
            setup.epoch.0,
            self.name_of(peer),
            SETUP_MS_MAX / 1000
        );
        self.warn_of(peer, "pair_setup_late", text);
    }

    pub(crate) fn offer_pair(
        &mut self,
        peer: NodeId,
        at_least: PairEpoch,
        entropy: &mut dyn Entropy,
    ) {
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

    pub(crate) fn handle_pair_offer(
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
            return self.warn_of(peer, "pair_version", text);
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

    pub(crate) fn handle_pair_step(
        &mut self,
        peer: NodeId,
        epoch: PairEpoch,
        step: u8,
        bytes: Vec<u8>,
    ) {
        let text = format!("{} sent step {step} of version {}", self.name_of(peer), epoch.0);
        let setup = match self.pairs.get_mut(&peer) {
            Some(Pair::Absent { setup: Some(setup), .. }) if setup.epoch == epoch => setup,
            Some(Pair::Ready { epoch: own, .. }) if *own == epoch => {
                return self.warn_of(peer, "wrong_round", format!("{text}, which is made"));
            }
            _ => return self.warn_of(peer, "wrong_epoch", text),
        };
        // An honest step answers our last one, so that it is one ahead of ours at the most.
        if !(1..=STEPS).contains(&step) || step > setup.sent.saturating_add(1) {
            let due = setup.taken.saturating_add(1);
            return self.warn_of(peer, "wrong_round", format!("{text}; step {due} is due"));
        }
        let max = if step == 1 { FIRST_BYTES_MAX } else { SECOND_BYTES_MAX };
        if bytes.len() > max {
            let text = format!("{text} with {} bytes, {max} at most", bytes.len());
            return self.warn_of(peer, "over_long_message", text);
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
        self.stopped_by.remove(&peer);
        self.put_secret(pair_key(peer), state.to_bytes());
        self.commit(Entry::PairMade(peer, epoch, mesh));
        self.pairs.insert(peer, Pair::ready(state, epoch, self.now));
        if let Some((step, bytes)) = last {
            self.send(peer, &Message::PairStep { epoch, step, bytes });
        }
        self.send(peer, &Message::PairReady { epoch, mesh, heard: false });
    }

    /// The peer finished first: its word counts once our own state is stored, so ask it to say it again.
    pub(crate) fn note_early_ready(&mut self, peer: NodeId, epoch: PairEpoch) {
        if let Some(Pair::Absent { setup: Some(setup), .. }) = self.pairs.get(&peer)
            && setup.epoch > epoch
        {
            let offer = Message::PairOffer { epoch: setup.epoch, nonce: setup.nonce };
            self.send(peer, &offer);
        }
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
