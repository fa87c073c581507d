//! Commands: who may ask what, and how a request from a client is accepted. Attempts to sign it are in `attempts`.
//!
//! The node that a client asked coordinates: it routes and chooses nonce, fee and blockhash inside the ceiling; it cannot
//! approve for others. The same request (by its idempotency key, or by id) always has one outcome.

use crate::command::{Caller, Command, CommandId, Reply};
use crate::engine::Engine;
use crate::event::Effect;
use crate::fill::Draft;
use crate::journal::{Entry, bounded};
use crate::judge::{WAITING, refusal};
use crate::problem::{Class, Problem, refuse};
use crate::sending::Sending;
use crate::state::ClientState;
use model::api;
use model::card::NodeCard;
use model::entropy::Entropy;
use model::ids::{ClientId, RequestId, VaultId};
use model::limits;
use model::request::{Ask, Fill, Request};
use model::time::Timestamp;
use model::wire::Wire;

/// Longest wait of a caller for a signature, milliseconds.
const WAIT_MS_MAX: u64 = 60_000;

/// A caller that waits for a request to end.
pub(crate) struct Waiter {
    pub command: CommandId,
    pub until: Timestamp,
}

impl Engine {
    pub(crate) fn handle_command(
        &mut self,
        id: CommandId,
        caller: Caller,
        command: Command,
        entropy: &mut dyn Entropy,
    ) {
        let result = match command {
            Command::Submit { vault, new } => self.submit(id, caller, vault, &new, entropy),
            Command::Keyed { vault, key, call, wait_ms } => {
                self.keyed(id, caller, vault, &key, &call, wait_ms)
            }
            Command::SpeedUp(request, how) => {
                self.replace(id, caller, request, &how, false, entropy)
            }
            Command::Cancel(request, how) => self.replace(id, caller, request, &how, true, entropy),
            Command::Known => self.client_of(caller).map(|_| Some(Reply::Done)),
            Command::VaultCeremony(vault) => self.vault_record(id, caller, vault).map(|()| None),
            Command::Evidence(ceremony) if caller == Caller::Operator => {
                self.evidence(id, ceremony).map(|()| None)
            }
            Command::PostAct(vault, act) => self
                .may_use(caller, vault)
                .and_then(|()| self.post_act(vault, &act))
                .map(|id| Some(Reply::Act(id))),
            Command::Vaults
            | Command::Charter(_)
            | Command::Acts(_)
            | Command::Vault(_)
            | Command::Address { .. }
            | Command::Account { .. }
            | Command::Request(_)
            | Command::Requests { .. }
            | Command::EvmAccounts => self.read(caller, command).map(Some),
            _ if caller != Caller::Operator => Err(refuse(
                Class::Forbidden,
                "operator_only",
                "only the node's operator may do this",
            )),
            command => self.operate(command, entropy).map(Some),
        };
        match result {
            Ok(Some(reply)) => self.push(Effect::Reply { id, result: Ok(reply) }),
            // Answered later, when the request ends or the wait is over.
            Ok(None) => {}
            Err(problem) => self.push(Effect::Reply { id, result: Err(problem) }),
        }
    }

    /// The operator's commands.
    fn operate(&mut self, command: Command, entropy: &mut dyn Entropy) -> Result<Reply, Problem> {
        match command {
            Command::Node => {}
            Command::Trust(trust) => self.trust(&trust)?,
            Command::ResumePair(peer) => {
                let stopped = self.pairs.get(&peer).is_some_and(crate::pairs::Pair::is_stopped);
                if !stopped {
                    let text = format!("the pair with {} is not stopped", self.name_of(peer));
                    return Err(refuse(Class::Conflict, "pair_not_stopped", text));
                }
                self.resume_pair(peer);
            }
            Command::ReleasePeer(own) if own == self.me => self.release_self()?,
            Command::ReleasePeer(peer) => {
                let held = self.state.peers.get(&peer).is_some_and(|p| p.held.is_some());
                if !held {
                    let text = format!("{} is not held", self.name_of(peer));
                    return Err(refuse(Class::Conflict, "peer_not_held", text));
                }
                self.release_peer(peer);
            }
            Command::NewCeremony(new) => {
                let id = self.new_ceremony(&new, entropy)?;
                return self.ceremony_reply(id);
            }
            Command::NewCeremonyUnder(charter) => {
                let id = self.new_ceremony_under(&charter, entropy)?;
                return self.ceremony_reply(id);
            }
            Command::AgreeToCharter(charter) => {
                return self.agree_to_charter(&charter).map(Reply::Charter);
            }
            Command::JoinCeremony(id) => {
                self.join_ceremony(id)?;
                return self.ceremony_reply(id);
            }
            Command::Ceremony(id) => return self.ceremony_reply(id),
            Command::Ceremonies => return Ok(Reply::Ceremonies(self.ceremony_views())),
            Command::NewClient { new, token_hash } => return self.new_client(&new, token_hash),
            Command::Clients => return Ok(Reply::Clients(self.client_views())),
            Command::RemoveClient(client) => {
                if !self.state.clients.values().any(|known| known.client == client) {
                    let text = "no such service key";
                    return Err(refuse(Class::NotFound, "unknown_client", text));
                }
                self.commit(Entry::ClientRemoved(client));
                return Ok(Reply::Done);
            }
            _ => return Err(refuse(Class::Bug, "bug", "a command without a handler")),
        }
        Ok(Reply::Node(self.node_view()))
    }

    fn trust(&mut self, trust: &api::TrustPeer) -> Result<(), Problem> {
        let card = NodeCard::from_text(&trust.card)
            .map_err(|error| refuse(Class::Refused, "invalid_card", error.to_string()))?;
        let spoken = trust.words.split_whitespace().map(str::to_lowercase);
        if !spoken.eq(card.words().split(' ').map(str::to_owned)) {
            let text = "the six words are not this card's";
            return Err(refuse(Class::Refused, "wrong_words", text)
                .hint("ask the other operator to read them aloud again; do not trust this card"));
        }
        if card.node == self.me {
            return Err(refuse(Class::Refused, "own_card", "this is this node's own card"));
        }
        let known = self.state.peers.contains_key(&card.node);
        if !known && self.state.peers.len() >= limits::PEERS_MAX {
            return Err(refuse(Class::Overloaded, "peers_max", "no room for another peer"));
        }
        self.commit(Entry::PeerTrusted(card.to_bytes()));
        self.pairs.entry(card.node).or_insert_with(crate::pairs::Pair::absent);
        self.push(Effect::Connect { peer: card.node, endpoint: card.endpoint });
        Ok(())
    }

    fn new_client(&mut self, new: &api::NewClient, token_hash: [u8; 32]) -> Result<Reply, Problem> {
        if let Some(vault) = new.vaults.iter().find(|vault| !self.vaults.contains_key(vault)) {
            let text = format!("no vault {}", vault.short());
            return Err(refuse(Class::NotFound, "unknown_vault", text));
        }
        let hash = model::hash::tagged("outlast/client/v1", &[&token_hash]);
        let mut client = [0u8; 16];
        client.copy_from_slice(hash.split_at(16).0);
        let client = ClientId(client);
        let (name, vaults) = (bounded(&new.name), new.vaults.clone());
        self.commit(Entry::ClientAdded { client, name, token_hash, vaults });
        Ok(Reply::Client(client))
    }

    /// The client behind a caller; `None` for the operator.
    pub(crate) fn client_of(&self, caller: Caller) -> Result<Option<&ClientState>, Problem> {
        match caller {
            Caller::Operator => Ok(None),
            Caller::Client(hash) => self.state.clients.get(&hash).map(Some).ok_or_else(|| {
                refuse(Class::Forbidden, "unknown_credential", "no such service key")
            }),
        }
    }

    /// Refuses callers that may not use `vault`, in the words for a vault that does not exist: a tenant learns nothing
    /// of a neighbour.
    pub(crate) fn may_use(&self, caller: Caller, vault: VaultId) -> Result<(), Problem> {
        let allowed = match self.client_of(caller)? {
            None => true,
            Some(client) => client.vaults.contains(&vault),
        };
        if allowed && self.vaults.contains_key(&vault) {
            return Ok(());
        }
        Err(refuse(Class::NotFound, "unknown_vault", format!("no vault {}", vault.short())))
    }

    fn submit(
        &mut self,
        command: CommandId,
        caller: Caller,
        vault: VaultId,
        new: &api::NewRequest,
        entropy: &mut dyn Entropy,
    ) -> Result<Option<Reply>, Problem> {
        self.may_use(caller, vault)?;
        let request = self.read_request(caller, vault, new)?;
        if let Some(known) = self.known_request(&request)? {
            return self.answer_or_wait(command, known, new.wait_ms);
        }
        self.check_clock()?;
        self.check_room()?;
        self.check_share(&request)?;
        let draft = match (&request.ask, &new.fill) {
            (Ask::Raw { .. }, _) => Some(Draft::ready(Fill::Nothing)),
            (_, Some(view)) => Some(Draft::chosen(chains::parse_fill(new.network, view)?)),
            (_, None) => None,
        };
        let id = request.id();
        if self.governance.vault(&vault).is_some() {
            self.submit_governed(request, draft, new.broadcast, entropy)?;
            return self.answer_or_wait(command, id, new.wait_ms);
        }
        // What this node itself would refuse never becomes a request.
        if let Some(draft) = &draft {
            let fill = self.fill_from(&request, draft)?;
            let proposal = self.proposal(&request, fill, 1)?;
            self.decide(&proposal)?;
        }
        // Before anything is written: a refusal changes nothing.
        if draft.is_none() {
            self.ask_chain(&request)?;
        }
        self.commit(Entry::Requested(Box::new(request)));
        if new.broadcast {
            self.broadcasts.insert(id, Sending::after_signing(true));
        }
        if let Some(draft) = draft {
            self.drafts.insert(id, draft);
            self.attempt(id, entropy);
        }
        self.answer_or_wait(command, id, new.wait_ms)
    }

    /// Under a charter a refusal is a decision too: it is written down with its rule, within a budget.
    fn submit_governed(
        &mut self,
        request: Request,
        draft: Option<Draft>,
        broadcast: bool,
        entropy: &mut dyn Entropy,
    ) -> Result<(), Problem> {
        let id = request.id();
        // What does not decode is no request.
        let finding = self.find(&request).transpose()?;
        if let Some(problem) = finding.and_then(|finding| refusal(&request, &finding))
            && !WAITING.contains(&problem.code)
            && !self.may_record_refusal(self.me, problem.code)
        {
            return Err(problem);
        }
        self.commit(Entry::Requested(Box::new(request)));
        if broadcast {
            self.broadcasts.insert(id, Sending::after_signing(true));
        }
        if let Some(draft) = draft {
            self.drafts.insert(id, draft);
        }
        self.begin(id, entropy);
        Ok(())
    }

    fn read_request(
        &self,
        caller: Caller,
        vault: VaultId,
        new: &api::NewRequest,
    ) -> Result<Request, Problem> {
        let path = new.path.parse().map_err(chains::Refusal::Path)?;
        let ask = chains::parse_ask(new.network, &new.ask)?;
        let key = new.idempotency_key.clone().unwrap_or_default();
        if key.len() > limits::TEXT_BYTES_MAX || key.chars().any(char::is_control) {
            let text = "idempotency_key: at most 256 bytes, no control characters";
            return Err(refuse(Class::Refused, "invalid_field", text));
        }
        let life = new.life_ms.unwrap_or(limits::REQUEST_LIFE_MS_DEFAULT);
        if life == 0 || life > limits::REQUEST_LIFE_MS_MAX {
            let text = format!("life_ms: 1 to {}", limits::REQUEST_LIFE_MS_MAX);
            return Err(refuse(Class::Refused, "invalid_field", text));
        }
        let client = self.client_of(caller)?.map_or(ClientId([0; 16]), |client| client.client);
        let mut request = Request {
            vault,
            network: new.network,
            path,
            ask,
            fee_max: new.fee_max,
            client,
            idempotency_key: key,
            initiator: new.initiator.clone().unwrap_or_default(),
            entry: self.me,
            created_at: self.now,
            expires_at: self.now.saturating_add_ms(life),
        };
        // Two requests of one client in one millisecond without a key of their own are two requests.
        while request.idempotency_key.is_empty() && self.state.requests.contains_key(&request.id())
        {
            request.created_at = request.created_at.saturating_add_ms(1);
            request.expires_at = request.expires_at.saturating_add_ms(1);
        }
        // A record that does not read back would end every later start of this node.
        if Request::from_bytes(&request.to_bytes()).as_ref() != Ok(&request) {
            let text = "ask: a field is too long or holds control characters";
            return Err(refuse(Class::Refused, "invalid_field", text));
        }
        Ok(request)
    }

    /// The request that already stands under this idempotency key, if it is the same one.
    fn known_request(&self, request: &Request) -> Result<Option<RequestId>, Problem> {
        if request.idempotency_key.is_empty() {
            return Ok(None);
        }
        let key = (request.vault, request.client, request.idempotency_key.clone());
        let Some(id) = self.state.idempotency.get(&key) else { return Ok(None) };
        let Some(known) = self.state.requests.get(id) else { return Ok(None) };
        let same = known.request.ask == request.ask
            && known.request.path == request.path
            && known.request.network == request.network
            && known.request.fee_max == request.fee_max
            && known.request.initiator == request.initiator;
        if same {
            return Ok(Some(*id));
        }
        let text = format!("this idempotency key stands for request {}", id.short());
        Err(refuse(Class::Conflict, "idempotency_conflict", text).hint("use a fresh key"))
    }

    /// The request that stands under `KEY/CALL`, if any: a caller whose question is completed anew each time asks for it
    /// first. Another call under the same key is a conflict.
    fn keyed(
        &mut self,
        command: CommandId,
        caller: Caller,
        vault: VaultId,
        key: &str,
        call: &str,
        wait_ms: u64,
    ) -> Result<Option<Reply>, Problem> {
        self.may_use(caller, vault)?;
        let client = self.client_of(caller)?.map_or(ClientId([0; 16]), |client| client.client);
        let prefix = format!("{key}/");
        let from = (vault, client, prefix.clone());
        let Some(((of, by, found), id)) = self.state.idempotency.range(from..).next() else {
            return Ok(Some(Reply::Requests(Vec::new())));
        };
        let Some(known) = found.strip_prefix(&prefix).filter(|_| *of == vault && *by == client)
        else {
            return Ok(Some(Reply::Requests(Vec::new())));
        };
        if known != call {
            let text = format!("this idempotency key stands for request {}", id.short());
            return Err(
                refuse(Class::Conflict, "idempotency_conflict", text).hint("use a fresh key")
            );
        }
        let id = *id;
        self.answer_or_wait(command, id, wait_ms)
    }

    /// Answers now when the request has ended or nobody wants to wait; else later.
    pub(crate) fn answer_or_wait(
        &mut self,
        command: CommandId,
        id: RequestId,
        wait_ms: u64,
    ) -> Result<Option<Reply>, Problem> {
        let signed = self.state.requests.get(&id).is_some_and(|s| s.signed.is_some());
        let ended = signed && !self.is_being_sent(id);
        if ended || wait_ms == 0 || !self.is_moving(id) {
            return self.request_reply(id).map(Some);
        }
        let until = self.now.saturating_add_ms(wait_ms.min(WAIT_MS_MAX));
        self.waiters.entry(id).or_default().push(Waiter { command, until });
        Ok(None)
    }

    /// True while this node is doing something for the request.
    pub(crate) fn is_moving(&self, id: RequestId) -> bool {
        let asked = self.state.requests.get(&id).is_some_and(|s| {
            s.entered_here && s.decided.is_none() && s.refused.is_none() && s.signed.is_none()
        });
        (asked && !self.pending.contains_key(&id))
            || self.is_being_sent(id)
            || self.retries.contains_key(&id)
            || self.sessions.values().any(|s| s.request == id)
    }
}
