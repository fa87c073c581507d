//! Keeping the public records of ceremonies: stored with the journal entry that names their hash, shown on demand.
//!
//! Spec: `docs/spec/ceremony-record.md`. A node that finds a breach tells the other members with the evidence itself, so
//! that each of them can convince a stranger; what a peer sends is checked as by a stranger before it counts.

use crate::command::{Caller, CommandId};
use crate::engine::Engine;
use crate::event::Effect;
use crate::job::{Job, JobOutput};
use crate::journal::{Entry, bounded};
use crate::message::{CeremonyPlan, Message};
use crate::problem::{Class, Problem, refuse};
use crate::record::{CeremonyRecord, Finding};
use crate::sessions::Purpose as JobPurpose;
use crate::state::EVIDENCE_KEPT_MAX;
use crate::views::{hex, unknown_vault};
use model::api::RecordView;
use model::hash;
use model::ids::{CeremonyId, NodeId, Seat, VaultId};
use model::limits;
use model::wire::Wire;
use std::collections::BTreeMap;
use threshold::dkg::Evidence;

/// Name of the record of a vault's ceremony.
fn made_name(ceremony: CeremonyId) -> String {
    format!("ceremony/{ceremony}/made")
}

/// Name of the record of a breach.
fn broken_name(ceremony: CeremonyId) -> String {
    format!("ceremony/{ceremony}/broken")
}

impl Engine {
    /// In the commit that stores the share.
    pub(crate) fn keep_record(
        &mut self,
        plan: &CeremonyPlan,
        vault: VaultId,
        transcript: Vec<u8>,
        confirmations: BTreeMap<Seat, Vec<u8>>,
    ) {
        let record = CeremonyRecord::Made { plan: plan.clone(), transcript, confirmations };
        let bytes = record.to_bytes();
        self.commit(Entry::CeremonyRecorded(plan.id(), vault, hash::sha256(&bytes)));
        self.put_record(made_name(plan.id()), Some(bytes));
    }

    /// This node's own rounds convict a member.
    pub(crate) fn found_breach(&mut self, id: CeremonyId, seat: Seat, evidence: Box<Evidence>) {
        let Some(plan) = self.ceremonies.get(&id).map(|c| c.plan.clone()) else { return };
        let Some(culprit) = plan.seats().get(&seat).copied() else { return };
        let breach = evidence.code();
        let members = plan.members.clone();
        let bytes = CeremonyRecord::Broken { plan, evidence }.to_bytes();
        self.keep_breach(id, culprit, breach, bytes.clone());
        // Longer evidence (a whole transcript of a large committee) is about round 4, which each member judges itself.
        if bytes.len() <= limits::MESSAGE_BYTES_MAX {
            self.send_all(members, &Message::CeremonyEvidence(id, bytes));
        }
    }

    fn keep_breach(&mut self, id: CeremonyId, culprit: NodeId, breach: &str, bytes: Vec<u8>) {
        // The first one is enough, and nobody can push it out with another.
        if self.state.broken(id).is_some() {
            return;
        }
        if self.state.broken.len() >= EVIDENCE_KEPT_MAX
            && let Some(oldest) = self.state.broken.front().map(|broken| broken.ceremony)
        {
            self.put_record(broken_name(oldest), None);
        }
        let hash = hash::sha256(&bytes);
        let breach = bounded(breach);
        let text = format!(
            "ceremony {}: {} broke the protocol ({breach}); \
             `outlast ceremony evidence` exports the proof",
            id.short(),
            self.name_of(culprit)
        );
        self.commit(Entry::CeremonyBroken { ceremony: id, culprit, breach, hash });
        self.put_record(broken_name(id), Some(bytes));
        self.warn("ceremony_broken", text);
    }

    /// A peer says that it can convict a member: checked once for each peer and ceremony, off this thread.
    pub(crate) fn handle_evidence(&mut self, peer: NodeId, id: CeremonyId, bytes: Vec<u8>) {
        let kept = self.state.broken(id).is_some();
        let ran = self.state.joined.contains(&id);
        let Some(ceremony) = self.ceremonies.get_mut(&id) else {
            // Of one that this node joined and then forgot in a restart, an honest member may still speak.
            if !ran {
                let text = format!("{} accuses in a ceremony unknown here", self.name_of(peer));
                self.warn_of(peer, "unknown_ceremony", text);
            }
            return;
        };
        // Before this node's own yes nothing in it is signed by this node.
        let member = ceremony.plan.members.contains(&peer) && ceremony.joined.contains(&self.me);
        if kept || !member || !ceremony.accusers.insert(peer) {
            return;
        }
        self.compute(Job::JudgeRecord { bytes }, JobPurpose::Evidence(id, peer));
    }

    pub(crate) fn handle_judged(&mut self, id: CeremonyId, peer: NodeId, output: JobOutput) {
        let JobOutput::Judged(bytes, judged) = output else { return };
        let refused = match judged {
            Ok(verified) if verified.plan.id() == id => match verified.finding {
                Finding::Broken { culprit, breach, .. } => {
                    self.keep_breach(id, culprit, breach, bytes);
                    let text = format!("{} broke the protocol: {breach}", self.name_of(culprit));
                    return self.fail_ceremony(id, text, false);
                }
                Finding::Made { .. } => "it is no evidence".to_owned(),
            },
            Ok(_) => "it is of another ceremony".to_owned(),
            Err(refusal) => refusal.to_string(),
        };
        let text = format!("{} sent evidence that does not hold: {refused}", self.name_of(peer));
        self.warn("evidence_refused", text);
    }

    /// Answers with the record of the ceremony that made a vault.
    pub(crate) fn vault_record(
        &mut self,
        id: CommandId,
        caller: Caller,
        vault: VaultId,
    ) -> Result<(), Problem> {
        self.may_use(caller, vault)?;
        let state = self.state.vaults.get(&vault).ok_or_else(|| unknown_vault(vault))?;
        let ceremony = state.plan.id();
        let Some(hash) = self.state.recorded.get(&vault) else {
            let text = "this vault was made before nodes kept the record of a ceremony";
            return Err(refuse(Class::NotFound, "record_not_kept", text));
        };
        let (sha256, record) = (hex(hash), String::new());
        let view = RecordView { ceremony, vault: Some(vault), culprit: None, sha256, record };
        self.push(Effect::ReplyRecord { id, name: made_name(ceremony), view: Box::new(view) });
        Ok(())
    }

    /// Answers with the evidence of a ceremony that a member broke.
    pub(crate) fn evidence(&mut self, id: CommandId, ceremony: CeremonyId) -> Result<(), Problem> {
        let Some(broken) = self.state.broken(ceremony) else {
            let text = "no evidence of such a ceremony is kept here";
            return Err(refuse(Class::NotFound, "no_evidence", text).hint(
                "only a proven breach leaves evidence; silence and lost links prove nothing",
            ));
        };
        let (sha256, record) = (hex(&broken.hash), String::new());
        let culprit = Some(broken.culprit);
        let view = RecordView { ceremony, vault: None, culprit, sha256, record };
        self.push(Effect::ReplyRecord { id, name: broken_name(ceremony), view: Box::new(view) });
        Ok(())
    }
}
