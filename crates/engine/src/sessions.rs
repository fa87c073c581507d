//! Signing sessions: propose, decide, rounds, result.
//!
//! Spec: `docs/spec/signing.md`. Invariants: K3 (the decision is durable before this node's first message of the session),
//! K6 (answers pass their pair's gate), P1 (this node built and decoded the bytes itself).
//!
//! A silent or lying member costs its own sessions only: they end by time or by name, their nonces are gone, and the
//! request may be tried again under a new session id.

use crate::engine::Engine;
use crate::job::{Job, JobOutput};
use crate::journal::{Entry, bounded};
use crate::message::{Message, Proposal};
use crate::pairs::{Answer, Pair};
use crate::problem::{Class, Problem, refuse};
use chains::Plan;
use model::entropy::Entropy;
use model::hash;
use model::ids::{CeremonyId, NodeId, PairEpoch, RequestId, Seat, SessionId};
use model::keys::KeyKind;
use model::limits;
use model::signing::{SignItem, Signature};
use model::time::Timestamp;
use model::wire::Wire;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use threshold::pair::{PairState, Settled, Ticket};
use threshold::sign;

/// Messages of one session that may come before its proposal.
const EARLY_MESSAGES_MAX: usize = 2 * limits::ITEMS_PER_REQUEST_MAX;
/// Bytes of early messages of all sessions together.
const EARLY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Early messages are forgotten after this, milliseconds.
const EARLY_MS_MAX: u64 = 5_000;

/// A place at every gate that a job's answers must pass, by the seat of the peer.
pub(crate) type Tickets = BTreeMap<Seat, Place>;

/// One place at the gate of one version of a pair's state.
pub(crate) struct Place {
    peer: NodeId,
    epoch: PairEpoch,
    ticket: Ticket,
}

/// Why a job was handed out.
pub(crate) enum Purpose {
    /// A round of one signature; a ticket for every gate that its answers must pass.
    Item { session: SessionId, item: u16, tickets: Tickets },
    /// A round of key generation.
    Ceremony(CeremonyId),
    /// A step of pair state.
    Pair { peer: NodeId, epoch: PairEpoch },
}

/// One session in memory; nothing of it survives a restart.
pub(crate) struct Session {
    pub proposal: Proposal,
    pub request: RequestId,
    pub plan: Plan,
    /// The signers.
    pub members: BTreeMap<Seat, NodeId>,
    pub items: Vec<Item>,
    pub since: Timestamp,
    /// What each other signer said.
    pub verdicts: BTreeMap<NodeId, Option<(String, String)>>,
}

/// One signature of a session.
pub(crate) struct Item {
    run: Run,
    /// The round whose messages were sent last.
    round: u8,
    inbox: BTreeMap<(u8, Seat), Vec<u8>>,
}

enum Run {
    Busy,
    Waiting(Box<sign::Running>),
    Done(Signature),
}

/// Messages that came before their session's proposal.
pub(crate) struct Early {
    since: Timestamp,
    bytes: usize,
    messages: Vec<(NodeId, u16, u8, Vec<u8>)>,
}

/// Rounds of a signature; a message of a later one is garbage.
fn rounds_of(key: KeyKind) -> u8 {
    match key {
        KeyKind::Ecdsa => 3,
        KeyKind::Bip340 | KeyKind::Ed25519 => 2,
    }
}

impl Engine {
    /// Decides on a proposal (own or a peer's) and, when allowed, makes the decision durable and begins.
    pub(crate) fn open_session(&mut self, proposal: Proposal) -> Result<SessionId, Problem> {
        let session = proposal.session();
        if self.sessions.contains_key(&session) {
            return Err(refuse(Class::Conflict, "session_known", "this session runs already"));
        }
        if self.sessions.len() >= limits::SESSIONS_MAX {
            return Err(refuse(Class::Overloaded, "overloaded", "too many sessions in flight"));
        }
        let members = self.members_of(&proposal)?;
        let decided = self.decide(&proposal)?;
        let pairs = self.pairs_for(&members, &decided.plan.items)?;
        let request = proposal.request.id();
        // K3: durable before the first message; this output's effects wait for this commit.
        self.commit(Entry::Decided {
            proposal: Box::new(proposal.clone()),
            intent: decided.plan.intent.digest(),
            unsigned: hash::tagged("outlast/unsigned/v1", &[&decided.plan.unsigned]),
            spends: decided.plan.spends.iter().map(|spend| spend.0.clone()).collect(),
            rule: decided.rule.to_owned(),
        });
        let items = decided.plan.items.clone();
        let state = Session {
            members,
            items: items
                .iter()
                .map(|_| Item { run: Run::Busy, round: 0, inbox: BTreeMap::new() })
                .collect(),
            since: self.now,
            verdicts: BTreeMap::new(),
            request,
            plan: decided.plan,
            proposal,
        };
        self.sessions.insert(session, state);
        for (index, item) in (0u16..).zip(items) {
            self.start_item(session, index, item, &pairs);
        }
        self.take_early(session);
        Ok(session)
    }

    /// The signers by seat: a minimal quorum of the vault, this node in it, every peer accepted.
    fn members_of(&self, proposal: &Proposal) -> Result<BTreeMap<Seat, NodeId>, Problem> {
        let vault = proposal.request.vault;
        let keeping = self.vaults.get(&vault).ok_or_else(|| {
            refuse(Class::NotFound, "unknown_vault", format!("no vault {}", vault.short()))
        })?;
        if !self.state.vaults.get(&vault).is_some_and(|v| v.active) {
            return Err(refuse(
                Class::Unavailable,
                "vault_not_active",
                "not every share is stored",
            ));
        }
        let minimal = keeping.public.tree.minimal_quorum(&proposal.quorum);
        if minimal.as_ref() != Some(&proposal.quorum) {
            return Err(refuse(Class::Refused, "invalid_quorum", "the signers are no signing set"));
        }
        let member = |seat: &Seat| keeping.public.members.get(seat).map(|node| (*seat, *node));
        let members: BTreeMap<Seat, NodeId> = proposal.quorum.iter().filter_map(member).collect();
        let mine = members.values().any(|node| *node == self.me);
        if members.len() != proposal.quorum.len() || !mine {
            return Err(refuse(Class::Refused, "invalid_quorum", "this node is not a signer"));
        }
        match members.values().find(|n| **n != self.me && !self.is_accepted(**n)) {
            Some(peer) => {
                let text = format!("{} cannot be reached", self.name_of(*peer));
                Err(refuse(Class::Unavailable, "peer_unreachable", text))
            }
            None => Ok(members),
        }
    }

    fn pairs_for(
        &self,
        members: &BTreeMap<Seat, NodeId>,
        items: &[SignItem],
    ) -> Result<BTreeMap<Seat, Arc<PairState>>, Problem> {
        if !items.iter().any(|item| item.key == KeyKind::Ecdsa) {
            return Ok(BTreeMap::new());
        }
        let others = members.iter().filter(|(_, node)| **node != self.me);
        others
            .map(|(seat, node)| match self.pairs.get(node) {
                Some(Pair::Ready { state, confirmed: true, .. }) => Ok((*seat, Arc::clone(state))),
                Some(Pair::Stopped) => Err(refuse(
                    Class::Unavailable,
                    "pair_stopped",
                    format!("the pair with {} is stopped", self.name_of(*node)),
                )
                .hint(format!("its operator decides: `outlast node resume-pair {node}`"))),
                _ => Err(refuse(
                    Class::Unavailable,
                    "pair_not_ready",
                    format!("pair state with {} is being made", self.name_of(*node)),
                )),
            })
            .collect()
    }

    fn start_item(
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

    pub(crate) fn handle_session_message(
        &mut self,
        peer: NodeId,
        message: Message,
        entropy: &mut dyn Entropy,
    ) {
        match message {
            Message::Propose(proposal) => self.handle_propose(peer, *proposal),
            Message::Verdict { session, request, refusal, journal } => {
                self.note_journal(peer, journal);
                self.handle_verdict(peer, session, request, refusal, entropy);
            }
            Message::Round { session, item, round, bytes } => {
                self.handle_round(peer, session, item, round, bytes);
            }
            Message::Abort { session, reason } => {
                let member = self
                    .sessions
                    .get(&session)
                    .is_some_and(|s| s.members.values().any(|node| *node == peer));
                if member {
                    let text = format!("{} gave up: {reason}", self.name_of(peer));
                    self.fail_session(session, &text);
                }
                self.early.remove(&session);
            }
            _ => {}
        }
    }

    fn handle_propose(&mut self, peer: NodeId, proposal: Proposal) {
        let (session, request) = (proposal.session(), proposal.request.id());
        let by_peer = self.sessions.values().filter(|s| s.proposal.coordinator == peer).count();
        let result = if proposal.coordinator != peer {
            Err(refuse(Class::Refused, "invalid_coordinator", "the proposer is not the speaker"))
        } else if by_peer >= limits::SESSIONS_PER_PEER_MAX {
            Err(refuse(Class::Overloaded, "overloaded", "too many sessions of this peer"))
        } else {
            self.open_session(proposal)
        };
        let refusal = result.err().map(|p| (bounded(p.code), bounded(&p.message)));
        if let Some((code, reason)) = &refusal {
            self.early.remove(&session);
            self.counters.refused_total = self.counters.refused_total.saturating_add(1);
            // Overload sheds at the door and leaves no record, or a flood would fill the disk.
            if code != "overloaded" {
                self.commit(Entry::Refused {
                    request,
                    session: Some(session),
                    code: code.clone(),
                    reason: reason.clone(),
                });
            }
        }
        let journal = (self.length(), self.head());
        self.send(peer, &Message::Verdict { session, request, refusal, journal });
    }

    fn handle_verdict(
        &mut self,
        peer: NodeId,
        session: SessionId,
        request: RequestId,
        refusal: Option<(String, String)>,
        entropy: &mut dyn Entropy,
    ) {
        let Some(state) = self.sessions.get_mut(&session) else { return };
        let asked = state.request == request && state.proposal.coordinator == self.me;
        if !asked || !state.members.values().any(|node| *node == peer) {
            return;
        }
        state.verdicts.insert(peer, refusal.clone());
        self.note_verdict(request, peer, refusal.clone());
        if let Some((code, reason)) = refusal {
            let text = format!("{} refused: {reason}", self.name_of(peer));
            if code == "already_used" {
                let spends = self.sessions.get(&session).map(|s| s.plan.spends.clone());
                self.avoid_spends(spends.into_iter().flatten().map(|spend| spend.0).collect());
            }
            self.drop_session(session, &text, true);
            self.after_refusal(request, &code, text, entropy);
        }
    }

    fn handle_round(
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
        let item = state.items.get_mut(usize::from(index));
        let (Some(seat), Some(key), Some(item)) = (seat, key, item) else { return };
        let open = round >= item.round.max(1) && round <= rounds_of(key);
        if !open || matches!(item.run, Run::Done(_)) {
            let text = format!("{} sent round {round}", self.name_of(peer));
            return self.warn("wrong_round", text);
        }
        // The first message of a round counts; a second one never replaces it.
        if item.inbox.contains_key(&(round, seat)) {
            let text = format!("{} sent round {round} twice", self.name_of(peer));
            return self.warn("duplicate_message", text);
        }
        item.inbox.insert((round, seat), bytes);
        self.advance_item(session, index);
    }

    fn keep_early(
        &mut self,
        peer: NodeId,
        session: SessionId,
        item: u16,
        round: u8,
        bytes: Vec<u8>,
    ) {
        let total: usize = self.early.values().map(|early| early.bytes).sum();
        if self.early.len() >= limits::SESSIONS_MAX
            || total.saturating_add(bytes.len()) > EARLY_BYTES_MAX
        {
            return;
        }
        let since = self.now;
        let early = self.early.entry(session).or_insert_with(|| Early {
            since,
            bytes: 0,
            messages: Vec::new(),
        });
        if early.messages.len() < EARLY_MESSAGES_MAX {
            early.bytes = early.bytes.saturating_add(bytes.len());
            early.messages.push((peer, item, round, bytes));
        }
    }

    fn take_early(&mut self, session: SessionId) {
        let Some(early) = self.early.remove(&session) else { return };
        for (peer, item, round, bytes) in early.messages {
            self.handle_round(peer, session, item, round, bytes);
        }
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
        let inbox = expected
            .iter()
            .filter_map(|seat| Some((*seat, item.inbox.remove(&(round, *seat))?)))
            .collect();
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
                self.settle_tickets(session, tickets, BTreeMap::new());
                return self.fail_session(session, "a pair's gate is full or closed");
            }
        }
        let Run::Waiting(running) = core::mem::replace(&mut item.run, Run::Busy) else { return };
        let job = Job::SignAdvance { running, inbox };
        self.compute(job, Purpose::Item { session, item: index, tickets });
    }

    pub(crate) fn handle_computed(&mut self, id: crate::JobId, output: JobOutput) {
        match self.jobs.remove(&id) {
            Some(Purpose::Item { session, item, tickets }) => {
                if let JobOutput::Sign(result) = output {
                    self.handle_item_computed(session, item, tickets, result);
                }
            }
            Some(Purpose::Ceremony(id)) => self.handle_ceremony_computed(id, output),
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
        let text = error.to_string();
        if let sign::SignError::Misbehaved { culprit, pair: true, .. } = error {
            for (seat, place) in &tickets {
                if culprit.is_none_or(|named| named == *seat) {
                    self.stop_pair(place.peer, place.epoch, &text);
                }
            }
        }
        self.settle_tickets(session, tickets, BTreeMap::new());
        if let sign::SignError::Misbehaved { culprit: Some(seat), .. } = error
            && let Some(node) = self.sessions.get(&session).and_then(|s| s.members.get(seat))
        {
            let text = format!("{} broke the protocol: {text}", self.name_of(*node));
            self.warn("misbehaved", text);
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
        item.round = running.round();
        item.run = Run::Waiting(running);
        let round = item.round;
        if out_of_our_hands {
            // From the first last-round message on, the request stays spent whatever becomes of the session.
            self.state.mark_spent(&request, &session);
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
    fn settle_tickets(
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

    fn finish_when_all_signed(&mut self, session: SessionId) {
        let Some(state) = self.sessions.get(&session) else { return };
        let signatures: Vec<Signature> = state
            .items
            .iter()
            .filter_map(|item| match &item.run {
                Run::Done(signature) => Some(signature.clone()),
                Run::Busy | Run::Waiting(_) => None,
            })
            .collect();
        if signatures.len() != state.items.len() {
            return;
        }
        let Some(state) = self.sessions.remove(&session) else { return };
        self.counters.signed_total = self.counters.signed_total.saturating_add(1);
        self.counters.last_proof_ms = self.now.0;
        self.commit(Entry::Signed { request: state.request, session, signatures });
        self.after_signed(&state);
    }

    /// Ends a session without a signature. What it held is free again unless the last-round message left.
    pub(crate) fn drop_session(&mut self, session: SessionId, reason: &str, tell: bool) {
        let Some(state) = self.sessions.remove(&session) else { return };
        self.counters.failed_total = self.counters.failed_total.saturating_add(1);
        let spent = self
            .state
            .requests
            .get(&state.request)
            .and_then(|r| r.decided.as_ref())
            .is_some_and(|d| d.session == session && d.spent);
        let reason = bounded(reason);
        self.commit(if spent {
            Entry::Aborted(state.request, session, reason.clone())
        } else {
            Entry::Released(state.request, session)
        });
        if tell {
            let message = Message::Abort { session, reason: reason.clone() };
            self.send_all(state.members.values().copied(), &message);
        }
    }

    /// Ends a session because somebody was silent or broke the protocol. The others may have come to their last round, so
    /// at its coordinator the request keeps its nonce or coins and is tried again with the same bytes.
    pub(crate) fn fail_session(&mut self, session: SessionId, reason: &str) {
        let Some(state) = self.sessions.get(&session) else { return };
        let request = state.request;
        let mine = state.proposal.coordinator == self.me;
        if mine {
            self.state.mark_spent(&request, &session);
        }
        self.drop_session(session, reason, true);
        if mine {
            self.after_failure(request, reason.to_owned());
        }
    }

    pub(crate) fn drop_sessions_with(&mut self, peer: NodeId, reason: &str) {
        let affected: Vec<SessionId> = self
            .sessions
            .iter()
            .filter(|(_, s)| s.members.values().any(|node| *node == peer))
            .map(|(id, _)| *id)
            .collect();
        let text = format!("{}: {reason}", self.name_of(peer));
        for session in affected {
            self.fail_session(session, &text);
        }
    }

    pub(crate) fn expire_sessions(&mut self) {
        let late: Vec<(SessionId, String)> = self
            .sessions
            .iter()
            .filter(|(_, s)| self.now.ms_since(s.since) > limits::SESSION_MS_MAX)
            .map(|(id, s)| (*id, self.silent_members(s)))
            .collect();
        for (session, silent) in late {
            self.fail_session(session, &format!("no answer from {silent}"));
        }
        let now = self.now;
        self.early.retain(|_, early| now.ms_since(early.since) <= EARLY_MS_MAX);
    }

    /// The members whose message of the current round is missing, for people. Silence is not proof of anything.
    fn silent_members(&self, session: &Session) -> String {
        let silent: BTreeSet<NodeId> = session
            .items
            .iter()
            .flat_map(|item| {
                session
                    .members
                    .iter()
                    .filter(|(_, node)| **node != self.me)
                    .filter(|(seat, _)| !item.inbox.contains_key(&(item.round, **seat)))
                    .map(|(_, node)| *node)
            })
            .collect();
        let names: Vec<String> = silent.into_iter().map(|node| self.name_of(node)).collect();
        names.join(", ")
    }
}

/// Each signature of a request runs under a session id of its own.
fn item_session(session: SessionId, index: u16) -> SessionId {
    SessionId(hash::tagged("outlast/item-session/v1", &[&session.0, &index.to_be_bytes()]))
}
