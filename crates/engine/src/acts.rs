//! Acts come in: from people at this node's door, from peers that accepted them elsewhere.
//!
//! Spec: `docs/spec/acts.md`. Verified first, durable next, then counted and passed on (L1). What would have no effect is
//! refused at the door, so that people hear it at once; from a peer, which may have seen it in time, it is taken.

use crate::budgets::Costly;
use crate::engine::Engine;
use crate::journal::Entry;
use crate::message::Message;
use crate::problem::{Class, Problem, refuse, with_source};
use governance::approvals::{ActRefusal, Signer, Verified, verify_act};
use model::act::{Body, SignedAct};
use model::ids::{ActId, NodeId, RequestId, VaultId};
use model::time::Timestamp;

/// Acts of one credential in one vault that a node takes per minute.
const ACTS_PER_MINUTE_MAX: u32 = 120;
/// That period, milliseconds.
const PERIOD_MS: u64 = 60_000;
/// Credentials whose acts are counted at most; past periods make room.
const COUNTED_MAX: usize = 10_000;

impl Engine {
    /// An act that somebody brings to this node.
    pub(crate) fn post_act(
        &mut self,
        vault: VaultId,
        signed: &SignedAct,
    ) -> Result<ActId, Problem> {
        if signed.act.vault != vault {
            let text = format!("the act is for the vault {}", signed.act.vault.short());
            return Err(refuse(Class::Refused, "wrong_vault", text));
        }
        let now = self.now;
        let id = signed.act.id();
        self.governance.refresh(&vault, now);
        let Some(governed) = self.governance.vault(&vault) else {
            let text = format!("no vault {} under a charter", vault.short());
            return Err(refuse(Class::NotFound, "unknown_vault", text));
        };
        if governed.acts.holds(signed) {
            return Ok(id);
        }
        let standing = governed.standing().clone();
        let act = standing
            .receive(signed)
            .map_err(|refusal| refuse(Class::Refused, refusal.code(), with_source(&refusal)))?;
        if let Some(request) = signed.act.body.request() {
            self.check_about(vault, request, &signed.act.body)?;
        }
        self.count_act(vault, act.signer())?;
        self.accept_act(act, None);
        Ok(id)
    }

    /// At the door an opinion is about a request that this node knows, as this node decodes it: a page that showed
    /// something else signed something else.
    fn check_about(&self, vault: VaultId, id: RequestId, body: &Body) -> Result<(), Problem> {
        let state = self.state.requests.get(&id).filter(|state| state.request.vault == vault);
        let Some(state) = state else {
            let text = format!("no request {} here", id.short());
            return Err(refuse(Class::NotFound, "unknown_request", text));
        };
        let intent = match body {
            Body::Approve(opinion) | Body::Ask(opinion) => opinion.intent,
            _ => return Ok(()),
        };
        match self.find(&state.request) {
            Some(Ok(finding)) if finding.digest == intent => Ok(()),
            Some(Err(problem)) => Err(problem),
            _ => {
                let text = "this node decodes the request to something else than was approved";
                Err(refuse(Class::Refused, "other_intent", text))
            }
        }
    }

    /// An act that a peer accepted.
    pub(crate) fn handle_act(&mut self, peer: NodeId, signed: &SignedAct) {
        let vault = signed.act.vault;
        if self.governance.vault(&vault).is_none_or(|governed| governed.acts.holds(signed)) {
            return;
        }
        let name = self.name_of(peer);
        // An expired word says nothing any more, and its request may be forgotten.
        if signed.act.expires_at <= self.now || !self.within_budget(peer, Costly::Act) {
            return;
        }
        let Some(governed) = self.governance.vault(&vault) else { return };
        match verify_act(signed, &governed.known) {
            Ok(act) => match self.count_act(vault, act.signer()) {
                Ok(()) => self.accept_act(act, Some(peer)),
                Err(problem) => self.warn_of(peer, problem.code, problem.message),
            },
            // It comes again with what it needs.
            Err(ActRefusal::UnknownVersion(_) | ActRefusal::UnknownCredential { .. }) => {}
            Err(refusal) => {
                self.warn_of(peer, refusal.code(), format!("{name} passed on an act: {refusal}"));
            }
        }
    }

    /// Durable, counted, passed on.
    pub(crate) fn accept_act(&mut self, act: Verified<SignedAct>, from: Option<NodeId>) {
        let signed = act.signed().clone();
        let vault = signed.act.vault;
        self.commit(Entry::Act(Box::new(signed.clone())));
        let now = self.now;
        self.governance.insert(act, now);
        self.touched.extend(signed.act.body.request());
        let others = self.parties_of(vault).into_iter().filter(|node| Some(*node) != from);
        let others: Vec<NodeId> = others.collect();
        self.send_all(others, &Message::Act(Box::new(signed)));
    }

    /// Every node of the vault's charter that this node has a link with.
    pub(crate) fn parties_of(&self, vault: VaultId) -> Vec<NodeId> {
        let Some(governed) = self.governance.vault(&vault) else { return Vec::new() };
        let operators = &governed.standing().in_force().operators;
        let places = operators.iter().flat_map(|operator| &operator.nodes);
        places.map(|place| place.node).filter(|node| self.links.contains_key(node)).collect()
    }

    /// One credential cannot flood a vault's acts.
    fn count_act(&mut self, vault: VaultId, signer: &Signer) -> Result<(), Problem> {
        let now = self.now;
        if self.act_counts.len() >= COUNTED_MAX {
            self.act_counts
                .retain(|_, (since, _): &mut (Timestamp, u32)| now.ms_since(*since) < PERIOD_MS);
        }
        let count = self.act_counts.entry((vault, signer.clone())).or_insert((now, 0));
        if now.ms_since(count.0) >= PERIOD_MS {
            *count = (now, 0);
        }
        if count.1 >= ACTS_PER_MINUTE_MAX {
            let text =
                format!("more than {ACTS_PER_MINUTE_MAX} acts of one credential in a minute");
            let left = PERIOD_MS.saturating_sub(now.ms_since(count.0));
            return Err(refuse(Class::Overloaded, "act_quota", text).retry_after_ms(left));
        }
        count.1 = count.1.saturating_add(1);
        Ok(())
    }
}
