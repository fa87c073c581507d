//! Key ceremonies: a plan, one screen for all, a yes from each operator, key generation, and a vault that counts as born
//! only when every member's share is durable (`storing.rs`).
//!
//! Spec: `docs/spec/dkg.md`. A ceremony in the making does not survive a restart; it fails by name and is proposed anew.

use crate::budgets::Costly;
use crate::engine::Engine;
use crate::job::{Job, JobOutput};
use crate::journal::{Entry, bounded};
use crate::message::{CeremonyPlan, Message};
use crate::problem::{Class, Problem, refuse};
use crate::sessions::Purpose as JobPurpose;
use model::api;
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
/// Rounds of key generation, so that a message of a later one is garbage.
const DKG_ROUNDS_MAX: u8 = 4;
/// Ceremonies of one proposer that wait or run at most.
const OPEN_PER_PEER_MAX: usize = 64;
/// A message of key generation: at most 32 KiB of broadcast, its mark and one sealed sub-share.
const DKG_BYTES_MAX: usize = 40 * 1024;

/// One ceremony in memory.
pub(crate) struct Ceremony {
    pub plan: CeremonyPlan,
    pub joined: BTreeSet<NodeId>,
    pub phase: Phase,
    /// When the phase that can time out began.
    pub since: Timestamp,
    /// Members whose word about a breach was checked: one each.
    pub accusers: BTreeSet<NodeId>,
    round: u8,
    inbox: BTreeMap<(u8, Seat), Vec<u8>>,
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
    fn is_open(&self) -> bool {
        !matches!(self.phase, Phase::Done(_) | Phase::Failed(_))
    }

    fn seat_of(&self, member: NodeId) -> Option<Seat> {
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
        let unknown = members.iter().find(|n| **n != self.me && !self.state.peers.contains_key(n));
        if let Some(node) = unknown {
            let text = format!("node {} is not trusted here", node.short());
            return Err(refuse(Class::Refused, "unknown_peer", text)
                .hint("import its card with `outlast node trust`"));
        }
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
        if self.vaults.len() >= limits::VAULTS_MAX {
            return Err(refuse(Class::Overloaded, "vaults_max", "this node holds all it may"));
        }
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
        };
        let id = plan.id();
        self.remember_ceremony(plan.clone());
        self.send_all(plan.members.iter().copied(), &Message::CeremonyPropose(plan.clone()));
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
        self.send_all(plan.members.iter().copied(), &Message::CeremonyJoin(id));
        self.begin_when_all_joined(id);
        Ok(())
    }

    /// A home with a cheap seal never holds a share of a live vault.
    fn may_hold(&self, purpose: Purpose) -> Result<(), Problem> {
        if purpose == Purpose::Live && self.config.test_home {
            let text = "this node's home is for tests: its seal is cheap to guess";
            return Err(refuse(Class::Refused, "test_home", text)
                .hint("make a node with `outlast node init` for a live vault"));
        }
        Ok(())
    }

    fn remember_ceremony(&mut self, plan: CeremonyPlan) {
        self.trim_ceremonies();
        let ceremony = Ceremony {
            joined: BTreeSet::new(),
            phase: Phase::Waiting,
            since: self.now,
            accusers: BTreeSet::new(),
            round: 0,
            inbox: BTreeMap::new(),
            plan: plan.clone(),
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
            Message::CeremonyPropose(plan) => self.handle_ceremony_propose(peer, plan),
            Message::CeremonyJoin(id) => {
                if let Some(ceremony) = self.ceremonies.get_mut(&id)
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

    fn handle_ceremony_propose(&mut self, peer: NodeId, plan: CeremonyPlan) {
        let trusted =
            plan.members.iter().all(|node| *node == self.me || self.state.peers.contains_key(node));
        let mine = plan.members.contains(&self.me);
        self.trim_ceremonies();
        let full =
            self.ceremonies.len() >= CEREMONIES_MAX || self.vaults.len() >= limits::VAULTS_MAX;
        if plan.proposer != peer || !mine || plan.threshold < 2 {
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
        let refused = self.may_hold(plan.purpose).err().map(|p| p.message);
        if !trusted || full || refused.is_some() {
            let reason =
                if full { "too many vaults or ceremonies" } else { "a member is not trusted" };
            let reason = refused.unwrap_or_else(|| reason.to_owned());
            return self.send(peer, &Message::CeremonyFail(id, bounded(&reason)));
        }
        let test = plan.purpose == Purpose::Test;
        self.remember_ceremony(plan);
        if let Some(ceremony) = self.ceremonies.get_mut(&id) {
            // Proposing is a yes.
            ceremony.joined.insert(peer);
        }
        if test && self.config.auto_join_test_vaults && self.join_ceremony(id).is_err() {
            self.warn("ceremony_refused", "a proposed ceremony could not be joined".to_owned());
        }
    }

    fn begin_when_all_joined(&mut self, id: CeremonyId) {
        let Some(ceremony) = self.ceremonies.get_mut(&id) else { return };
        let all = ceremony.plan.members.iter().all(|node| ceremony.joined.contains(node));
        if !all || !matches!(ceremony.phase, Phase::Waiting) {
            return;
        }
        let plan = ceremony.plan.clone();
        let Some(dkg_plan) = plan.dkg_plan() else { return };
        let me = dkg_plan.members.iter().find(|(_, node)| **node == self.me);
        let Some(me) = me.map(|(seat, _)| *seat) else { return };
        ceremony.phase = Phase::Busy;
        ceremony.since = self.now;
        let job = Job::DkgStart { plan: Arc::new(dkg_plan), me, key: Arc::clone(&self.key) };
        self.compute(job, JobPurpose::Ceremony(id));
    }

    fn handle_dkg(&mut self, peer: NodeId, id: CeremonyId, round: u8, bytes: Vec<u8>) {
        let name = self.name_of(peer);
        let known = self.ceremonies.get_mut(&id);
        let seat = known.as_ref().and_then(|c| c.seat_of(peer));
        let (Some(ceremony), Some(seat)) = (known, seat) else {
            let text = format!("{name} sent round {round} of a ceremony that is not its and ours");
            return self.warn_of(peer, "unknown_ceremony", text);
        };
        // Given up here: what was under way comes late, and says nothing about its sender.
        if matches!(ceremony.phase, Phase::Failed(_)) {
            return;
        }
        if bytes.len() > DKG_BYTES_MAX {
            let text = format!("{name} sent {} bytes in round {round}", bytes.len());
            return self.warn_of(peer, "over_long_message", format!("{text} of key generation"));
        }
        // Before this node's own yes nobody can have begun; and a peer can be one round ahead, not more.
        let open = ceremony.is_open() && ceremony.joined.contains(&self.me);
        let last = DKG_ROUNDS_MAX.min(ceremony.round.saturating_add(1));
        if !open || round < ceremony.round.max(1) || round > last {
            let text = format!("{name} sent round {round} of key generation");
            let text = format!("{text}; here it stands at round {}", ceremony.round);
            return self.warn_of(peer, "wrong_round", text);
        }
        // The first message of a round counts; a second one never replaces it.
        let taken = round == ceremony.round && matches!(ceremony.phase, Phase::Busy);
        if taken || ceremony.inbox.contains_key(&(round, seat)) {
            let text = format!("{name} sent round {round} of key generation twice");
            return self.warn_of(peer, "duplicate_message", text);
        }
        ceremony.inbox.insert((round, seat), bytes);
        self.advance_dkg(id);
    }

    fn advance_dkg(&mut self, id: CeremonyId) {
        let Some(ceremony) = self.ceremonies.get_mut(&id) else { return };
        let Phase::Running(running) = &ceremony.phase else { return };
        let round = ceremony.round;
        let expected = running.expects();
        if !expected.iter().all(|seat| ceremony.inbox.contains_key(&(round, *seat))) {
            return;
        }
        let inbox = expected
            .into_iter()
            .filter_map(|seat| Some((seat, ceremony.inbox.remove(&(round, seat))?)))
            .collect();
        let Phase::Running(running) = core::mem::replace(&mut ceremony.phase, Phase::Busy) else {
            return;
        };
        let job = Job::DkgAdvance { running, inbox, key: Arc::clone(&self.key) };
        self.compute(job, JobPurpose::Ceremony(id));
    }

    pub(crate) fn handle_ceremony_computed(&mut self, id: CeremonyId, output: JobOutput) {
        let busy = self.ceremonies.get(&id).is_some_and(|c| matches!(c.phase, Phase::Busy));
        if !busy {
            return;
        }
        let JobOutput::Dkg(result) = output else {
            return self.fail_ceremony(id, "a computation was lost".to_owned(), true);
        };
        match result {
            Ok(dkg::Step::Continue(running, outgoing)) => {
                let Some(ceremony) = self.ceremonies.get_mut(&id) else { return };
                ceremony.round = ceremony.round.saturating_add(1);
                ceremony.phase = Phase::Running(Box::new(running));
                let (round, seats) = (ceremony.round, ceremony.plan.seats());
                for message in outgoing {
                    let Some(peer) = seats.get(&message.to).copied() else { continue };
                    let bytes = message.bytes;
                    self.send(peer, &Message::Dkg { ceremony: id, round, bytes });
                }
                self.advance_dkg(id);
            }
            Ok(dkg::Step::Done(outcome)) => self.store_vault(id, *outcome),
            Err(error) => {
                let source = std::error::Error::source(&error).map(|s| format!(": {s}"));
                let text = format!("{error}{}", source.unwrap_or_default());
                if let dkg::DkgError::Misbehaved { culprit, evidence } = error {
                    self.found_breach(id, culprit, evidence);
                }
                self.fail_ceremony(id, text, true);
            }
        }
    }

    /// A peer that was away hears of the ceremonies that still wait for a yes.
    pub(crate) fn tell_ceremonies(&mut self, peer: NodeId) {
        let waiting: Vec<_> = self
            .ceremonies
            .values()
            // Also while running: the peer may have missed a yes that overtook the plan.
            .filter(|c| !matches!(c.phase, Phase::Done(_) | Phase::Failed(_)))
            .filter(|c| c.plan.members.contains(&peer))
            .map(|c| (c.plan.clone(), c.joined.contains(&self.me)))
            .collect();
        for (plan, joined) in waiting {
            let id = plan.id();
            if plan.proposer == self.me {
                self.send(peer, &Message::CeremonyPropose(plan));
            }
            if joined {
                self.send(peer, &Message::CeremonyJoin(id));
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
