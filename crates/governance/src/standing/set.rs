//! The set of verified acts that a node holds, each with the time from which it counts.
//!
//! Union is all that ever happens to it: no act leaves, none takes another's place, order and repetition change nothing.

use crate::approvals::{Signer, Verified};
use model::act::{Act, SignedAct};
use model::charter::Credential;
use model::hash;
use model::ids::{ActId, RequestId};
use model::time::Timestamp;
use model::wire::Wire;
use std::collections::BTreeMap;

/// One act may be signed with two credentials of its author, and one of them may be revoked: both are kept.
pub type ActKey = (ActId, Signer);

/// A verified act and the evidence of its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The act.
    pub act: Verified<SignedAct>,
    /// From when on it counts: when this node durably held it, or what witnesses say. Never a claim of its author.
    pub at: Timestamp,
}

impl Seen {
    /// What was signed.
    pub fn act(&self) -> &Act {
        &self.act.signed().act
    }
}

/// Verified acts of one vault.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActSet {
    rules: BTreeMap<ActKey, Seen>,
    requests: BTreeMap<RequestId, BTreeMap<ActKey, Seen>>,
}

impl ActSet {
    /// Adds an act; true when it was not there. Of two times the earlier stays: the first evidence is the evidence.
    pub fn insert(&mut self, act: Verified<SignedAct>, at: Timestamp) -> bool {
        let key = (act.id(), act.signer().clone());
        let part = match act.signed().act.body.request() {
            Some(request) => self.requests.entry(request).or_default(),
            None => &mut self.rules,
        };
        match part.get_mut(&key) {
            Some(seen) => {
                seen.at = seen.at.min(at);
                false
            }
            None => part.insert(key, Seen { act, at }).is_none(),
        }
    }

    /// Everything of another set.
    pub fn merge(&mut self, other: &Self) {
        let requests = other.requests.values().flat_map(BTreeMap::values);
        for seen in other.rules.values().chain(requests) {
            self.insert(seen.act.clone(), seen.at);
        }
    }

    /// True when it holds this very act with this very signature.
    pub fn holds(&self, signed: &SignedAct) -> bool {
        let id = signed.act.id();
        let part = match signed.act.body.request() {
            Some(request) => self.requests.get(&request),
            None => Some(&self.rules),
        };
        // The least key of this id: one act may stand there with several signers.
        let credential = Credential::Ssh { blob: Vec::new() };
        let least = (id, Signer::Person { person: String::new(), credential });
        let same = |(key, _): &(&ActKey, &Seen)| key.0 == id;
        let mut held = part.into_iter().flat_map(|part| part.range(&least..).take_while(same));
        held.any(|(_, seen)| seen.act.signed() == signed)
    }

    /// Acts that change what may happen: all but those about one request.
    pub fn rules(&self) -> &BTreeMap<ActKey, Seen> {
        &self.rules
    }

    /// Acts about one request.
    pub fn of_request(&self, request: &RequestId) -> impl Iterator<Item = &Seen> {
        self.requests.get(request).into_iter().flat_map(BTreeMap::values)
    }

    /// Forgets the acts about a request that can never be signed any more.
    pub fn forget_request(&mut self, request: &RequestId) {
        self.requests.remove(request);
    }

    /// Every act that it holds.
    pub fn iter(&self) -> impl Iterator<Item = (&ActKey, &Seen)> {
        self.rules.iter().chain(self.requests.values().flatten())
    }

    /// How many acts it holds.
    pub fn len(&self) -> usize {
        self.requests.values().map(BTreeMap::len).fold(self.rules.len(), usize::saturating_add)
    }

    /// True when it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Hash of what a decision on a request rests on: the acts that change rules and those about the request, with their
    /// times.
    pub fn digest(&self, request: &RequestId) -> [u8; 32] {
        let rules = self.rules.values().chain(self.of_request(request));
        let lines: Vec<Vec<u8>> =
            rules.map(|seen| [seen.act.signed().to_bytes(), seen.at.to_bytes()].concat()).collect();
        let parts: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        hash::tagged("outlast/act-set/v1", &parts)
    }
}
