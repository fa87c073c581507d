//! What one client and one vault may have of a node that serves many, and the queue of requests that wait for a session.
//!
//! Spec: `docs/spec/requests.md`, "Shares of a node". Invariants: a client or vault that is over its share is refused by a
//! name of its own, before anything is recorded; what waits for a session is begun in turn, one of each vault, and within
//! a vault one of each client. Absent on purpose: shares that depend on what others do; a bound is the same every day.

use crate::engine::Engine;
use crate::problem::{Class, Problem, refuse};
use model::entropy::Entropy;
use model::ids::{ClientId, NodeId, RequestId, VaultId};
use model::limits;
use model::request::Request;
use std::collections::{BTreeMap, VecDeque};

/// Who asked: a client of the node that took the request.
pub(crate) type Owner = (NodeId, ClientId);

/// When to come back after a refusal, milliseconds: a session ends, an open request ends, a request is forgotten.
const SESSION_ENDS_MS: u64 = 1_000;
const OPEN_ENDS_MS: u64 = 10_000;
const FORGOTTEN_MS: u64 = 60_000;

/// How many requests each vault has from each node that took them, and each client. By that node: one member that fills its
/// share of a vault leaves the other members' clients theirs.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    vaults: BTreeMap<(VaultId, NodeId), usize>,
    owners: BTreeMap<Owner, usize>,
}

impl Tally {
    /// One more.
    pub fn add(&mut self, request: &Request) {
        let vault = (request.vault, request.entry);
        let owner = (request.entry, request.client);
        let more = |count: &mut usize| *count = count.saturating_add(1);
        more(self.vaults.entry(vault).or_default());
        more(self.owners.entry(owner).or_default());
    }

    /// One less.
    pub fn remove(&mut self, request: &Request) {
        less(&mut self.vaults, (request.vault, request.entry));
        less(&mut self.owners, (request.entry, request.client));
    }

    /// Those of a vault that this node took.
    pub fn of_vault(&self, vault: VaultId, entry: NodeId) -> usize {
        self.vaults.get(&(vault, entry)).copied().unwrap_or(0)
    }

    /// Those of a client.
    pub fn of_owner(&self, owner: Owner) -> usize {
        self.owners.get(&owner).copied().unwrap_or(0)
    }
}

/// A count that reaches zero leaves the map: vaults and clients of long ago cost nothing.
fn less<K: Ord + Copy>(counts: &mut BTreeMap<K, usize>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

/// Keys in turn: after `last`, the next greater one, and after the greatest the least.
fn next_in_turn<K: Ord + Copy, V>(map: &BTreeMap<K, V>, last: Option<K>) -> Option<K> {
    let after = last.and_then(|last| {
        map.range((core::ops::Bound::Excluded(last), core::ops::Bound::Unbounded)).next()
    });
    after.or_else(|| map.iter().next()).map(|(key, _)| *key)
}

/// Requests of one vault that wait for a session.
#[derive(Debug, Default)]
struct VaultQueue {
    last: Option<ClientId>,
    clients: BTreeMap<ClientId, VecDeque<RequestId>>,
}

/// Requests that wait for a session.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    last: Option<VaultId>,
    vaults: BTreeMap<VaultId, VaultQueue>,
}

impl Queue {
    /// Puts a request at the end of its client's line.
    pub fn push(&mut self, vault: VaultId, client: ClientId, id: RequestId) {
        let line = self.vaults.entry(vault).or_default().clients.entry(client).or_default();
        if !line.contains(&id) {
            line.push_back(id);
        }
    }

    /// The next one in turn.
    pub fn pop(&mut self) -> Option<RequestId> {
        let vault = next_in_turn(&self.vaults, self.last)?;
        self.last = Some(vault);
        let queue = self.vaults.get_mut(&vault)?;
        let client = next_in_turn(&queue.clients, queue.last)?;
        queue.last = Some(client);
        let line = queue.clients.get_mut(&client)?;
        let id = line.pop_front();
        if line.is_empty() {
            queue.clients.remove(&client);
        }
        if queue.clients.is_empty() {
            self.vaults.remove(&vault);
        }
        id
    }

    /// True when nobody waits.
    pub fn is_empty(&self) -> bool {
        self.vaults.is_empty()
    }

    /// Takes a request out wherever it stands.
    pub fn forget(&mut self, vault: VaultId, client: ClientId, id: RequestId) {
        let Some(queue) = self.vaults.get_mut(&vault) else { return };
        let Some(line) = queue.clients.get_mut(&client) else { return };
        line.retain(|waiting| *waiting != id);
        if line.is_empty() {
            queue.clients.remove(&client);
        }
        if queue.clients.is_empty() {
            self.vaults.remove(&vault);
        }
    }

    fn count(&self, counts: impl Fn(VaultId, ClientId) -> bool) -> usize {
        let lines = self.vaults.iter().flat_map(|(vault, queue)| {
            queue.clients.iter().map(|(client, line)| (*vault, *client, line.len()))
        });
        lines
            .filter(|(vault, client, _)| counts(*vault, *client))
            .fold(0, |sum, (_, _, length)| sum.saturating_add(length))
    }
}

fn over(code: &'static str, whose: &str, what: &str, max: usize, retry_ms: u64) -> Problem {
    let text = format!("this {whose} has {max} requests {what}, which is its limit");
    refuse(Class::Overloaded, code, text).retry_after_ms(retry_ms)
}

impl Engine {
    /// Refuses a new request of whoever is over its share, by the name of the limit.
    pub(crate) fn check_share(&self, request: &Request) -> Result<(), Problem> {
        self.check_vault_share(request)?;
        let max = limits::REQUESTS_OPEN_OF_CLIENT_MAX;
        if self.state.open_tally.of_owner((request.entry, request.client)) >= max {
            return Err(over("client_open_max", "client", "open", max, OPEN_ENDS_MS));
        }
        let max = limits::REQUESTS_UNDER_WAY_MAX;
        if self.under_way(|_, client| client == request.client) >= max {
            let what = "being signed or waiting for it";
            return Err(over("client_under_way_max", "client", what, max, SESSION_ENDS_MS));
        }
        if self.under_way(|vault, _| vault == request.vault) >= max {
            let what = "being signed or waiting for it";
            return Err(over("vault_under_way_max", "vault", what, max, SESSION_ENDS_MS));
        }
        Ok(())
    }

    /// Refuses a request for a vault of which its entry node's requests fill this node's memory.
    pub(crate) fn check_vault_share(&self, request: &Request) -> Result<(), Problem> {
        let (vault, entry) = (request.vault, request.entry);
        let max = limits::REQUESTS_KEPT_OF_VAULT_MAX;
        if self.state.kept_tally.of_vault(vault, entry) >= max {
            let what = "remembered until an hour after their expiry";
            return Err(over("vault_kept_max", "vault", what, max, FORGOTTEN_MS));
        }
        let max = limits::REQUESTS_OPEN_OF_VAULT_MAX;
        if self.state.open_tally.of_vault(vault, entry) >= max {
            return Err(over("vault_open_max", "vault", "open", max, OPEN_ENDS_MS));
        }
        Ok(())
    }

    /// Requests taken here that are in a session, wait for one, or wait for the chain node.
    fn under_way(&self, counts: impl Fn(VaultId, ClientId) -> bool) -> usize {
        let own = self.sessions.values().filter(|s| s.proposal.coordinator == self.me);
        let sessions = own.filter(|s| counts(s.proposal.request.vault, s.proposal.request.client));
        let asking = self.asking.values().filter(|(vault, client)| counts(*vault, *client));
        sessions.count().saturating_add(asking.count()).saturating_add(self.queue.count(&counts))
    }

    /// True while a coordinator's sessions in flight leave room for one more: by their number, by the signatures in them,
    /// which all wait for the same few cores, and by the bytes of their proposals.
    pub(crate) fn has_room(&self, coordinator: NodeId) -> bool {
        let own = self.sessions.values().filter(|s| s.proposal.coordinator == coordinator);
        let (mut sessions, mut items, mut bytes) = (0usize, 0usize, 0usize);
        for session in own {
            sessions = sessions.saturating_add(1);
            items = items.saturating_add(session.items.len());
            bytes = bytes.saturating_add(session.bytes);
        }
        sessions < limits::SESSIONS_OF_COORDINATOR_MAX
            && items < limits::ITEMS_OF_COORDINATOR_MAX
            && bytes < limits::PROPOSAL_BYTES_OF_COORDINATOR_MAX
    }

    /// True when a session may begin now; else the request waits for its turn.
    pub(crate) fn has_turn(&mut self, request: &Request) -> bool {
        if self.has_room(self.me) {
            return true;
        }
        self.queue.push(request.vault, request.client, request.id());
        false
    }

    /// Begins what waits, in turn, while there is room.
    pub(crate) fn admit_waiting(&mut self, entropy: &mut dyn Entropy) {
        while !self.queue.is_empty() && self.has_room(self.me) {
            let Some(id) = self.queue.pop() else { return };
            let open = self.state.requests.get(&id).is_some_and(|s| s.signed.is_none());
            if open && !self.sessions.values().any(|s| s.request == id) {
                self.attempt(id, entropy);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> RequestId {
        RequestId([number; 32])
    }

    fn all(queue: &mut Queue) -> Vec<u8> {
        std::iter::from_fn(|| queue.pop()).map(|id| id.0[0]).collect()
    }

    /// Goal: a long line of one vault, or of one client, holds nobody else up by more than one turn.
    #[test]
    fn vaults_and_clients_take_turns() {
        let mut queue = Queue::default();
        let (flooded, quiet) = (VaultId([1; 32]), VaultId([2; 32]));
        let (loud, other) = (ClientId([1; 16]), ClientId([2; 16]));
        for number in 10..16 {
            queue.push(flooded, loud, id(number));
        }
        queue.push(flooded, other, id(20));
        queue.push(quiet, other, id(30));
        queue.push(quiet, other, id(31));
        // Twice in line is once in line.
        queue.push(quiet, other, id(31));
        assert_eq!(queue.count(|vault, _| vault == flooded), 7);
        assert_eq!(queue.count(|_, client| client == other), 3);
        assert_eq!(all(&mut queue), [10, 30, 20, 31, 11, 12, 13, 14, 15]);
        assert!(queue.is_empty());
    }

    /// Goal: what one member took counts for that member alone.
    #[test]
    fn a_vaults_share_is_counted_by_the_node_that_took_the_request() {
        let (vault, mine, theirs) = (VaultId([1; 32]), NodeId([1; 32]), NodeId([2; 32]));
        let request = |entry| Request {
            vault,
            network: model::intent::Network::Evm(1),
            path: model::hd::DerivationPath::root(),
            ask: model::request::Ask::Raw {
                kind: model::request::RawKind::EvmMessage,
                bytes: Vec::new(),
            },
            fee_max: None,
            client: ClientId([1; 16]),
            idempotency_key: String::new(),
            initiator: String::new(),
            entry,
            created_at: model::time::Timestamp(0),
            expires_at: model::time::Timestamp(1),
        };
        let mut tally = Tally::default();
        for _ in 0..3 {
            tally.add(&request(theirs));
        }
        tally.add(&request(mine));
        assert_eq!((tally.of_vault(vault, mine), tally.of_vault(vault, theirs)), (1, 3));
        tally.remove(&request(theirs));
        assert_eq!((tally.of_vault(vault, mine), tally.of_vault(vault, theirs)), (1, 2));
    }

    #[test]
    fn one_that_comes_late_is_next_but_one() {
        let mut queue = Queue::default();
        let client = ClientId([1; 16]);
        for number in 0..50 {
            queue.push(VaultId([9; 32]), client, id(number));
        }
        assert_eq!(queue.pop(), Some(id(0)));
        queue.push(VaultId([5; 32]), client, id(99));
        assert_eq!(queue.pop(), Some(id(99)));
        queue.forget(VaultId([9; 32]), client, id(1));
        assert_eq!(queue.pop(), Some(id(2)));
    }
}
