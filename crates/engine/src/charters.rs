//! A vault's birth under a charter: who proposes one brings the governors' agreement, every operator's yes is its node's.
//!
//! Spec: `docs/spec/charter.md`, "Birth". The ceremony's plan names the charter's hash, the vault's id is the hash of a
//! transcript that names the plan: no vault can be passed off as one of another charter.

use crate::ceremony::Ceremony;
use crate::engine::Engine;
use crate::governed;
use crate::message::{CeremonyPlan, Message};
use crate::problem::{Class, Problem, refuse};
use governance::approvals::{Lacks, birth_lacks};
use governance::charter::{from_armor, to_armor};
use model::act::{Act, ActSignature, Author, Body, SignedAct};
use model::card::SigningUse;
use model::charter::{Charter, NodeRole, SignedCharter};
use model::entropy::Entropy;
use model::hash;
use model::ids::{CeremonyId, NodeId, VaultId};
use model::limits;
use model::wire::Wire;

/// How long a node's agreement to a birth stands: a ceremony waits for an hour.
const AGREEMENT_MS: u64 = 24 * limits::CEREMONY_WAIT_MS_MAX;

/// A refused charter.
fn invalid(text: String) -> Problem {
    refuse(Class::Refused, "invalid_charter", text)
        .hint("`outlast charter check` names every fault with its line")
}

/// The regular nodes of a charter, in the order of seats.
fn members_of(charter: &Charter) -> Vec<NodeId> {
    let mut members: Vec<NodeId> = charter.nodes(NodeRole::Regular).map(|(_, node)| node).collect();
    members.sort_unstable();
    members
}

/// True when the plan is what the charter says.
fn fits(plan: &CeremonyPlan, charter: &Charter) -> bool {
    plan.charter == Some(charter.id())
        && plan.name == charter.name
        && plan.purpose == charter.purpose
        && plan.threshold == charter.threshold
        && plan.members == members_of(charter)
}

impl Engine {
    /// Proposes the vault of a charter, and with it says yes.
    pub(crate) fn new_ceremony_under(
        &mut self,
        armored: &str,
        entropy: &mut dyn Entropy,
    ) -> Result<CeremonyId, Problem> {
        let mut signed = from_armor(armored).map_err(|error| invalid(error.to_string()))?;
        self.check_birth(&signed)?;
        self.add_agreement(&mut signed);
        let mut nonce = [0u8; 32];
        entropy.fill(&mut nonce);
        let charter = &signed.charter;
        let plan = CeremonyPlan {
            name: charter.name.clone(),
            purpose: charter.purpose,
            threshold: charter.threshold,
            members: members_of(charter),
            proposer: self.me,
            at: self.now,
            nonce,
            charter: Some(charter.id()),
        };
        self.check_members(&plan.members)?;
        if CeremonyPlan::from_bytes(&plan.to_bytes()).as_ref() != Ok(&plan) {
            return Err(invalid("no plan can be made of its nodes and threshold".to_owned()));
        }
        self.propose(plan, Some(signed))
    }

    /// Adds this node's agreement to a charter, for the operator to pass on: how nodes without a share say yes.
    pub(crate) fn agree_to_charter(&mut self, armored: &str) -> Result<String, Problem> {
        let mut signed = from_armor(armored).map_err(|error| invalid(error.to_string()))?;
        self.check_birth(&signed)?;
        self.add_agreement(&mut signed);
        Ok(to_armor(&signed))
    }

    /// The charter holds, is a first version, its governors agreed, and this node is one of its nodes.
    fn check_birth(&self, signed: &SignedCharter) -> Result<Lacks, Problem> {
        let charter = &signed.charter;
        if charter.version != 1 {
            let text = format!("version {}, a vault is born under version 1", charter.version);
            return Err(invalid(text));
        }
        if let Some(fault) = governed::faults(charter) {
            return Err(invalid(fault));
        }
        let lacks = birth_lacks(signed, self.now)
            .map_err(|refusal| invalid(format!("a signature under it: {refusal}")))?;
        if !lacks.governors_agree() {
            let text = format!("governors with a weight of {} of {}", lacks.weight, lacks.quorum);
            return Err(refuse(Class::Refused, "charter_unsigned", text)
                .hint("each governor signs with `outlast charter sign`"));
        }
        let places = charter.operators.iter().flat_map(|operator| &operator.nodes);
        if !places.clone().any(|place| place.node == self.me) {
            return Err(invalid("it does not name this node".to_owned()));
        }
        self.may_hold(charter.purpose)?;
        Ok(lacks)
    }

    /// Every node without a share agreed beforehand: nobody waits for them in the ceremony.
    fn check_outsiders(&self, charter: &Charter, lacks: &Lacks) -> Result<(), Problem> {
        let regular = members_of(charter);
        match lacks.nodes.iter().find(|node| !regular.contains(node)) {
            None => Ok(()),
            Some(node) => {
                let text = format!("node {}, which holds no share, did not agree", node.short());
                Err(refuse(Class::Refused, "charter_unsigned", text)
                    .hint("its operator runs `outlast charter agree`"))
            }
        }
    }

    fn add_agreement(&self, signed: &mut SignedCharter) {
        let own = Author::Node(self.me);
        if signed.signatures.iter().all(|act| act.act.author != own) {
            signed.signatures.push(self.agreement(&signed.charter));
        }
        signed.signatures.sort_by_key(|act| act.act.id());
    }

    fn agreement(&self, charter: &Charter) -> SignedAct {
        let id = charter.id();
        let salt = hash::tagged("outlast/birth-salt/v1", &[self.key.seed().expose(), &id.0]);
        let mut short = [0u8; 16];
        short.copy_from_slice(salt.split_at(16).0);
        let act = Act {
            vault: VaultId([0; 32]),
            charter: id,
            author: Author::Node(self.me),
            created_at: self.now,
            expires_at: self.now.saturating_add_ms(AGREEMENT_MS),
            salt: short,
            body: Body::Amend { next: id },
        };
        let signature = self.key.sign(SigningUse::Act, act.id().as_bytes());
        SignedAct { act, signature: ActSignature::Node(signature) }
    }

    /// A peer's plan under a charter: judged as if it came from this node's own operator.
    pub(crate) fn check_plan_under(
        &self,
        plan: &CeremonyPlan,
        signed: &SignedCharter,
    ) -> Result<(), Problem> {
        if !fits(plan, &signed.charter) {
            return Err(invalid("the plan is not what its charter says".to_owned()));
        }
        let lacks = self.check_birth(signed)?;
        self.check_outsiders(&signed.charter, &lacks)?;
        if lacks.nodes.contains(&plan.proposer) {
            return Err(invalid("the proposer did not agree to its own charter".to_owned()));
        }
        Ok(())
    }

    /// This node's yes to a ceremony: for one under a charter its agreement to that.
    pub(crate) fn own_yes(&mut self, id: CeremonyId) -> Message {
        let charter = self.ceremonies.get(&id).and_then(|c| c.charter.clone());
        let Some(mut charter) = charter else { return Message::CeremonyJoin(id) };
        self.add_agreement(&mut charter);
        let own = charter.signatures.iter().find(|act| act.act.author == Author::Node(self.me));
        let own = own.cloned();
        if let Some(ceremony) = self.ceremonies.get_mut(&id) {
            ceremony.charter = Some(charter);
        }
        own.map_or(Message::CeremonyJoin(id), |act| Message::CeremonyAgree(id, Box::new(act)))
    }

    /// A member's agreement to the charter of a ceremony.
    pub(crate) fn handle_agree(&mut self, peer: NodeId, id: CeremonyId, act: SignedAct) {
        let Some(ceremony) = self.ceremonies.get_mut(&id) else { return };
        let Some(charter) = ceremony.charter.as_mut() else { return };
        if !ceremony.plan.members.contains(&peer) || ceremony.joined.contains(&peer) {
            return;
        }
        let alone = SignedCharter { charter: charter.charter.clone(), signatures: vec![act] };
        let agreed = birth_lacks(&alone, self.now);
        let holds = agreed.as_ref().is_ok_and(|lacks| !lacks.nodes.contains(&peer));
        if !holds {
            let text = format!("{}: an agreement that does not hold", self.name_of(peer));
            return self.warn_of(peer, "agreement_refused", text);
        }
        charter.signatures.extend(alone.signatures);
        charter.signatures.sort_by_key(|act| act.act.id());
        charter.signatures.dedup();
        ceremony.joined.insert(peer);
        self.begin_when_all_joined(id);
    }

    /// Everybody agreed: what key generation waits for. `None` for a ceremony without a charter.
    pub(crate) fn charter_lacks(&self, ceremony: &Ceremony) -> Option<String> {
        let charter = ceremony.charter.as_ref()?;
        match birth_lacks(charter, self.now) {
            Ok(lacks) if lacks.is_nothing() => None,
            Ok(lacks) => {
                let nodes: Vec<String> = lacks.nodes.iter().map(|n| self.name_of(*n)).collect();
                Some(format!("the charter lacks the agreement of {}", nodes.join(", ")))
            }
            Err(refusal) => Some(format!("a signature under the charter: {refusal}")),
        }
    }
}
