//! Attempts to sign a request: choose what goes stale, propose, wait, try again, replace.
//!
//! Spec: `docs/spec/signing.md`. While an earlier attempt may have been signed, only the very same bytes, or bytes that use
//! up the same nonce or coins, are proposed again; a nonce that a refusal left free is taken by the next request, so
//! refusals leave no gap.

use crate::command::CommandId;
use crate::engine::Engine;
use crate::event::Effect;
use crate::fill::Draft;
use crate::journal::{Entry, bounded};
use crate::judge::{Pending, WAITING};
use crate::message::{Message, Proposal};
use crate::pairs::Pair;
use crate::problem::{Class, Problem, refuse};
use crate::requests::Waiter;
use crate::sessions::Session;
use model::card::SigningUse;
use model::entropy::Entropy;
use model::ids::{NodeId, RequestId, Seat};
use model::intent::Network;
use model::keys::KeyKind;
use model::limits;
use model::request::{Fill, Request};
use model::time::Timestamp;
use model::wire::Wire;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use threshold::shares::VaultPublic;

/// Attempts that the coordinator makes by itself after refusals that pass by themselves.
const REFUSALS_MAX: u32 = 64;
/// Refusals after which a nonce is passed over: rivals that met at one nonce have parted by then.
const REFUSALS_OFTEN: u32 = 8;
/// Attempts that it makes by itself while no signing set can be reached and nothing is held.
const UNREACHABLE_MAX: u32 = 2;
/// Pause before an attempt after silence, milliseconds; doubled each time up to the longest.
const FAILURE_PAUSE_MS: u64 = 250;
/// Longest pause, milliseconds.
const FAILURE_PAUSE_MS_MAX: u64 = 30_000;
/// Slot of one seat when coordinators met at one nonce, milliseconds.
const SLOT_MS: u64 = 150;
/// Pause before members are asked who have not refused, milliseconds.
const OTHERS_PAUSE_MS: u64 = 10;
/// Longest proposal: it goes out in one frame.
const PROPOSAL_BYTES_MAX: usize = limits::FRAME_BYTES_MAX - 1024;
/// A silent peer is left out of signing sets for this long where others suffice, milliseconds.
const SUSPECT_MS: u64 = 60_000;
/// A peer that has too much to do is asked last for this long, milliseconds.
const BUSY_MS: u64 = 2_000;

/// When a request is tried again, and how often it was.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retry {
    at: Timestamp,
    refusals: u32,
    failures: u32,
}

impl Default for Retry {
    fn default() -> Self {
        Self { at: Timestamp(u64::MAX), refusals: 0, failures: 0 }
    }
}

/// A proposal that no frame holds would reach nobody: it is refused before anything is proposed. Only coins, with their
/// whole transactions, can make one so long.
fn check_length(proposal: &Proposal, found: usize) -> Result<(), Problem> {
    let max = PROPOSAL_BYTES_MAX;
    if found <= max {
        return Ok(());
    }
    let coins = match &proposal.fill {
        Fill::Bitcoin { inputs, .. } => inputs.len(),
        Fill::Nothing | Fill::Evm { .. } | Fill::Solana { .. } => 0,
    };
    let text = format!(
        "the proposal has {found} bytes, at most {max} reach the other nodes: the transactions that made \
         these {coins} coins are too long"
    );
    Err(refuse(Class::Refused, "proposal_too_long", text)
        .hint("spend fewer coins, or coins of shorter transactions"))
}

/// What each signer said of a request: its verdict, or the refusal's code and sentence.
pub(crate) type Verdicts = BTreeMap<NodeId, Option<(String, String)>>;

impl Engine {
    /// Makes a proposal with a signing set of present members, this node among them.
    pub(crate) fn proposal(
        &self,
        request: &Request,
        fill: Fill,
        attempt: u32,
    ) -> Result<Proposal, Problem> {
        let keeping = self
            .vaults
            .get(&request.vault)
            .ok_or_else(|| refuse(Class::NotFound, "unknown_vault", "no such vault"))?;
        // Unknown while it does not build; then `decide` names why.
        let plan = self.plans.plan(&keeping.public.keys, request.id(), request, &fill);
        let ecdsa = plan.is_ok_and(|plan| plan.items.iter().any(|item| item.key == KeyKind::Ecdsa));
        let choice = self.own_quorum(&keeping.public, request.id(), ecdsa);
        let quorum = choice.ok_or_else(|| {
            let present = self.present();
            let missing: Vec<String> = keeping
                .public
                .members
                .values()
                .filter(|node| !present.contains(node))
                .map(|node| self.name_of(*node))
                .collect();
            let text = format!("no signing set: {} cannot be reached", missing.join(", "));
            refuse(Class::Unavailable, "no_quorum", text)
                .hint("`outlast node status` shows the links; the request may be sent again")
        })?;
        let entry_signature = self.key.sign(SigningUse::Request, &request.to_bytes());
        let proposal = Proposal {
            request: request.clone(),
            entry_signature,
            attempt,
            fill,
            quorum,
            coordinator: self.me,
        };
        // What would not read back must never be written, and what fits no frame would be proposed in vain.
        let bytes = proposal.to_bytes();
        check_length(&proposal, bytes.len())?;
        if Proposal::from_bytes(&bytes).is_err() {
            let text = format!("a proposal of {} bytes with a field too long", bytes.len());
            return Err(refuse(Class::Refused, "invalid_field", text));
        }
        Ok(proposal)
    }

    /// A minimal signing set that contains this node: present members are dropped one by one while the rest still
    /// suffices. One member that sabotages is the first to be dropped, so it stops nobody where others suffice.
    fn own_quorum(
        &self,
        public: &VaultPublic,
        id: RequestId,
        ecdsa: bool,
    ) -> Option<BTreeSet<Seat>> {
        let me = public.seat_of(self.me)?;
        let present = self.present();
        let mut seats: BTreeSet<Seat> = public
            .members
            .iter()
            .filter(|(_, node)| present.contains(node))
            .map(|(seat, _)| *seat)
            .collect();
        if !public.tree.satisfied_by(&seats) {
            return None;
        }
        // First who refused this very request, then who holds this node, then who has no pair state where it is needed,
        // then suspects, the worst first, then who just said that it has too much to do, then the highest seats.
        let refused = self.refusers(id);
        let rank = |seat: &Seat| {
            let node = public.members.get(seat).copied().unwrap_or(self.me);
            let paired = !ecdsa || self.pairs.get(&node).is_some_and(Pair::is_ready);
            let held = self.held_by.contains_key(&node);
            let busy = self.busy.get(&node).is_some_and(|until| *until > self.now);
            Reverse((refused.contains(&node), held, !paired, self.suspicion(node), busy))
        };
        let mut order: Vec<Seat> = seats.iter().rev().copied().filter(|s| *s != me).collect();
        order.sort_by_key(rank);
        for seat in order {
            let mut fewer = seats.clone();
            fewer.remove(&seat);
            if public.tree.satisfied_by(&fewer) {
                seats = fewer;
            }
        }
        Some(seats)
    }

    /// Who refused this request when last asked.
    fn refusers(&self, id: RequestId) -> BTreeSet<NodeId> {
        let verdicts = self.verdicts.get(&id).into_iter().flatten();
        verdicts.filter(|(_, refusal)| refusal.is_some()).map(|(node, _)| *node).collect()
    }

    /// True when a signing set is present that holds nobody who refused this request.
    pub(crate) fn others_suffice(&self, id: RequestId) -> bool {
        let Some(state) = self.state.requests.get(&id) else { return false };
        let Some(keeping) = self.vaults.get(&state.request.vault) else { return false };
        let refused = self.refusers(id);
        let willing = self.present().into_iter().filter(|node| !refused.contains(node)).collect();
        keeping.public.quorum_from(&willing).is_some()
    }

    /// The members who have not refused may sign without the one who did.
    pub(crate) fn try_others(&mut self, id: RequestId, reason: &str) {
        let at = self.now.saturating_add_ms(OTHERS_PAUSE_MS);
        self.retries.entry(id).or_default().at = at;
        self.last_failures.insert(id, ("not_signed".to_owned(), bounded(reason)));
    }

    /// Starts an attempt; what goes wrong is recorded with the request.
    pub(crate) fn attempt(&mut self, id: RequestId, entropy: &mut dyn Entropy) {
        let Some(state) = self.state.requests.get(&id) else { return };
        let (request, number) = (state.request.clone(), state.attempt.saturating_add(1));
        if self.now > request.expires_at {
            self.retries.remove(&id);
            return self.refuse_request(id, "expired", "the request expired before it was signed");
        }
        if !self.has_turn(&request) {
            return;
        }
        let Some(state) = self.state.requests.get(&id) else { return };
        // Where an earlier attempt may be out, only its very bytes again.
        let spent = state.decided.as_ref().filter(|d| d.spent).map(|d| d.fill.clone());
        let chosen = self.drafts.get(&id);
        let taken = chosen.is_some_and(|draft| self.needs_other_coins(&request, draft));
        if spent.is_none() && taken && self.may_try_again(id) {
            return match self.ask_chain(&request) {
                Ok(()) => {}
                Err(problem) => self.refuse_request(id, problem.code, &problem.message),
            };
        }
        let draft = self.drafts.get(&id);
        let fill = match (spent, draft) {
            // A replacement is chosen whole, under the nonce that is held.
            (Some(held), draft) => Ok(draft.and_then(Draft::as_ready).cloned().unwrap_or(held)),
            (None, Some(draft)) => self.fill_from(&request, draft),
            (None, None) => Ok(Fill::Nothing),
        };
        let opened =
            fill.and_then(|fill| self.proposal(&request, fill, number)).and_then(|proposal| {
                self.open_session(proposal.clone()).map(|session| (session, proposal))
            });
        match opened {
            Ok((session, proposal)) => {
                let members = self.sessions.get(&session).map(|s| s.members.clone());
                let message = Message::Propose(Box::new(proposal));
                self.send_all(members.unwrap_or_default().into_values(), &message);
            }
            Err(problem) if WAITING.contains(&problem.code) => self.let_wait(id, &request, problem),
            Err(problem) if problem.class == Class::Unavailable => {
                self.after_failure(id, problem.code, problem.message);
            }
            Err(problem) => self.after_refusal(id, problem.code, problem.message, entropy),
        }
    }

    /// A signer (or this node) said no.
    pub(crate) fn after_refusal(
        &mut self,
        id: RequestId,
        code: &str,
        reason: String,
        entropy: &mut dyn Entropy,
    ) {
        // People or time will end it, here or at the peer that said so.
        if let Some(code) = WAITING.iter().find(|waiting| **waiting == code)
            && self.now <= self.state.requests.get(&id).map_or(self.now, |s| s.request.expires_at)
        {
            return self.wait_for_peer(id, code, &reason);
        }
        // Refusals that pass by themselves.
        let taken = ["already_used", "in_use"].contains(&code);
        // A member may hear a moment later than this node that every share of the vault is stored.
        let passing = [
            "overloaded",
            "pair_not_ready",
            "in_flight",
            "peer_unreachable",
            "replayed",
            "vault_not_active",
        ];
        let passing = taken || passing.contains(&code);
        // A nonce or coin that the caller fixed stays taken: trying again cannot help.
        let fixed = taken && !self.may_choose_again(id);
        let (now, rank) = (self.now, self.rank_for(id));
        let retry = self.retries.entry(id).or_default();
        if passing && !fixed && retry.refusals < REFUSALS_MAX {
            // Coordinators that met at one nonce part: each has a slot of its own, by its seat.
            let mut jitter = [0u8; 1];
            entropy.fill(&mut jitter);
            let jitter = jitter.first().map_or(0, |byte| u64::from(*byte) / 8);
            let slot = if code == "already_used" { 0 } else { SLOT_MS.saturating_mul(rank) };
            retry.at = now.saturating_add_ms(slot.saturating_add(jitter).saturating_add(10));
            retry.refusals = retry.refusals.saturating_add(1);
            return;
        }
        // A replacement that somebody refuses is given up: what was signed before it stands.
        if self.holds_spends(id) && !self.is_replacement(id) {
            return self.after_failure(id, code, reason);
        }
        self.retries.remove(&id);
        self.drafts.remove(&id);
        self.refuse_request(id, code, &reason);
    }

    /// Counts one more refusal that passes by itself; false when there were enough.
    pub(crate) fn may_try_again(&mut self, id: RequestId) -> bool {
        let retry = self.retries.entry(id).or_default();
        retry.refusals = retry.refusals.saturating_add(1);
        retry.refusals <= REFUSALS_MAX
    }

    /// This node's place among the members of the request's vault, from 0.
    fn rank_for(&self, id: RequestId) -> u64 {
        let vault = self.state.requests.get(&id).map(|s| s.request.vault);
        let keeping = vault.and_then(|vault| self.vaults.get(&vault));
        let seat = keeping.and_then(|keeping| keeping.public.seat_of(self.me));
        seat.map_or(0, |seat| u64::from(seat.0).saturating_sub(1))
    }

    /// Leaves these peers out of signing sets for a while, where others suffice. No blame: silence proves nothing.
    pub(crate) fn suspect(&mut self, peers: impl IntoIterator<Item = NodeId>) {
        let until = self.now.saturating_add_ms(SUSPECT_MS);
        for peer in peers.into_iter().filter(|peer| *peer != self.me) {
            let weight = self.suspicion(peer).saturating_add(1);
            self.suspects.insert(peer, (until, weight));
        }
    }

    /// How often a peer was suspected lately: who is part of every failure weighs more than who was beside it once.
    fn suspicion(&self, peer: NodeId) -> u32 {
        self.suspects.get(&peer).filter(|(until, _)| *until > self.now).map_or(0, |(_, n)| *n)
    }

    /// A peer has too much to do: for a moment it counts as away where others suffice, and nothing is held against it.
    pub(crate) fn note_busy(&mut self, peer: NodeId) {
        self.busy.insert(peer, self.now.saturating_add_ms(BUSY_MS));
    }

    fn may_choose_again(&self, id: RequestId) -> bool {
        self.drafts.get(&id).is_some_and(Draft::may_choose_again)
    }

    /// True when an earlier attempt may be out: the request keeps its nonce or coins until it is signed or expires.
    fn holds_spends(&self, id: RequestId) -> bool {
        let decided = self.state.requests.get(&id).and_then(|s| s.decided.as_ref());
        decided.is_some_and(|d| d.spent)
    }

    /// True while other bytes of this request are signed and these shall take their place.
    fn is_replacement(&self, id: RequestId) -> bool {
        self.state.requests.get(&id).is_some_and(|s| s.superseded.is_some())
    }

    /// An attempt ended without a signature and without a refusal: somebody was silent or broke the protocol.
    pub(crate) fn after_failure(&mut self, id: RequestId, code: &str, reason: String) {
        if self.state.requests.get(&id).is_none_or(|s| s.signed.is_some()) {
            return;
        }
        let holds = self.holds_spends(id);
        let now = self.now;
        let retry = self.retries.entry(id).or_default();
        if holds || retry.failures < UNREACHABLE_MAX {
            let doubled = FAILURE_PAUSE_MS.saturating_mul(1 << retry.failures.min(10));
            retry.at = now.saturating_add_ms(doubled.min(FAILURE_PAUSE_MS_MAX));
            retry.failures = retry.failures.saturating_add(1);
            self.last_failures.insert(id, (bounded(code), bounded(&reason)));
            return;
        }
        self.retries.remove(&id);
        self.refuse_request(id, code, &reason);
    }

    /// After a restart: what may be half signed goes on, what was not even decided ends by name.
    pub(crate) fn resume_requests(&mut self) {
        let own: Vec<(RequestId, bool)> = self
            .state
            .requests
            .iter()
            .filter(|(_, s)| s.entered_here && s.signed.is_none() && s.refused.is_none())
            .map(|(id, s)| (*id, s.decided.is_some()))
            .collect();
        for (id, decided) in own {
            if !decided && self.is_governed(id) {
                // People's words outlive a restart; what its caller chose does not, so the chain node is asked.
                self.pending.insert(id, Pending::at(self.now));
            } else if decided {
                let at = self.now.saturating_add_ms(FAILURE_PAUSE_MS_MAX / 10);
                self.retries.insert(id, Retry { at, ..Retry::default() });
            } else {
                self.refuse_request(id, "interrupted", "the node restarted; nothing was signed");
            }
        }
    }

    /// True when waiting alone does not help this request.
    pub(crate) fn is_often_refused(&self, id: RequestId) -> bool {
        self.retries.get(&id).is_some_and(|retry| retry.refusals >= REFUSALS_OFTEN)
    }

    pub(crate) fn refuse_request(&mut self, id: RequestId, code: &str, reason: &str) {
        self.counters.refused_total = self.counters.refused_total.saturating_add(1);
        let (code, reason) = (bounded(code), bounded(reason));
        self.commit(Entry::Refused { request: id, session: None, code, reason });
        self.state.restore_signed(id);
        if let Some(request) = self.state.requests.get(&id).map(|s| &s.request) {
            self.queue.forget(request.vault, request.client, id);
        }
        self.wake(id);
    }

    pub(crate) fn retry_requests(&mut self, entropy: &mut dyn Entropy) {
        let now = self.now;
        let due: Vec<RequestId> = self
            .retries
            .iter_mut()
            .filter(|(_, retry)| retry.at <= now)
            .map(|(id, retry)| {
                // Not due again while it runs; the counts stay until the request ends.
                retry.at = Timestamp(u64::MAX);
                *id
            })
            .collect();
        for id in due {
            if !self.sessions.values().any(|s| s.request == id) {
                self.attempt(id, entropy);
            }
        }
    }

    /// All signatures are there, verified and in this output's commit.
    pub(crate) fn after_signed(&mut self, session: &Session) {
        let id = session.request;
        self.retries.remove(&id);
        self.drafts.remove(&id);
        self.last_failures.remove(&id);
        // Who asked for the broadcast too waits until the chain node has answered.
        if !self.begin_sending(id) {
            self.wake(id);
        }
    }

    /// The finished artefact of a signed request.
    pub(crate) fn artefact(
        &self,
        id: RequestId,
    ) -> Result<Option<(Arc<chains::Artefact>, Network)>, Problem> {
        let Some(state) = self.state.requests.get(&id) else { return Ok(None) };
        let Some((_, fill, signatures)) = &state.signed else { return Ok(None) };
        let Some(keeping) = self.vaults.get(&state.request.vault) else { return Ok(None) };
        let keys = &keeping.public.keys;
        let artefact = self.plans.artefact(keys, id, &state.request, fill, signatures)?;
        Ok(Some((artefact, state.request.network)))
    }

    pub(crate) fn note_verdict(
        &mut self,
        id: RequestId,
        node: NodeId,
        refusal: Option<(String, String)>,
    ) {
        self.verdicts.entry(id).or_default().insert(node, refusal);
    }

    /// Answers everybody who waits for a request.
    pub(crate) fn wake(&mut self, id: RequestId) {
        for waiter in self.waiters.remove(&id).unwrap_or_default() {
            let result = self.request_reply(id);
            self.push(Effect::Reply { id: waiter.command, result });
        }
    }

    pub(crate) fn expire_waiters(&mut self) {
        let mut late: Vec<(RequestId, CommandId)> = Vec::new();
        let now = self.now;
        for (id, waiters) in &mut self.waiters {
            waiters.retain(|waiter: &Waiter| {
                if waiter.until <= now {
                    late.push((*id, waiter.command));
                }
                waiter.until > now
            });
        }
        self.waiters.retain(|_, waiters| !waiters.is_empty());
        for (id, command) in late {
            let result = self.request_reply(id);
            self.push(Effect::Reply { id: command, result });
        }
    }
}
