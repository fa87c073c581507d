//! Attempts to sign a request: choose what goes stale, propose, wait, try again, replace.
//!
//! Spec: `docs/spec/signing.md`. While an earlier attempt may have been signed, only the very same bytes, or bytes that use
//! up the same nonce or coins, are proposed again; a nonce that a refusal left free is taken by the next request, so
//! refusals leave no gap.

use crate::command::{Caller, CommandId, Reply};
use crate::engine::Engine;
use crate::event::{Effect, Facts, FactsQuery};
use crate::journal::{Entry, bounded};
use crate::message::{Message, Proposal};
use crate::problem::{Class, Problem, refuse};
use crate::requests::Waiter;
use crate::sessions::Session;
use chains::FillDraft;
use model::api;
use model::card::SigningUse;
use model::entropy::Entropy;
use model::ids::{NodeId, RequestId};
use model::intent::Network;
use model::request::{Ask, Fill, Request};
use model::time::Timestamp;
use model::wire::Wire;
use std::collections::BTreeMap;

/// Attempts that the coordinator makes by itself after refusals that pass by themselves.
const REFUSALS_MAX: u32 = 8;
/// Attempts that it makes by itself while no signing set can be reached and nothing is held.
const UNREACHABLE_MAX: u32 = 2;
/// Pause before an attempt after silence, milliseconds; doubled each time up to the longest.
const FAILURE_PAUSE_MS: u64 = 250;
/// Longest pause, milliseconds.
const FAILURE_PAUSE_MS_MAX: u64 = 30_000;
/// A nonce that a peer called taken is passed over for this long, milliseconds.
const AVOID_MS: u64 = 10_000;
/// Nonces looked through for a free one.
const NONCES_MAX: u64 = 100_000;

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

/// What each signer said of a request: its verdict, or the refusal's code and sentence.
pub(crate) type Verdicts = BTreeMap<NodeId, Option<(String, String)>>;

/// What is known of the parts that go stale, before a nonce is chosen.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    source: Source,
    /// No nonce below this one is free: the chain has seen it.
    nonce_floor: u64,
}

#[derive(Debug, Clone)]
enum Source {
    /// Nothing is left to choose.
    Ready(Fill),
    /// A nonce or change is left to choose.
    Chosen(FillDraft),
}

impl Draft {
    /// Nothing is left to choose.
    pub fn ready(fill: Fill) -> Self {
        Self { source: Source::Ready(fill), nonce_floor: 0 }
    }
    /// The caller's choice.
    pub fn chosen(draft: FillDraft) -> Self {
        Self { source: Source::Chosen(draft), nonce_floor: 0 }
    }
    /// The chain node's facts.
    fn from_facts(facts: Facts) -> Self {
        match facts {
            Facts::Evm { nonce, gas_limit, max_fee_per_gas, max_priority_fee_per_gas } => Self {
                source: Source::Chosen(FillDraft::Evm {
                    nonce: None,
                    gas_limit,
                    max_fee_per_gas,
                    max_priority_fee_per_gas,
                }),
                nonce_floor: nonce,
            },
            Facts::Bitcoin { coins, fee, change } => {
                Self::chosen(FillDraft::Bitcoin { coins, fee, change })
            }
            Facts::Solana { blockhash } => {
                Self::chosen(FillDraft::Solana { blockhash, nonce_account: None })
            }
        }
    }
}

impl Engine {
    /// Completes a draft: the lowest free nonce, or the change.
    pub(crate) fn fill_from(&self, request: &Request, draft: &Draft) -> Result<Fill, Problem> {
        let chosen = match &draft.source {
            Source::Ready(fill) => return Ok(fill.clone()),
            Source::Chosen(chosen) => chosen,
        };
        let keeping = self
            .vaults
            .get(&request.vault)
            .ok_or_else(|| refuse(Class::NotFound, "unknown_vault", "no such vault"))?;
        let keys = &keeping.public.keys;
        match (chosen, request.network, &request.ask) {
            (
                FillDraft::Bitcoin { coins, fee, change },
                Network::Bitcoin(network),
                Ask::BitcoinSend { outputs },
            ) => {
                let (path, coins) = (&request.path, coins.clone());
                let fill = chains::bitcoin::fill_from_coins(
                    keys, network, path, outputs, coins, *fee, *change,
                )?;
                Ok(fill)
            }
            (FillDraft::Evm { nonce: None, .. }, network, _) => {
                let from = chains::address(keys, network, &request.path)?.text;
                let next = self.free_nonce(request, network, &from, draft.nonce_floor)?;
                Ok(chosen.with_nonce(next).unwrap_or(Fill::Nothing))
            }
            _ => Ok(chosen.with_nonce(0).unwrap_or(Fill::Nothing)),
        }
    }

    /// The lowest nonce from `floor` up that no other request holds.
    fn free_nonce(
        &self,
        request: &Request,
        network: Network,
        from: &str,
        floor: u64,
    ) -> Result<u64, Problem> {
        let id = request.id();
        let free = |nonce: &u64| {
            let spend = format!("{network}:{from}:{nonce}");
            let avoided = self.avoided.get(&spend).is_some_and(|until| *until > self.now);
            !avoided && self.state.spends.get(&spend).is_none_or(|holder| *holder == id)
        };
        let mut nonces = floor..floor.saturating_add(NONCES_MAX);
        nonces.find(free).ok_or_else(|| {
            refuse(Class::Overloaded, "nonces_exhausted", "no free nonce is left to look through")
        })
    }

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
        let quorum = self.own_quorum(&keeping.public).ok_or_else(|| {
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
        Ok(Proposal {
            request: request.clone(),
            entry_signature,
            attempt,
            fill,
            quorum,
            coordinator: self.me,
        })
    }

    /// A minimal signing set that contains this node: present members are dropped one by one while the rest still
    /// suffices.
    fn own_quorum(
        &self,
        public: &threshold::shares::VaultPublic,
    ) -> Option<std::collections::BTreeSet<model::ids::Seat>> {
        let me = public.seat_of(self.me)?;
        let present = self.present();
        let mut seats: std::collections::BTreeSet<_> = public
            .members
            .iter()
            .filter(|(_, node)| present.contains(node))
            .map(|(seat, _)| *seat)
            .collect();
        if !public.tree.satisfied_by(&seats) {
            return None;
        }
        for seat in seats.clone().into_iter().rev().filter(|seat| *seat != me) {
            let mut fewer = seats.clone();
            fewer.remove(&seat);
            if public.tree.satisfied_by(&fewer) {
                seats = fewer;
            }
        }
        Some(seats)
    }

    /// Asks the configured chain node for what goes stale.
    pub(crate) fn ask_chain(&mut self, request: &Request) -> Result<(), Problem> {
        let keeping = self
            .vaults
            .get(&request.vault)
            .ok_or_else(|| refuse(Class::NotFound, "unknown_vault", "no such vault"))?;
        let keys = &keeping.public.keys;
        let from = match request.network {
            Network::Bitcoin(_) => {
                let account = chains::account(keys, request.network, &request.path)?;
                account.descriptors.join("\n")
            }
            network => chains::address(keys, network, &request.path)?.text,
        };
        let mut query = FactsQuery {
            network: request.network,
            from,
            to: None,
            value: "0".to_owned(),
            data: Vec::new(),
            satoshi: 0,
        };
        match &request.ask {
            Ask::EvmCall { to, value, data, .. } => {
                query.to = *to;
                query.value = value.to_string();
                query.data.clone_from(data);
            }
            Ask::BitcoinSend { outputs } => {
                query.satoshi = outputs.iter().fold(0, |acc, (_, sat)| acc.saturating_add(*sat));
            }
            Ask::SolanaTransfer { .. } | Ask::SolanaTokenTransfer { .. } | Ask::Raw { .. } => {}
        }
        self.push(Effect::AskChain { request: request.id(), query });
        Ok(())
    }

    /// The chain node answered.
    pub(crate) fn handle_facts(
        &mut self,
        id: RequestId,
        result: Result<Facts, String>,
        entropy: &mut dyn Entropy,
    ) {
        let open = self
            .state
            .requests
            .get(&id)
            .is_some_and(|s| s.entered_here && s.decided.is_none() && s.signed.is_none());
        if !open {
            return;
        }
        match result {
            Ok(facts) => {
                let mut draft = Draft::from_facts(facts);
                if let Some(state) = self.state.requests.get(&id)
                    && let Ask::EvmCall { gas_limit: Some(asked), .. } = &state.request.ask
                    && let Source::Chosen(FillDraft::Evm { gas_limit, .. }) = &mut draft.source
                {
                    *gas_limit = *asked;
                }
                self.drafts.insert(id, draft);
                self.attempt(id, entropy);
            }
            Err(reason) => self.refuse_request(id, "no_chain_facts", &reason),
        }
    }

    /// Starts an attempt; what goes wrong is recorded with the request.
    pub(crate) fn attempt(&mut self, id: RequestId, entropy: &mut dyn Entropy) {
        let Some(state) = self.state.requests.get(&id) else { return };
        let (request, number) = (state.request.clone(), state.attempt.saturating_add(1));
        if self.now > request.expires_at {
            self.retries.remove(&id);
            return self.refuse_request(id, "expired", "the request expired before it was signed");
        }
        // Where an earlier attempt may be out, only its very bytes again.
        let spent = state.decided.as_ref().filter(|d| d.spent).map(|d| d.fill.clone());
        let fill = match (spent, self.drafts.get(&id)) {
            (Some(fill), None) => Ok(fill),
            (Some(_), Some(Draft { source: Source::Ready(fill), .. })) => Ok(fill.clone()),
            (Some(fill), Some(_)) => Ok(fill),
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
            Err(problem) if problem.class == Class::Unavailable => {
                self.after_failure(id, problem.message);
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
        // Refusals that pass by themselves.
        let passing = ["already_used", "overloaded", "pair_not_ready", "in_flight"];
        let passing = passing.contains(&code) || ["peer_unreachable", "replayed"].contains(&code);
        // A nonce that the caller fixed stays taken: trying again cannot help.
        let fixed = code == "already_used" && !self.picks_nonce(id);
        let now = self.now;
        let retry = self.retries.entry(id).or_default();
        if passing && !fixed && retry.refusals < REFUSALS_MAX {
            // Two coordinators that took one nonce must not meet again at once.
            let mut jitter = [0u8; 1];
            entropy.fill(&mut jitter);
            let pause = jitter.first().map_or(0, |byte| u64::from(*byte)).saturating_add(20);
            retry.at = now.saturating_add_ms(pause);
            retry.refusals = retry.refusals.saturating_add(1);
            return;
        }
        if self.holds_spends(id) {
            return self.after_failure(id, reason);
        }
        self.retries.remove(&id);
        self.refuse_request(id, code, &reason);
    }

    fn picks_nonce(&self, id: RequestId) -> bool {
        matches!(
            self.drafts.get(&id).map(|draft| &draft.source),
            Some(Source::Chosen(FillDraft::Evm { nonce: None, .. }))
        )
    }

    /// True when an earlier attempt may be out: the request keeps its nonce or coins until it is signed or expires.
    fn holds_spends(&self, id: RequestId) -> bool {
        let decided = self.state.requests.get(&id).and_then(|s| s.decided.as_ref());
        decided.is_some_and(|d| d.spent)
    }

    /// An attempt ended without a signature and without a refusal: somebody was silent or broke the protocol.
    pub(crate) fn after_failure(&mut self, id: RequestId, reason: String) {
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
            self.last_failures.insert(id, bounded(&reason));
            return;
        }
        self.retries.remove(&id);
        self.refuse_request(id, "not_signed", &reason);
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
            if decided {
                let at = self.now.saturating_add_ms(FAILURE_PAUSE_MS_MAX / 10);
                self.retries.insert(id, Retry { at, ..Retry::default() });
            } else {
                self.refuse_request(id, "interrupted", "the node restarted; nothing was signed");
            }
        }
    }

    /// A peer calls the nonce of this session taken: pass over it for a while.
    pub(crate) fn avoid_spends(&mut self, spends: Vec<String>) {
        let (now, until) = (self.now, self.now.saturating_add_ms(AVOID_MS));
        self.avoided.retain(|_, until| *until > now);
        self.avoided.extend(spends.into_iter().map(|spend| (spend, until)));
    }

    fn refuse_request(&mut self, id: RequestId, code: &str, reason: &str) {
        self.counters.refused_total = self.counters.refused_total.saturating_add(1);
        let (code, reason) = (bounded(code), bounded(reason));
        self.commit(Entry::Refused { request: id, session: None, code, reason });
        self.state.restore_signed(id);
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
        if self.broadcasts.remove(&id)
            && let Ok(Some((artefact, network))) = self.artefact(id)
        {
            let text = artefact.text;
            self.push(Effect::Broadcast { request: id, network, text });
        }
        self.wake(id);
    }

    /// The finished artefact of a signed request.
    pub(crate) fn artefact(
        &self,
        id: RequestId,
    ) -> Result<Option<(chains::Artefact, Network)>, Problem> {
        let Some(state) = self.state.requests.get(&id) else { return Ok(None) };
        let Some((_, fill, signatures)) = &state.signed else { return Ok(None) };
        let Some(keeping) = self.vaults.get(&state.request.vault) else { return Ok(None) };
        let keys = &keeping.public.keys;
        let plan = chains::build(keys, &state.request, fill)?;
        let artefact = chains::finish(keys, &state.request, &plan, signatures)?;
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

    /// Same request, other bytes under the same nonce: a higher fee, or nothing sent.
    pub(crate) fn replace(
        &mut self,
        command: CommandId,
        caller: Caller,
        id: RequestId,
        how: &api::Replace,
        cancel: bool,
        entropy: &mut dyn Entropy,
    ) -> Result<Option<Reply>, Problem> {
        let state = self.request_for(caller, id)?;
        if !state.entered_here {
            let text =
                format!("ask {}, which took this request", self.name_of(state.request.entry));
            return Err(refuse(Class::Refused, "other_entry", text));
        }
        let decided = state.decided.as_ref().map(|d| &d.fill);
        let Some(Fill::Evm { nonce, gas_limit, max_fee_per_gas, max_priority_fee_per_gas, .. }) =
            decided
        else {
            let text = "only an EVM transaction that was decided can be replaced under its nonce";
            return Err(refuse(Class::Refused, "not_replaceable", text).hint(
                "Bitcoin: send a request with the same coins and a higher fee once this expired",
            ));
        };
        let request = state.request.clone();
        let fill = Fill::Evm {
            nonce: *nonce,
            gas_limit: *gas_limit,
            max_fee_per_gas: raised(*max_fee_per_gas, how.max_fee_per_gas)?,
            max_priority_fee_per_gas: raised(
                *max_priority_fee_per_gas,
                how.max_priority_fee_per_gas,
            )?,
            cancel,
        };
        let number = state.attempt.saturating_add(1);
        // What this node would refuse changes nothing: the signed transaction stays as it is.
        let proposal = self.proposal(&request, fill.clone(), number)?;
        self.decide(&proposal)?;
        self.state.unsign(id);
        self.drafts.insert(id, Draft::ready(fill));
        self.broadcasts.insert(id);
        self.attempt(id, entropy);
        self.answer_or_wait(command, id, how.wait_ms)
    }
}

/// The new price: as asked, else a quarter higher. A replacement below a tenth more is not relayed by EVM nodes.
fn raised(last: u128, asked: Option<u64>) -> Result<u128, Problem> {
    let least = last.saturating_add(last.div_ceil(10));
    let new = asked.map_or_else(|| last.saturating_add(last.div_ceil(4)), u128::from);
    if new < least {
        let text = format!("{new} wei per gas; a replacement needs at least {least}");
        return Err(refuse(Class::Refused, "fee_too_low_to_replace", text));
    }
    Ok(new)
}
