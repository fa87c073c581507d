//! The rounds of a session: inboxes, jobs, the gates of pairs, and what leaves.
//!
//! Spec: `docs/spec/signing.md`. Invariant K6: a job is admitted to the gate of every pair it uses when its inbox is whole, and
//! its answers leave only as each gate releases them.

use crate::engine::Engine;
use crate::job::{Job, JobOutput};
use crate::journal::Entry;
use crate::message::Message;
use crate::pairs::{Answer, Pair};
use crate::sessions::{Item, Place, Purpose, Run, Tickets};
use model::hash;
use model::ids::{NodeId, Seat, SessionId};
use model::keys::KeyKind;
use model::signing::SignItem;
use model::wire::Wire;
use std::collections::BTreeMap;
use std::sync::Arc;
use threshold::pair::{PairState, Settled};
use threshold::sign;

/// Rounds of a signature; a message of a later one is garbage.
fn rounds_of(key: KeyKind) -> u8 {
    match key {
        KeyKind::Ecdsa => 3,
        KeyKind::Bip340 | KeyKind::Ed25519 => 2,
    }
}

/// The longest honest message is 55.4 KB (ECDSA, round 2) and 0.3 KB (FROST).
fn round_bytes_max(key: KeyKind) -> usize {
    match key {
        KeyKind::Ecdsa => 64 * 1024,
        KeyKind::Bip340 | KeyKind::Ed25519 => 2 * 1024,
    }
}

impl Engine {
    pub(crate) fn start_item(
        &mut self,
        session: SessionId,
        index: u16,
        item: SignItem,
        pairs: &BTreeMap<Seat, Arc<PairState>>,
    ) {
        let Some(state) = self.sessions.get(&session) else { return };
        let Some(keeping) = self.vaults.get(&state.proposal.request.vault) else { return };
        let job = Job::SignStart {
            session: item_session(session, index),
            public: Arc::clone(&keeping.public),
            share: Arc::clone(&keeping.share),
            quorum: state.proposal.quorum.clone(),
            pairs: if item.key == KeyKind::Ecdsa { pairs.clone() } else { BTreeMap::new() },
            item,
        };
        let purpose = Purpose::Item { session, item: index, tickets: BTreeMap::new() };
        self.compute(job, purpose);
    }

    pub(crate) fn handle_round(
        &mut self,
        peer: NodeId,
        session: SessionId,
        index: u16,
        round: u8,
        bytes: Vec<u8>,
    ) {
        let Some(state) = self.sessions.get_mut(&session) else {
            return self.keep_early(peer, session, index, round, bytes);
        };
        let seat = state.members.iter().find(|(_, node)| **node == peer).map(|(seat, _)| *seat);
        let key = state.plan.items.get(usize::from(index)).map(|item| item.key);
        // Neither can be honest, however late or often it comes: the session binds its signers and its signatures.
        let Some(seat) = seat else {
            let text = format!("{} does not sign in this session", self.name_of(peer));
            return self.warn_of(peer, "not_a_signer", text);
        };
        let Some(key) = key else {
            let text = format!("{} sent round {round} of signature {index}", self.name_of(peer));
            return self.warn_of(peer, "unknown_item", format!("{text}, which there is not"));
        };
        if bytes.len() > round_bytes_max(key) {
            let text =
                format!("{} sent {} bytes in round {round}", self.name_of(peer), bytes.len());
            return self.warn_of(peer, "over_long_message", text);
        }
        let Some(item) = self.item_mut(session, index) else { return };
        // A peer can be one round ahead, not more.
        let ahead = item.round.saturating_add(1);
        let open = round >= item.round.max(1) && round <= rounds_of(key).min(ahead);
        if !open || matches!(item.run, Run::Done(_)) {
            let here = item.round;
            let text = format!("{} sent round {round}", self.name_of(peer));
            return self.warn_of(peer, "wrong_round", format!("{text}; here it is round {here}"));
        }
        // The first message of a round counts; a second one never replaces it.
        let taken = round == item.round && matches!(item.run, Run::Busy);
        if taken || item.inbox.contains_key(&(round, seat)) {
            let text = format!("{} sent round {round} twice", self.name_of(peer));
            return self.warn_of(peer, "duplicate_message", text);
        }
        item.inbox.insert((round, seat), bytes);
        self.advance_item(session, index);
    }

    /// Hands the next round to a job once every other signer's message is there.
    fn advance_item(&mut self, session: SessionId, index: u16) {
        let Some(state) = self.sessions.get_mut(&session) else { return };
        let Some(key) = state.plan.items.get(usize::from(index)).map(|item| item.key) else {
            return;
        };
        let Some(item) = state.items.get_mut(usize::from(index)) else { return };
        let Run::Waiting(running) = &item.run else { return };
        let (round, expected) = (item.round, running.expects());
        if !expected.iter().all(|seat| item.inbox.contains_key(&(round, *seat))) {
            return;
        }
        // Admission, in the order in which inboxes became whole: every answer of this job must pass these gates.
        let mut tickets = BTreeMap::new();
        if key == KeyKind::Ecdsa {
            let others = state.members.iter().filter(|(_, node)| **node != self.me);
            for (seat, peer) in others {
                let Some(Pair::Ready { gate, epoch, .. }) = self.pairs.get_mut(peer) else {
                    continue;
                };
                if let Some(ticket) = gate.admit() {
                    tickets.insert(*seat, Place { peer: *peer, epoch: *epoch, ticket });
                }
            }
            if tickets.len().saturating_add(1) != state.members.len() {
                let lost = state.members.values().find(|node| {
                    **node != self.me && !self.pairs.get(node).is_some_and(Pair::is_ready)
                });
                let lost = lost.is_some();
                self.settle_tickets(session, tickets, BTreeMap::new());
                if lost {
                    self.fail_session(session, "a pair is stopped or made anew");
                }
                // A full gate: the next tick tries again.
                return;
            }
        }
        let inbox = expected
            .iter()
            .filter_map(|seat| Some((*seat, item.inbox.remove(&(round, *seat))?)))
            .collect();
        let Run::Waiting(running) = core::mem::replace(&mut item.run, Run::Busy) else { return };
        let job = Job::SignAdvance { running, inbox };
        self.compute(job, Purpose::Item { session, item: index, tickets });
    }

    /// Goes on with what waited at a full gate.
    pub(crate) fn advance_waiting(&mut self) {
        let waiting: Vec<(SessionId, u16)> = self
            .sessions
            .iter()
            .flat_map(|(id, s)| (0u16..).zip(&s.items).map(|(index, item)| (*id, index, item)))
            .filter(|(_, _, item)| matches!(item.run, Run::Waiting(_)) && !item.inbox.is_empty())
            .map(|(id, index, _)| (id, index))
            .collect();
        for (session, index) in waiting {
            self.advance_item(session, index);
        }
    }

    pub(crate) fn handle_computed(&mut self, id: crate::JobId, output: JobOutput) {
        match self.jobs.remove(&id) {
            Some(Purpose::Item { session, item, tickets }) => {
                let result = match output {
                    JobOutput::Sign(result) => result,
                    // Stop rather than guess: every pair of a lost job is suspect.
                    _ => Err(sign::SignError::Bug("a computation was lost")),
                };
                self.handle_item_computed(session, item, tickets, result);
            }
            Some(Purpose::Ceremony(id)) => self.handle_ceremony_computed(id, output),
            Some(Purpose::Evidence(id, peer)) => self.handle_judged(id, peer, output),
            Some(Purpose::Pair { peer, epoch }) => self.handle_pair_computed(peer, epoch, output),
            None => {}
        }
    }

    fn handle_item_computed(
        &mut self,
        session: SessionId,
        index: u16,
        tickets: Tickets,
        result: Result<sign::Step, sign::SignError>,
    ) {
        match result {
            Ok(sign::Step::Continue(running, outgoing)) => {
                self.send_round(session, index, tickets, Box::new(running), outgoing);
            }
            Ok(sign::Step::Done(signature)) => {
                self.settle_tickets(session, tickets, BTreeMap::new());
                if let Some(item) = self.item_mut(session, index) {
                    item.run = Run::Done(signature);
                }
                self.finish_when_all_signed(session);
            }
            Err(error) => self.handle_sign_error(session, tickets, &error),
        }
    }

    fn handle_sign_error(&mut self, session: SessionId, tickets: Tickets, error: &sign::SignError) {
        // A failed check counts whether or not its session still lives. When nobody is named, every pair of the job is
        // suspect: stop rather than guess.
        let source = std::error::Error::source(error).map(|s| format!(": {s}"));
        let text = format!("{error}{}", source.unwrap_or_default());
        let suspects = match error {
            sign::SignError::Misbehaved { culprit, pair: true, .. } => Some(*culprit),
            sign::SignError::Bug(_) => Some(None),
            _ => None,
        };
        for (seat, place) in tickets.iter().filter(|_| suspects.is_some()) {
            if suspects.flatten().is_none_or(|named| named == *seat) {
                self.stop_pair(place.peer, place.epoch, &text);
            }
        }
        self.settle_tickets(session, tickets, BTreeMap::new());
        if let sign::SignError::Misbehaved { culprit: Some(seat), .. } = error
            && let Some(node) =
                self.sessions.get(&session).and_then(|s| s.members.get(seat)).copied()
        {
            let text = format!("{} broke the protocol: {text}", self.name_of(node));
            self.suspect([node]);
            self.warn("misbehaved", text);
        } else {
            self.suspect_all(session);
        }
        if let sign::SignError::Bug(what) = error {
            self.warn("bug", (*what).to_owned());
        }
        self.fail_session(session, &text);
    }

    fn send_round(
        &mut self,
        session: SessionId,
        index: u16,
        tickets: Tickets,
        running: Box<sign::Running>,
        outgoing: Vec<sign::Outgoing>,
    ) {
        let Some(state) = self.sessions.get_mut(&session) else {
            return self.settle_tickets(session, tickets, BTreeMap::new());
        };
        let request = state.request;
        let members = state.members.clone();
        let Some(item) = state.items.get_mut(usize::from(index)) else { return };
        let out_of_our_hands = running.may_be_finished_by_others();
        let package = running.package_hash();
        item.round = running.round();
        item.run = Run::Waiting(running);
        let round = item.round;
        if out_of_our_hands {
            // From the first last-round message on, the request stays spent whatever becomes of the session.
            self.state.mark_spent(&request, &session);
        }
        if let Some(package) = package {
            // K2: which list this nonce answered is durable before the share leaves; effects wait for this commit.
            self.commit(Entry::Answered { request, session, item: index, package });
        }
        let mut frames: BTreeMap<NodeId, Vec<Vec<u8>>> = BTreeMap::new();
        for message in outgoing {
            let Some(peer) = members.get(&message.to).copied() else { continue };
            let bytes = message.bytes;
            let message = Message::Round { session, item: index, round, bytes };
            frames.entry(peer).or_default().push(message.to_bytes());
        }
        if tickets.is_empty() {
            for (peer, frames) in frames {
                self.send_frames(peer, frames);
            }
        } else {
            self.settle_tickets(session, tickets, frames);
        }
        self.advance_item(session, index);
    }

    /// Hands answers to their gates and sends what the gates release.
    pub(crate) fn settle_tickets(
        &mut self,
        session: SessionId,
        tickets: Tickets,
        mut frames: BTreeMap<NodeId, Vec<Vec<u8>>>,
    ) {
        let request = self.sessions.get(&session).map(|state| state.request);
        for Place { peer, epoch: admitted, ticket } in tickets.into_values() {
            let frames = frames.remove(&peer).unwrap_or_default();
            let answer = Answer { session, request, frames };
            let Some(Pair::Ready { gate, epoch, .. }) = self.pairs.get_mut(&peer) else { continue };
            // A ticket of an older state's gate opens nothing here.
            if *epoch != admitted {
                continue;
            }
            let Settled::Released(answers) = gate.settle(ticket, Ok(answer)) else { continue };
            for answer in answers {
                if self.is_wanted(&answer) {
                    self.send_frames(peer, answer.frames);
                }
            }
        }
    }

    /// The session lives, or this node has its signature already: then the peers still wait for the last message, which a
    /// gate may have held back behind another session. Answers of sessions without a signature never leave.
    fn is_wanted(&self, answer: &Answer) -> bool {
        let of = answer.request.and_then(|request| self.state.requests.get(&request));
        let ended = of.into_iter().flat_map(|state| state.signed.iter().chain(&state.superseded));
        self.sessions.contains_key(&answer.session)
            || ended.into_iter().any(|(session, ..)| *session == answer.session)
    }

    fn send_frames(&mut self, peer: NodeId, frames: Vec<Vec<u8>>) {
        if self.links.contains_key(&peer) {
            for bytes in frames {
                self.push(crate::Effect::Send { peer, bytes });
            }
        }
    }

    fn item_mut(&mut self, session: SessionId, index: u16) -> Option<&mut Item> {
        self.sessions.get_mut(&session)?.items.get_mut(usize::from(index))
    }
}

/// Each signature of a request runs under a session id of its own.
fn item_session(session: SessionId, index: u16) -> SessionId {
    SessionId(hash::tagged("outlast/item-session/v1", &[&session.0, &index.to_be_bytes()]))
}
