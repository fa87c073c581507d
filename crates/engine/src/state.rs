//! The public state of a node: a pure fold over its journal, plus what the fold needs to answer quickly.

use crate::hello::JournalHead;
use crate::journal::Entry;
use crate::message::CeremonyPlan;
use crate::quota::Tally;
use model::card::NodeCard;
use model::ids::{CeremonyId, ClientId, NodeId, PairEpoch, RequestId, SessionId, VaultId};
use model::request::{Fill, Request};
use model::signing::Signature;
use model::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How long after its expiry a request is remembered, so that nothing it used up comes free too early (1 h).
pub(crate) const REQUEST_MARGIN_MS: u64 = 60 * 60 * 1000;

/// Ceremonies whose evidence is kept at most; the oldest makes room.
pub(crate) const EVIDENCE_KEPT_MAX: usize = 64;

/// Public state.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// This journal's life: counts the times it went back and the operators accepted it.
    pub life: u32,
    /// It went back and nobody accepted that yet: the latest life that this node's own signed heads were of.
    pub went_back: Option<u32>,
    /// Trusted peers.
    pub peers: BTreeMap<NodeId, PeerState>,
    /// Vaults with a stored share.
    pub vaults: BTreeMap<VaultId, VaultState>,
    /// Requests remembered.
    pub requests: BTreeMap<RequestId, RequestState>,
    /// Requests by expiry, so that forgetting is cheap.
    pub expiries: BTreeSet<(Timestamp, RequestId)>,
    /// The client's own words for a request.
    pub idempotency: BTreeMap<(VaultId, ClientId, String), RequestId>,
    /// What is used up, and by whom.
    pub spends: BTreeMap<String, RequestId>,
    /// Ceremonies that this node said yes to, ever: one is never run twice.
    pub joined: BTreeSet<CeremonyId>,
    /// The vault of each ceremony of which this node stored its share.
    pub made: BTreeMap<CeremonyId, VaultId>,
    /// Those of them that not every member is known to have stored.
    pub unborn: BTreeSet<VaultId>,
    /// Hash of the ceremony's record by vault.
    pub recorded: BTreeMap<VaultId, [u8; 32]>,
    /// Evidence that is kept, oldest first.
    pub broken: VecDeque<Broken>,
    /// Requests that are neither signed nor refused.
    pub open: BTreeSet<RequestId>,
    /// The open ones by vault and client, and all that are remembered.
    pub open_tally: Tally,
    pub kept_tally: Tally,
    /// Service keys by token hash.
    pub clients: BTreeMap<[u8; 32], ClientState>,
}

/// Evidence against a member of a ceremony.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    /// The ceremony.
    pub ceremony: CeremonyId,
    /// Who broke the protocol.
    pub culprit: NodeId,
    /// SHA-256 of the record.
    pub hash: [u8; 32],
}

/// One trusted peer.
#[derive(Debug)]
pub(crate) struct PeerState {
    /// Its card.
    pub card: NodeCard,
    /// Its journal as last seen, in its own words.
    pub seen: Option<JournalHead>,
    /// Why it is held.
    pub held: Option<String>,
    /// Pair state with it.
    pub pair: PairRecord,
}

/// Pair state as the journal knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PairRecord {
    /// Never made, or the operator allowed fresh state; `last` is the last version used.
    Absent {
        /// Last version used.
        last: PairEpoch,
    },
    /// Made and stored.
    Ready {
        /// Version.
        epoch: PairEpoch,
        /// Public id, the same at both ends.
        mesh: [u8; 32],
    },
    /// A check failed; waits for the operator.
    Stopped {
        /// Version that failed.
        epoch: PairEpoch,
        /// Which check.
        reason: String,
    },
}

impl PairRecord {
    /// The last version that was used.
    pub fn last(&self) -> PairEpoch {
        match self {
            Self::Absent { last } => *last,
            Self::Ready { epoch, .. } | Self::Stopped { epoch, .. } => *epoch,
        }
    }
}

/// One vault.
#[derive(Debug)]
pub(crate) struct VaultState {
    /// The ceremony it came from.
    pub plan: CeremonyPlan,
    /// Hash of its sealed public data.
    pub hash: [u8; 32],
    /// Every member stored its share.
    pub active: bool,
    /// When this node stored its own.
    pub since: Timestamp,
}

/// One service key.
#[derive(Debug, Clone)]
pub(crate) struct ClientState {
    /// Client.
    pub client: ClientId,
    /// For people.
    pub name: String,
    /// When it was made.
    pub made: Timestamp,
    /// Vaults it may use.
    pub vaults: BTreeSet<VaultId>,
}

/// One request.
#[derive(Debug)]
pub(crate) struct RequestState {
    /// What is asked for.
    pub request: Request,
    /// This node took it from a client.
    pub entered_here: bool,
    /// The decision that holds its spends, if any: session, fill, spends, when.
    pub decided: Option<Decision>,
    /// Highest attempt seen.
    pub attempt: u32,
    /// Finished signatures with their fill and session.
    pub signed: Option<(SessionId, Fill, Vec<Signature>)>,
    /// What was signed before a replacement was asked for; stands again if the replacement fails.
    pub superseded: Option<(SessionId, Fill, Vec<Signature>)>,
    /// Last refusal.
    pub refused: Option<(String, String)>,
    /// Milliseconds from the decision to the verified signatures.
    pub took_ms: u64,
}

/// What this node decided to sign last.
#[derive(Debug, Clone)]
pub(crate) struct Decision {
    /// Session.
    pub session: SessionId,
    /// Fill.
    pub fill: Fill,
    /// Used up on chain.
    pub spends: Vec<String>,
    /// When.
    pub at: Timestamp,
    /// True once it cannot be taken back: the last-round message left, or the node restarted since.
    pub spent: bool,
}

impl State {
    /// Takes one record in. Total: a record that speaks of something unknown changes nothing.
    pub fn fold(&mut self, at: Timestamp, entry: &Entry) {
        match entry {
            // Sessions of before are gone; whether their last message left is not known, so it counts as left.
            Entry::Started(_) => self.close_open_decisions(),
            Entry::PeerTrusted(bytes) => self.trust(bytes),
            Entry::PeerSeen(peer, seen) => self.with_peer(peer, |p| p.seen = Some(*seen)),
            Entry::PeerHeld(peer, reason) => {
                self.with_peer(peer, |p| p.held = Some(reason.clone()));
            }
            Entry::PeerReleased(peer) => self.with_peer(peer, |p| {
                p.held = None;
                p.seen = None;
                p.pair = PairRecord::Absent { last: p.pair.last() };
            }),
            Entry::WentBack(life) => self.went_back = self.went_back.max(Some(*life)),
            Entry::RollbackAccepted(life) => {
                self.life = *life;
                self.went_back = None;
            }
            Entry::PairMade(peer, epoch, mesh) => self.with_peer(peer, |p| {
                p.pair = PairRecord::Ready { epoch: *epoch, mesh: *mesh };
            }),
            Entry::PairStopped(peer, epoch, reason) => self.with_peer(peer, |p| {
                p.pair = PairRecord::Stopped { epoch: *epoch, reason: reason.clone() };
            }),
            Entry::PairResumed(peer) => self.with_peer(peer, |p| {
                p.pair = PairRecord::Absent { last: p.pair.last() };
            }),
            Entry::CeremonyJoined(_)
            | Entry::VaultStored { .. }
            | Entry::VaultActive(..)
            | Entry::CeremonyRecorded(..)
            | Entry::CeremonyBroken { .. } => self.fold_ceremony(at, entry),
            Entry::Heard(_)
            | Entry::Requested(_)
            | Entry::Decided { .. }
            | Entry::Refused { .. }
            | Entry::Released(..)
            | Entry::Aborted(..)
            | Entry::Signed { .. } => self.fold_request(at, entry),
            Entry::ClientAdded { client, name, token_hash, vaults } => {
                let vaults = vaults.iter().copied().collect();
                let state = ClientState { client: *client, name: name.clone(), made: at, vaults };
                self.clients.insert(*token_hash, state);
            }
            // The share may have left: the others can finish.
            Entry::Answered { request, session, .. } => self.mark_spent(request, session),
            Entry::ClientRemoved(client) => self.clients.retain(|_, c| c.client != *client),
            // What governs vaults is folded in `governed`; a jump of the clock changed nothing but memory.
            Entry::Charter(_)
            | Entry::Act(_)
            | Entry::Judged(_)
            | Entry::Complete(..)
            | Entry::Resumed(_) => {}
        }
    }

    fn fold_ceremony(&mut self, at: Timestamp, entry: &Entry) {
        match entry {
            Entry::CeremonyJoined(plan) => {
                self.joined.insert(plan.id());
            }
            Entry::VaultStored { plan, vault, hash, .. } => {
                self.made.insert(plan.id(), *vault);
                self.unborn.insert(*vault);
                let (plan, hash) = (plan.clone(), *hash);
                self.vaults.insert(*vault, VaultState { plan, hash, active: false, since: at });
            }
            Entry::VaultActive(vault, _) => {
                if let Some(state) = self.vaults.get_mut(vault) {
                    state.active = true;
                    self.unborn.remove(vault);
                }
            }
            Entry::CeremonyRecorded(_, vault, hash) => {
                self.recorded.insert(*vault, *hash);
            }
            Entry::CeremonyBroken { ceremony, culprit, hash, .. } => {
                let (ceremony, culprit, hash) = (*ceremony, *culprit, *hash);
                self.broken.push_back(Broken { ceremony, culprit, hash });
                while self.broken.len() > EVIDENCE_KEPT_MAX {
                    self.broken.pop_front();
                }
            }
            _ => {}
        }
    }

    fn fold_request(&mut self, at: Timestamp, entry: &Entry) {
        match entry {
            Entry::Heard(request) => drop(self.remember(request)),
            Entry::Requested(request) => {
                self.remember(request).entered_here = true;
                // Only what came from a client of this node: a peer chooses no answer for it. A key that is used again after
                // its first request was forgotten stands for the later one, also when the journal is folded anew.
                if !request.idempotency_key.is_empty() {
                    let key = (request.vault, request.client, request.idempotency_key.clone());
                    self.idempotency.insert(key, request.id());
                }
            }
            Entry::Decided { proposal, spends, .. } => {
                // A new attempt: what an earlier one was refused for is past.
                let (session, request) = (proposal.session(), proposal.request.id());
                self.reopen(&proposal.request);
                let state = self.remember(&proposal.request);
                state.attempt = state.attempt.max(proposal.attempt);
                // An earlier attempt that may be out keeps counting: a later refusal must not free what it used up.
                let spent = state.decided.as_ref().is_some_and(|d| d.spent && d.spends == *spends);
                let decision = Decision {
                    session,
                    fill: proposal.fill.clone(),
                    spends: spends.clone(),
                    at,
                    spent,
                };
                let before = state.decided.replace(decision);
                for spend in before.map(|d| d.spends).unwrap_or_default() {
                    self.free(&spend, request);
                }
                for spend in spends {
                    self.spends.insert(spend.clone(), request);
                }
            }
            Entry::Refused { request, session, code, reason } => {
                // What a peer proposed and this node refused says nothing of a request that this node took itself.
                let own = |state: &&mut RequestState| session.is_none() || !state.entered_here;
                if let Some(state) = self.requests.get_mut(request).filter(own) {
                    state.refused = Some((code.clone(), reason.clone()));
                    self.close(request);
                }
            }
            Entry::Released(request, session) => {
                let held = self
                    .requests
                    .get_mut(request)
                    .and_then(|state| state.decided.take_if(|d| d.session == *session && !d.spent));
                for spend in held.map(|d| d.spends).unwrap_or_default() {
                    self.free(&spend, *request);
                }
                self.close_given_up(request);
            }
            Entry::Aborted(request, session, _) => self.mark_spent(request, session),
            Entry::Signed { request, session, signatures } => {
                self.mark_spent(request, session);
                if let Some(state) = self.requests.get_mut(request) {
                    let decided = state.decided.as_ref();
                    let fill = decided.map_or(Fill::Nothing, |d| d.fill.clone());
                    state.took_ms = decided.map_or(0, |d| at.ms_since(d.at));
                    state.signed = Some((*session, fill, signatures.clone()));
                    state.superseded = None;
                    state.refused = None;
                    self.close(request);
                }
            }
            _ => {}
        }
    }

    /// Evidence of a ceremony, if it is kept.
    pub fn broken(&self, ceremony: CeremonyId) -> Option<&Broken> {
        self.broken.iter().find(|broken| broken.ceremony == ceremony)
    }

    /// The request is no longer open.
    fn close(&mut self, id: &RequestId) {
        if self.open.remove(id)
            && let Some(state) = self.requests.get(id)
        {
            self.open_tally.remove(&state.request);
        }
    }

    /// Of what a peer took and gave up nothing is left to do here, until it is proposed anew.
    fn close_given_up(&mut self, id: &RequestId) {
        let over = |s: &RequestState| !s.entered_here && s.decided.is_none() && s.signed.is_none();
        if self.requests.get(id).is_some_and(over) {
            self.close(id);
        }
    }

    /// A peer proposes anew what was given up: it is open again.
    fn reopen(&mut self, request: &Request) {
        let id = request.id();
        let given_up = |s: &RequestState| !s.entered_here && s.signed.is_none();
        if self.requests.get(&id).is_some_and(given_up) && self.open.insert(id) {
            self.open_tally.add(request);
        }
    }

    fn with_peer(&mut self, peer: &NodeId, change: impl FnOnce(&mut PeerState)) {
        if let Some(state) = self.peers.get_mut(peer) {
            change(state);
        }
    }

    fn trust(&mut self, card: &[u8]) {
        let Ok(card) = NodeCard::verify(card) else { return };
        match self.peers.get_mut(&card.node) {
            Some(state) => state.card = card,
            None => {
                let pair = PairRecord::Absent { last: PairEpoch(0) };
                let state = PeerState { card, seen: None, held: None, pair };
                self.peers.insert(state.card.node, state);
            }
        }
    }

    fn free(&mut self, spend: &str, request: RequestId) {
        if self.spends.get(spend) == Some(&request) {
            self.spends.remove(spend);
        }
    }

    /// Marks a decision as beyond taking back.
    pub fn mark_spent(&mut self, request: &RequestId, session: &SessionId) {
        if let Some(decision) = self.requests.get_mut(request).and_then(|s| s.decided.as_mut())
            && decision.session == *session
        {
            decision.spent = true;
        }
    }

    fn close_open_decisions(&mut self) {
        for decision in self.requests.values_mut().filter_map(|state| state.decided.as_mut()) {
            decision.spent = true;
        }
    }

    /// A replacement is wanted: the request counts as not signed until its new bytes are.
    pub fn unsign(&mut self, request: RequestId) {
        if let Some(state) = self.requests.get_mut(&request) {
            // A second replacement before the first is signed keeps what was signed last.
            state.superseded = state.signed.take().or(state.superseded.take());
        }
    }

    /// The replacement did not come: what was signed before stands.
    pub fn restore_signed(&mut self, request: RequestId) {
        if let Some(state) = self.requests.get_mut(&request)
            && state.signed.is_none()
        {
            state.signed = state.superseded.take();
        }
    }

    /// The state of a request, made when it is new.
    pub fn remember(&mut self, request: &Request) -> &mut RequestState {
        let id = request.id();
        self.expiries.insert((request.expires_at, id));
        if !self.requests.contains_key(&id) {
            self.open.insert(id);
            self.open_tally.add(request);
            self.kept_tally.add(request);
        }
        self.requests.entry(id).or_insert_with(|| RequestState {
            request: request.clone(),
            entered_here: false,
            decided: None,
            attempt: 0,
            signed: None,
            superseded: None,
            refused: None,
            took_ms: 0,
        })
    }

    /// Forgets requests whose expiry and margin have passed. They can never be signed again: expiry is part of a
    /// request's id and every node refuses an expired one.
    pub fn forget(&mut self, now: Timestamp) -> Vec<(VaultId, RequestId)> {
        let mut forgotten = Vec::new();
        while let Some((expiry, id)) = self.expiries.first().copied() {
            if expiry.saturating_add_ms(REQUEST_MARGIN_MS) > now {
                break;
            }
            self.expiries.pop_first();
            let Some(state) = self.requests.remove(&id) else { continue };
            forgotten.push((state.request.vault, id));
            let request = &state.request;
            self.kept_tally.remove(request);
            if self.open.remove(&id) {
                self.open_tally.remove(request);
            }
            let key = (request.vault, request.client, request.idempotency_key.clone());
            if self.idempotency.get(&key) == Some(&id) {
                self.idempotency.remove(&key);
            }
            for spend in state.decided.map(|d| d.spends).unwrap_or_default() {
                self.free(&spend, id);
            }
        }
        forgotten
    }
}
