//! Signing sessions: propose, decide, rounds, result.
//!
//! Spec: `docs/spec/signing.md`. Invariants: K3 (the decision is durable before this node's first message of the session),
//! K6 (answers pass their pair's gate), P1 (this node built and decoded the bytes itself).
//!
//! A silent or lying member costs its own sessions only: they end by time or by name, their nonces are gone, and the
//! request may be tried again under a new session id.

use crate::engine::Engine;
use crate::journal::{Entry, bounded};
use crate::message::{Message, Proposal};
use crate::pairs::Pair;
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
use threshold::pair::{PairState, Ticket};
use threshold::sign;

/// Refusals of one peer's proposals that are written down per period.
const REFUSALS_PER_PERIOD_MAX: u32 = 120;
/// That period, milliseconds.
const REFUSALS_PERIOD_MS: u64 = 60_000;
/// Refusals that honest signers give in a race, and that say nothing about them.
const PASSING: [&str; 3] = ["in_use", "in_flight", "replayed"];

/// A place at every gate that a job's answers must pass, by the seat of the peer.
pub(crate) type Tickets = BTreeMap<Seat, Place>;

/// One place at the gate of one version of a pair's state.
pub(crate) struct Place {
    pub peer: NodeId,
    pub epoch: PairEpoch,
    pub ticket: Ticket,
}

/// Why a job was handed out.
pub(crate) enum Purpose {
    /// A round of one signature; a ticket for every gate that its answers must pass.
    Item { session: SessionId, item: u16, tickets: Tickets },
    /// A round of key generation.
    Ceremony(CeremonyId),
    /// A record of a breach in a ceremony, from a peer.
    Evidence(CeremonyId, NodeId),
    /// A step of pair state.
    Pair { peer: NodeId, epoch: PairEpoch },
}

/// One session in memory; nothing of it survives a restart.
pub(crate) struct Session {
    pub proposal: Proposal,
    /// Bytes of the proposal, which its decision holds in the journal.
    pub bytes: usize,
    pub request: RequestId,
    pub plan: Arc<Plan>,
    /// The signers.
    pub members: BTreeMap<Seat, NodeId>,
    pub items: Vec<Item>,
    pub since: Timestamp,
    /// What each other signer said.
    pub verdicts: BTreeMap<NodeId, Option<(String, String)>>,
}

/// One signature of a session.
pub(crate) struct Item {
    pub run: Run,
    /// The round whose messages were sent last.
    pub round: u8,
    pub inbox: BTreeMap<(u8, Seat), Vec<u8>>,
}

/// Where one signature stands.
pub(crate) enum Run {
    Busy,
    Waiting(Box<sign::Running>),
    Done(Signature),
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
        self.governance.refresh(&proposal.request.vault, self.now);
        let decided = self.decide(&proposal)?;
        let pairs = self.pairs_for(&members, &decided.plan.items)?;
        let request = proposal.request.id();
        if let Some(judged) = decided.judged {
            self.commit(Entry::Judged(judged));
        }
        // K3: durable before the first message; this output's effects wait for this commit.
        self.commit(Entry::Decided {
            proposal: Box::new(proposal.clone()),
            intent: decided.plan.intent.digest(),
            unsigned: hash::tagged("outlast/unsigned/v1", &[&decided.plan.unsigned]),
            spends: decided.plan.spends.iter().map(|spend| spend.0.clone()).collect(),
            rule: decided.rule,
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
            bytes: proposal.to_bytes().len(),
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

    pub(crate) fn handle_session_message(
        &mut self,
        peer: NodeId,
        message: Message,
        entropy: &mut dyn Entropy,
    ) {
        match message {
            Message::Propose(proposal) => self.handle_propose(peer, *proposal),
            Message::Verdict { session, request, refusal } => {
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
                if !member && self.sessions.contains_key(&session) {
                    let text = format!(
                        "{} gave up a session that it does not sign in",
                        self.name_of(peer)
                    );
                    self.warn_of(peer, "not_a_signer", text);
                }
                if member {
                    let text = format!("{} gave up: {reason}", self.name_of(peer));
                    self.suspect_all(session);
                    self.fail_session(session, &text);
                }
                self.early.remove(&(session, peer));
            }
            _ => {}
        }
    }

    fn handle_propose(&mut self, peer: NodeId, proposal: Proposal) {
        let (session, request) = (proposal.session(), proposal.request.id());
        if self.is_known(session, request) {
            let text = format!("{} proposed session {} twice", self.name_of(peer), session.short());
            return self.warn_of(peer, "duplicate_message", text);
        }
        self.drop_superseded(peer, request, proposal.attempt);
        let vault = proposal.request.vault;
        let of_vault =
            |s: &&Session| s.proposal.coordinator == peer && s.proposal.request.vault == vault;
        let of_vault = self.sessions.values().filter(of_vault).count();
        // Only the node that took a request proposes it: nobody else chooses its nonce or fee, or cancels it.
        let own = proposal.coordinator == peer && proposal.request.entry == peer;
        let result = if !own {
            let text = "the proposer is not the node that took the request";
            Err(refuse(Class::Refused, "invalid_coordinator", text))
        } else if !self.has_room(peer) {
            Err(refuse(
                Class::Overloaded,
                "overloaded",
                "too many sessions or signatures of this peer",
            ))
        } else if of_vault >= limits::REQUESTS_UNDER_WAY_MAX {
            Err(refuse(Class::Overloaded, "overloaded", "too many sessions of this vault"))
        } else {
            self.check_unsigned(peer).and_then(|()| self.open_session(proposal)).map(drop)
        };
        let refusal = result.err().map(|p| (bounded(p.code), bounded(&p.message)));
        if let Some((code, reason)) = &refusal {
            // A session ends at the word of its own coordinator: another member that shows the proposal first ends nothing.
            if own {
                self.forget_session(session);
            }
            self.early.remove(&(session, peer));
            self.counters.refused_total = self.counters.refused_total.saturating_add(1);
            if self.may_record_refusal(peer, code) {
                self.commit(Entry::Refused {
                    request,
                    session: Some(session),
                    code: code.clone(),
                    reason: reason.clone(),
                });
            }
        }
        self.send(peer, &Message::Verdict { session, request, refusal });
    }

    /// Refusals are written down within a budget per peer and minute, and none for overload: a flood must not fill the disk.
    pub(crate) fn may_record_refusal(&mut self, peer: NodeId, code: &str) -> bool {
        let now = self.now;
        let budget = self.refusals.entry(peer).or_insert((now, 0));
        if now.ms_since(budget.0) >= REFUSALS_PERIOD_MS {
            *budget = (now, 0);
        }
        let allowed = budget.1 < REFUSALS_PER_PERIOD_MAX && code != "overloaded";
        if allowed {
            budget.1 = budget.1.saturating_add(1);
        }
        allowed
    }

    /// A coordinator's newer attempt says that its older one is over, also where its abort was overtaken.
    fn drop_superseded(&mut self, peer: NodeId, request: RequestId, attempt: u32) {
        let older = self.sessions.iter().find(|(_, s)| {
            s.request == request && s.proposal.coordinator == peer && s.proposal.attempt < attempt
        });
        if let Some(session) = older.map(|(id, _)| *id) {
            self.drop_session(session, "a newer attempt began", false);
        }
    }

    /// A session that runs or ran here, or was refused: its proposal came twice.
    fn is_known(&self, session: SessionId, request: RequestId) -> bool {
        let state = self.state.requests.get(&request);
        let decided = state.and_then(|s| s.decided.as_ref()).is_some_and(|d| d.session == session);
        let signed = state.and_then(|s| s.signed.as_ref()).is_some_and(|s| s.0 == session);
        decided || signed || self.sessions.contains_key(&session) || self.ended.holds(&session)
    }

    fn handle_verdict(
        &mut self,
        peer: NodeId,
        session: SessionId,
        request: RequestId,
        refusal: Option<(String, String)>,
        entropy: &mut dyn Entropy,
    ) {
        // Of a session that is over: a verdict may be late.
        let Some(state) = self.sessions.get_mut(&session) else { return };
        let asked = state.request == request && state.proposal.coordinator == self.me;
        if !asked || !state.members.values().any(|node| *node == peer) {
            let text = format!("{} judged what this node did not ask it", self.name_of(peer));
            return self.warn_of(peer, "unasked_verdict", text);
        }
        // The first one counts.
        if state.verdicts.contains_key(&peer) {
            let text = format!("{} judged session {} twice", self.name_of(peer), session.short());
            return self.warn_of(peer, "duplicate_message", text);
        }
        state.verdicts.insert(peer, refusal.clone());
        self.note_verdict(request, peer, refusal.clone());
        if let Some((code, reason)) = refusal {
            let text = format!("{} refused: {reason}", self.name_of(peer));
            let others = self.others_suffice(request);
            let taken = code == "already_used" || code == "in_use";
            if code == "overloaded" {
                self.note_busy(peer);
            } else if !PASSING.contains(&code.as_str()) {
                self.suspect([peer]);
            }
            // One peer's word does not make a gap in the nonces where others can be asked.
            if !others && taken && (code == "already_used" || self.is_often_refused(request)) {
                let spends = self.sessions.get(&session).map(|s| s.plan.spends.clone());
                let all = || spends.iter().flatten().map(|spend| spend.0.clone());
                // The refusal names the one that is taken; where it does not, each may be.
                let named: Vec<String> = all().filter(|spend| reason.contains(spend)).collect();
                self.avoid_spends(if named.is_empty() { all().collect() } else { named });
            }
            self.drop_session(session, &text, true);
            if others && self.may_try_again(request) {
                return self.try_others(request, &text);
            }
            self.after_refusal(request, &code, text, entropy);
        }
    }

    /// A session of this node failed and nobody can say by whom: every other signer is left out for a while.
    pub(crate) fn suspect_all(&mut self, session: SessionId) {
        let own = self.sessions.get(&session).filter(|s| s.proposal.coordinator == self.me);
        let members: Vec<NodeId> =
            own.into_iter().flat_map(|s| s.members.values()).copied().collect();
        self.suspect(members);
    }

    pub(crate) fn finish_when_all_signed(&mut self, session: SessionId) {
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
        self.forget_session(session);
        self.counters.signed_total = self.counters.signed_total.saturating_add(1);
        self.counters.last_proof_ms = self.now.0;
        self.commit(Entry::Signed { request: state.request, session, signatures });
        self.after_signed(&state);
    }

    /// Ends a session without a signature. What it held is free again unless the last-round message left.
    pub(crate) fn drop_session(&mut self, session: SessionId, reason: &str, tell: bool) {
        let Some(state) = self.sessions.remove(&session) else { return };
        self.forget_session(session);
        self.counters.failed_total = self.counters.failed_total.saturating_add(1);
        let spent = self
            .state
            .requests
            .get(&state.request)
            .and_then(|r| r.decided.as_ref())
            .is_some_and(|d| d.session == session && d.spent);
        self.note_unsigned(state.proposal.coordinator, state.bytes);
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
            self.after_failure(request, "not_signed", reason.to_owned());
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
        if !affected.is_empty() {
            self.suspect([peer]);
        }
        for session in affected {
            self.fail_session(session, &text);
        }
    }

    pub(crate) fn expire_sessions(&mut self) {
        let late: Vec<(SessionId, BTreeSet<NodeId>)> = self
            .sessions
            .iter()
            .filter(|(_, s)| self.now.ms_since(s.since) > limits::SESSION_MS_MAX)
            .map(|(id, s)| (*id, self.silent_members(s)))
            .collect();
        for (session, silent) in late {
            let names: Vec<String> = silent.iter().map(|node| self.name_of(*node)).collect();
            self.suspect(silent);
            self.fail_session(session, &format!("no answer from {}", names.join(", ")));
        }
        self.expire_early();
    }

    /// The members whose message of the current round is missing. Silence is not proof of anything.
    fn silent_members(&self, session: &Session) -> BTreeSet<NodeId> {
        session
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
            .collect()
    }
}
