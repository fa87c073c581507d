//! Key ceremonies: a plan, one screen for all, a yes from each operator, key generation, and a vault that counts as born
//! only when every member's share is durable (`storing.rs`).
//!
//! Spec: `docs/spec/dkg.md`. A ceremony in the making does not survive a restart; it fails by name and is proposed anew.

use crate::budgets::Costly;
use crate::engine::Engine;
use crate::job::Job;
use crate::journal::{Entry, bounded};
use crate::message::{CeremonyPlan, Message};
use crate::problem::{Class, Problem, refuse};
use crate::sessions::Purpose as JobPurpose;
use model::api;
use model::charter::SignedCharter;
use model::entropy::Entropy;
use model::ids::{CeremonyId, NodeId, Seat, VaultId};
use model::keys::Purpose;
use model::limits;
use model::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use threshold::dkg;

/// Ceremonies remembered in memory at most; finished ones make room.
const CEREMONIES_MAX: usize = 4096;
/// Ceremonies of one proposer that wait or run at most.
const OPEN_PER_PEER_MAX: usize = 64;

/// One ceremony in memory.
pub(crate) struct Ceremony {
    pub plan: CeremonyPlan,
    /// The charter that it is born under, with the agreements so far.
    pub charter: Option<SignedCharter>,
    pub joined: BTreeSet<NodeId>,
    pub phase: Phase,
    /// When the phase that can time out began.
    pub since: Timestamp,
    /// Members whose word about a breach was checked: one each.
    pub accusers: BTreeSet<NodeId>,
    pub round: u8,
    pub inbox: BTreeMap<(u8, Seat), Vec<u8>>,
}

/// Where a ceremony stands.
pub(crate) enum Phase {
    /// For everybody's yes.
    Waiting,
    /// A job computes.
    Busy,
    /// Waits for the others' messages.
    Running(Box<dkg::Running>),
    /// This node's share is stored.
    Done(VaultId),
    /// Given up.
    Failed(String),
}

impl Ceremony {
    pub fn is_open(&self) -> bool {
        !matches!(self.phase, Phase::Done(_) | Phase::Failed(_))
    }

    /// What tells the others of it.
    fn proposal(&self) -> Message {
        match &self.charter {
            None => Message::CeremonyPropose(self.plan.clone()),
            Some(charter) => Message::CeremonyUnder(self.plan.clone(), Box::new(charter.clone())),
        }
    }

    pub fn seat_of(&self, member: NodeId) -> Option<Seat> {
        self.plan.seats().into_iter().find(|(_, node)| *node == member).map(|(seat, _)| seat)
    }
}

impl Engine {
    /// The operator proposes a ceremony and with it says yes.
    pub(crate) fn new_ceremony(
        &mut self,
        new: &api::NewCeremony,
        entropy: &mut dyn Entropy,
    ) -> Result<CeremonyId, Problem> {
        let mut members: BTreeSet<NodeId> = new.members.iter().copied().collect();
        members.insert(self.me);
        let all: Vec<NodeId> = members.iter().copied().collect();
        self.check_members(&all)?;
        let fits = (1..=limits::TEXT_BYTES_MAX).contains(&new.name.len());
        if !fits || new.name.chars().any(char::is_control) {
            let text = "name: 1 to 256 bytes, no control characters";
            return Err(refuse(Class::Refused, "invalid_field", text));
        }
        let seats = members.len();
        let fits = usize::from(new.threshold) <= seats && seats <= limits::SEATS_MAX;
        // A threshold of one would be a whole key on every node.
        if new.threshold < 2 || !fits {
            let text = format!("threshold {} of {seats} members", new.threshold);
            return Err(refuse(Class::Refused, "invalid_threshold", text)
                .hint("at least 2, at most the number of members"));
        }
        self.may_hold(new.purpose)?;
        let mut nonce = [0u8; 32];
        entropy.fill(&mut nonce);
        let plan = CeremonyPlan {
            name: new.name.clone(),
            purpose: new.purpose,
            threshold: new.threshold,
            members: members.into_iter().collect(),
            proposer: self.me,
            at: self.now,
            nonce,
            charter: None,
        };
        self.propose(plan, None)
    }

    pub(crate) fn check_members(&self, members: &[NodeId]) -> Result<(), Problem> {
        let unknown = members.iter().find(|n| **n != self.me && !self.state.peers.contains_key(n));
        if let Some(node) = unknown {
            let text = format!("node {} is not trusted here", node.short());
            return Err(refuse(Class::Refused, "unknown_peer", text)
                .hint("import its card with `outlast node trust`"));
        }
        if self.vaults.len() >= limits::VAULTS_MAX {
            return Err(refuse(Class::Overloaded, "vaults_max", "this node holds all it may"));
        }
        Ok(())
    }

    pub(crate) fn propose(
        &mut self,
        plan: CeremonyPlan,
        charter: Option<SignedCharter>,
    ) -> Result<CeremonyId, Problem> {
        let id = plan.id();
        self.remember_ceremony(plan.clone(), charter);
        if let Some(message) = self.ceremonies.get(&id).map(Ceremony::proposal) {
            self.send_all(plan.members.iter().copied(), &message);
        }
        self.join_ceremony(id)?;
        Ok(id)
    }

    /// The operator says yes.
    pub(crate) fn join_ceremony(&mut self, id: CeremonyId) -> Result<(), Problem> {
        let Some(ceremony) = self.ceremonies.get(&id) else {
            return Err(refuse(Class::NotFound, "unknown_ceremony", "no such ceremony here"));
        };
        if let Phase::Failed(reason) = &ceremony.phase {
            return Err(refuse(Class::Conflict, "ceremony_failed", reason.clone()));
        }
        let plan = ceremony.plan.clone();
        if ceremony.joined.contains(&self.me) {
            return Ok(());
        }
        // Before a restart this node may have signed broadcasts of it; signing others would be proof against itself.
        if self.state.joined.contains(&id) {
            let text = "this node joined this ceremony before it restarted";
            return Err(refuse(Class::Conflict, "ceremony_ran_before", text)
                .hint("propose it anew: a fresh plan has a fresh id"));
        }
        if let Some(ceremony) = self.ceremonies.get_mut(&id) {
            ceremony.joined.insert(self.me);
        }
        self.commit(Entry::CeremonyJoined(plan.clone()));
        let yes = self.own_yes(id);
        self.send_all(plan.members.iter().copied(), &yes);
        self.begin_when_all_joined(id);
        Ok(())
    }

    /// A home with a cheap seal never holds a share of a live vault.
    pub(crate) fn may_hold(&self, purpose: Purpose) -> Result<(), Problem> {
        if purpose == Purpose::Live && self.config.test_home {
            let text = "this node's home is for tests: its seal is cheap to guess";
            return Err(refuse(Class::Refused, "test_home", text)
                .hint("make a node with `outlast node init` for a live vault"));
        }
        Ok(())
    }

    fn remember_ceremony(&mut self, plan: CeremonyPlan, charter: Option<SignedCharter>) {
        self.trim_ceremonies();
        let ceremony = Ceremony {
            joined: BTreeSet::new(),
            phase: Phase::Waiting,
            since: self.now,
            accusers: BTreeSet::new(),
            round: 0,
            inbox: BTreeMap::new(),
            plan: plan.clone(),
            charter,
        };
        self.ceremonies.entry(plan.id()).or_insert(ceremony);
    }

    /// What is over makes room.
    fn trim_ceremonies(&mut self) {
        if self.ceremonies.len() >= CEREMONIES_MAX {
            self.ceremonies.retain(|_, c| c.is_open());
        }
    }

    pub(crate) fn handle_ceremony_message(&mut self, peer: NodeId, message: Message) {
        match message {
            Message::CeremonyPropose(plan) => self.handle_ceremony_propose(peer, plan, None),
            Message::CeremonyUnder(plan, charter) => {
                self.handle_ceremony_propose(peer, plan, Some(*charter));
            }
            Message::CeremonyAgree(id, act) => self.handle_agree(peer, id, *act),
            Message::CeremonyJoin(id) => {
                if let Some(ceremony) = self.ceremonies.get_mut(&id)
                    && ceremony.charter.is_none()
                    && ceremony.plan.members.contains(&peer)
                {
                    // It has not heard that this node gave up, and would wait in vain.
                    if let Phase::Failed(reason) = &ceremony.phase {
                        let message = Message::CeremonyFail(id, reason.clone());
                        return self.send(peer, &message);
                    }
                    ceremony.joined.insert(peer);
                    self.begin_when_all_joined(id);
                } else if !self.ceremonies.contains_key(&id)
                    && self.state.joined.contains(&id)
                    && !self.state.made.contains_key(&id)
                {
                    self.tell_lost(peer, id);
                }
            }
            Message::CeremonyFail(id, reason) => {
                if self.hear_unfinished(peer, id, &reason) {
                    return;
                }
                let member = self.ceremonies.get(&id).is_some_and(|c| {
                    c.plan.members.contains(&peer) && !matches!(c.phase, Phase::Done(_))
                });
                if member {
                    let text = format!("{} gave up: {reason}", self.name_of(peer));
                    self.fail_ceremony(id, text, false);
                }
            }
            Message::Dkg { ceremony, round, bytes } => {
                self.handle_dkg(peer, ceremony, round, bytes);
            }
            Message::CeremonyEvidence(id, bytes) => self.handle_evidence(peer, id, bytes),
            Message::VaultStored { ceremony, vault } => {
                self.handle_vault_stored(peer, ceremony, vault);
            }
            _ => {}
        }
    }

    fn handle_ceremony_propose(
        &mut self,
        peer: NodeId,
        plan: CeremonyPlan,
        charter: Option<SignedCharter>,
    ) {
        let trusted =
            plan.members.iter().all(|node| *node == self.me || self.state.peers.contains_key(node));
        let mine = plan.members.contains(&self.me);
        self.trim_ceremonies();
        let full =
            self.ceremonies.len() >= CEREMONIES_MAX || self.vaults.len() >= limits::VAULTS_MAX;
        let under = plan.charter.is_some() == charter.is_some();
        if plan.proposer != peer || !mine || plan.threshold < 2 || !under {
            return self.warn_of(
                peer,
                "ceremony_refused",
                "a peer proposed an invalid plan".to_owned(),
            );
        }
        let id = plan.id();
        let open = self.ceremonies.values().filter(|c| c.plan.proposer == peer && c.is_open());
        let full = full || open.count() >= OPEN_PER_PEER_MAX;
        // A plan is told until it is answered: only the first time costs something.
        let known = self.ceremonies.contains_key(&id);
        let full = full || !(known || self.within_budget(peer, Costly::Ceremony));
        // Signatures are checked within the budget only.
        let under = charter.as_ref().filter(|_| !full && !known);
        let refused = self
            .may_hold(plan.purpose)
            .and_then(|()| under.map_or(Ok(()), |charter| self.check_plan_under(&plan, charter)));
        let refused = refused.err().map(|p| p.message);
        if !trusted || full || refused.is_some() {
            let reason =
                if full { "too many vaults or ceremonies" } else { "a member is not trusted" };
            let reason = refused.unwrap_or_else(|| reason.to_owned());
            return self.send(peer, &Message::CeremonyFail(id, bounded(&reason)));
        }
        let test = plan.purpose == Purpose::Test;
        self.remember_ceremony(plan, charter);
        if let Some(ceremony) = self.ceremonies.get_mut(&id) {
            // Proposing is a yes.
            ceremony.joined.insert(peer);
        }
        if test && self.config.auto_join_test_vaults && self.join_ceremony(id).is_err() {
            self.warn("ceremony_refused", "a proposed ceremony could not be joined".to_owned());
        }
    }

    pub(crate) fn begin_when_all_joined(&mut self, id: CeremonyId) {
        let Some(ceremony) = self.ceremonies.get_mut(&id) else { return };
        let all = ceremony.plan.members.iter().all(|node| ceremony.joined.contains(node));
        if !all || !matches!(ceremony.phase, Phase::Waiting) {
            return;
        }
        let plan = ceremony.plan.clone();
        let lacks = self.ceremonies.get(&id).and_then(|ceremony| self.charter_lacks(ceremony));
        if let Some(reason) = lacks {
            return self.fail_ceremony(id, reason, true);
        }
        let Some(ceremony) = self.ceremonies.get_mut(&id) else { return };
        let Some(dkg_plan) = plan.dkg_plan() else { return };
        let me = dkg_plan.members.iter().find(|(_, node)| **node == self.me);
        let Some(me) = me.map(|(seat, _)| *seat) else { return };
        ceremony.phase = Phase::Busy;
        ceremony.since = self.now;
        let job = Job::DkgStart { plan: Arc::new(dkg_plan), me, key: Arc::clone(&self.key) };
        self.compute(job, JobPurpose::Ceremony(id));
    }

    /// A peer that was away hears of the ceremonies that still wait for a yes.
    pub(crate) fn tell_ceremonies(&mut self, peer: NodeId) {
        let waiting: Vec<_> = self
            .ceremonies
            .values()
            // Also while running: the peer may have missed a yes that overtook the plan.
            .filter(|c| !matches!(c.phase, Phase::Done(_) | Phase::Failed(_)))
            .filter(|c| c.plan.members.contains(&peer))
            .map(|c| (c.plan.id(), c.joined.contains(&self.me), c.plan.proposer, c.proposal()))
            .collect();
        for (id, joined, proposer, proposal) in waiting {
            if proposer == self.me {
                self.send(peer, &proposal);
            }
            if joined {
                let yes = self.own_yes(id);
                self.send(peer, &yes);
            }
        }
    }

    pub(crate) fn fail_ceremony(&mut self, id: CeremonyId, reason: String, tell: bool) {
        let Some(ceremony) = self.ceremonies.get_mut(&id) else { return };
        if matches!(ceremony.phase, Phase::Done(_) | Phase::Failed(_)) {
            return;
        }
        let reason = bounded(&reason);
        ceremony.phase = Phase::Failed(reason.clone());
        ceremony.inbox.clear();
        let members = ceremony.plan.members.clone();
        self.warn("ceremony_failed", format!("ceremony {}: {reason}", id.short()));
        if tell {
            self.send_all(members, &Message::CeremonyFail(id, reason));
        }
    }

    pub(crate) fn expire_ceremonies(&mut self) {
        let late: Vec<(CeremonyId, String)> = self
            .ceremonies
            .iter()
            .filter_map(|(id, c)| {
                let (bound, what) = match c.phase {
                    Phase::Waiting => (limits::CEREMONY_WAIT_MS_MAX, "not everybody said yes"),
                    Phase::Busy | Phase::Running(_) => (limits::CEREMONY_MS_MAX, "no answer"),
                    Phase::Done(_) | Phase::Failed(_) => return None,
                };
                let late = self.now.ms_since(c.since) > bound;
                late.then(|| (*id, format!("{what} within {} s", bound / 1000)))
            })
            .collect();
        for (id, reason) in late {
            self.fail_ceremony(id, reason, true);
        }
    }

    pub(crate) fn drop_ceremonies_with(&mut self, peer: NodeId) {
        let running: Vec<CeremonyId> = self
            .ceremonies
            .iter()
            .filter(|(_, c)| matches!(c.phase, Phase::Busy | Phase::Running(_)))
            .filter(|(_, c)| c.plan.members.contains(&peer))
            .map(|(id, _)| *id)
            .collect();
        let name = self.name_of(peer);
        for id in running {
            self.fail_ceremony(id, format!("the link to {name} went down"), true);
        }
    }
}
