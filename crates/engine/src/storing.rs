//! The end of a ceremony: this node's share is stored, and the vault counts as born once every member said the same of its own.
//!
//! Spec: `docs/spec/dkg.md`. A member that gave the ceremony up says so when it hears that this node stored, and after an hour
//! without everybody's word this node takes it for given up: named, shown as failed, its record kept. Absent on purpose: the
//! destruction of the share. The word that is missing may still come, and then the vault is born after all.

use crate::budgets::Costly;
use crate::ceremony::Phase;
use crate::engine::{Engine, Keeping};
use crate::journal::{Entry, bounded};
use crate::message::Message;
use crate::sealed::{vault_public_key, vault_share_key};
use model::hash;
use model::ids::{CeremonyId, NodeId, VaultId};
use model::limits;
use model::secret::Secret;
use model::wire::Wire;
use std::collections::BTreeSet;
use std::sync::Arc;
use threshold::dkg;

/// Vaults of which peers told that they stored them before this node did, at most.
const STORED_EARLY_MAX: usize = 256;
/// This node's word about one vault is repeated to one peer at most this often, milliseconds: two nodes that both have all
/// words would answer one another for ever.
const ANSWER_MS: u64 = 1_500;

impl Engine {
    pub(crate) fn store_vault(&mut self, id: CeremonyId, outcome: dkg::Outcome) {
        let Some(ceremony) = self.ceremonies.get_mut(&id) else { return };
        let vault = outcome.vault;
        ceremony.phase = Phase::Done(vault);
        let (plan, charter) = (ceremony.plan.clone(), ceremony.charter.clone());
        let bytes = outcome.public.to_bytes();
        let epoch = outcome.public.epoch;
        let entry =
            Entry::VaultStored { plan: plan.clone(), vault, epoch, hash: hash::sha256(&bytes) };
        if let Some(charter) = charter {
            self.commit(Entry::Charter(Box::new(charter)));
        }
        self.put_secret(vault_public_key(vault), Secret::new(bytes));
        self.put_secret(vault_share_key(vault), outcome.share.to_bytes());
        self.commit(entry);
        self.keep_record(&plan, vault, outcome.transcript, outcome.confirmations);
        let keeping = Keeping { public: Arc::new(outcome.public), share: Arc::new(outcome.share) };
        self.vaults.insert(vault, keeping);
        self.stored.entry(vault).or_default().insert(self.me);
        let message = Message::VaultStored { ceremony: id, vault };
        self.send_all(plan.members.iter().copied(), &message);
        self.activate_when_all_stored(vault);
    }

    pub(crate) fn handle_vault_stored(
        &mut self,
        peer: NodeId,
        ceremony: CeremonyId,
        vault: VaultId,
    ) {
        if self.state.made.get(&ceremony) != Some(&vault) {
            return self.handle_stored_elsewhere(peer, ceremony, vault);
        }
        let Some(state) = self.state.vaults.get(&vault) else { return };
        if !state.plan.members.contains(&peer) {
            let text = format!("{} is no member of the vault it stored", self.name_of(peer));
            return self.warn_of(peer, "unknown_ceremony", text);
        }
        if state.active || self.unfinished.contains_key(&vault) {
            // It restarted, or comes late, and has not heard us.
            self.answer_stored(peer, ceremony, vault);
        }
        if self.state.unborn.contains(&vault) {
            self.stored.entry(vault).or_default().insert(peer);
            self.activate_when_all_stored(vault);
        }
    }

    /// A peer stored what this node did not.
    fn handle_stored_elsewhere(&mut self, peer: NodeId, ceremony: CeremonyId, vault: VaultId) {
        let name = self.name_of(peer);
        if let Some(own) = self.state.made.get(&ceremony) {
            let text = format!(
                "{name} says that ceremony {} made vault {}; here it made {}",
                ceremony.short(),
                vault.short(),
                own.short()
            );
            return self.warn_of(peer, "vault_mismatch", text);
        }
        let known = self.ceremonies.get(&ceremony);
        match known.filter(|c| c.plan.members.contains(&peer)).map(|c| &c.phase) {
            Some(Phase::Failed(reason)) => {
                let message = Message::CeremonyFail(ceremony, reason.clone());
                self.send(peer, &message);
            }
            // The others may be faster; remember only what a ceremony of ours can use.
            Some(_) if self.stored.len() < STORED_EARLY_MAX => {
                self.stored.entry(vault).or_default().insert(peer);
            }
            Some(_) => {}
            None if known.is_none() && self.state.joined.contains(&ceremony) => {
                self.tell_lost(peer, ceremony);
            }
            None => {
                let text = format!("{name} stored a vault of a ceremony that is not its and ours");
                self.warn_of(peer, "unknown_ceremony", text);
            }
        }
    }

    /// This node said yes and then restarted: the ceremony is gone here, and never stores anything.
    pub(crate) fn tell_lost(&mut self, peer: NodeId, ceremony: CeremonyId) {
        let reason = "it restarted before it stored its share".to_owned();
        self.send(peer, &Message::CeremonyFail(ceremony, reason));
    }

    fn answer_stored(&mut self, peer: NodeId, ceremony: CeremonyId, vault: VaultId) {
        let now = self.now;
        self.stored_told.retain(|_, told| now.ms_since(*told) < ANSWER_MS);
        if let std::collections::btree_map::Entry::Vacant(slot) =
            self.stored_told.entry((peer, vault))
        {
            slot.insert(now);
            self.send(peer, &Message::VaultStored { ceremony, vault });
        }
    }

    fn activate_when_all_stored(&mut self, vault: VaultId) {
        let missing = self.unstored(vault);
        let Some(state) = self.state.vaults.get(&vault) else { return };
        if missing.is_empty() && !state.active {
            let (ceremony, proposer) = (state.plan.id(), state.plan.proposer);
            self.refund(proposer, Costly::Ceremony);
            self.commit(Entry::VaultActive(vault, ceremony));
            self.stored.remove(&vault);
            self.unfinished.remove(&vault);
        }
    }

    /// Members whose word that they stored their share has not come.
    fn unstored(&self, vault: VaultId) -> BTreeSet<NodeId> {
        let members = self.state.vaults.get(&vault).into_iter().flat_map(|v| &v.plan.members);
        let stored = self.stored.get(&vault);
        let came = |node: &NodeId| stored.is_some_and(|stored| stored.contains(node));
        members.filter(|node| **node != self.me && !came(node)).copied().collect()
    }

    /// Tells a peer which vaults of both wait for the last word: of `all`, or of those for which there is hope.
    pub(crate) fn tell_stored(&mut self, peer: NodeId, all: bool) {
        let waiting: Vec<_> = self
            .state
            .unborn
            .iter()
            .filter(|vault| all || !self.unfinished.contains_key(vault))
            .filter_map(|vault| Some((*vault, &self.state.vaults.get(vault)?.plan)))
            .filter(|(_, plan)| plan.members.contains(&peer))
            .map(|(vault, plan)| (plan.id(), vault))
            .collect();
        for (ceremony, vault) in waiting {
            self.send(peer, &Message::VaultStored { ceremony, vault });
        }
    }

    /// A member gave up a ceremony of which this node stored its share. True when there is such a share.
    pub(crate) fn hear_unfinished(&mut self, peer: NodeId, id: CeremonyId, reason: &str) -> bool {
        let Some(vault) = self.state.made.get(&id).copied() else { return false };
        let members = self.state.vaults.get(&vault).map(|state| &state.plan.members);
        if members.is_some_and(|members| members.contains(&peer)) {
            let text = format!("{} gave up: {reason}", self.name_of(peer));
            self.end_unfinished(vault, id, &text);
        }
        true
    }

    fn end_unfinished(&mut self, vault: VaultId, ceremony: CeremonyId, reason: &str) {
        if !self.state.unborn.contains(&vault) || self.unfinished.contains_key(&vault) {
            return;
        }
        self.unfinished.insert(vault, bounded(reason));
        let text = format!(
            "ceremony {}: {reason}; this node's share is stored, \
             and of no use unless every member stores its own",
            ceremony.short()
        );
        self.warn("ceremony_unfinished", text);
    }

    /// After an hour without everybody's word a ceremony counts as given up. Also after a restart: the journal knows when
    /// this node stored.
    pub(crate) fn expire_unfinished(&mut self) {
        let bound = limits::CEREMONY_WAIT_MS_MAX;
        let late: Vec<(VaultId, CeremonyId)> = self
            .state
            .unborn
            .iter()
            .filter(|vault| !self.unfinished.contains_key(vault))
            .filter_map(|vault| Some((*vault, self.state.vaults.get(vault)?)))
            .filter(|(_, state)| self.now.ms_since(state.since) > bound)
            .map(|(vault, state)| (vault, state.plan.id()))
            .collect();
        for (vault, ceremony) in late {
            let missing = self.unstored(vault);
            let names: Vec<String> = missing.into_iter().map(|node| self.name_of(node)).collect();
            let text = format!(
                "no word within {} s that {} stored its share",
                bound / 1000,
                names.join(" or ")
            );
            self.end_unfinished(vault, ceremony, &text);
        }
    }
}
