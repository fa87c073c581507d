//! What goes stale and is chosen at signing: nonce, fee, blockhash, coins; from the caller or from a chain node.
//!
//! A nonce that a refusal left free is taken by the next request, so refusals leave no gap.

use crate::engine::Engine;
use crate::event::{Effect, Facts, FactsQuery};
use crate::problem::{Class, Problem, refuse};
use chains::FillDraft;
use model::entropy::Entropy;
use model::ids::RequestId;
use model::intent::Network;
use model::request::{Ask, Fill, Request};
use std::collections::BTreeSet;

/// A nonce that a peer called taken is passed over for this long, milliseconds.
const AVOID_MS: u64 = 60_000;
/// Nonces looked through for a free one.
const NONCES_MAX: u64 = 100_000;

/// What is known of the parts that go stale, before a nonce is chosen.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    source: Source,
    /// No nonce below this one is free: the chain has seen it.
    nonce_floor: u64,
    /// The configured chain node chose it, and may choose again.
    from_chain: bool,
}

#[derive(Debug, Clone)]
enum Source {
    /// Nothing is left to choose.
    Ready(Fill),
    /// A nonce or change is left to choose.
    Chosen(FillDraft),
}

impl Draft {
    /// The fill, where nothing is left to choose.
    pub fn as_ready(&self) -> Option<&Fill> {
        match &self.source {
            Source::Ready(fill) => Some(fill),
            Source::Chosen(_) => None,
        }
    }
    /// True when this node may choose another nonce, or other coins.
    pub fn may_choose_again(&self) -> bool {
        match &self.source {
            Source::Chosen(FillDraft::Evm { nonce, .. }) => nonce.is_none(),
            Source::Chosen(FillDraft::Bitcoin { .. }) => self.from_chain,
            Source::Chosen(FillDraft::Solana { .. }) | Source::Ready(_) => false,
        }
    }
    /// Nothing is left to choose.
    pub fn ready(fill: Fill) -> Self {
        Self { source: Source::Ready(fill), nonce_floor: 0, from_chain: false }
    }
    /// The caller's choice.
    pub fn chosen(draft: FillDraft) -> Self {
        Self { source: Source::Chosen(draft), nonce_floor: 0, from_chain: false }
    }
    /// The chain node's facts.
    fn from_facts(facts: Facts) -> Self {
        let (draft, nonce_floor) = match facts {
            Facts::Evm { nonce, gas_limit, max_fee_per_gas, max_priority_fee_per_gas } => {
                let draft = FillDraft::Evm {
                    nonce: None,
                    gas_limit,
                    max_fee_per_gas,
                    max_priority_fee_per_gas,
                };
                (draft, nonce)
            }
            Facts::Bitcoin { coins, fee, change } => (FillDraft::Bitcoin { coins, fee, change }, 0),
            Facts::Solana { blockhash } => {
                (FillDraft::Solana { blockhash, nonce_account: None }, 0)
            }
        };
        Self { source: Source::Chosen(draft), nonce_floor, from_chain: true }
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
        let next = nonces.find(free).ok_or_else(|| {
            refuse(Class::Overloaded, "nonces_exhausted", "no free nonce is left to look through")
        })?;
        self.check_nothing_unsent(network, from, floor..next)?;
        Ok(next)
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
            held: self.held_coins(request),
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
        self.asking.insert(request.id(), (request.vault, request.client));
        self.push(Effect::AskChain { request: request.id(), query });
        Ok(())
    }

    /// Coins that other requests of this vault hold, or that a peer called taken, as `TXID:VOUT`.
    fn held_coins(&self, request: &Request) -> BTreeSet<String> {
        let Network::Bitcoin(_) = request.network else { return BTreeSet::new() };
        let prefix = format!("{}:", request.network.to_string().replacen("bitcoin", "btc", 1));
        let own = |id: &RequestId| {
            self.state.requests.get(id).is_some_and(|s| s.request.vault == request.vault)
        };
        let held = self.state.spends.iter().filter(|(_, holder)| own(holder));
        let avoided = self.avoided.iter().filter(|(_, until)| **until > self.now);
        let taken = held.map(|(spend, _)| spend).chain(avoided.map(|(spend, _)| spend));
        taken.filter_map(|spend| spend.strip_prefix(&prefix).map(str::to_owned)).collect()
    }

    /// True when other coins are to be asked for: one of this draft's was taken meanwhile, here or at a peer.
    pub(crate) fn needs_other_coins(&self, request: &Request, draft: &Draft) -> bool {
        draft.from_chain && self.is_overtaken(request, draft)
    }

    /// True when a coin of this draft was taken by another request since the chain node was asked.
    fn is_overtaken(&self, request: &Request, draft: &Draft) -> bool {
        let Network::Bitcoin(_) = request.network else { return false };
        let Some(keeping) = self.vaults.get(&request.vault) else { return false };
        let fill = self.fill_from(request, draft).ok();
        let plan = fill.and_then(|fill| chains::build(&keeping.public.keys, request, &fill).ok());
        let id = request.id();
        let taken = |spend: &chains::SpendKey| {
            self.state.spends.get(&spend.0).is_some_and(|holder| *holder != id)
                || self.avoided.get(&spend.0).is_some_and(|until| *until > self.now)
        };
        plan.is_some_and(|plan| plan.spends.iter().any(taken))
    }

    /// The chain node answered.
    pub(crate) fn handle_facts(
        &mut self,
        id: RequestId,
        result: Result<Facts, String>,
        entropy: &mut dyn Entropy,
    ) {
        self.asking.remove(&id);
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
                let request = self.state.requests.get(&id).map(|s| s.request.clone());
                if let Some(request) = request.filter(|r| self.is_overtaken(r, &draft))
                    && self.may_try_again(id)
                    && self.ask_chain(&request).is_ok()
                {
                    return;
                }
                self.drafts.insert(id, draft);
                self.attempt(id, entropy);
            }
            Err(reason) => self.refuse_request(id, "no_chain_facts", &self.with_held(id, reason)),
        }
    }

    /// A chain node that found too few coins was told to leave some out: the refusal says so.
    fn with_held(&self, id: RequestId, reason: String) -> String {
        let held = self.state.requests.get(&id).map(|s| self.held_coins(&s.request).len());
        match held {
            None | Some(0) => reason,
            Some(held) => format!(
                "{reason}; {held} coins of the account are held by other requests until these are \
                 mined, cancelled or expired"
            ),
        }
    }

    /// A peer calls the nonce of this session taken: pass over it for a while.
    pub(crate) fn avoid_spends(&mut self, spends: Vec<String>) {
        let (now, until) = (self.now, self.now.saturating_add_ms(AVOID_MS));
        self.avoided.retain(|_, until| *until > now);
        self.avoided.extend(spends.into_iter().map(|spend| (spend, until)));
    }
}
