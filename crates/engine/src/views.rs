//! What the API shows: read-only views of a node's state.

use crate::ceremony::{Ceremony, Phase};
use crate::command::{Caller, Command, Reply};
use crate::engine::Engine;
use crate::governance_views::ceremony_charter;
use crate::message::CeremonyPlan;
use crate::problem::{Class, Problem, refuse};
use crate::state::{ClientState, PairRecord, RequestState};
use model::api;
use model::card::NodeCard;
use model::hd::DerivationPath;
use model::ids::{CeremonyId, ClientId, NodeId, RequestId, VaultId};
use model::intent::Network;
use model::keys::KeyKind;

/// Requests that one list shows at most.
const LIST_MAX: usize = 1_000;
/// Path of the address that EVM tools see first.
const EVM_ACCOUNT_PATH: &str = "m/44/60/0/0/0";

impl Engine {
    /// Answers the commands that change nothing.
    pub(crate) fn read(&self, caller: Caller, command: Command) -> Result<Reply, Problem> {
        match command {
            Command::Vaults => {
                let client = self.client_of(caller)?;
                let visible = |id: &VaultId| client.is_none_or(|c| c.vaults.contains(id));
                let ids = self.vaults.keys().filter(|id| visible(id));
                Ok(Reply::Vaults(ids.filter_map(|id| self.vault_view(*id)).collect()))
            }
            Command::Vault(vault) => {
                self.may_use(caller, vault)?;
                self.vault_view(vault).map(Reply::Vault).ok_or_else(|| unknown_vault(vault))
            }
            Command::Address { vault, network, path } => {
                self.may_use(caller, vault)?;
                self.address_view(vault, network, &path).map(Reply::Address)
            }
            Command::Account { vault, network, path } => {
                self.may_use(caller, vault)?;
                self.account_view(vault, network, &path).map(Reply::Account)
            }
            Command::Request(id) => {
                self.request_for(caller, id)?;
                self.request_reply(id)
            }
            Command::Requests { vault, limit } => {
                self.may_use(caller, vault)?;
                self.request_list(vault, limit).map(Reply::Requests)
            }
            Command::Charter(vault) => {
                self.may_use(caller, vault)?;
                self.governance_view(vault).map(|view| Reply::Governance(Box::new(view)))
            }
            Command::Acts(vault) => {
                self.may_use(caller, vault)?;
                self.act_views(vault).map(Reply::Acts)
            }
            Command::EvmAccounts => self.evm_accounts(caller).map(Reply::EvmAccounts),
            _ => Err(refuse(Class::Bug, "bug", "a command without a view")),
        }
    }

    /// A request that the caller may see.
    pub(crate) fn request_for(
        &self,
        caller: Caller,
        id: RequestId,
    ) -> Result<&RequestState, Problem> {
        let unknown =
            || refuse(Class::NotFound, "unknown_request", format!("no request {}", id.short()));
        let client = self.client_of(caller)?;
        let state = self.state.requests.get(&id).ok_or_else(unknown)?;
        match client {
            Some(client) if !client.vaults.contains(&state.request.vault) => Err(unknown()),
            _ => Ok(state),
        }
    }

    /// About this node.
    pub(crate) fn node_view(&self) -> api::NodeView {
        let card = NodeCard::sign(&self.key, &self.config.operator, &self.config.endpoint);
        api::NodeView {
            node: self.me,
            operator: self.config.operator.clone(),
            card: card.to_text(),
            words: card.words(),
            version: self.config.software.clone(),
            unsealed: true,
            peers: self.peer_views(),
            vaults: u64::try_from(self.vaults.len()).unwrap_or(u64::MAX),
            warnings: self.warning_views(),
        }
    }

    fn peer_views(&self) -> Vec<api::PeerView> {
        let view = |peer: &crate::state::PeerState| api::PeerView {
            node: peer.card.node,
            operator: peer.card.operator.clone(),
            endpoint: peer.card.endpoint.clone(),
            connected: self.is_accepted(peer.card.node),
            pair: self.pairs.get(&peer.card.node).map_or("absent", |p| p.word()).to_owned(),
            pair_epoch: peer.pair.last().0,
            held: peer.held.clone(),
            clock: self.clock_offset(peer.card.node).map(|offset| api::ClockView {
                offset_ms: offset.offset_ms,
                uncertainty_ms: offset.uncertainty_ms,
                far: offset.is_far(),
            }),
        };
        self.state.peers.values().map(view).collect()
    }

    fn warning_views(&self) -> Vec<api::WarningView> {
        let mut warnings = Vec::new();
        let mut warn = |code: &str, message: String| {
            warnings.push(api::WarningView { code: code.to_owned(), message, at_ms: self.now.0 });
        };
        if self.state.went_back.is_some() {
            let text = "its journal went back: a restored or copied disk; nothing is signed here \
                        until all peers accept it, or its own operator does";
            warn("went_back", text.to_owned());
        }
        if let Err(problem) = self.check_clock() {
            warn(problem.code, problem.message);
        }
        for (peer, offset) in self.clock_offsets().filter(|(_, offset)| offset.is_far()) {
            warn("clock_offset", self.clock_text(peer, offset));
        }
        for (peer, reason) in &self.held_by {
            warn("held_by_peer", format!("{}: {reason}", self.name_of(*peer)));
        }
        for peer in self.state.peers.values() {
            if let Some(reason) = &peer.held {
                warn("peer_held", format!("{}: {reason}", peer.card.operator));
            }
            if let PairRecord::Stopped { reason, .. } = &peer.pair {
                warn("pair_stopped", format!("{}: {reason}", peer.card.operator));
            }
        }
        for (vault, reason) in &self.unfinished {
            warn("ceremony_unfinished", format!("vault {}: {reason}", vault.short()));
        }
        warnings
    }

    pub(crate) fn ceremony_reply(&self, id: CeremonyId) -> Result<Reply, Problem> {
        let running = self.ceremonies.get(&id).map(|c| self.ceremony_view(c));
        let view = running.or_else(|| self.stored_view(*self.state.made.get(&id)?));
        view.map(Reply::Ceremony).ok_or_else(|| {
            refuse(Class::NotFound, "unknown_ceremony", "no such ceremony here")
                .hint("a ceremony in the making does not survive a restart; start it anew")
        })
    }

    pub(crate) fn ceremony_views(&self) -> Vec<api::CeremonyView> {
        let kept = self.ceremonies.values().map(|c| self.ceremony_view(c));
        // After a restart: what this node stored and waits for is not forgotten.
        let of = |vault: &VaultId| self.state.vaults.get(vault).map(|state| state.plan.id());
        let unborn = self.state.unborn.iter();
        let unborn = unborn.filter(|v| of(v).is_some_and(|id| !self.ceremonies.contains_key(&id)));
        kept.chain(unborn.filter_map(|vault| self.stored_view(*vault))).collect()
    }

    fn ceremony_view(&self, ceremony: &Ceremony) -> api::CeremonyView {
        let (state, failure) = match &ceremony.phase {
            Phase::Waiting => ("waiting", None),
            Phase::Busy | Phase::Running(_) => ("running", None),
            Phase::Done(vault) => return self.view_of_stored(&ceremony.plan, *vault),
            Phase::Failed(reason) => ("failed", Some(reason.clone())),
        };
        let joined = |node: &NodeId| ceremony.joined.contains(node);
        self.view_of_plan(&ceremony.plan, joined, (state, None, failure))
    }

    fn stored_view(&self, vault: VaultId) -> Option<api::CeremonyView> {
        let state = self.state.vaults.get(&vault)?;
        Some(self.view_of_stored(&state.plan, vault))
    }

    /// This node's share is stored: the others' word came, is on its way, or is taken for lost.
    fn view_of_stored(&self, plan: &CeremonyPlan, vault: VaultId) -> api::CeremonyView {
        let state = match self.unfinished.get(&vault) {
            Some(reason) => ("failed", Some(vault), Some(reason.clone())),
            None if self.state.unborn.contains(&vault) => ("running", Some(vault), None),
            None => ("done", Some(vault), None),
        };
        // Nobody stores before everybody said yes.
        self.view_of_plan(plan, |_| true, state)
    }

    fn view_of_plan(
        &self,
        plan: &CeremonyPlan,
        joined: impl Fn(&NodeId) -> bool,
        (state, vault, failure): (&str, Option<VaultId>, Option<String>),
    ) -> api::CeremonyView {
        let member = |node: &NodeId| api::CeremonyMember {
            node: *node,
            operator: self.name_of(*node),
            joined: joined(node),
        };
        let stored = vault.and_then(|vault| self.governance.vault(&vault));
        let running = self.ceremonies.get(&plan.id()).and_then(|c| c.charter.as_ref());
        let signed = stored.map(|governed| &governed.birth).or(running);
        api::CeremonyView {
            id: plan.id(),
            words: model::words::six_words(&plan.id().0),
            purpose: plan.purpose,
            name: plan.name.clone(),
            threshold: plan.threshold,
            members: plan.members.iter().map(member).collect(),
            charter: signed.map(ceremony_charter),
            state: state.to_owned(),
            vault,
            failure,
            culprit: self.state.broken(plan.id()).map(|broken| broken.culprit),
        }
    }

    fn vault_view(&self, id: VaultId) -> Option<api::VaultView> {
        let (keeping, state) = (self.vaults.get(&id)?, self.state.vaults.get(&id)?);
        let key = |kind: KeyKind| {
            let public = keeping.public.keys.public_at(kind, &DerivationPath::root()).ok()?;
            Some(api::KeyView { kind: kind.to_string(), public_key: hex(&public) })
        };
        Some(api::VaultView {
            id,
            name: state.plan.name.clone(),
            purpose: keeping.public.purpose,
            threshold: state.plan.threshold,
            members: keeping.public.members.values().copied().collect(),
            epoch: keeping.public.epoch.0,
            charter: self.governance.vault(&id).map(|governed| governed.standing().in_force_id()),
            keys: KeyKind::ALL.into_iter().filter_map(key).collect(),
        })
    }

    /// The keys of a vault whose every share is stored: an address of a stillborn vault would be a trap.
    fn active_keys(&self, vault: VaultId) -> Result<&crate::engine::Keeping, Problem> {
        let keeping = self.vaults.get(&vault).ok_or_else(|| unknown_vault(vault))?;
        if self.state.vaults.get(&vault).is_some_and(|state| state.active) {
            return Ok(keeping);
        }
        Err(refuse(Class::Unavailable, "vault_not_active", "not every member stored its share")
            .hint("send nothing to it; `outlast ceremony status` shows who is missing"))
    }

    fn address_view(
        &self,
        vault: VaultId,
        network: Network,
        path: &DerivationPath,
    ) -> Result<api::AddressView, Problem> {
        let keeping = self.active_keys(vault)?;
        let address = chains::address(&keeping.public.keys, network, path)?;
        Ok(api::AddressView {
            network,
            path: path.to_string(),
            address: address.text,
            key: address.key.to_string(),
            public_key: hex(&address.public_key),
            purpose: keeping.public.purpose,
        })
    }

    fn account_view(
        &self,
        vault: VaultId,
        network: Network,
        path: &DerivationPath,
    ) -> Result<api::AccountView, Problem> {
        let keeping = self.active_keys(vault)?;
        let account = chains::account(&keeping.public.keys, network, path)?;
        Ok(api::AccountView {
            path: path.to_string(),
            extended_key: account.extended_key,
            descriptors: account.descriptors,
            purpose: keeping.public.purpose,
        })
    }

    fn evm_accounts(
        &self,
        caller: Caller,
    ) -> Result<Vec<(VaultId, DerivationPath, String)>, Problem> {
        let client = self.client_of(caller)?;
        let path: DerivationPath = EVM_ACCOUNT_PATH.parse().map_err(chains::Refusal::Path)?;
        let ids = self.vaults.iter().filter(|(id, _)| {
            client.is_none_or(|c| c.vaults.contains(id))
                && self.state.vaults.get(id).is_some_and(|state| state.active)
        });
        ids.map(|(id, keeping)| {
            let address = chains::address(&keeping.public.keys, Network::Evm(1), &path)?;
            Ok((*id, path.clone(), address.text))
        })
        .collect()
    }

    fn request_list(&self, vault: VaultId, limit: usize) -> Result<Vec<api::RequestView>, Problem> {
        let mut found: Vec<_> =
            self.state.requests.iter().filter(|(_, s)| s.request.vault == vault).collect();
        found.sort_by_key(|(_, state)| core::cmp::Reverse(state.request.created_at));
        let found = found.into_iter().take(limit.min(LIST_MAX));
        found.map(|(id, _)| self.request_view(*id)).collect()
    }

    /// The service keys by age, oldest first.
    pub(crate) fn client_views(&self) -> Vec<api::ClientView> {
        let mut clients: Vec<_> = self.state.clients.values().collect();
        clients.sort_by_key(|client| (client.made, client.client));
        let view = |client: &ClientState| api::ClientView {
            id: client.client.to_string(),
            name: client.name.clone(),
            vaults: client.vaults.iter().copied().collect(),
            created_at_ms: client.made.0,
        };
        clients.into_iter().map(view).collect()
    }

    pub(crate) fn request_reply(&self, id: RequestId) -> Result<Reply, Problem> {
        self.request_view(id).map(|view| Reply::Request(Box::new(view)))
    }

    fn request_view(&self, id: RequestId) -> Result<api::RequestView, Problem> {
        let state = self.state.requests.get(&id).ok_or_else(|| {
            refuse(Class::NotFound, "unknown_request", format!("no request {}", id.short()))
        })?;
        let request = &state.request;
        let keeping =
            self.vaults.get(&request.vault).ok_or_else(|| unknown_vault(request.vault))?;
        let fill = match (&state.signed, &state.decided) {
            (Some((_, fill, _)), _) => Some(fill),
            (None, Some(decision)) => Some(&decision.fill),
            (None, None) => None,
        };
        let keys = &keeping.public.keys;
        let plan = fill.and_then(|fill| self.plans.plan(keys, id, request, fill).ok());
        Ok(api::RequestView {
            id,
            vault: request.vault,
            purpose: keeping.public.purpose,
            state: self.request_word(id, state).to_owned(),
            intent: plan.as_ref().map(|plan| plan.intent.clone()),
            unsigned: plan.as_ref().map(|plan| hex(&plan.unsigned)),
            verdicts: self.verdict_views(id, state),
            signed: self.signed_view(id, state),
            problem: self.problem_view(id, state),
            approval: self.approval_view(request),
            entry: request.entry,
            client: (request.client != ClientId([0; 16])).then(|| request.client.to_string()),
            created_at_ms: request.created_at.0,
            expires_at_ms: request.expires_at.0,
        })
    }

    /// Why it was refused, or why the last attempt failed while another is on its way.
    fn problem_view(&self, id: RequestId, state: &RequestState) -> Option<api::Problem> {
        if let Some(unsent) = self.unsent_view(id, state) {
            return Some(unsent);
        }
        if let Some(pending) = self.pending.get(&id) {
            let (code, message) = (pending.code.to_owned(), pending.reason.clone());
            return Some(api::Problem { code, message, hint: None });
        }
        let refused = state.refused.clone();
        let (code, message) = refused.or_else(|| self.last_failures.get(&id).cloned())?;
        Some(api::Problem { code, message, hint: None })
    }

    fn request_word(&self, id: RequestId, state: &RequestState) -> &'static str {
        if state.signed.is_some() {
            "signed"
        } else if self.sessions.values().any(|s| s.request == id) {
            "signing"
        } else if state.refused.is_some() && !self.retries.contains_key(&id) {
            "refused"
        } else if self.now > state.request.expires_at {
            "expired"
        } else {
            "waiting"
        }
    }

    fn verdict_views(&self, id: RequestId, state: &RequestState) -> Vec<api::VerdictView> {
        let own = state.decided.as_ref().map(|_| (self.me, None));
        let others = self.verdicts.get(&id).into_iter().flatten();
        let view = |(node, refusal): (model::ids::NodeId, Option<(String, String)>)| {
            let (verdict, reason) = match refusal {
                None => ("allowed", "decoded the same bytes; built-in rules".to_owned()),
                Some((code, reason)) => ("refused", format!("{code}: {reason}")),
            };
            api::VerdictView {
                node,
                operator: self.name_of(node),
                verdict: verdict.to_owned(),
                reason,
            }
        };
        own.into_iter().chain(others.map(|(n, r)| (*n, r.clone()))).map(view).collect()
    }

    fn signed_view(&self, id: RequestId, state: &RequestState) -> Option<api::SignedView> {
        let (_, _, signatures) = state.signed.as_ref()?;
        let (artefact, _) = self.artefact(id).ok()??;
        let bytes = |signature: &model::signing::Signature| match signature {
            model::signing::Signature::Ecdsa { rs, recovery_id } => {
                [&rs[..], &[*recovery_id]].concat()
            }
            model::signing::Signature::Schnorr(rs) | model::signing::Signature::Ed25519(rs) => {
                rs.to_vec()
            }
        };
        Some(api::SignedView {
            raw: artefact.text.clone(),
            txid: artefact.txid.clone(),
            signatures: signatures.iter().map(|s| hex(&bytes(s))).collect(),
            psbt: artefact.psbt.clone(),
            took_ms: state.took_ms,
        })
    }
}

pub(crate) fn unknown_vault(vault: VaultId) -> Problem {
    refuse(Class::NotFound, "unknown_vault", format!("no vault {}", vault.short()))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use core::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
