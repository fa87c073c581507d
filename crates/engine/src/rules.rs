//! The node's own decision on a proposal: is this a request that may be signed now, by rules that need no charter?
//!
//! Every check is this node's own: it rebuilds and decodes the bytes ([`chains::build`]), it holds every ceiling, and a
//! rule that cannot be evaluated denies (P2). Policies by level arrive with the charter (part 2); until then a live vault
//! signs plain transfers only, and what the local development rules allow besides is for test vaults.

use crate::engine::Engine;
use crate::journal::{Judged, bounded};
use crate::message::Proposal;
use crate::problem::{Class, Problem, refuse};
use chains::Plan;
use model::card::{SigningUse, verify_node_signature};
use model::intent::{Network, Operation};
use model::keys::{Purpose, VaultKeys};
use model::limits;
use model::request::Request;
use model::wire::Wire;
use std::sync::Arc;

/// Highest number of an attempt; each silent attempt takes up to half a minute, so nobody honest comes near.
const ATTEMPT_MAX: u32 = 100_000;
/// Chain ids of local development chains (anvil and hardhat; geth --dev and ganache).
const DEVELOPMENT_CHAINS: [u64; 2] = [31337, 1337];

/// An allowed proposal.
pub(crate) struct Decided {
    pub plan: Arc<Plan>,
    pub rule: String,
    /// What it rests on, under a charter.
    pub judged: Option<Box<Judged>>,
}

impl Engine {
    /// This node's verdict. A refusal changes nothing.
    pub(crate) fn decide(&self, proposal: &Proposal) -> Result<Decided, Problem> {
        let request = &proposal.request;
        self.check_clock()?;
        if self.state.went_back.is_some() {
            let text = "this node's journal went back; it may have forgotten what it signed";
            return Err(refuse(Class::Unavailable, "went_back", text)
                .hint("see docs/operating/incident.md: a node restored from an older disk"));
        }
        self.check_entry(proposal)?;
        self.check_times(request)?;
        let keeping = self
            .vaults
            .get(&request.vault)
            .ok_or_else(|| refuse(Class::NotFound, "unknown_vault", "no such vault"))?;
        let keys = &keeping.public.keys;
        let plan = self.plans.plan(keys, request.id(), request, &proposal.fill)?;
        if plan.items.is_empty() || plan.items.len() > limits::ITEMS_PER_REQUEST_MAX {
            let text =
                format!("{} signatures, 1 to {}", plan.items.len(), limits::ITEMS_PER_REQUEST_MAX);
            return Err(refuse(Class::Refused, "too_many_signatures", text));
        }
        self.check_rivals(proposal, &plan)?;
        self.check_replacement(proposal, keys)?;
        // The charter, where there is one, says what else is allowed; the built-in rules then add nothing.
        let (rule, judged) = match self.judge_proposal(proposal, &plan) {
            Some(judged) => {
                let judged = judged?;
                let rules = judged.as_ref().map(|judged| judged.rules.join(", "));
                (bounded(&rules.unwrap_or_else(|| "cancel".to_owned())), judged)
            }
            None => (check_operations(keeping.public.purpose, &plan)?.to_owned(), None),
        };
        Ok(Decided { plan, rule, judged })
    }

    /// The entry node, a member of the vault, signed the request.
    fn check_entry(&self, proposal: &Proposal) -> Result<(), Problem> {
        let request = &proposal.request;
        let bytes = request.to_bytes();
        let signature = &proposal.entry_signature;
        let member = self
            .vaults
            .get(&request.vault)
            .is_some_and(|keeping| keeping.public.seat_of(request.entry).is_some());
        let signed = verify_node_signature(request.entry, SigningUse::Request, &bytes, signature);
        if !member || !signed {
            let text = "the request is not signed by the node that took it";
            return Err(refuse(Class::Forbidden, "entry_signature", text));
        }
        let known = self.state.requests.get(&request.id());
        // An attempt number is used once: a replayed proposal is an old one.
        match known {
            Some(state) if proposal.attempt <= state.attempt => {
                let text = format!("attempt {} after {}", proposal.attempt, state.attempt);
                Err(refuse(Class::Conflict, "replayed", text))
            }
            _ if proposal.attempt > ATTEMPT_MAX => {
                let text = format!("attempt {}, at most {ATTEMPT_MAX}", proposal.attempt);
                Err(refuse(Class::Refused, "invalid_attempt", text))
            }
            // As of a node that is full: it passes, and the coordinator tries again.
            None => {
                let full = |problem: Problem| Problem { code: "overloaded", ..problem };
                self.check_room().and_then(|()| self.check_vault_share(request)).map_err(full)
            }
            _ => Ok(()),
        }
    }

    /// Refuses when too many requests are open, or remembered until they can be forgotten.
    pub(crate) fn check_room(&self) -> Result<(), Problem> {
        let full = self.state.open.len() >= limits::REQUESTS_OPEN_MAX
            || self.state.requests.len() >= limits::REQUESTS_KEPT_MAX;
        if full {
            let text = "the node has too many open requests";
            return Err(refuse(Class::Overloaded, "overloaded", text).retry_after_ms(10_000));
        }
        Ok(())
    }

    pub(crate) fn check_times(&self, request: &Request) -> Result<(), Problem> {
        let life = request.expires_at.ms_since(request.created_at);
        if self.now > request.expires_at {
            let late = self.now.ms_since(request.expires_at);
            return Err(refuse(Class::Refused, "expired", format!("expired {late} ms ago")));
        }
        if request.created_at > self.now.saturating_add_ms(limits::CLOCK_SKEW_MS_MAX) {
            let ahead = request.created_at.ms_since(self.now);
            let text = format!("the request is from {ahead} ms ahead of this node's clock");
            return Err(refuse(Class::Refused, "clock_skew", text));
        }
        if life == 0 || life > limits::REQUEST_LIFE_MS_MAX {
            let text = format!("a life of {life} ms, at most {}", limits::REQUEST_LIFE_MS_MAX);
            return Err(refuse(Class::Refused, "invalid_life", text));
        }
        Ok(())
    }

    /// Nothing that another request may still use on chain, and nothing that this request used otherwise.
    fn check_rivals(&self, proposal: &Proposal, plan: &Plan) -> Result<(), Problem> {
        let id = proposal.request.id();
        let rival = plan.spends.iter().find_map(|spend| {
            self.state.spends.get(&spend.0).filter(|holder| **holder != id).map(|h| (spend, h))
        });
        if let Some((spend, holder)) = rival {
            let text = format!("{} is taken by request {}", spend.0, holder.short());
            // Settled: that request may be signed, look elsewhere. In use: it may still be given up.
            let settled =
                self.state.requests.get(holder).is_none_or(|s| {
                    s.signed.is_some() || s.decided.as_ref().is_some_and(|d| d.spent)
                });
            let code = if settled { "already_used" } else { "in_use" };
            return Err(refuse(Class::Conflict, code, text));
        }
        let Some(decision) = self.state.requests.get(&id).and_then(|s| s.decided.as_ref()) else {
            return Ok(());
        };
        let same = decision.spends.iter().eq(plan.spends.iter().map(|spend| &spend.0));
        let running = self.sessions.contains_key(&decision.session);
        // A message that uses nothing up may be signed again only as the very same bytes.
        let same_bytes = !plan.spends.is_empty() || decision.fill == proposal.fill;
        if running {
            return Err(refuse(Class::Conflict, "in_flight", "this request is being signed"));
        }
        // A dead blockhash says that the earlier bytes cannot be mined any more, not that they were not: no second
        // payment under one request, ever.
        if decision.spent && !(same && same_bytes) {
            let text =
                "an earlier attempt may have been signed and uses something else up on chain";
            return Err(refuse(Class::Conflict, "spent_otherwise", text));
        }
        Ok(())
    }

    /// Bytes that take the place of others that may be out pay what the chain asks for; else they would only take the
    /// place of the earlier ones here.
    fn check_replacement(&self, proposal: &Proposal, keys: &VaultKeys) -> Result<(), Problem> {
        let state = self.state.requests.get(&proposal.request.id());
        let last = state.and_then(|s| s.decided.as_ref()).filter(|d| d.spent).map(|d| &d.fill);
        match last {
            Some(last) if *last != proposal.fill => {
                Ok(chains::check_replacement(keys, &proposal.request, last, &proposal.fill)?)
            }
            _ => Ok(()),
        }
    }
}

/// The built-in rules. Returns the name of the rule that allowed the plan.
fn check_operations(purpose: Purpose, plan: &Plan) -> Result<&'static str, Problem> {
    let development = match plan.network {
        Network::Evm(id) => DEVELOPMENT_CHAINS.contains(&id),
        Network::Bitcoin(network) => network == model::intent::BitcoinNetwork::Regtest,
        Network::Solana(cluster) => cluster == model::intent::SolanaCluster::Local,
    };
    let denied = plan.intent.operations.iter().find_map(|operation| {
        let (name, in_test, local_only) = class_of(operation)?;
        let allowed = purpose == Purpose::Test && in_test && (!local_only || development);
        (!allowed).then_some((name, local_only))
    });
    match denied {
        Some((name, local_only)) => {
            let text = format!("{name} is not allowed by the built-in rules of a {purpose} vault");
            let hint = if local_only {
                "only a test vault on a local development chain; a charter will allow more"
            } else {
                "only a test vault; a charter will allow more"
            };
            Err(refuse(Class::Refused, "not_allowed", text).hint(hint))
        }
        None if plan.intent.operations.iter().any(|op| class_of(op).is_some()) => {
            Ok("built-in: test vault")
        }
        None => Ok("built-in: transfers within the fee ceiling"),
    }
}

/// Name, allowed for test vaults, only on development chains; `None` for what every vault may do.
fn class_of(operation: &Operation) -> Option<(&'static str, bool, bool)> {
    match operation {
        Operation::NativeTransfer { .. }
        | Operation::TokenTransfer { .. }
        | Operation::Change { .. }
        | Operation::AdvanceNonce { .. }
        | Operation::Data { .. } => None,
        Operation::TokenApprove { unlimited: true, .. } => {
            Some(("an unlimited approval", true, true))
        }
        Operation::TokenApprove { by_permit: true, .. } => Some(("a permit", true, false)),
        Operation::TokenApprove { .. } => Some(("an approval", true, false)),
        Operation::ContractCreation { .. } => Some(("contract creation", true, true)),
        Operation::TypedData { .. } => Some(("typed data", true, false)),
        Operation::Message { .. } => Some(("a message", true, false)),
        Operation::CreateTokenAccount { .. } => Some(("creating a token account", true, false)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::amount::Amount;
    use model::intent::{BitcoinNetwork, Fee, Intent, SolanaCluster};

    fn verdict(
        purpose: Purpose,
        network: Network,
        operations: Vec<Operation>,
    ) -> Result<(), &'static str> {
        let fee = Fee { at_most: Amount::ZERO, detail: String::new() };
        let (format, single_use) = (String::new(), String::new());
        let (from, notes) = (Vec::new(), Vec::new());
        let intent = Intent { network, format, from, operations, fee, single_use, notes };
        let plan = Plan {
            network,
            kind: model::request::RawKind::EvmTransaction,
            intent,
            unsigned: Vec::new(),
            items: Vec::new(),
            spends: Vec::new(),
            fee_at_most: Amount::ZERO,
        };
        check_operations(purpose, &plan).map(|_| ()).map_err(|problem| problem.code)
    }

    fn transfer() -> Operation {
        Operation::NativeTransfer { to: "somebody".to_owned(), amount: Amount::from_u64(1) }
    }

    fn approval(unlimited: bool) -> Operation {
        let (token, spender) = ("token".to_owned(), "spender".to_owned());
        let amount = Amount::from_u64(1);
        Operation::TokenApprove {
            token,
            spender,
            amount,
            unlimited,
            by_permit: false,
            deadline: None,
        }
    }

    /// What no built-in rule can judge is denied, beside whatever it stands; nothing falls through to a yes.
    #[test]
    fn invariant_p2_what_no_built_in_rule_allows_is_denied() {
        let creation = || Operation::ContractCreation {
            init_code_hash: String::new(),
            init_code_bytes: 1,
            value: Amount::ZERO,
        };
        let message = || Operation::Message { text: "text".to_owned() };
        let typed = || Operation::TypedData {
            domain_name: None,
            verifying_contract: None,
            primary_type: "Order".to_owned(),
            fields: Vec::new(),
        };
        let (mainnet, local) = (Network::Evm(1), Network::Evm(31337));
        let check =
            |purpose, network, operations: Vec<Operation>, wanted: Result<(), &'static str>| {
                let shown = format!("{purpose} {network} {operations:?}");
                assert_eq!(verdict(purpose, network, operations), wanted, "{shown}");
            };
        let denied = Err("not_allowed");
        for network in [
            mainnet,
            local,
            Network::Bitcoin(BitcoinNetwork::Regtest),
            Network::Solana(SolanaCluster::Local),
        ] {
            check(Purpose::Live, network, vec![transfer()], Ok(()));
            for other in [approval(false), approval(true), creation(), message(), typed()] {
                check(Purpose::Live, network, vec![other.clone()], denied);
                check(Purpose::Live, network, vec![transfer(), other], denied);
            }
        }
        // A test vault: some of it anywhere, the rest on local development chains alone, whose list is closed.
        for other in [approval(false), message(), typed()] {
            check(Purpose::Test, mainnet, vec![other], Ok(()));
        }
        for other in [approval(true), creation()] {
            check(Purpose::Test, local, vec![other.clone()], Ok(()));
            check(Purpose::Test, mainnet, vec![other.clone()], denied);
            check(Purpose::Test, Network::Evm(31338), vec![transfer(), other], denied);
        }
    }
}
